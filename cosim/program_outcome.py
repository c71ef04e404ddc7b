"""`ProgramOutcome`: what came of programs that train nothing."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosim.functional_bins import Hits
from rtl.config import CoreConfig

__all__ = ["ProgramOutcome"]


@dataclass(frozen=True)
class ProgramOutcome:
    """What came of some programs on one core.

    Members
    -------
    config:
        Of the core.
    mismatch:
        The first thing that is not as it should be, None if there is none.
    cycles, instructions:
        Of all programs.
    functional_coverage:
        Bins that were hit (`cosim.functional_bins`).
    coverage:
        Verilator's file, if it was asked for.
    """

    config: CoreConfig
    mismatch: str | None
    cycles: int
    instructions: int
    functional_coverage: Hits = field(default_factory=Counter)
    coverage: Path | None = None

    def summary(self) -> dict[str, Any]:
        """Return those keys of `cosim.cosim_result.CosimResult.summary` that there are."""
        return {
            "passed": self.mismatch is None, "first_mismatch": self.mismatch,
            "instructions": self.instructions, "cycles_rtl": self.cycles,
        }  # fmt: skip
