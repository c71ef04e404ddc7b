"""`ScalarTransfer`: scalars to and from the scratchpad, one byte at a time."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from rtl.adder import unsigned_add
from rtl.config import CoreConfig
from rtl.layouts import fields_layout
from rtl.ports import SCRATCHPAD_LATENCY, ScratchpadRead, ScratchpadWrite
from rtl.vector_instructions import SCALAR_BITS, LoadScalars

__all__ = ["ScalarTransfer"]

_BYTES = 4
_ADDRESS_BITS = 26


class ScalarTransfer(Component):
    """Loads or stores one scalar after the other; who starts it reads and writes the file.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    what, store:
        The word (`LoadScalars` or `StoreScalars`, which have the same fields), and which it is.
    begin:
        Go to the word's address.
    start, done:
        One cycle each, for one scalar. The next one's address follows.
    i:
        Scalar to be stored; stays until `done`.
    o:
        Loaded scalar, in the cycle of `done`.
    outside:
        For one cycle: the address is not in the scratchpad, and nothing was done.
    waiting:
        Held up by another client.
    x, v:
        Scratchpad; lane 0 alone is used.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "what": In(fields_layout(LoadScalars)),
                "store": In(1),
                "begin": In(1),
                "start": In(1),
                "done": Out(1),
                "i": In(signed(SCALAR_BITS)),
                "o": Out(signed(SCALAR_BITS)),
                "outside": Out(1),
                "waiting": Out(1),
                "x": Out(ScratchpadRead(config, config.columns)),
                "v": Out(ScratchpadWrite(config, config.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Byte by byte, the lowest first."""
        m = Module()
        what = self.what
        scalar = Signal(_ADDRESS_BITS)
        byte = Signal(_ADDRESS_BITS)
        number = Signal(range(_BYTES + 1))
        loaded = Signal(8 * _BYTES)
        wait = Signal(range(SCRATCHPAD_LATENCY + 1))
        last = number == what.size - 1

        # A new byte goes in at the top; those that are missing below it are shifted away at last.
        sign = ~what.unsigned & loaded[-1]
        high = sign.replicate(SCALAR_BITS - 8 * _BYTES)
        wide = Cat(loaded, high).as_signed()
        with m.Switch(what.size):
            for size in range(1, _BYTES + 1):
                with m.Case(size):
                    m.d.comb += self.o.eq(wide >> 8 * (_BYTES - size))
        m.d.comb += [
            self.x.address.eq(byte),
            self.v.address.eq(byte),
            self.v.mask.eq(1),
            self.v.data[0].eq(self.i.word_select(number[:2], 8)),
        ]

        with m.If(self.begin):
            m.d.sync += scalar.eq(what.address)
        outside = (byte >> self._config.scratchpad_address_bits).any()
        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [
                    byte.eq(scalar),
                    number.eq(0),
                    scalar.eq(unsigned_add(scalar, what.step)),
                ]
                m.next = "REQUEST"
            with m.State("REQUEST"):
                ready = Mux(self.store, self.v.ready, self.x.ready)
                # A read does no harm, and whether it may be is known late.
                m.d.comb += self.x.enable.eq(~self.store)
                with m.If(outside):
                    m.d.comb += self.outside.eq(1)
                    m.next = "IDLE"
                with m.Else():
                    m.d.comb += [self.v.enable.eq(self.store), self.waiting.eq(~ready)]
                    with m.If(ready):
                        m.d.sync += wait.eq(SCRATCHPAD_LATENCY)
                        m.next = "DATA"
            with m.State("DATA"):
                m.d.sync += wait.eq(wait - 1)
                with m.If((wait == 1) | self.store):
                    m.d.sync += [
                        loaded.eq(Cat(loaded[8:], self.x.data[0])),
                        byte.eq(unsigned_add(byte, what.plane)),
                        number.eq(number + 1),
                    ]
                    m.next = "REQUEST"
                    with m.If(last):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m
