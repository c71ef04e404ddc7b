"""`CosimResult`: what a co-simulation found, as an object, a table and plain numbers."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cosim.functional_bins import Hits
from cosim.step_check import StepReference, WordDifference
from hwmodel.lowering.program import StepProgram
from hwmodel.program_cycles import ProgramTimes
from rtl.config import CoreConfig

__all__ = ["CosimResult", "Step"]


@dataclass(frozen=True)
class Step:
    """One step's comparison.

    Members
    -------
    reference:
        What it had to do.
    times:
        Measured.
    differences:
        Words that did something else, or at another time.
    """

    reference: StepReference
    times: ProgramTimes
    differences: list[WordDifference]


@dataclass(frozen=True)
class CosimResult:
    """A finished co-simulation.

    Members
    -------
    network, array, batch, seed, simulator, simulator_version:
        What was run, on what.
    program, times:
        The step's program and what the model says about it.
    steps:
        One a training step.
    parameters_differ:
        Parameters that are not golden's at the end.
    mismatch:
        First difference, in words, with the command that shows it again; None if there is none.
    seconds:
        Wall time of the simulation.
    macs_utilization:
        Of the program by the model: multiplications an array cycle.
    waves, coverage:
        Files that were asked for, or that a mismatch left.
    functional_coverage:
        How often each of `cosim.functional_bins.BINS` was hit.
    """

    network: str
    config: CoreConfig
    batch: int
    seed: int
    simulator: str
    simulator_version: str
    program: StepProgram
    times: ProgramTimes
    steps: list[Step]
    parameters_differ: list[str]
    counters: list[dict[str, int]]
    seconds: float
    mismatch: str | None = None
    waves: Path | None = None
    coverage: Path | None = None
    functional_coverage: Hits = field(default_factory=Counter)

    @property
    def array(self) -> str:
        """Rows x columns."""
        return f"{self.config.rows}x{self.config.columns}"

    @property
    def mismatches(self) -> int:
        """Words that wrote something else, and tensors and parameters that are not golden's."""
        wrong = sum(
            len(step.reference.differences) + sum(d.what != "cycles" for d in step.differences)
            for step in self.steps
        )
        return wrong + len(self.parameters_differ)

    @property
    def passed(self) -> bool:
        """Every bit and every cycle agrees."""
        return not self.mismatches and not any(step.differences for step in self.steps)

    @property
    def instructions(self) -> pd.DataFrame:
        """Cycles of the first step by layer, phase and kind of word, measured and predicted."""
        rows = []
        measured, predicted = self.steps[0].times, self.times
        for number, entry in self.program.entries():
            rows.append(
                {
                    "layer": entry.label.layer,
                    "phase": entry.label.phase,
                    "unit": entry.word.unit.name.lower(),
                    "instruction": type(entry.word).__name__,
                    "count": 1,
                    "cycles_rtl": measured.duration(number),
                    "cycles_model": predicted.duration(number),
                }
            )
        frame = pd.DataFrame(rows)
        keys = ["layer", "phase", "unit", "instruction"]
        return frame.groupby(keys, sort=False, as_index=False).sum()

    def summary(self) -> dict[str, Any]:
        """Return the keys of `eoq cosim --json`."""
        rtl = sum(step.times.cycles for step in self.steps)
        model = self.times.cycles * len(self.steps)
        size = self.config.rows * self.config.columns
        macs = self.program.macs * len(self.steps)
        return {
            "passed": self.passed,
            "mismatches": self.mismatches,
            "first_mismatch": self.mismatch,
            "tensors": sum(step.reference.tensors for step in self.steps),
            "elements": sum(step.reference.elements for step in self.steps),
            "instructions": len(self.program.words) * len(self.steps),
            "cycles_rtl": rtl,
            "cycles_model": model,
            "instructions_with_wrong_cycles": sum(
                d.what == "cycles" for step in self.steps for d in step.differences
            ),
            "mac_utilization": macs / (rtl * size) if rtl else 0.0,
            "sim_cycles_per_second": rtl / max(self.seconds, 1e-9),
            "seed": self.seed,
            "simulator": self.simulator,
            "simulator_version": self.simulator_version,
            "network": self.network,
            "array": self.array,
            "batch": self.batch,
            "steps": len(self.steps),
        }
