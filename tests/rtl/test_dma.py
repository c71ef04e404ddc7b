"""LOAD and STORE against a memory with stalls, errors and aborts."""

import random
from typing import Any

import pytest
from amaranth.hdl import Cat
from amaranth.sim import Simulator

from rtl.axi_model import MemoryModel
from rtl.config import CoreConfig
from rtl.dma import Dma
from rtl.dma_instructions import Load, Store
from rtl.instructions import Fault, Word
from rtl.ports import SCRATCHPAD_LATENCY

OUTSIDE = 1 << 14


class Bench:
    """A DMA unit between a memory and a scratchpad in Python."""

    def __init__(self, size: int, *, stall: float, seed: int, errors: range = range(0)) -> None:
        self.config = CoreConfig(rows=size, columns=size, scratchpad_page_bytes=2048)
        self.dut = Dma(config=self.config, address_bits=14)
        self.rng = random.Random(seed)  # noqa: S311
        self.memory = MemoryModel(OUTSIDE, seed=seed, stall=stall, latency=3, errors=errors)
        self.memory.data[:] = self.rng.randbytes(OUTSIDE)
        self.pad = bytearray(self.rng.randbytes(1 << self.config.scratchpad_address_bits))
        self.stall = stall
        self.signals: list[int] = []
        self.cycles = 0

    async def _scratchpad(self, ctx: Any) -> None:
        dut, line = self.dut, self.config.line_bytes
        coming = [0] * SCRATCHPAD_LATENCY
        while True:
            ctx.set(dut.read.ready, self.rng.random() >= self.stall)
            ctx.set(dut.write.ready, self.rng.random() >= self.stall)
            ctx.set(Cat(*dut.read.data), coming[-1])
            _, _, r, r_ok, r_at, w, w_ok, w_at, mask, word, signal = await ctx.tick().sample(
                dut.read.enable, dut.read.ready, dut.read.address, dut.write.enable,
                dut.write.ready, dut.write.address, dut.write.mask, Cat(*dut.write.data),
                dut.unit.signal,
            )  # fmt: skip
            self.cycles += 1
            if signal:
                self.signals.append(signal)
            data = self.pad[r_at : r_at + line] if r and r_ok else bytes(line)
            coming = [int.from_bytes(data, "little"), *coming[:-1]]
            if w and w_ok:
                assert mask == (1 << line) - 1
                self.pad[w_at : w_at + line] = word.to_bytes(line, "little")

    async def _reads(self, ctx: Any) -> None:
        await self.memory.reads(ctx, self.dut.bus_read)

    async def _writes(self, ctx: Any) -> None:
        await self.memory.writes(ctx, self.dut.bus_write)

    def run(self, program: Any) -> None:
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self._scratchpad, background=True)
        simulator.add_testbench(self._reads, background=True)
        simulator.add_testbench(self._writes, background=True)
        simulator.add_testbench(program)
        simulator.run()

    async def issue(self, ctx: Any, word: Word) -> None:
        ctx.set(self.dut.unit.i.payload, word.pack())
        ctx.set(self.dut.unit.i.valid, 1)
        await ctx.tick().until(self.dut.unit.i.ready)
        ctx.set(self.dut.unit.i.valid, 0)

    async def settle(self, ctx: Any) -> None:
        for _ in range(20_000):
            _, _, busy = await ctx.tick().sample(self.dut.unit.busy)
            if not busy:
                return
        raise AssertionError("the unit hangs")


@pytest.mark.parametrize(("size", "stall", "seed"), [(1, 0.0, 1), (3, 0.4, 2), (16, 0.2, 3)])
def test_moves_what_a_copy_moves(size: int, stall: float, seed: int) -> None:
    bench = Bench(size, stall=stall, seed=seed)
    line, inside = bench.config.line_bytes, len(bench.pad)
    rng = random.Random(seed)  # noqa: S311
    memory, pad = bytearray(bench.memory.data), bytearray(bench.pad)
    words = []
    for k in range(8):
        # One line, some, more than a burst, and across the 4,096-byte boundary of bursts.
        lines = rng.choice([1, 2, rng.randrange(3, 20), 70 if k < 2 else 5])
        outside = rng.choice([rng.randrange((OUTSIDE // line) - lines), 4096 // line - 1]) * line
        at = rng.randrange(inside // line - lines) * line
        kind = rng.choice([Load, Store])
        words.append(kind(outside=outside, scratchpad=at, bytes=lines * line, signal=1 << k % 8))
        if kind is Load:
            pad[at : at + lines * line] = memory[outside : outside + lines * line]
        else:
            memory[outside : outside + lines * line] = pad[at : at + lines * line]

    async def program(ctx: Any) -> None:
        for word in words:
            await bench.issue(ctx, word)
        await bench.settle(ctx)
        await ctx.tick().repeat(20)

    bench.run(program)
    assert bench.pad == pad
    assert bench.memory.data == memory
    assert bench.signals == [word.signal for word in words]
    assert bench.memory.outstanding == 0


@pytest.mark.parametrize("kind", [Load, Store])
def test_moves_a_line_a_cycle(kind: type[Load] | type[Store]) -> None:
    bench = Bench(8, stall=0.0, seed=4)
    lines = 64

    async def program(ctx: Any) -> None:
        await bench.issue(ctx, kind(outside=0, scratchpad=0, bytes=8 * lines))
        await bench.settle(ctx)

    bench.run(program)
    assert lines < bench.cycles < lines + 20


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"outside": 4, "scratchpad": 0, "bytes": 8}, Fault.ALIGNMENT),
        ({"outside": 0, "scratchpad": 1, "bytes": 8}, Fault.ALIGNMENT),
        ({"outside": 0, "scratchpad": 0, "bytes": 9}, Fault.ALIGNMENT),
        ({"outside": 0, "scratchpad": 0, "bytes": 0}, Fault.FIELD),
        ({"outside": 0, "scratchpad": 8184, "bytes": 16}, Fault.ADDRESS),
        ({"outside": OUTSIDE - 8, "scratchpad": 0, "bytes": 16}, Fault.ADDRESS),
        ({"outside": OUTSIDE, "scratchpad": 0, "bytes": 8}, Fault.ADDRESS),
        ({"outside": 256, "scratchpad": 0, "bytes": 1024}, Fault.BUS),
    ],
)
@pytest.mark.parametrize("kind", [Load, Store])
def test_faults(kind: type[Load] | type[Store], fields: dict[str, int], fault: Fault) -> None:
    bench = Bench(8, stall=0.0, seed=5, errors=range(512, 520))
    before = bytes(bench.memory.data), bytes(bench.pad)

    async def program(ctx: Any) -> None:
        dut = bench.dut
        await bench.issue(ctx, kind(**fields, signal=1))
        await bench.settle(ctx)
        assert ctx.get(dut.unit.fault) == fault
        # Nothing more is taken until abort.
        ctx.set(dut.unit.i.valid, 1)
        for _ in range(5):
            await ctx.tick()
            assert not ctx.get(dut.unit.i.ready)
        ctx.set(dut.unit.i.valid, 0)
        ctx.set(dut.unit.abort, 1)
        await ctx.tick()
        ctx.set(dut.unit.abort, 0)
        await bench.issue(ctx, kind(outside=0, scratchpad=0, bytes=8, signal=2))
        await bench.settle(ctx)
        assert ctx.get(dut.unit.fault) == 0

    bench.run(program)
    assert bench.signals == [2]
    if fault != Fault.BUS:
        assert bench.memory.data[8:] == before[0][8:]
        assert bench.pad[8:] == before[1][8:]


def test_an_unknown_operation_faults() -> None:
    bench = Bench(4, stall=0.0, seed=6)

    class Strange(Load):
        op = 9

    async def program(ctx: Any) -> None:
        await bench.issue(ctx, Strange(outside=0, scratchpad=0, bytes=4))
        await bench.settle(ctx)
        assert ctx.get(bench.dut.unit.fault) == Fault.OP

    bench.run(program)


@pytest.mark.parametrize("kind", [Load, Store])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 9, 30, 60])
def test_an_abort_leaves_the_bus_clean(kind: type[Load] | type[Store], after: int) -> None:
    bench = Bench(8, stall=0.3, seed=after)
    expected = bytearray(bench.memory.data)

    async def program(ctx: Any) -> None:
        dut = bench.dut
        await bench.issue(ctx, kind(outside=1024, scratchpad=256, bytes=1024, signal=1))
        for _ in range(after):
            await ctx.tick()
        ctx.set(dut.unit.abort, 1)
        await bench.settle(ctx)
        ctx.set(dut.unit.abort, 0)
        assert bench.memory.outstanding == 0
        await bench.issue(ctx, Store(outside=0, scratchpad=64, bytes=512, signal=2))
        await bench.settle(ctx)

    bench.run(program)
    assert bench.signals == [2]
    expected[:512] = bench.pad[64 : 64 + 512]
    assert bench.memory.data[:512] == expected[:512]
    if kind is Load:
        assert bench.memory.data == expected


SMALL = CoreConfig(rows=1, columns=1)


def test_an_address_that_no_bus_has() -> None:
    with pytest.raises(ValueError, match=r"^address_bits must be 12 to 40, not 41$"):
        Dma(config=SMALL, address_bits=41)
