"""Proofs of the rules of streams and of AXI4, for everything that the other side may do.

What is offered stands, as it is, until it is taken (AXI4, A3.2.1; `amaranth.lib.stream` has the
same rule); no burst crosses a boundary (A3.4.1); a burst has the beats that its address promised.
"""

from typing import Any

import pytest
from amaranth.hdl import Assert, Assume, Cat, Instance, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In

from rtl import dispatcher, dma, program_fetch
from rtl.axi import BOUNDARY
from rtl.config import CoreConfig
from rtl.control_registers import ControlRegisters
from rtl.dispatcher import Dispatcher
from rtl.dma import Dma
from rtl.program_fetch import ProgramFetch
from rtl.queue import Queue
from rtl.read_arbiter import ReadArbiter
from tests.rtl.formal import ANYTHING, Prover, always, from_reset

CONFIG = CoreConfig(rows=4, columns=4, scratchpad_pages=2, scratchpad_page_bytes=256)

_LOW = CONFIG.line_bytes.bit_length() - 1


class AnyQueue(Queue):
    """In a queue's place: words come when they like, but stand as `QueueProof` shows of a queue."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        waits, before = Signal(), Signal(len(self.r_data))
        anything = Signal(len(before) + 2)
        m.submodules.anything = Instance(ANYTHING, p_WIDTH=len(anything), o_Y=anything)
        m.d.sync += [waits.eq(self.r_rdy & ~self.r_en), before.eq(self.r_data)]
        m.d.comb += [
            self.r_data.eq(Mux(waits, before, anything[2:])),
            self.r_rdy.eq(waits | anything[0]),
            self.w_rdy.eq(anything[1]),
        ]
        return m


class Proof(Component):
    """A component whose inputs are free, with what is assumed and asserted about its ports."""

    def __init__(self, dut: Component, free: int = 0) -> None:
        self.dut = dut
        members = dict(dut.signature.members)
        super().__init__({**members, "free": In(free)} if free else members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = self.dut
        for path, member, port in self.dut.signature.flatten(self.dut):
            mine: Any = self
            for name in path:
                mine = getattr(mine, name) if isinstance(name, str) else mine[name]
            ours, theirs = Value.cast(mine), Value.cast(port)
            m.d.comb += theirs.eq(ours) if member.flow is In else ours.eq(theirs)
        self.rules(m)
        return m

    def rules(self, m: Module) -> None:
        raise NotImplementedError

    def stands(
        self, m: Module, valid: Value, ready: Value, *payload: Value, unless: Value | int = 0,
        rule: Any = Assert,
    ) -> None:  # fmt: skip
        """What was offered and not taken is offered in the next cycle too."""
        waits, before = Signal(name="waits"), Signal(len(Cat(payload)), name="before")
        m.d.sync += [waits.eq(valid & ~ready), before.eq(Cat(payload))]
        m.d.comb += rule(~waits | unless | (valid & (Cat(payload) == before)))


class QueueProof(Proof):
    """Words come out in the order in which they went in: one that is marked, as the one it was."""

    def __init__(self) -> None:
        super().__init__(Queue(width=2, depth=3, module_name="q"), free=1)

    def rules(self, m: Module) -> None:
        q = self.dut
        self.stands(m, q.r_rdy, q.r_en, q.r_data)
        puts, takes = q.w_en & q.w_rdy, q.r_en & q.r_rdy
        # Words in front of the marked one, itself included; 0 while there is none.
        ahead, inside, marked = Signal(3), Signal(3), Signal(2)
        marks = puts & self.free & (ahead == 0)
        m.d.sync += inside.eq(inside + puts - takes)
        with m.If(marks):
            m.d.sync += [ahead.eq(inside + 1 - takes), marked.eq(q.w_data)]
        with m.Elif(takes & (ahead != 0)):
            m.d.sync += ahead.eq(ahead - 1)
        m.d.comb += [
            Assert(~takes | (ahead != 1) | (q.r_data == marked)),
            Assert(~q.r_rdy | (inside != 0)),
            Assert((inside == 0) | q.r_rdy | (inside > 2)),
            Assert(q.w_rdy == (inside != 3)),
        ]


class FetchProof(Proof):
    def __init__(self, data_bits: int) -> None:
        super().__init__(ProgramFetch(address_bits=16, data_bits=data_bits))

    def rules(self, m: Module) -> None:
        bus = self.dut.bus
        self.stands(m, bus.arvalid, bus.arready, bus.araddr, bus.arlen)
        m.d.comb += [
            Assume(~self.dut.start | self.dut.flushed),
            Assert(~self.dut.flushed | ~bus.arvalid),
        ]


class DmaStands(Proof):
    def __init__(self) -> None:
        super().__init__(Dma(config=CONFIG, address_bits=16))

    def rules(self, m: Module) -> None:
        read, write = self.dut.bus_read, self.dut.bus_write
        self.stands(m, read.arvalid, read.arready, read.araddr, read.arlen)
        self.stands(m, write.awvalid, write.awready, write.awaddr, write.awlen)
        self.stands(m, write.wvalid, write.wready, write.wdata, write.wstrb, write.wlast)
        # Who is idle offers nothing.
        offers = read.arvalid | write.awvalid | write.wvalid
        m.d.comb += Assert(self.dut.unit.busy | ~offers)
        for valid, address, length in (
            (read.arvalid, read.araddr, read.arlen), (write.awvalid, write.awaddr, write.awlen)
        ):  # fmt: skip
            first = address[_LOW : BOUNDARY.bit_length() - 1]
            m.d.comb += Assert(~valid | (first + length + 1 <= BOUNDARY // CONFIG.line_bytes))
            m.d.comb += Assert(~valid | (length < dma.BURST_LINES))


class DmaBeats(Proof):
    """A store's data: none without an address, as many as it promised, and the last one is said.
    Addresses are whole lines."""

    def __init__(self) -> None:
        super().__init__(Dma(config=CONFIG, address_bits=16))

    def rules(self, m: Module) -> None:
        read, write = self.dut.bus_read, self.dut.bus_write
        owed = Signal(range(dma.BURST_LINES + 1))
        promised, sent = write.awvalid & write.awready, write.wvalid & write.wready
        m.d.sync += owed.eq(owed + Mux(promised, write.awlen + 1, 0) - sent)
        m.d.comb += [
            Assert(~write.wvalid | (owed != 0)),
            Assert(~write.wvalid | (write.wlast == (owed == 1))),
            Assert(~promised | (owed == 0)),
            Assert(~write.awvalid | (write.awaddr[:_LOW] == 0)),
            Assert(~read.arvalid | (read.araddr[:_LOW] == 0)),
        ]


class ArbiterProof(Proof):
    def __init__(self) -> None:
        super().__init__(ReadArbiter(address_bits=8, data_bits=32))

    def rules(self, m: Module) -> None:
        for port in (self.dut.first, self.dut.second):
            self.stands(m, port.arvalid, port.arready, port.araddr, port.arlen, rule=Assume)
        bus = self.dut.bus
        self.stands(m, bus.arvalid, bus.arready, bus.arid, bus.araddr, bus.arlen)
        # An address goes to one reader, with its own number; so do data.
        first, second = self.dut.first, self.dut.second
        taken = Cat(p.arvalid & p.arready for p in (first, second))
        m.d.comb += [
            Assert(~taken.all()),
            Assert((bus.arvalid & bus.arready) == taken.any()),
            Assert(~taken[0] | (bus.arid == 0)),
            Assert(~taken[1] | (bus.arid == 1)),
            Assert(Cat(first.rvalid, second.rvalid).any() == bus.rvalid),
            Assert(~(first.rvalid & second.rvalid)),
        ]


class RegistersProof(Proof):
    def __init__(self) -> None:
        super().__init__(ControlRegisters(config=CONFIG))

    def rules(self, m: Module) -> None:
        bus = self.dut.bus
        self.stands(m, bus.bvalid, bus.bready, bus.bresp)
        self.stands(m, bus.rvalid, bus.rready, bus.rresp, bus.rdata)
        # One response an access, never before it.
        for valid, ready, accepted in (
            (bus.bvalid, bus.bready, bus.awvalid & bus.awready),
            (bus.rvalid, bus.rready, bus.arvalid & bus.arready),
        ):
            owed = Signal(2)
            m.d.sync += owed.eq(owed + accepted - (valid & ready))
            m.d.comb += Assert(owed == valid)
        m.d.comb += Assert((bus.awvalid & bus.awready) == (bus.wvalid & bus.wready))


class DispatcherProof(Proof):
    def __init__(self) -> None:
        super().__init__(Dispatcher())

    def rules(self, m: Module) -> None:
        for unit in (self.dut.matrix, self.dut.vector, self.dut.dma):
            self.stands(m, unit.i.valid, unit.i.ready, unit.i.payload, unless=unit.abort)
            m.d.comb += Assert(~(unit.i.valid & unit.abort))


PROOFS = {
    "read arbiter": (ArbiterProof, always(1)),
    "registers": (RegistersProof, always(2)),
    "words to the units": (DispatcherProof, always(2)),
    "addresses of the program": (lambda: FetchProof(32), from_reset(24)),
    "addresses and data of the DMA": (DmaStands, from_reset(16)),
    "order of a queue": (QueueProof, from_reset(16)),
    "beats of a store": (DmaBeats, from_reset(12)),
}
"""The first three for ever, by induction. The others need more of their state than ports show: they
hold in as many cycles from reset as are said, whatever happens in them."""


@pytest.fixture
def any_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dma, dispatcher, program_fetch):
        monkeypatch.setattr(module, "Queue", AnyQueue)


@pytest.mark.usefixtures("any_queue")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith("addresses") else name
        for name in PROOFS
    ],
)
def test_the_rules_hold(name: str, prover: Prover) -> None:
    proof, reach = PROOFS[name]
    prover.holds(proof(), reach)


@pytest.mark.usefixtures("any_queue")
def test_an_address_that_is_withdrawn_is_found(
    prover: Prover, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(FetchProof):
        def rules(self, m: Module) -> None:
            bus = self.dut.bus
            self.stands(m, bus.arvalid & ~self.dut.flush, bus.arready, bus.araddr)

    prover.is_refuted(Impatient(32), always(4))


@pytest.mark.usefixtures("any_queue")
def test_a_burst_across_a_boundary_is_found(
    prover: Prover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dma, "BOUNDARY", 2 * BOUNDARY)
    prover.is_refuted(DmaStands(), always(4))
