"""Proofs by Yosys' SAT solver of the assertions in an Amaranth component."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib.wiring import Component

__all__ = ["ANYTHING", "Prover", "Reach", "always", "cycles_behind", "from_reset"]

ANYTHING = "anything"
"""Instance whose output `Y` of `WIDTH` bits is any in every cycle; Amaranth has no word for it."""

_RUN = """
import sys
from pyosys import libyosys as y
d = y.Design()
for command in (
    "read_rtlil " + sys.argv[1], "prep -top top -flatten", "memory_map", "chformal -lower",
    "setundef -undriven -zero", "opt -full",
    "sat -verify -prove-asserts -set-assumes " + sys.argv[2],
):
    y.run_pass(command, d)
"""


@dataclass(frozen=True)
class Reach:
    """How far a proof goes: in words, and as options of Yosys' `sat`."""

    text: str
    options: str


def cycles_behind(cycles: int, skipped: int) -> Reach:
    """From reset on, in `cycles` cycles behind the first `skipped` ones: all there is of a pipeline
    that holds nothing longer."""
    last = skipped + cycles
    text = f"{_cycles(last)}, the pipeline holds nothing longer"
    return Reach(text, f"-seq {last} -prove-skip {skipped}")


def always(depth: int) -> Reach:
    """From reset on: by induction over at most `depth` cycles."""
    text = f"for ever, by induction over at most {_cycles(depth)}"
    return Reach(text, f"-tempinduct -maxsteps {depth}")


def from_reset(cycles: int) -> Reach:
    """From reset on, for so many cycles and without another reset."""
    text = f"the first {_cycles(cycles)} from reset"
    return Reach(text, f"-tempinduct-baseonly -maxsteps {cycles} -set rst 0")


def _cycles(number: int) -> str:
    return f"{number} cycle{'s' * (number > 1)}"


class Prover:
    """Proves and refutes, and says so in the test's properties, which JUnit XML keeps.

    Parameters
    ----------
    folder:
        For a file.
    record:
        Called with "holds" or "is refuted" and how far, before it is tried.
    """

    def __init__(self, folder: Path, record: Callable[[str, object], None]) -> None:
        self._folder, self._record = folder, record

    def holds(self, proof: Component, reach: Reach) -> None:
        """Fail unless no inputs violate an assertion."""
        self._record("holds", reach.text)
        done = self._solve(proof, reach)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
        assert "SUCCESS" in done.stdout or "-baseonly" in reach.options

    def is_refuted(self, proof: Component, reach: Reach) -> None:
        """Fail unless there are inputs that do."""
        self._record("is refuted", reach.text)
        done = self._solve(proof, reach)
        assert done.returncode != 0
        assert any(f"model found{case}: FAIL" in done.stdout for case in ("", " for base case")), (
            done.stdout[-3000:]
        )

    def _solve(self, proof: Component, reach: Reach) -> subprocess.CompletedProcess[str]:
        path = self._folder / "proof.il"
        text = rtlil.convert(proof, emit_src=False)
        path.write_text(text.replace(f"cell \\{ANYTHING} ", "cell $anyseq "))
        return subprocess.run(
            [sys.executable, "-c", _RUN, str(path), reach.options],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
