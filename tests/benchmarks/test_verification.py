"""What is kept of a list of co-simulations, and of a run of pytest with proofs in it."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.verification import co_simulated, in_words, ranges, unit_outcomes
from cosim.core_coverage import CoreCoverage, Tally
from cosim.functional_bins import BINS
from cosim.regression import Regression, run_list
from cosim.regression_list import read_list

LIST = """
[[run]]
array = "2x3"
sim = "icarus"
batch = 1
seed = [0, 2]

[[run]]
fault = ["OP", "FIELD", "NEVER"]
sim = "icarus"
"""

TESTS = """
import pytest

@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("bits", [8], ids=["8 bits"])
def test_no_sum_wraps(bits, rows, record_property):
    record_property("holds", "for ever")
    record_property("seed", 7)
    assert rows == 1

def test_saturation(record_property):
    record_property("holds", "1 cycle")
    record_property("is refuted", "2 cycles")

def test_no_proof():
    pass

def test_left_out():
    pytest.skip("for a reason")
"""


@pytest.mark.slow
def test_numbers_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_text(LIST)
    found = run_list(read_list(path), tmp_path / "results", workers=1)
    said = co_simulated("full", found)
    assert said["command"] == "eoq cosim --list tests/cosim/lists/full.toml -o DIR"
    steps, faults = said["runs"]
    assert (steps["what"], steps["simulator"], steps["seeds"]) == (
        "chosen steps",
        "icarus",
        "0, 2",
    )
    assert (steps["runs"], steps["passed"], steps["steps"]) == (2, 2, 2)
    for key in ("tensors", "elements", "instructions", "cycles_rtl"):
        assert steps[key] == sum(r[key] for r in found.results[:2]) > 0
    # A fault that there is not is an error, and named.
    assert (faults["runs"], faults["passed"], faults["seeds"]) == (3, 2, "")
    assert list(said["failed"]) == ["sim-icarus_fault-NEVER"]
    assert "not 'NEVER'" in said["failed"]["sim-icarus_fault-NEVER"]
    assert not said["passed"]
    assert list(said["bins"]) == list(BINS)
    assert said["bins"]["fault OP"] == 1
    assert said["bins"]["program after an abort"] == 0


def test_what_a_list_requires_of_coverage_is_kept() -> None:
    lines, toggles = Tally(4, 3, 1, 0), Tally(10, 10, 0, 2)
    core = CoreCoverage("3x2", lines, toggles, ["a line"], [])
    found = Regression([], Counter(), [], [core], {"line coverage": "75.00 %", "waivers": None})
    said = co_simulated("coverage", found)
    assert said["failed"] == {"line coverage": "75.00 %"}
    assert not said["passed"]
    assert said["coverage"] == [
        {"core": "3x2", "what": "lines", "covered": 75.0, "points": 4, "hit": 3, "constant": 1,
         "waived": 0},
        {"core": "3x2", "what": "toggles", "covered": 100.0, "points": 10, "hit": 10,
         "constant": 0, "waived": 2},
    ]  # fmt: skip


def test_proofs_are_found_among_tests(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    xml = tmp_path / "it.xml"
    command = [sys.executable, "-m", "pytest", "test_it.py", "-o", "junit_family=xunit1", "-p",
               "no:cacheprovider", "--rootdir", ".", f"--junitxml={xml}"]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    units, proofs = unit_outcomes(xml.read_text())
    assert (units["tests"], units["passed"]) == (5, 3)
    assert units["failed"] == ["test_no_sum_wraps[8 bits-2]"]
    assert units["skipped"] == ["test_left_out"]
    assert [(p["name"], p["claim"], p["reach"], p["outcome"]) for p in proofs] == [
        ("no sum wraps: 8 bits, 1", "holds", "for ever", "passed"),
        ("no sum wraps: 8 bits, 2", "holds", "for ever", "failed"),
        ("saturation", "holds", "1 cycle", "passed"),
        ("saturation", "is refuted", "2 cycles", "passed"),
    ]
    assert {p["file"] for p in proofs} == {"test_it.py"}
    assert all(0 <= p["seconds"] < 60 for p in proofs)


def test_short_forms() -> None:
    assert ranges([]) == ""
    assert ranges([5, 1, 2, 3]) == "1-3, 5"
    assert in_words("test_it_holds") == "it holds"
    assert in_words("test_it_holds[8 bits-half up]") == "it holds: 8 bits, half up"
