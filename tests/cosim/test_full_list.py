"""The list that the full suite co-simulates: every run passes, every functional bin is hit."""

import os
from pathlib import Path

import pytest

from cosim.fault_programs import FAULTS
from cosim.functional_bins import BINS, fault_bin
from cosim.regression import run_list
from cosim.regression_list import read_list

LIST = Path(__file__).parent / "lists" / "full.toml"


def test_it_has_200_random_configurations_both_simulators_and_wants_every_bin() -> None:
    found = read_list(LIST)
    assert found.every_bin
    random = {run.settings["random"] for run in found.runs if "random" in run.settings}
    assert len(random) >= 200
    assert {run.settings["sim"] for run in found.runs} == {"verilator", "icarus"}


def test_every_bin_names_the_failure_that_it_would_show() -> None:
    assert {fault_bin(fault) for fault in FAULTS} <= BINS.keys()
    for name, failure in BINS.items():
        assert 10 < len(failure) < 100, name
        assert failure != name


@pytest.mark.slow
def test_every_run_passes_and_every_bin_is_hit(tmp_path: Path) -> None:
    # Together with pytest's own processes, as many as there are cores.
    others = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    workers = max(1, (os.cpu_count() or 1) // others)
    found = run_list(read_list(LIST), tmp_path, workers=workers)
    failed = {
        result["name"]: result.get("error") or result["first_mismatch"]
        for result in found.results
        if not result["passed"]
    }
    assert failed == {}
    assert found.missed == [], "functional bins that no run has hit"
    for result in found.results:
        if "cycles_model" in result:
            assert result["cycles_rtl"] == result["cycles_model"] > 0, result["name"]
