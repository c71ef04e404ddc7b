"""Runs random programs and unlawful ones on the simulated core, and says what is not as it must be.

A case is a function of its number, as in `cosim.random_cases`.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosim.core_run import Action, CoreRun, Execute, append_program, simulate
from cosim.functional_bins import fault_bin
from cosim.program_outcome import ProgramOutcome
from cosim.random_programs import random_programs
from cosim.register_accesses import busy_accesses, idle_accesses
from cosim.unlawful_programs import unlawful_programs
from rtl.cache import cache_folder
from rtl.config import CoreConfig
from rtl.control_instructions import End, Nop
from rtl.dma_instructions import Load, Store
from rtl.instructions import Fault, Word
from rtl.vector_instructions import Loops, Operand, Pass

__all__ = ["PROGRAM_CORE", "run_random_programs", "run_unlawful_programs"]

PROGRAM_CORE = CoreConfig(
    rows=3, columns=2, scratchpad_page_bytes=1024, results_page_depth=128, loss_classes=16
)
"""Small, so that programs of a few thousand cycles reach all of its memories."""

_LATENCIES = (20, 0, 300, 3, 57, 1)
_PATIENCE = 100_000
_BYTES = 64
_TARGET = 4096
"""Where the sound programs behind unlawful ones store what they loaded from address 0."""


@dataclass
class _Image:
    """Memory outside, which programs are put behind."""

    memory: bytes

    def put(self, words: Sequence[Word | int]) -> int:
        self.memory, address = append_program(self.memory, words)
        return address


def _simulate(
    image: _Image, actions: Sequence[Action], simulator: str, latency: int, *, coverage: bool
) -> tuple[CoreRun, Path | None]:
    if not coverage:
        run = simulate(PROGRAM_CORE, image.memory, actions, simulator=simulator, latency=latency,
                       patience=_PATIENCE)  # fmt: skip
        return run, None
    runs = cache_folder() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="programs-", dir=runs))
    try:
        file = folder / "coverage.dat"
        return simulate(PROGRAM_CORE, image.memory, actions, simulator=simulator, latency=latency,
                        patience=_PATIENCE, coverage=file), file  # fmt: skip
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def run_random_programs(
    number: int, simulator: str = "verilator", *, coverage: bool = False
) -> ProgramOutcome:
    """Run the random programs with that number; each word must write what the machine does.

    Parameters
    ----------
    number:
        What the programs and the memory's latency are drawn from.
    simulator:
        One of `cosim.core_build.SIMULATORS`.
    coverage:
        Count lines and toggles (Verilator).

    Raises
    ------
    InputError
        If the simulator is missing or too old.
    CheckError
        If a program does not end.
    """
    made = random_programs(PROGRAM_CORE, number)
    image = _Image(made.before)
    actions = [Execute(image.put(p.words), len(p.words)) for p in made.programs]
    latency = _LATENCIES[number % len(_LATENCIES)]
    run, file = _simulate(image, actions, simulator, latency, coverage=coverage)
    found = [
        f"program {k}: {text}"
        for k, (program, ran) in enumerate(zip(made.programs, run.programs, strict=True))
        for text in program.differences(ran)
    ]
    if not found and run.memory[: len(made.after)] != made.after:
        found = ["the memory outside has other bytes"]
    return ProgramOutcome(
        PROGRAM_CORE, found[0] if found else None, sum(ran.cycles for ran in run.programs),
        sum(len(program.words) for program in made.programs), coverage=file,
    )  # fmt: skip


def run_unlawful_programs(
    number: int, simulator: str = "verilator", *, coverage: bool = False
) -> ProgramOutcome:
    """Run the unlawful programs with that number, a sound one behind each, and use the registers in
    every way; parameters and errors are those of `run_random_programs`.

    Every program must end with its fault, the sound ones without one, and every access must be
    answered as it has to be.
    """
    rng = np.random.default_rng(number)
    unlawful = unlawful_programs(PROGRAM_CORE, number)
    image = _Image(rng.integers(0, 256, 2 * _TARGET, dtype=np.uint8).tobytes())
    sound = image.put([
        Load(outside=0, scratchpad=0, bytes=_BYTES, signal=1),
        Store(outside=_TARGET, scratchpad=0, bytes=_BYTES, wait=1, signal=2), Nop(wait=2), End(),
    ])  # fmt: skip
    actions: list[Action] = []
    for program in unlawful:
        place = image.put(program.words) if program.place is None else program.place
        length = program.length or len(program.words)
        actions += [Execute(place, length, program.stop_after, partial=True), Execute(sound, 4)]
    endless = [Loops(positions=1 << 15, rows=1 << 15, channels=1), Pass(operand=Operand.NONE)]
    expected = [
        *idle_accesses(PROGRAM_CORE, rng), *busy_accesses(image.put([*endless, End()]), 3),
    ]  # fmt: skip
    actions += [*(e.access for e in expected), Execute(sound, 4)]
    run, file = _simulate(image, actions, simulator, _LATENCIES[0], coverage=coverage)
    checks = [
        *(p.differs(ran) for p, ran in zip(unlawful, run.programs[::2], strict=False)),
        *(
            f"fault {ran.fault.name} of a sound program"
            for ran in run.programs[1::2] if ran.fault is not Fault.NONE
        ),
        *(e.differs(got) for e, got in zip(expected, run.accesses, strict=True)),
    ]  # fmt: skip
    if run.memory[_TARGET : _TARGET + _BYTES] != image.memory[:_BYTES]:
        checks.append("a sound program stores other bytes")
    found = [text for text in checks if text]
    faults = [program.fault for program in unlawful if program.fault is not Fault.NONE]
    hits = Counter([] if found else ["program after a fault", *map(fault_bin, faults)])
    return ProgramOutcome(
        PROGRAM_CORE, found[0] if found else None, sum(ran.cycles for ran in run.programs),
        sum(len(program.words) for program in unlawful), hits, file,
    )  # fmt: skip
