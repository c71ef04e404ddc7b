"""`Dma`: moves lines between the scratchpad and the outside over AXI4."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib.wiring import Component, Out

from rtl.adder import unsigned_add
from rtl.axi import BOUNDARY, AXI4Read, AXI4Write, Response
from rtl.config import CoreConfig
from rtl.dma_instructions import Load, Store
from rtl.instructions import HEADER, Fault
from rtl.ports import SCRATCHPAD_LATENCY, ScratchpadRead, ScratchpadWrite
from rtl.queue import Queue
from rtl.unit_port import UnitPort

__all__ = ["BURST_LINES", "Dma"]

BURST_LINES = 64
"""Most lines of a burst (our choice; AXI4 allows 256)."""

_BOUNDARY_BITS = BOUNDARY.bit_length() - 1

_QUEUE = 8
"""Lines read ahead of the bus: more than the scratchpad's latency, so that none is waited for."""


class Dma(Component):
    """Runs LOAD and STORE, one at a time, a line a cycle while bus and scratchpad give it.

    A line is as wide as the bus. Addresses and lengths are multiples of a line. A fault takes no
    instruction after it; `abort` first finishes the bursts whose address was offered (a STORE's
    with no byte enabled), as the bus requires.

    Parameters
    ----------
    config:
        Size of the core.
    address_bits:
        Byte address on the bus, 12 to 40.

    Members
    -------
    unit:
        Instructions, as `rtl.unit_port.UnitPort`.
    complete:
        For one cycle, an instruction is complete, whether it signals or not. For those who watch.
    waiting:
        The scratchpad holds up a transfer in this cycle.
    read, write:
        Scratchpad.
    bus_read, bus_write:
        AXI4.
    """

    def __init__(self, *, config: CoreConfig, address_bits: int = 40) -> None:
        if not 12 <= address_bits <= 40:
            raise ValueError(f"address_bits must be 12 to 40, not {address_bits!r}")
        self._address_bits = address_bits
        self._scratchpad_bits = config.scratchpad_address_bits
        self._line = line = config.line_bytes
        super().__init__(
            {
                "unit": Out(UnitPort()),
                "complete": Out(1),
                "waiting": Out(1),
                "read": Out(ScratchpadRead(config, line)),
                "write": Out(ScratchpadWrite(config, line)),
                "bus_read": Out(AXI4Read(address_bits=address_bits, data_bits=8 * line)),
                "bus_write": Out(AXI4Write(address_bits=address_bits, data_bits=8 * line)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One burst after the other; a LOAD's data come while later bursts are asked for."""
        m = Module()
        unit, line = self.unit, self._line
        low = line.bit_length() - 1
        field = {
            name: unit.i.payload[f.offset : f.offset + f.width]
            for name, f in (HEADER | dict(Load.layout)).items()
        }
        fault = Signal(Fault)
        m.d.comb += unit.fault.eq(fault)

        signal = Signal(8)
        # Byte address outside; everything else counts lines.
        outside = Signal(self._address_bits)
        inside = Signal(self._scratchpad_bits - low)
        lines = Signal(self._scratchpad_bits - low + 1)
        to_ask = Signal.like(lines)
        to_move = Signal.like(lines)
        store = Signal()
        bad = Signal()

        # The burst that comes next ends at the end, at a boundary, or is as long as may be.
        to_boundary = Signal(range(BOUNDARY // line + 1))
        burst = Signal(range(BURST_LINES + 1))
        planned = Signal(range(BURST_LINES + 1))
        m.d.comb += to_boundary.eq((BOUNDARY // line) - outside[low:_BOUNDARY_BITS])
        longest = Mux(to_boundary < BURST_LINES, to_boundary, BURST_LINES)
        m.d.comb += planned.eq(Mux(to_ask < longest, to_ask, longest))

        read_bus, write_bus = self.bus_read, self.bus_write
        offer = Signal()
        m.d.comb += [
            read_bus.arvalid.eq(offer & ~store),
            read_bus.araddr.eq(outside),
            read_bus.arlen.eq(burst - 1),
            write_bus.awvalid.eq(offer & store),
            write_bus.awaddr.eq(outside),
            write_bus.awlen.eq(burst - 1),
        ]
        accepted = offer & Mux(store, write_bus.awready, read_bus.arready)
        with m.If(accepted):
            # A burst reaches a boundary at most: what is above it is the same, or the next.
            lines_on = outside[low:_BOUNDARY_BITS] + burst
            page = outside[_BOUNDARY_BITS:]
            m.d.sync += [
                offer.eq(0),
                outside[low:].eq(
                    Cat(lines_on[: _BOUNDARY_BITS - low],
                        Mux(lines_on[_BOUNDARY_BITS - low], page + 1, page))
                ),
                to_ask.eq(to_ask - burst),
            ]  # fmt: skip

        # LOAD: what comes from the bus goes to the scratchpad. `due` lines were asked for.
        due = Signal(range((1 << len(lines)) + BURST_LINES))
        drop = Signal()
        received = read_bus.rvalid & read_bus.rready
        m.d.comb += [
            self.write.enable.eq(read_bus.rvalid & ~drop),
            self.write.address.eq(inside << low),
            self.write.mask.eq((1 << line) - 1),
            Cat(*self.write.data).eq(read_bus.rdata),
            read_bus.rready.eq(drop | self.write.ready),
        ]
        # What is received is known late, and counted a cycle later.
        counted = Signal()
        m.d.sync += [
            counted.eq(received),
            due.eq(due + Mux(accepted & ~store, burst, 0) - counted),
        ]

        # A beat that was offered stands; only the next one may be without data.
        empty = Signal()
        with m.If(~drop):
            m.d.sync += empty.eq(0)
        with m.Elif(~write_bus.wvalid | write_bus.wready):
            m.d.sync += empty.eq(1)

        # STORE: lines are read ahead into a queue, as far as it has room for what is on its way.
        m.submodules.queue = queue = ResetInserter(empty)(
            Queue(width=8 * line, depth=_QUEUE, module_name="eoq_line_queue")
        )
        arriving = Signal(SCRATCHPAD_LATENCY)
        room = Signal(range(_QUEUE + 1), init=_QUEUE)
        fetching = Signal()
        fetched = self.read.enable & self.read.ready
        beats = Signal(range(BURST_LINES + 1))
        sent = write_bus.wvalid & write_bus.wready
        m.d.comb += [
            self.read.enable.eq(fetching & (to_move != 0) & (room != 0)),
            self.read.address.eq(inside << low),
            queue.w_data.eq(Cat(*self.read.data)),
            queue.w_en.eq(arriving[-1]),
            write_bus.wvalid.eq((beats != 0) & (queue.r_rdy | empty)),
            write_bus.wdata.eq(Mux(empty, 0, queue.r_data)),
            write_bus.wstrb.eq(Mux(empty, 0, (1 << line) - 1)),
            write_bus.wlast.eq(beats == 1),
            queue.r_en.eq(sent & ~empty),
        ]
        m.d.sync += [
            arriving.eq(Cat(fetched, arriving)),
            room.eq(room - fetched + sent),
        ]
        with m.If(accepted & store):
            m.d.sync += beats.eq(burst)
        with m.Elif(sent):
            m.d.sync += beats.eq(beats - 1)
        unanswered = Signal(range((1 << len(lines)) + 1))
        m.d.comb += write_bus.bready.eq(1)
        m.d.sync += unanswered.eq(unanswered + (accepted & store) - write_bus.bvalid)

        with m.If(received & ~drop | fetched):
            m.d.sync += [inside.eq(inside + 1), to_move.eq(to_move - 1)]
        with m.If(
            (received & (read_bus.rresp != Response.OKAY))
            | (write_bus.bvalid & (write_bus.bresp != Response.OKAY))
        ):
            m.d.sync += bad.eq(1)
        m.d.comb += self.waiting.eq(
            (self.write.enable & ~self.write.ready) | (self.read.enable & ~self.read.ready)
        )
        settled = ~offer & (due == counted) & (beats == 0) & (unanswered == 0)

        # Of the instruction that waits to be taken.
        unaligned = Cat(field[name][:low] for name in ("outside", "scratchpad", "bytes")).any()
        past = Cat(
            unsigned_add(field[name], field["bytes"]) > (1 << bits)
            for name, bits in (
                ("scratchpad", self._scratchpad_bits), ("outside", self._address_bits)
            )
        ).any()  # fmt: skip
        known = (field["op"] == Load.op) | (field["op"] == Store.op)

        m.d.comb += unit.busy.eq(1)
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += [unit.busy.eq(0), unit.i.ready.eq((fault == 0) & ~unit.abort)]
                count = field["bytes"][low:]
                m.d.sync += [
                    store.eq(field["op"] == Store.op),
                    signal.eq(field["signal"]),
                    outside.eq(field["outside"]),
                    inside.eq(field["scratchpad"][low:]),
                    to_ask.eq(count),
                    to_move.eq(count),
                    bad.eq(0),
                    room.eq(_QUEUE),
                ]
                with m.If(unit.i.valid & unit.i.ready):
                    with m.If(~known):
                        m.d.sync += fault.eq(Fault.OP)
                    with m.Elif(unaligned):
                        m.d.sync += fault.eq(Fault.ALIGNMENT)
                    with m.Elif(field["bytes"] == 0):
                        m.d.sync += fault.eq(Fault.FIELD)
                    with m.Elif(past):
                        m.d.sync += fault.eq(Fault.ADDRESS)
                    with m.Else():
                        m.next = "MOVE"
            with m.State("MOVE"):
                m.d.comb += fetching.eq(store)
                # A STORE's next address waits for the burst before it: a burst's data are whole.
                with m.If(~offer & (to_ask != 0) & (~store | (beats == 0)) & ~unit.abort):
                    m.d.sync += [burst.eq(planned), offer.eq(1)]
                with m.If(unit.abort):
                    m.next = "DROP"
                with m.Elif((to_ask == 0) & (to_move == 0) & settled):
                    m.next = "COMPLETE"
            with m.State("COMPLETE"):
                with m.If(bad):
                    m.d.sync += fault.eq(Fault.BUS)
                with m.Else():
                    m.d.comb += [self.complete.eq(1), unit.signal.eq(signal)]
                m.next = "TAKE"
            with m.State("DROP"):
                m.d.comb += drop.eq(1)
                m.d.sync += arriving.eq(0)
                with m.If(settled):
                    m.next = "TAKE"
        with m.If(unit.abort):
            m.d.sync += fault.eq(Fault.NONE)
        return m
