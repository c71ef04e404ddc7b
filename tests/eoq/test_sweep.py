"""`eoq sweep`: from the shell, killed and gone on with, on several processes and on Dask."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

import eoq
from hwmodel.conventions import Conventions
from hwmodel.hierarchy import Hierarchy

SMALL = """
network = ["mlp", "lenet5"]
scheme = ["eoq", "fp32-bn"]
batch = { first = 1, last = 24, step = 1 }
rows = [4, 33]
columns = [3, 8]
buffer = ["4 KiB", "64 KiB"]
"""
"""96 steps of 8 designs: six parts."""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(SMALL)
    return path


def command(spec, folder, *options):
    return [sys.executable, "-m", "eoq", "sweep", str(spec), "-o", str(folder), *options]


def run(spec, folder, *options):
    return subprocess.run(
        command(spec, folder, *options), capture_output=True, text=True, check=False
    )


def content(folder):
    """File -> digest, of what a sweep leaves."""
    files = sorted(path for path in folder.iterdir() if path.name != ".lock")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "sweep.toml").write_text(SMALL)
    done = run(folder / "sweep.toml", folder / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "768 designs" in done.stdout
    assert "Pareto front" in done.stdout
    assert "plots: pareto-1.svg" in done.stdout
    assert (folder / "out" / "pareto-1.png").read_bytes().startswith(b"\x89PNG")
    return folder / "out"


def test_every_design_is_there_once_and_costs_what_eoq_cost_says(whole):
    tables = [pq.read_table(path) for path in sorted(whole.glob("part-*.parquet"))]
    assert len(tables) == 6
    rows = [row for table in tables for row in table.to_pylist()]
    assert [row["design"] for row in rows] == list(range(768))
    for row in rows[::97]:
        values = eoq.cost(
            row["network"],
            row["scheme"],
            batch=row["batch"],
            array=(row["rows"], row["columns"]),
            technology=row["technology"],
            conventions=Conventions(),
            hierarchy=Hierarchy(row["buffer_bytes"]),
        )[0].as_dict()
        assert row["cycles"] == values["cycles"]
        assert row["utilization"] == values["utilization"]
        assert row["energy_nominal_j"] == values["energy_j"]["nominal"]
        assert row["area_high_um2"] == values["area_um2"]["high"]
        assert row["dram_traffic_bytes"] == values["traffic_bytes"]["dram"]["modelled"]
    assert {row["cycles"] is None for row in rows if row["rows"] == 33} == {True}


def test_the_front_is_a_table_of_designs(whole):
    with (whole / "pareto.csv").open() as file:
        front = list(csv.DictReader(file))
    groups = {(row["network"], row["scheme"], row["batch"]) for row in front}
    assert len(groups) == 2 * 2 * 24
    # Only designs that the core can be, where one of a group can.
    assert {row["rows"] for row in front if row["scheme"] == "eoq"} == {"4"}
    assert json.loads((whole / "manifest.json").read_text())["designs"] == 768


def test_a_finished_sweep_has_nothing_left_to_do(whole, spec):
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}
    done = run(spec, whole)
    assert done.returncode == 0
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir()} | {".lock": 0} == (
        before | {".lock": 0}
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_kill_and_resume(whole, spec, tmp_path, workers):
    folder = tmp_path / "out"
    process = subprocess.Popen(command(spec, folder, "--workers", workers))
    deadline = time.monotonic() + 60
    while len(list(folder.glob("part-*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = content(folder)
    assert "manifest.json" in left
    # What a killed process was writing, and a part that a full disk cut short.
    (folder / ".part-00009.parquet.tmp").write_bytes(b"half")
    (folder / "part-00000.parquet").write_bytes(b"PAR1")
    done = run(spec, folder, "--workers", workers)
    assert (done.returncode, done.stderr) == (0, "")
    assert content(folder) == content(whole)


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(whole, spec, tmp_path):
    assert run(spec, tmp_path / "out", "--workers", "2").returncode == 0
    assert content(tmp_path / "out") == content(whole)


@pytest.mark.slow
def test_a_dask_cluster_writes_the_same_bytes(whole, spec, tmp_path):
    # Imported here: it takes a second, and no other test needs it.
    import distributed

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options, processes=False, protocol="tcp://") as cluster:
        assert cluster.scheduler_address.startswith("tcp://")
        done = run(spec, tmp_path / "out", "--dask", cluster.scheduler_address)
    assert (done.returncode, done.stderr) == (0, "")
    assert content(tmp_path / "out") == content(whole)


def test_a_folder_of_another_sweep_is_left_alone(whole, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text('network = "mlp"')
    before = content(whole)
    done = run(other, whole)
    assert done.returncode == 2
    assert "holds another" in done.stderr
    assert content(whole) == before


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('network = "mlp"\nrow = 3', [], "keys must be of"),
        ('network = "mlp"\nrows = 0', [], "rows: must be a whole number from 1 to 4096"),
        ('network = "mlp"', ["--workers", "0"], "--workers must be at least 1"),
        ('network = "mlp"', ["--workers", "2", "--dask", "x"], "only one of"),
        ('network = "mlp"', ["--dask", "nowhere"], "it must be like tcp://host:8786"),
        ('network = "mlp"', ["--dask", "tcp://127.0.0.1:1"], "must be a scheduler's address"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, text, options, message):
    spec = tmp_path / "sweep.toml"
    spec.write_text(text)
    done = run(spec, tmp_path / "out", *options)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert message in done.stderr
