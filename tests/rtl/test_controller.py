"""Programs from memory through registers, fetch and dispatcher to units that only take time."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

from rtl.axi import Response
from rtl.axi_model import LiteManager, MemoryModel
from rtl.config import CoreConfig
from rtl.control_instructions import End, Fence, Nop
from rtl.controller import Controller
from rtl.dma_instructions import Load
from rtl.instructions import HEADER, SEMAPHORE_MAX, Fault, Unit, Word
from rtl.register_map import COUNTERS, IDENTIFIER, REGISTERS, constants, markdown

BASE = 512
SIZE = 1 << 14


class Work(Word):
    """A word that only takes time in the unit of its number."""

    layout: dict = {}  # noqa: RUF012 - as in every Word
    op = 1


def work(unit: Unit, **masks: int) -> int:
    return (
        int(unit)
        | 1 << HEADER["op"].offset
        | masks.get("wait", 0) << HEADER["wait"].offset
        | masks.get("signal", 0) << HEADER["signal"].offset
    )


class Bench:
    """A controller, a memory with its program, and three units that log what they are given."""

    def __init__(
        self, words: list[int], *, size: int = 4, stall: float = 0.0, seed: int = 0,
        errors: range = range(0), faulty: int | None = None,
    ) -> None:  # fmt: skip
        self.config = CoreConfig(rows=size, columns=size)
        self.dut = Controller(config=self.config)
        self.memory = MemoryModel(SIZE, seed=seed, stall=stall, latency=4, errors=errors)
        for k, word in enumerate(words):
            self.memory.data[BASE + 16 * k : BASE + 16 * k + 16] = word.to_bytes(16, "little")
        self.rng = random.Random(seed)  # noqa: S311
        self.words, self.faulty = words, faulty
        self.log: list[tuple[str, Unit, int]] = []

    async def _unit(self, ctx: Any, name: Unit, port: Any) -> None:
        """Take a word, be busy for a while, signal; or fault on the word that is to be faulty."""
        left, word, fault = 0, 0, 0
        while True:
            ctx.set(port.i.ready, left == 0 and not fault)
            ctx.set(port.busy, left > 0)
            ctx.set(port.signal, HEADER["signal"].extract(word) if left == 1 else 0)
            ctx.set(port.fault, fault)
            _, _, valid, offered, abort = await ctx.tick().sample(
                port.i.valid, port.i.payload, port.abort
            )
            if left:
                left -= 1
                if not left:
                    self.log.append(("done", name, word))
                    if word == self.faulty:
                        fault = Fault.ADDRESS
            elif valid and not fault and not abort:
                word, left = offered, self.rng.randrange(1, 9)
                self.log.append(("start", name, word))
            if abort:
                left, fault = 0, 0

    def run(self, software: Callable[[Any, LiteManager], Awaitable[None]]) -> None:
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)

        async def memory(ctx: Any) -> None:
            await self.memory.reads(ctx, self.dut.program)

        simulator.add_testbench(memory, background=True)
        for name in UNITS:

            async def serve(ctx: Any, name: Unit = name) -> None:
                await self._unit(ctx, name, getattr(self.dut, name.name.lower()))

            simulator.add_testbench(serve, background=True)

        async def main(ctx: Any) -> None:
            await software(ctx, LiteManager(ctx, self.dut.registers))

        simulator.add_testbench(main)
        simulator.run()

    async def start(self, bus: LiteManager, words: int | None = None) -> int:
        count = len(self.words) if words is None else words
        assert await bus.write(REGISTERS["program_low"].address, BASE) == Response.OKAY
        assert await bus.write(REGISTERS["program_words"].address, count) == Response.OKAY
        return await bus.write(REGISTERS["control"].address, 1)

    async def status(self, bus: LiteManager) -> dict[str, int]:
        """Wait until nothing runs."""
        for _ in range(400):
            word, _ = await bus.read(REGISTERS["status"].address)
            status = {k: f.extract(word) for k, f in REGISTERS["status"].fields.items()}
            if not status["running"]:
                return status
        raise AssertionError("the program hangs")

    async def register(self, bus: LiteManager, name: str) -> int:
        value, response = await bus.read(REGISTERS[name].address)
        assert response == Response.OKAY
        return value


UNITS = (Unit.MATRIX, Unit.VECTOR, Unit.DMA)
PAIRS = [(giver, taker) for giver in UNITS for taker in UNITS if giver != taker]
"""Semaphore k orders one pair. (Of one that two units take, either may get a signal first.)"""


def random_program(rng: random.Random, length: int) -> list[int]:
    """Words that wait only for earlier ones, so that there is no deadlock."""
    counts = [0] * len(PAIRS)
    words = []
    for _ in range(length):
        unit = rng.choice(UNITS)
        wait = signal = 0
        for k, (giver, taker) in enumerate(PAIRS):
            if taker == unit and counts[k] and rng.random() < 0.6:
                counts[k] -= 1
                wait |= 1 << k
            if giver == unit and counts[k] < 20 and rng.random() < 0.5:
                counts[k] += 1
                signal |= 1 << k
        words.append(work(unit, wait=wait, signal=signal))
    return [*words, End().pack()]


@pytest.mark.parametrize(
    ("size", "stall", "seed"), [(1, 0.0, 1), (8, 0.3, 2), (16, 0.3, 3), (32, 0.0, 4)]
)
def test_every_word_runs_after_what_it_waits_for(size: int, stall: float, seed: int) -> None:
    words = random_program(random.Random(seed), 40)  # noqa: S311
    bench = Bench(words, size=size, stall=stall, seed=seed)

    async def software(ctx: Any, bus: LiteManager) -> None:
        await bus.write(REGISTERS["interrupt_enable"].address, 1)
        assert await bench.start(bus) == Response.OKAY
        status = await bench.status(bus)
        assert (status["done"], status["fault"]) == (1, Fault.NONE)
        assert await bench.register(bus, "instructions_low") == len(words)
        assert ctx.get(bench.dut.interrupt)
        assert await bus.write(REGISTERS["interrupt_pending"].address, 1) == Response.OKAY
        assert not ctx.get(bench.dut.interrupt)
        for unit in ("matrix", "vector", "dma"):
            assert await bench.register(bus, f"{unit}_busy_low") > 0

    bench.run(software)
    for unit in UNITS:
        mine = [word for word in words if word & 7 == unit]
        assert [w for kind, who, w in bench.log if (kind, who) == ("start", unit)] == mine
    counts = [0] * 8
    for kind, _, word in bench.log:
        field = HEADER["wait" if kind == "start" else "signal"].extract(word)
        for k in range(8):
            if field >> k & 1:
                counts[k] += -1 if kind == "start" else 1
                assert counts[k] >= 0, "a word ran before it was signalled"
    assert bench.memory.outstanding == 0


def test_fence_and_nop_hold_up_what_follows() -> None:
    words = [
        work(Unit.MATRIX, signal=1), work(Unit.VECTOR), Fence().pack(), work(Unit.DMA),
        Nop(wait=1, signal=2).pack(), work(Unit.VECTOR, wait=2), End().pack(),
    ]  # fmt: skip
    bench = Bench(words, seed=5)

    async def software(ctx: Any, bus: LiteManager) -> None:
        await bench.start(bus)
        assert (await bench.status(bus))["done"]

    bench.run(software)
    order = [(kind, who) for kind, who, _ in bench.log]
    assert order.index(("start", Unit.DMA)) > order.index(("done", Unit.MATRIX))
    assert order.index(("start", Unit.DMA)) > order.index(("done", Unit.VECTOR))
    assert order.count(("start", Unit.VECTOR)) == 2


FAULTY = work(Unit.VECTOR, signal=4)


@pytest.mark.parametrize(
    ("words", "fault", "unit", "index"),
    [
        ([work(Unit.DMA), 0], Fault.UNIT, Unit.CONTROL, 1),
        ([7], Fault.UNIT, Unit.CONTROL, 0),
        ([Unit.CONTROL | 31 << 3], Fault.OP, Unit.CONTROL, 0),
        ([work(Unit.MATRIX)], Fault.NO_END, Unit.CONTROL, 1),
        ([work(Unit.MATRIX, wait=1), End().pack()], Fault.DEADLOCK, Unit.CONTROL, 1),
        ([Nop(wait=128).pack(), End().pack()], Fault.DEADLOCK, Unit.CONTROL, 0),
        ([work(Unit.DMA, wait=1)] * 20 + [End().pack()], Fault.DEADLOCK, Unit.CONTROL, 8),
        ([Nop(signal=1).pack()] * (SEMAPHORE_MAX + 1) + [Fence().pack()] * 9, Fault.SEMAPHORE,
         Unit.CONTROL, SEMAPHORE_MAX),
        ([work(Unit.DMA), FAULTY, work(Unit.MATRIX), Fence().pack(), End().pack()], Fault.ADDRESS,
         Unit.VECTOR, 1),
        ([work(Unit.DMA)] * 70, Fault.BUS, Unit.CONTROL, 64),
    ],
)  # fmt: skip
def test_faults_stop_a_program_and_the_next_one_runs(
    words: list[int], fault: Fault, unit: Unit, index: int
) -> None:
    bench = Bench(words, seed=6, errors=range(BASE + 1024, BASE + 1152), faulty=FAULTY)

    async def software(ctx: Any, bus: LiteManager) -> None:
        await bus.write(REGISTERS["interrupt_enable"].address, 2)
        await bench.start(bus)
        status = await bench.status(bus)
        assert (status["fault"], status["fault_unit"], status["done"]) == (fault, unit, 0)
        assert abs(await bench.register(bus, "fault_index") - index) <= (fault == Fault.SEMAPHORE)
        assert ctx.get(bench.dut.interrupt)
        bench.memory.data[BASE : BASE + 16] = End().pack().to_bytes(16, "little")
        assert await bench.start(bus, words=1) == Response.OKAY
        status = await bench.status(bus)
        assert (status["done"], status["fault"]) == (1, 0)

    bench.run(software)
    assert bench.memory.outstanding == 0


@pytest.mark.parametrize("after", [0, 3, 40])
def test_stop_at_any_time(after: int) -> None:
    words = [work(Unit.MATRIX), work(Unit.VECTOR), work(Unit.DMA)] * 30 + [End().pack()]
    bench = Bench(words, stall=0.3, seed=after)

    async def software(ctx: Any, bus: LiteManager) -> None:
        await bench.start(bus)
        await ctx.tick().repeat(after + 1)
        assert await bus.write(REGISTERS["control"].address, 2) == Response.OKAY
        status = await bench.status(bus)
        assert (status["fault"], status["done"]) == (Fault.ABORTED, 0)
        assert await bench.start(bus) == Response.OKAY
        assert (await bench.status(bus))["done"]

    bench.run(software)


def test_registers_refuse_what_they_must() -> None:
    bench = Bench([work(Unit.MATRIX, wait=1), End().pack()], size=3)
    address = {name: register.address for name, register in REGISTERS.items()}

    async def software(ctx: Any, bus: LiteManager) -> None:
        assert await bench.register(bus, "identifier") == IDENTIFIER
        for name, value in constants(bench.config).items():
            assert await bench.register(bus, name) == value
        assert (await bus.read(0xF8))[1] == Response.SLVERR
        assert await bus.write(0xF8, 1) == Response.SLVERR
        assert await bus.write(address["size"], 1) == Response.SLVERR
        assert await bus.write(address["program_low"], BASE, strobes=3) == Response.SLVERR
        assert await bench.register(bus, "program_low") == 0
        # Not at a multiple of a burst: nothing starts.
        await bus.write(address["program_low"], BASE + 16)
        assert await bus.write(address["control"], 1) == Response.SLVERR
        assert not await bench.register(bus, "status") & 1
        await bench.start(bus)
        assert await bus.write(address["program_words"], 9) == Response.SLVERR
        assert await bus.write(address["control"], 1) == Response.SLVERR
        assert (await bench.status(bus))["fault"] == Fault.DEADLOCK
        assert await bench.register(bus, "program_words") == 2
        assert await bench.register(bus, "cycles_high") == 0

    bench.run(software)


def test_the_map_is_whole() -> None:
    addresses = [register.address for register in REGISTERS.values()]
    assert len(set(addresses)) == len(addresses)
    assert all(address % 4 == 0 and address < 256 for address in addresses)
    text = markdown()
    assert all(f"`{name}`" in text for name in REGISTERS)
    assert {f"{name}_low" for name in COUNTERS} <= set(REGISTERS)
    for register in REGISTERS.values():
        bits = [
            bit for f in register.fields.values() for bit in range(f.offset, f.offset + f.width)
        ]
        assert len(set(bits)) == len(bits)
        assert all(bit < 32 for bit in bits)


def test_words_pack_and_unpack() -> None:
    word = Load(outside=1 << 39, scratchpad=64, bytes=128, wait=3, signal=128)
    assert Load.unpack(word.pack()) == word
    with pytest.raises(
        ValueError, match=r"^outside must be 0 to 1099511627775, not 1099511627776$"
    ):
        Load(outside=1 << 40, scratchpad=0, bytes=4).pack()
