"""Proofs by Yosys' SAT solver of the assertions in an Amaranth component."""

import subprocess
import sys
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib.wiring import Component

__all__ = ["ANYTHING", "holds", "holds_always", "holds_for", "holds_from_reset", "is_refuted"]

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


def _solve(proof: Component, folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    path = folder / "proof.il"
    text = rtlil.convert(proof, emit_src=False)
    path.write_text(text.replace(f"cell \\{ANYTHING} ", "cell $anyseq "))
    return subprocess.run(
        [sys.executable, "-c", _RUN, str(path), how], capture_output=True, text=True, check=False
    )


def holds_for(cycles: int, skipped: int) -> str:
    """From reset on, in `cycles` cycles behind the first `skipped` ones: all there is of a pipeline
    that holds nothing longer."""
    return f"-seq {skipped + cycles} -prove-skip {skipped}"


def holds_always(depth: int) -> str:
    """From reset on: by induction over at most `depth` cycles."""
    return f"-tempinduct -maxsteps {depth}"


def holds_from_reset(cycles: int) -> str:
    """From reset on, for so many cycles and without another reset."""
    return f"-tempinduct-baseonly -maxsteps {cycles} -set rst 0"


def holds(proof: Component, folder: Path, how: str) -> None:
    """Fail unless no inputs violate an assertion."""
    done = _solve(proof, folder, how)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "SUCCESS" in done.stdout or "-baseonly" in how


def is_refuted(proof: Component, folder: Path, how: str) -> None:
    """Fail unless there are inputs that do."""
    done = _solve(proof, folder, how)
    assert done.returncode != 0
    assert "model found: FAIL" in done.stdout or "model found for base case: FAIL" in done.stdout, (
        done.stdout[-3000:]
    )
