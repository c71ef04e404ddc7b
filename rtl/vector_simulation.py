"""Runs words of the vector unit in Amaranth's own simulator, on memories that may let it wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.sim import Simulator
from numpy.typing import NDArray

from rtl.config import CoreConfig
from rtl.instructions import Word
from rtl.ports import RESULTS_LATENCY, SCRATCHPAD_LATENCY
from rtl.vector_unit import VectorUnit

__all__ = ["Job", "Outcome", "run"]

_PATIENCE = 20_000
"""Cycles after which a program hangs."""


@dataclass(frozen=True)
class Outcome:
    """What a program did.

    Parameters
    ----------
    memory, results:
        Bytes of the scratchpad, (words, columns) of the results memory.
    taken:
        Cycle in which each word was taken, counted from the first.
    signals:
        (cycle, mask) of each pulse of `signal`.
    rested:
        Cycle from which on nothing happens any more.
    fault:
        Of the unit, in the end.
    waited:
        Cycles in which the unit said that it waits.
    """

    memory: NDArray[np.uint8]
    results: NDArray[np.int64]
    taken: list[int]
    signals: list[tuple[int, int]]
    rested: int
    fault: int
    waited: int


class _Memories:
    """Both memories as their ports promise: any `ready`, data in one cycle, else rubbish."""

    def __init__(
        self, unit: VectorUnit, config: CoreConfig, memory: NDArray[np.uint8],
        results: NDArray[np.int64], stall: float, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self.unit, self.memory, self.results = unit, memory, results
        self._columns, self._bits = config.columns, config.accumulator_bits
        self._stall, self._rng = stall, rng
        self._flights: dict[str, list[Any]] = {
            "x": [None] * SCRATCHPAD_LATENCY,
            "y": [None] * SCRATCHPAD_LATENCY,
            "z": [None] * RESULTS_LATENCY,
        }

    def _rubbish(self, name: str) -> list[int]:
        half = 1 << (self._bits - 1)
        low, high = (-half, half) if name == "z" else (0, 256)
        return self._rng.integers(low, high, self._columns).tolist()

    def before_edge(self, ctx: Any) -> None:
        """Offer data and readiness; then see what is asked for."""
        for name, flight in self._flights.items():
            port = getattr(self.unit, name)
            arriving = flight.pop(0)
            ctx.set(port.data, self._rubbish(name) if arriving is None else arriving)
            ctx.set(port.ready, int(self._rng.random() >= self._stall))
        # Stores of the unit are first in their arbitration and in pages that are its own.
        ctx.set(self.unit.v.ready, 1)
        ctx.set(self.unit.w.ready, 1)
        lanes = np.arange(self._columns)
        for name, flight in self._flights.items():
            port = getattr(self.unit, name)
            took = ctx.get(port.enable) and ctx.get(port.ready)
            if not took:
                flight.append(None)
            elif name == "z":
                flight.append(self.results[ctx.get(port.address)].tolist())
            else:
                where = (ctx.get(port.address) + lanes) % len(self.memory)
                flight.append(self.memory[where].tolist())
        if ctx.get(self.unit.v.enable):
            port = self.unit.v
            mask = (ctx.get(port.mask) >> lanes) & 1 == 1
            data = np.array([ctx.get(port.data[k]) for k in range(self._columns)], dtype=np.uint8)
            where = (ctx.get(port.address) + lanes) % len(self.memory)
            self.memory[where[mask]] = data[mask]
        if ctx.get(self.unit.w.enable):
            port = self.unit.w
            self.results[ctx.get(port.address)] = [
                ctx.get(port.data[k]) for k in range(self._columns)
            ]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A program and what it finds.

    Parameters
    ----------
    words:
        Offered without a pause; `int` are raw.
    memory, results:
        What the memories hold at first; the rest is 0. They are not changed.
    stall:
        Probability with which a read port is not ready.
    abort_at:
        Cycle in which what has been started is forgotten; the words behind it still follow.
    """

    words: Sequence[Word | int]
    memory: NDArray[np.uint8] | None = None
    results: NDArray[np.int64] | None = None
    stall: float = 0.0
    abort_at: int | None = None


def run(config: CoreConfig, jobs: Sequence[Job], *, seed: int = 0) -> list[Outcome]:
    """Run one job after the other, each until the unit rests or has a fault, on one unit.

    Scalars and geometry are what the job before has left; a fault is cleared by an abort.
    """
    rng = np.random.default_rng(seed)
    dut = VectorUnit(config=config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    outcomes: list[Outcome] = []

    async def drive(ctx: Any) -> None:
        for job in jobs:
            outcomes.append(await _drive(ctx, dut, config, job, rng))
            ctx.set(dut.unit.i.valid, 0)
            ctx.set(dut.unit.abort, 1)
            await ctx.tick()
            ctx.set(dut.unit.abort, 0)

    simulator.add_testbench(drive)
    simulator.run()
    return outcomes


async def _drive(
    ctx: Any, dut: VectorUnit, config: CoreConfig, job: Job, rng: np.random.Generator
) -> Outcome:
    bytes_ = np.zeros(1 << config.scratchpad_address_bits, dtype=np.uint8)
    sums = np.zeros((1 << config.results_address_bits, config.columns), dtype=np.int64)
    if job.memory is not None:
        bytes_[: len(job.memory)] = job.memory
    if job.results is not None:
        sums[: len(job.results)] = job.results
    memories = _Memories(dut, config, bytes_, sums, job.stall, rng)
    waiting = [word if isinstance(word, int) else word.pack() for word in job.words]
    taken: list[int] = []
    signals: list[tuple[int, int]] = []
    waited = 0
    unit = dut.unit
    for cycle in range(_PATIENCE):
        ctx.set(unit.abort, int(cycle == job.abort_at))
        offered = len(taken) < len(waiting)
        ctx.set(unit.i.valid, offered)
        if offered:
            ctx.set(unit.i.payload, waiting[len(taken)])
        memories.before_edge(ctx)
        if ctx.get(unit.signal):
            signals.append((cycle, ctx.get(unit.signal)))
        waited += ctx.get(dut.waiting)
        fault = ctx.get(unit.fault)
        if fault or (not offered and not ctx.get(unit.busy)):
            return Outcome(bytes_, sums, taken, signals, cycle, fault, waited)
        if offered and ctx.get(unit.i.ready):
            taken.append(cycle)
        await ctx.tick()
    raise AssertionError(f"the unit hangs after {len(taken)} words")
