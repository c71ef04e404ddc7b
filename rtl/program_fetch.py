"""`ProgramFetch`: reads a program's 128-bit words over AXI4, ahead of their use."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

from rtl.axi import AXI4Read, Response
from rtl.dispatcher import INDEX_BITS, Fetched
from rtl.instructions import PROGRAM_ALIGNMENT, WORD_BITS
from rtl.queue import Queue

__all__ = ["ProgramFetch"]

_WORDS = PROGRAM_ALIGNMENT * 8 // WORD_BITS
_DEPTH = 4 * _WORDS


class ProgramFetch(Component):
    """Keeps a FIFO of words filled, and asks for no more than it has room for.

    Parameters
    ----------
    address_bits:
        Of the bus.
    data_bits:
        Of the bus: 32, 64, 128 or 256.

    Members
    -------
    start, address, words:
        Where the program is and how many words it has. Taken with `start`, when `flushed`.
        `address` is a multiple of `PROGRAM_ALIGNMENT`. The last burst may read past the last word,
        but not past such a multiple.
    o, exhausted:
        Its words in order, and whether all that there are were taken.
    flush, flushed:
        Forget them; no transfer is outstanding.
    bus:
        AXI4, read only.
    """

    def __init__(self, *, address_bits: int, data_bits: int) -> None:
        if data_bits not in (32, 64, 128, 256):
            raise ValueError(f"data_bits must be 32, 64, 128 or 256, not {data_bits!r}")
        self._data_bits = data_bits
        self._address_bits = address_bits
        super().__init__(
            {
                "start": In(1),
                "address": In(address_bits),
                "words": In(INDEX_BITS),
                "o": Out(stream.Signature(Fetched())),
                "exhausted": Out(1),
                "flush": In(1),
                "flushed": Out(1),
                "bus": Out(AXI4Read(address_bits=address_bits, data_bits=data_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Bursts while there is room; beats put together or taken apart; a FIFO."""
        m = Module()
        bus, width = self.bus, self._data_bits
        queue = Queue(width=WORD_BITS + 1, depth=_DEPTH, module_name="eoq_program_queue")
        m.submodules.queue = ResetInserter(self.flush)(queue)

        # Words that are not asked for yet, that are to come, and that the FIFO has room for.
        asked = Signal(INDEX_BITS + 1)
        wanted = Signal(INDEX_BITS)
        arrived = Signal(INDEX_BITS + 1)
        given = Signal(INDEX_BITS)
        room = Signal(range(_DEPTH + 1), init=_DEPTH)
        outstanding = Signal(range(_DEPTH // _WORDS + 1))
        address = Signal(self._address_bits)
        asking = Signal()
        ended = bus.rvalid & bus.rready & bus.rlast

        m.d.comb += [
            bus.arvalid.eq(asking),
            bus.araddr.eq(address),
            bus.arlen.eq(PROGRAM_ALIGNMENT * 8 // width - 1),
        ]
        taken = queue.r_rdy & self.o.ready
        with m.If(asking & bus.arready):
            m.d.sync += [
                asking.eq(0),
                address.eq(address + PROGRAM_ALIGNMENT),
                asked.eq(asked + _WORDS),
            ]
        reserve = ~asking & ~self.flush & (asked < wanted) & (room >= _WORDS)
        with m.If(reserve):
            m.d.sync += asking.eq(1)
        m.d.sync += [
            room.eq(room - Mux(reserve, _WORDS, 0) + taken),
            outstanding.eq(outstanding + (asking & bus.arready) - ended),
        ]

        # Beats to words. The room was set aside, so the FIFO always takes them.
        word, bad, push = Signal(WORD_BITS), Signal(), Signal()
        error = bus.rresp != Response.OKAY
        beats = max(WORD_BITS // width, 1)
        if width <= WORD_BITS:
            before = Signal(WORD_BITS)
            before_bad = Signal()
            count = Signal(range(max(beats, 2)))
            m.d.comb += [
                bus.rready.eq(1),
                word.eq(Cat(before, bus.rdata)[width:]),
                bad.eq(before_bad | error),
                push.eq(bus.rvalid & (count == beats - 1)),
            ]
            with m.If(bus.rvalid):
                m.d.sync += before.eq(word)
                m.d.sync += before_bad.eq(bad & ~push)
                m.d.sync += count.eq(Mux(push, 0, count + 1))
        else:
            upper, upper_bad, full = Signal(WORD_BITS), Signal(), Signal()
            m.d.comb += [
                bus.rready.eq(~full),
                word.eq(Mux(full, upper, bus.rdata[:WORD_BITS])),
                bad.eq(Mux(full, upper_bad, error)),
                push.eq(full | bus.rvalid),
            ]
            m.d.sync += full.eq(bus.rvalid & ~full)
            with m.If(bus.rvalid & ~full):
                m.d.sync += [upper.eq(bus.rdata[WORD_BITS:]), upper_bad.eq(error)]
        # Words behind the last one only fill its burst.
        m.d.comb += [
            queue.w_data.eq(Cat(word, bad)),
            queue.w_en.eq(push & ~self.flush & (arrived < wanted)),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.exhausted.eq(given == wanted),
        ]
        with m.If(push):
            m.d.sync += arrived.eq(arrived + 1)
        with m.If(taken):
            m.d.sync += given.eq(given + 1)

        active = Signal()
        m.d.comb += self.flushed.eq(~active)
        with m.If(self.flush):
            m.d.sync += [wanted.eq(0), given.eq(0), room.eq(_DEPTH)]
            # An address that was offered stands until it is taken, and then has to come back.
            with m.If(~asking & (outstanding == 0)):
                m.d.sync += active.eq(0)
        with m.If(self.start & ~active):
            m.d.sync += [
                active.eq(1),
                wanted.eq(self.words),
                given.eq(0),
                asked.eq(0),
                arrived.eq(0),
                address.eq(self.address),
                room.eq(_DEPTH),
            ]
        return m
