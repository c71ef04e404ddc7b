"""Faults put into the core's sources, a block each: co-simulation finds every one."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import cosim

ROOT = Path(cosim.__file__).parents[1]
PACKAGES = ("golden", "rtl", "hwmodel", "cosim")

PROGRAM = """
import json
from cosim.runner import cosimulate
result = cosimulate(network="mlp", array=(2, 3), simulator="icarus", batch=2, seed=1)
print(json.dumps(result.summary()))
"""


@dataclass(frozen=True)
class Mutant:
    """A line of the core that is wrong, and what the report has to say (a regular expression)."""

    file: str
    right: str
    wrong: str
    says: str


MUTANTS = {
    "rounding: halves go down": Mutant(
        "vector_lane.py",
        "draw.o, quantizer.ROUND_HALF)",
        "draw.o, quantizer.ROUND_HALF - 1)",
        r"Pass, relu1, forward, .*: wrote something else; byte",
    ),
    "address stream: the block's stride is the row's": Mutant(
        "address_stream.py",
        "Mux(self.block_ends, self.block, Mux(self.row_ends, self.row, self.position))",
        "Mux(self.row_ends, self.row, self.position)",
        r"Pass, relu1, forward, .*: wrote something else; byte",
    ),
    "accumulator: a tile's first sums are the last product's": Mutant(
        "product_unit.py",
        "Mux(firsts[read + COLUMN_LATENCY], 0,",
        "Mux(0, 0,",
        r"Multiply, .*: wrote something else; results word",
    ),
    "accumulator: the signal comes before the last sum": Mutant(
        "product_unit.py",
        "after = config.rows + config.columns + DRAIN\n",
        "after = config.rows + config.columns + DRAIN - 1\n",
        r"Multiply, .*: taken and complete in cycles",
    ),
    "DMA: a burst goes on past 4096 bytes": Mutant(
        "dma.py",
        "longest = Mux(to_boundary < BURST_LINES, to_boundary, BURST_LINES)",
        "longest = BURST_LINES",
        r"64 beats long, crosses 4096 bytes",
    ),
    "dispatcher: one semaphore of several is enough": Mutant(
        "dispatcher.py",
        "((mask & ~above_zero) == 0)",
        "(mask & above_zero).any()",
        r"the CONTROL unit stops with fault SEMAPHORE",
    ),
    "softmax: a bit of the table": Mutant(
        "softmax.py",
        "_table(EXP_TABLE.tolist(), ",
        "_table([e ^ 1024 for e in EXP_TABLE.tolist()], ",
        r"Loss, .*: wrote something else; results word",
    ),
    "update: the momentum's negation lacks its one": Mutant(
        "vector_lane.py",
        "s2_carry.eq(carry ^ how.negate)",
        "s2_carry.eq(carry)",
        r"Pass, \w+, update, .*: wrote something else; byte",
    ),
}


def co_simulate(folder: Path, mutant: Mutant | None) -> tuple[dict, str]:
    """Outcome of two steps on a copy of the sources, and what was said on stderr."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    if mutant:
        source = folder / "rtl" / mutant.file
        text = source.read_text()
        assert text.count(mutant.right) == 1, f"{mutant.file} has changed: choose another line"
        source.write_text(text.replace(mutant.right, mutant.wrong))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(folder), "EOQ_CACHE": str(folder / "cache")},
    )  # fmt: skip
    return json.loads(done.stdout) if done.stdout else {"passed": False}, done.stderr


@pytest.mark.slow
def test_the_copy_without_a_fault_passes(tmp_path: Path) -> None:
    outcome, said = co_simulate(tmp_path, None)
    assert outcome["passed"], said


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_fault_is_caught(name: str, tmp_path: Path) -> None:
    outcome, said = co_simulate(tmp_path, MUTANTS[name])
    assert not outcome["passed"]
    found = outcome.get("first_mismatch") or said
    assert re.search(MUTANTS[name].says, found), found
