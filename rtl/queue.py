"""`Queue`: first in, first out, around a memory that is read a cycle ahead.

Behaves in every cycle as `amaranth.lib.fifo.SyncFIFO`, whose memory is read without a clock: that
is no RAM macro, and in logic it is the larger part of a small core.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from rtl.hierarchy import place
from rtl.memory import Memory

__all__ = ["Queue"]


class Queue(Component):
    """The first two words wait in registers; memory holds those behind them.

    Parameters
    ----------
    width, depth:
        Bits of a word, words.
    module_name:
        Of the memory.

    Members
    -------
    w_data, w_en, w_rdy:
        A word goes in in a cycle with `w_en` and `w_rdy`, and can be seen from the next one on.
    r_data, r_en, r_rdy:
        The first word is there while `r_rdy`; it goes in a cycle with `r_en` and `r_rdy`.
    """

    def __init__(self, *, width: int, depth: int, module_name: str) -> None:
        self._width, self._depth, self._module_name = width, depth, module_name
        super().__init__(
            {
                "w_data": In(width), "w_en": In(1), "w_rdy": Out(1),
                "r_data": Out(width), "r_en": In(1), "r_rdy": Out(1),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Refill the registers from memory, or past it when it is empty."""
        m = Module()
        memory = place(m, platform, "memory", Memory, width=self._width, depth=self._depth,
                       module_name=self._module_name)  # fmt: skip
        level = Signal(range(self._depth + 1))
        written, read = Signal(range(self._depth)), Signal(range(self._depth))
        stored = Signal(range(self._depth + 1))
        first = Signal(self._width, reset_less=True)
        second = Signal(self._width, reset_less=True)
        front = Signal(range(3))
        arrives = Signal()

        puts, takes = Signal(), Signal()
        m.d.comb += [
            self.w_rdy.eq(level != self._depth),
            self.r_rdy.eq(front != 0),
            self.r_data.eq(first),
            puts.eq(self.w_en & self.w_rdy),
            takes.eq(self.r_en & self.r_rdy),
        ]
        # Of the registers: what stays, what also comes from memory, what comes past it.
        stay, both = Signal(range(3)), Signal(range(3))
        passes, fetches = Signal(), Signal()
        m.d.comb += [
            stay.eq(front - takes),
            both.eq(stay + arrives),
            passes.eq(puts & (stored == 0) & (both != 2)),
            fetches.eq((stored != 0) & (both != 2)),
            memory.w_address.eq(written),
            memory.w_data.eq(self.w_data),
            memory.w_enable.eq(puts & ~passes),
            memory.r_address.eq(read),
            memory.r_enable.eq(fetches),
        ]
        keeps = memory.w_enable
        m.d.sync += [
            level.eq(level + puts - takes),
            stored.eq(stored + keeps - fetches),
            arrives.eq(fetches),
            front.eq(both + passes),
        ]
        last = self._depth - 1
        with m.If(keeps):
            m.d.sync += written.eq(Mux(written == last, 0, written + 1))
        with m.If(fetches):
            m.d.sync += read.eq(Mux(read == last, 0, read + 1))
        with m.If(takes):
            m.d.sync += first.eq(second)
        for place_of, register in enumerate((first, second)):
            with m.If(arrives & (stay == place_of)):
                m.d.sync += register.eq(memory.r_data)
            with m.If(passes & (both == place_of)):
                m.d.sync += register.eq(self.w_data)
        return m
