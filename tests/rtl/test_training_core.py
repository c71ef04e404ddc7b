"""Whole programs on the whole core, in Amaranth's simulator: registers, bus, units, memories."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module, Mux, Signal, unsigned
from amaranth.lib import memory
from amaranth.sim import Simulator

from golden.formats import Integers, QuantSpec, excess_bits
from rtl.axi import Response
from rtl.axi_model import LiteManager, MemoryModel
from rtl.config import CoreConfig
from rtl.control_instructions import End
from rtl.dma_instructions import Load, Store
from rtl.instructions import Fault, Unit, Word
from rtl.memory import Memory
from rtl.product_words import Geometry, forward
from rtl.register_map import REGISTERS
from rtl.training_core import TrainingCore
from rtl.vector_instructions import Loops, Operand, Output, Pass, Scalar, Stream, Stride

PROGRAM = 4096
SIZE = 1 << 13
TARGET = 3072


def layer(config: CoreConfig, rng: np.random.Generator) -> tuple[list[Word], bytes, Integers]:
    """A convolution from memory to memory, quantised: program, memory before it, its codes."""
    g = Geometry(channels=3, height=4, width=3, out_channels=5, kernel=(3, 3), padding=(1, 1, 1, 1))
    x = rng.integers(-127, 128, (g.height, g.width, g.channels))
    w = rng.integers(-127, 128, (3, 3, g.channels, g.out_channels))
    page, line, pitch = config.scratchpad_page_bytes, config.line_bytes, g.row_pitch(config)

    def lines(data: bytes) -> bytes:
        return data.ljust(-(-len(data) // line) * line, b"\0")

    rows = np.zeros((g.weight_rows, pitch), np.int8)
    rows[:, : g.out_channels] = w.reshape(g.weight_rows, g.out_channels)
    # The input begins behind the padding's bytes.
    ahead = -(-g.channels // line) * line
    inputs = lines(bytes(ahead) + x.astype(np.int8).tobytes())
    weights = lines(rows.tobytes())
    before = (inputs + weights).ljust(SIZE, b"\0")

    sums = np.zeros((g.height, g.width, g.out_channels), np.int64)
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    for ky in range(3):
        for kx in range(3):
            sums += padded[ky : ky + g.height, kx : kx + g.width] @ w[ky, kx]
    codes = QuantSpec().apply(sums, int(excess_bits(sums)))

    product = forward(g, config, a=ahead, b=page, z=0)
    product[-1] = dataclasses.replace(product[-1], wait=1, signal=2)
    positions = g.height * g.width
    loops = Loops(positions=positions, channels=g.out_channels)
    program: list[Word] = [
        Load(outside=0, scratchpad=0, bytes=len(inputs)),
        Load(outside=len(inputs), scratchpad=page, bytes=len(weights), signal=1),
        *product,
        loops,
        Stride.regular(Stream.RESULTS_IN, 0, loops, position=1, block=positions),
        Stride.regular(Stream.OUTPUT, 0, loops, position=g.out_channels, block=config.columns),
        Pass(operand=Operand.RESULTS, measure=1, top=8, wait=2),
        Pass(operand=Operand.RESULTS, output=Output.BYTES, shift=9, signal=4),
        Store(outside=TARGET, scratchpad=0, bytes=len(lines(bytes(codes.size))), wait=4),
        End(),
    ]  # fmt: skip
    return program, before, codes


class Bench:
    """The core, memory behind its bus, and software."""

    def __init__(
        self, config: CoreConfig, contents: bytes = b"", *, stall: float = 0.0, seed: int = 0
    ) -> None:
        self.core = TrainingCore(config=config)
        self.memory = MemoryModel(SIZE, seed=seed, stall=stall, latency=5)
        self.memory.data[: len(contents)] = contents
        self.domain = ClockDomain("sync")

    def put(self, words: list[Word], address: int = PROGRAM) -> None:
        for k, word in enumerate(words):
            place = address + 16 * k
            self.memory.data[place : place + 16] = word.pack().to_bytes(16, "little")

    def run(self, software: Any) -> None:
        top = Module()
        top.domains.sync = self.domain
        top.submodules.core = self.core
        simulator = Simulator(top)
        simulator.add_clock(1e-8)
        bus = self.core.m_axi

        async def reads(ctx: Any) -> None:
            await self.memory.reads(ctx, bus)

        async def writes(ctx: Any) -> None:
            await self.memory.writes(ctx, bus)

        async def main(ctx: Any) -> None:
            await software(ctx, LiteManager(ctx, self.core.s_axil))

        simulator.add_testbench(reads, background=True)
        simulator.add_testbench(writes, background=True)
        simulator.add_testbench(main)
        simulator.run()

    async def reset(self, ctx: Any) -> None:
        """Reset the core and what hangs on its bus, for a cycle."""
        self.memory.reset = True
        ctx.set(self.domain.rst, 1)
        await ctx.tick()
        ctx.set(self.domain.rst, 0)
        self.memory.reset = False

    async def start(self, bus: LiteManager, words: int, address: int = PROGRAM) -> None:
        for name, value in (
            ("interrupt_enable", 3), ("interrupt_pending", 3), ("program_low", address),
            ("program_words", words), ("control", 1),
        ):  # fmt: skip
            assert await bus.write(REGISTERS[name].address, value) == Response.OKAY

    async def end(self, ctx: Any, bus: LiteManager) -> dict[str, int]:
        await ctx.tick().until(self.core.irq)
        word, _ = await bus.read(REGISTERS["status"].address)
        return {k: f.extract(word) for k, f in REGISTERS["status"].fields.items()}


@pytest.mark.parametrize(("rows", "columns", "stall"), [
    (2, 3, 0.0), pytest.param(5, 4, 0.3, marks=pytest.mark.slow)
])  # fmt: skip
def test_a_layer_from_memory_to_memory(rows: int, columns: int, stall: float) -> None:
    config = CoreConfig(rows=rows, columns=columns, scratchpad_page_bytes=1024,
                        results_page_depth=64, loss_classes=4)  # fmt: skip
    program, before, codes = layer(config, np.random.default_rng(rows))
    bench = Bench(config, before, stall=stall, seed=rows)
    bench.put(program)

    async def software(ctx: Any, bus: LiteManager) -> None:
        # Twice: the second time on what the first one left behind.
        for _ in range(2):
            bench.memory.data[TARGET : TARGET + codes.size] = bytes(codes.size)
            await bench.start(bus, len(program))
            status = await bench.end(ctx, bus)
            assert (status["done"], status["fault"]) == (1, Fault.NONE)
            got = np.frombuffer(bytes(bench.memory.data), np.int8)[TARGET : TARGET + codes.size]
            assert (got.reshape(codes.shape) == codes).all()
            for name, busy in (("mac_busy", True), ("matrix_waiting", False)):
                value, _ = await bus.read(REGISTERS[f"{name}_low"].address)
                assert (value > 0) is busy

    bench.run(software)
    assert bench.memory.outstanding == 0


def test_memories_may_do_anything_where_their_contract_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rubbish when nothing was read, and when the word that was read was written meanwhile."""

    def elaborate(self: Memory, platform: object) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(
            shape=unsigned(self.width), depth=self.depth, init=[0x55 << 1] * self.depth
        )
        read, write = storage.read_port(), storage.write_port()
        collides = self.w_enable & (self.w_address == self.r_address)
        read_well = Signal()
        m.d.sync += read_well.eq(self.r_enable & ~collides)
        m.d.comb += [
            read.addr.eq(self.r_address),
            read.en.eq(1),
            self.r_data.eq(Mux(read_well, read.data, ~read.data ^ self.w_data)),
            write.addr.eq(self.w_address),
            write.data.eq(self.w_data),
            write.en.eq(self.w_enable),
        ]
        return m

    monkeypatch.setattr(Memory, "elaborate", elaborate)
    config = CoreConfig(rows=3, columns=2, scratchpad_page_bytes=1024, results_page_depth=64)
    program, before, codes = layer(config, np.random.default_rng(11))
    bench = Bench(config, before)
    bench.put(program)

    async def software(ctx: Any, bus: LiteManager) -> None:
        await bench.start(bus, len(program))
        assert (await bench.end(ctx, bus))["done"]

    bench.run(software)
    got = np.frombuffer(bytes(bench.memory.data), np.int8)[TARGET : TARGET + codes.size]
    assert (got.reshape(codes.shape) == codes).all()


@pytest.mark.slow
def test_a_stop_in_the_middle_leaves_a_core_that_works() -> None:
    config = CoreConfig(rows=2, columns=2, scratchpad_page_bytes=1024, results_page_depth=64)
    program, before, codes = layer(config, np.random.default_rng(8))
    bench = Bench(config, before, stall=0.2, seed=3)
    bench.put(program)

    async def software(ctx: Any, bus: LiteManager) -> None:
        for cycles in (30, 150, 400, 700):
            await bench.start(bus, len(program))
            await ctx.tick().repeat(cycles)
            assert await bus.write(REGISTERS["control"].address, 2) == Response.OKAY
            assert (await bench.end(ctx, bus))["fault"] == Fault.ABORTED
            assert bench.memory.outstanding == 0
        await bench.start(bus, len(program))
        assert (await bench.end(ctx, bus))["done"]

    bench.run(software)
    got = np.frombuffer(bytes(bench.memory.data), np.int8)[TARGET : TARGET + codes.size]
    assert (got.reshape(codes.shape) == codes).all()


@pytest.mark.slow
def test_a_reset_in_the_middle_leaves_nothing_behind() -> None:
    config = CoreConfig(rows=2, columns=2, scratchpad_page_bytes=1024, results_page_depth=64)
    program, before, codes = layer(config, np.random.default_rng(9))
    bench = Bench(config, before, stall=0.2, seed=4)
    bench.put(program)
    cycles = []

    async def software(ctx: Any, bus: LiteManager) -> None:
        for stop in (1, 30, 90, 151, 263, 400, 577, 700, None):
            bench.memory.data[TARGET : TARGET + codes.size] = bytes(codes.size)
            await bench.start(bus, len(program))
            if stop is None:
                break
            await ctx.tick().repeat(stop)
            await bench.reset(ctx)
            # Registers are as they were at first: no program, nothing pending, nothing counted.
            for name in ("status", "interrupt_pending", "interrupt_enable", "cycles_low"):
                assert await bus.read(REGISTERS[name].address) == (0, Response.OKAY)
        assert await bench.end(ctx, bus) == {"running": 0, "done": 1, "fault": 0, "fault_unit": 0}
        cycles.append((await bus.read(REGISTERS["cycles_low"].address))[0])

    bench.run(software)
    assert cycles[0] > 700
    assert bench.memory.outstanding == 0
    got = np.frombuffer(bytes(bench.memory.data), np.int8)[TARGET : TARGET + codes.size]
    assert (got.reshape(codes.shape) == codes).all()


@pytest.mark.parametrize(
    ("word", "fault", "unit"),
    [
        (Load(outside=2, scratchpad=0, bytes=4), Fault.ALIGNMENT, Unit.DMA),
        (Load(outside=SIZE * 16, scratchpad=1 << 20, bytes=4), Fault.ADDRESS, Unit.DMA),
        (Pass(operand=7), Fault.FIELD, Unit.VECTOR),
        (Scalar(function=31, d=1), Fault.FIELD, Unit.VECTOR),
    ],
)
def test_a_faulty_word_stops_the_core_with_its_place(word: Word, fault: Fault, unit: Unit) -> None:
    config = CoreConfig(rows=1, columns=1, scratchpad_page_bytes=64, results_page_depth=4)
    bench = Bench(config)
    program = [Scalar(function=0, d=1), word, End()]
    bench.put(program)

    async def software(ctx: Any, bus: LiteManager) -> None:
        await bench.start(bus, len(program))
        status = await bench.end(ctx, bus)
        assert (status["done"], status["fault"], status["fault_unit"]) == (0, fault, unit)
        assert (await bus.read(REGISTERS["fault_index"].address))[0] == 1

    bench.run(software)
