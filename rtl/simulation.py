"""Runs instructions on the core in Amaranth's own simulator: no compiler, no Verilog.

For tests and for a quick look at small sizes; `cosim` is the fast way.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator

from golden.formats import Integers
from rtl.config import CoreConfig
from rtl.core import Core
from rtl.isa import Instruction, Status

__all__ = ["Job", "Outcome", "run"]

_PATIENCE = 5_000
"""Clock cycles without a transfer after which the core hangs."""

_WIDTHS = {"i_a": 8, "i_b": 8, "i_x": 32, "i_y": 16}


def _no_beats() -> Integers:
    return np.empty((0, 1), dtype=np.int64)


@dataclass(frozen=True)
class Job:
    """An instruction (or a raw 128-bit word) and its operands, arrays of (beats, lanes)."""

    instruction: Instruction | int
    a: Integers = field(default_factory=_no_beats)
    b: Integers = field(default_factory=_no_beats)
    x: Integers = field(default_factory=_no_beats)
    y: Integers = field(default_factory=_no_beats)

    def word(self) -> int:
        """128 bits."""
        if isinstance(self.instruction, int):
            return self.instruction
        return self.instruction.pack()


@dataclass(frozen=True)
class Outcome:
    """Status record of a job, and its results as signed 32-bit lanes, (beats, columns)."""

    status: Status
    beats: Integers


def _pack(beats: Integers, width: int) -> list[int]:
    lanes = np.ascontiguousarray(beats).astype(f"<i{width // 8}")
    return [int.from_bytes(beat.tobytes(), "little") for beat in lanes]


class _Source:
    """Offers words; keeps an offer until it is taken, as the stream contract wants."""

    def __init__(self, ctx: Any, port: Any, words: Sequence[int], idle: float) -> None:
        self.port, self.words, self._idle, self._ctx = port, deque(words), idle, ctx
        self.offered = False

    def offer(self, rng: random.Random) -> None:
        if self.offered or not self.words or rng.random() < self._idle:
            return
        self.offered = True
        self._ctx.set(Value.cast(self.port.payload), self.words[0])
        self._ctx.set(self.port.valid, 1)

    def taken(self) -> None:
        self.words.popleft()
        self.offered = False
        self._ctx.set(self.port.valid, 0)


class _Sink:
    """Takes words when it likes; checks that an offer stands and does not change until then."""

    def __init__(self, ctx: Any, port: Any, stall: float) -> None:
        self.port, self._stall, self._ctx = port, stall, ctx
        self.ready = False
        self._waiting: int | None = None

    def decide(self, rng: random.Random) -> None:
        self.ready = rng.random() >= self._stall
        self._ctx.set(self.port.ready, self.ready)

    def see(self, valid: int, payload: int) -> bool:
        """Whether a word was taken in this cycle."""
        if self._waiting is not None and (not valid or payload != self._waiting):
            raise AssertionError("an offered beat was withdrawn or changed before it was taken")
        self._waiting = payload if valid and not self.ready else None
        return bool(valid and self.ready)


def run(
    config: CoreConfig,
    jobs: Sequence[Job],
    *,
    idle: float = 0.0,
    stall: float = 0.0,
    seed: int = 0,
    trace: list[dict[str, int]] | None = None,
) -> list[Outcome]:
    """Execute `jobs` in order and return what each gave.

    Parameters
    ----------
    config:
        Size of the core.
    jobs:
        Their operands are offered as early as the streams take them.
    idle, stall:
        Chance, per cycle, that a source keeps a beat back and that a sink is not ready.
    seed:
        Of these chances.
    trace:
        If given, gets one entry a clock cycle: every port's bits, under its name in the Verilog,
        as they are just before the rising edge. For replaying on other simulators.

    Raises
    ------
    AssertionError
        If the core breaks a stream's contract, hangs, or leaves operands behind.
    """
    core = Core(config=config)
    ports = {
        f"{name}__{part}": Value.cast(getattr(getattr(core, name), part))
        for name in ("i_instruction", *_WIDTHS, "o", "o_status")
        for part in ("payload", "valid", "ready")
    }
    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    outcomes: list[Outcome] = []
    rng = random.Random(seed)  # noqa: S311 - stalls, not secrets

    async def bench(ctx: Any) -> None:
        sources = [_Source(ctx, core.i_instruction, [job.word() for job in jobs], idle)]
        for name, width in _WIDTHS.items():
            beats = [word for job in jobs for word in _pack(getattr(job, name[2:]), width)]
            sources.append(_Source(ctx, getattr(core, name), beats, idle))
        results, records = _Sink(ctx, core.o, stall), _Sink(ctx, core.o_status, stall)
        taken: list[int] = []
        patience = _PATIENCE
        while len(outcomes) < len(jobs):
            for source in sources:
                source.offer(rng)
            results.decide(rng)
            records.decide(rng)
            _, _, *seen = await ctx.tick().sample(
                *(source.port.ready for source in sources),
                core.o.valid,
                Value.cast(core.o.payload),
                core.o_status.valid,
                Value.cast(core.o_status.payload),
            )
            moved = False
            for source, ready in zip(sources, seen[:5], strict=True):
                if source.offered and ready:
                    source.taken()
                    moved = True
            if results.see(seen[5], seen[6]):
                taken.append(seen[6])
                moved = True
            if records.see(seen[7], seen[8]):
                raw = b"".join(word.to_bytes(4 * config.columns, "little") for word in taken)
                lanes = np.frombuffer(raw, dtype="<i4").astype(np.int64)
                status = Status.unpack(seen[8])
                outcomes.append(Outcome(status, lanes.reshape(len(taken), config.columns)))
                taken.clear()
                moved = True
            patience = _PATIENCE if moved else patience - 1
            if not patience:
                raise AssertionError(f"job {len(outcomes)} hangs: {jobs[len(outcomes)]}")
        left = [len(source.words) for source in sources]
        if any(left):
            raise AssertionError(f"operands were left behind: {left}")

    async def watch(ctx: Any) -> None:
        async for _, _, *bits in ctx.tick().sample(*ports.values()):
            seen.append(dict(zip(ports, bits, strict=True)))

    simulator.add_testbench(bench)
    if trace is not None:
        seen = trace
        simulator.add_testbench(watch, background=True)
    simulator.run()
    return outcomes
