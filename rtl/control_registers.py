"""`ControlRegisters`: the core as software sees it, over AXI4-Lite."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.axi import AXI4Lite, Response
from rtl.config import CoreConfig
from rtl.dispatcher import INDEX_BITS
from rtl.instructions import PROGRAM_ALIGNMENT
from rtl.register_map import ADDRESS_BITS, COUNTERS, REGISTERS, constants

__all__ = ["COUNTER_BITS", "ControlRegisters"]

COUNTER_BITS = 48

_PIECE = 16

_PROGRAM_BITS = 40


class ControlRegisters(Component):
    """The registers of `rtl.register_map`.

    An address without a register, a write to one that is read only, a write of less than 32 bits,
    and one that is refused while a program runs are answered with SLVERR and change nothing. So is
    a start when a program runs, or with a program that does not begin at a multiple of
    `rtl.instructions.PROGRAM_ALIGNMENT`.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    bus:
        AXI4-Lite, one transfer at a time each way.
    interrupt:
        High while an enabled interrupt is pending.
    start, stop:
        For one cycle.
    program, words:
        Byte address and length of the program.
    running, done, fault, fault_unit, fault_index:
        Of the dispatcher.
    count:
        One bit a counter, in the order of `register_map.COUNTERS` but without the first: counts in
        this cycle.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._constants = constants(config)
        super().__init__(
            {
                "bus": In(AXI4Lite(address_bits=ADDRESS_BITS)),
                "interrupt": Out(1),
                "start": Out(1),
                "stop": Out(1),
                "program": Out(_PROGRAM_BITS),
                "words": Out(INDEX_BITS),
                "running": In(1),
                "done": In(1),
                "fault": In(4),
                "fault_unit": In(3),
                "fault_index": In(INDEX_BITS),
                "count": In(len(COUNTERS) - 1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """State, reads, writes, counters."""
        m = Module()
        bus = self.bus
        low, high, words = Signal(32), Signal(_PROGRAM_BITS - 32), Signal(INDEX_BITS)
        enable, pending, done = Signal(2), Signal(2), Signal()
        m.d.comb += [
            self.program.eq(Cat(low, high)),
            self.words.eq(words),
            self.interrupt.eq((enable & pending).any()),
        ]

        # A program that stops has either reached END or left a fault.
        was_running = Signal()
        m.d.sync += was_running.eq(self.running)
        stopped = was_running & ~self.running
        with m.If(self.done):
            m.d.sync += done.eq(1)

        # What is counted comes late, and is counted a cycle later.
        counters = {name: Signal(COUNTER_BITS, name=name) for name in COUNTERS}
        upper = Signal(COUNTER_BITS - 32)
        steps = Signal(len(COUNTERS))
        m.d.sync += steps.eq(Cat(1, self.count) & self.running.replicate(len(COUNTERS)))
        for counter, step in zip(counters.values(), steps, strict=True):
            self._count(m, counter, step)

        status = REGISTERS["status"].fields
        values = {
            **self._constants,
            "status": (self.running << status["running"].offset)
            | (done << status["done"].offset)
            | (self.fault << status["fault"].offset)
            | (self.fault_unit << status["fault_unit"].offset),
            "fault_index": self.fault_index,
            "control": 0,
            "interrupt_enable": enable,
            "interrupt_pending": pending,
            "program_low": low,
            "program_high": high,
            "program_words": words,
        }
        for name, counter in counters.items():
            values |= {f"{name}_low": counter[:32], f"{name}_high": upper}

        m.d.comb += bus.arready.eq(~bus.rvalid)
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(0), bus.rresp.eq(Response.OKAY)]
            with m.Switch(bus.araddr[2:]):
                for name, register in REGISTERS.items():
                    with m.Case(register.address >> 2):
                        m.d.sync += bus.rdata.eq(values[name])
                        if name.removesuffix("_low") in counters:
                            m.d.sync += upper.eq(counters[name.removesuffix("_low")][32:])
                with m.Default():
                    m.d.sync += bus.rresp.eq(Response.SLVERR)

        cleared = Signal(2)
        writes = {
            "interrupt_enable": [enable.eq(bus.wdata)],
            "program_low": [low.eq(bus.wdata)],
            "program_high": [high.eq(bus.wdata)],
            "program_words": [words.eq(bus.wdata)],
        }
        control = REGISTERS["control"].fields
        starts = bus.wdata[control["start"].offset]
        can_start = ~self.running & (low[: PROGRAM_ALIGNMENT.bit_length() - 1] == 0)
        accept = bus.awvalid & bus.wvalid & ~bus.bvalid
        m.d.comb += [bus.awready.eq(accept), bus.wready.eq(accept)]
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(accept):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(Response.SLVERR)]
            with m.If(bus.wstrb.all()), m.Switch(bus.awaddr[2:]):
                for name, statements in writes.items():
                    register = REGISTERS[name]
                    allowed = ~self.running if register.idle_only else 1
                    with m.Case(register.address >> 2), m.If(allowed):
                        m.d.sync += [bus.bresp.eq(Response.OKAY), *statements]
                with m.Case(REGISTERS["interrupt_pending"].address >> 2):
                    m.d.comb += cleared.eq(bus.wdata)
                    m.d.sync += bus.bresp.eq(Response.OKAY)
                with m.Case(REGISTERS["control"].address >> 2):
                    m.d.comb += [
                        self.start.eq(starts & can_start),
                        self.stop.eq(bus.wdata[control["stop"].offset]),
                    ]
                    with m.If(~starts | can_start):
                        m.d.sync += bus.bresp.eq(Response.OKAY)
        with m.If(self.start):
            m.d.sync += done.eq(0)
        # Not before all is quiet: the next program may be started at once.
        happened = Cat(stopped & (self.fault == 0), stopped & (self.fault != 0))
        m.d.sync += pending.eq((pending & ~cleared) | happened)
        return m

    def _count(self, m: Module, counter: Signal, step: Value) -> None:
        """Add `step`, in pieces that know beforehand whether they will overflow."""
        for start in range(0, COUNTER_BITS, _PIECE):
            piece = counter[start : start + _PIECE]
            full = Signal(name=f"{counter.name}_full_{start}")
            with m.If(step):
                m.d.sync += [piece.eq(piece + 1), full.eq(piece == (1 << _PIECE) - 2)]
            with m.If(self.start):
                m.d.sync += [piece.eq(0), full.eq(0)]
            step = step & full
