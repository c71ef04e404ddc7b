"""Lists of co-simulations: what is in them, resuming after a kill, Ctrl-C, and JUnit XML."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cosim.functional_bins import BINS, missed
from cosim.junit import junit
from cosim.regression import run_list
from cosim.regression_list import read_list
from cosim.runner import cosimulate
from golden.errors import InputError

LIST = """
[[run]]
network = "mlp"
array = "2x3"
sim = "icarus"
batch = [1, 2]
seed = [0, 1]
"""
NAMES = [
    f"array-2x3_sim-icarus_batch-{batch}{seed}" for batch in (1, 2) for seed in ("", "_seed-1")
]


def write(folder: Path, text: str) -> Path:
    path = folder / "list.toml"
    path.write_text(text)
    return path


def _heeds_interrupts() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def started(*arguments: str | Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`eoq cosim`; whatever a failing test leaves of it goes."""
    code = "from eoq.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "cosim", *map(str, arguments)], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_heeds_interrupts,
    )  # fmt: skip
    below: dict[int, str] = {}
    try:
        yield process
    finally:
        if process.poll() is None:
            below = descendants(process.pid)
            process.kill()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def descendants(parent: int) -> dict[int, str]:
    """Processes below one, and what they are called."""
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                name, rest = (entry / "stat").read_text().rsplit(")", 1)
            except OSError:
                continue
            stats[int(entry.name)] = (name.split("(", 1)[1], rest.split())
    found: dict[int, str] = {}
    grown = True
    while grown:
        grown = False
        for pid, (name, fields) in stats.items():
            if pid not in found and (int(fields[1]) == parent or int(fields[1]) in found):
                found[pid] = name
                grown = True
    return found


def until(happened: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_values_may_be_lists_and_numbers_ranges(tmp_path: Path) -> None:
    found = read_list(write(tmp_path, LIST))
    assert [run.name for run in found.runs] == NAMES
    assert found.runs[3].settings["batch"] == 2
    assert found.runs[3].settings["steps"] == 1
    assert not found.every_bin
    text = 'every_bin = true\n[[run]]\nrandom = ["3-30/10", 7]\ncoverage = true\n'
    found = read_list(write(tmp_path, text))
    assert found.every_bin
    assert [run.settings["random"] for run in found.runs] == [3, 13, 23, 7]
    # Cases that take turns on one core share its build.
    assert len({run.core for run in found.runs}) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[run]\n", "must be readable TOML"),
        ("", r"must have at least one \[\[run\]\]"),
        ("bins = 1\n[[run]]\n", "keys must be every_bin, .*, waivers, not 'bins'"),
        ("line_coverage = 101\n[[run]]\n", "line_coverage must be 0 to 100, not 101"),
        ("toggle_coverage = true\n[[run]]\n", "toggle_coverage must be 0 to 100, not True"),
        ("line_coverage = 95\n[[run]]\n", "require a run with coverage"),
        ("waivers = 1\n[[run]]\n", "waivers must be the name of a file, not 1"),
        ("waivers = 'none.toml'\n[[run]]\n", "none.toml' must be readable TOML: No such file"),
        ("every_bin = 1\n[[run]]\n", "every_bin must be true or false, not 1"),
        ("[[run]]\nnetwrok = 'mlp'\n", "run 0: keys must be .*, not 'netwrok'"),
        ("[[run]]\n[[run]]\nbatch = '4'\n", "run 1: batch must be int, not '4'"),
        ("[[run]]\nrandom = '1-'\n", "random must be numbers such as 5, .* not '1-'"),
        ("[[run]]\nrandom = '0-999999999'\n", "run 0: a list must have at most 100000 runs"),
        ("[[run]]\nrandom = ['0-99999', 1]\n", "run 0: a list must have at most 100000 runs"),
        ("[[run]]\nrandom = '0-60000'\n[[run]]\nrandom = '60001-120000'\n", "run 1: a list must"),
        (f"[[run]]\nsteps = {[*range(400)]}\nseed = {[*range(400)]}\n", "run 0: a list must have"),
        ("[[run]]\nprograms = 'a'\n", "programs must be numbers such as 5, .* not 'a'"),
        ("[[run]]\nunlawful = 1\nlatency = 2\n", "must be coverage, sim, unlawful, not 'latency'"),
        ("[[run]]\nrandom = 1\nbatch = 2\n", "keys must be coverage, random, sim, not 'batch'"),
    ],
)
def test_a_bad_list_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_list(write(tmp_path, text))


@pytest.mark.slow
def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    wanted, folder = read_list(write(tmp_path, LIST)), tmp_path / "results"
    said: list[str] = []
    first = run_list(wanted, folder, workers=1, tell=said.append)
    assert first.passed
    assert said[0] == "4 of 4 to run"
    assert [result["name"] for result in first.results] == NAMES
    (folder / f"{NAMES[1]}.json").unlink()
    broken = folder / f"{NAMES[2]}.json"
    broken.write_text(broken.read_text()[:100])
    times = {name: (folder / f"{name}.json").stat().st_mtime_ns for name in (NAMES[0], NAMES[3])}
    said.clear()
    again = run_list(wanted, folder, workers=1, tell=said.append)
    assert said[0] == "2 of 4 to run"
    assert times == {name: (folder / f"{name}.json").stat().st_mtime_ns for name in times}
    assert again.hits == first.hits
    kept = json.loads((folder / "functional_coverage.json").read_text())
    assert kept == dict(first.hits)
    # Merged: the sum over the runs.
    assert first.hits["partial columns"] > 0
    for name, count in first.hits.items():
        assert count == sum(r["functional_coverage"].get(name, 0) for r in first.results)


@pytest.mark.slow
def test_a_bin_that_is_not_hit_fails_a_list_that_wants_all(tmp_path: Path) -> None:
    text = "every_bin = true\n[[run]]\narray = '2x3'\nsim = 'icarus'\nbatch = 1\n"
    found = run_list(read_list(write(tmp_path, text)), tmp_path / "results", workers=1)
    assert all(result["passed"] for result in found.results)
    assert not found.passed
    assert "program after an abort" in found.missed
    assert found.missed == [name for name in BINS if not found.hits[name]] == missed(found.hits)


@pytest.mark.slow
def test_killed_and_started_again_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    path, folder = write(tmp_path, LIST), tmp_path / "results"
    arguments = ("--list", path, "-o", folder, "--workers", "1")
    with started(*arguments, folder=tmp_path) as process:
        until(lambda: list(folder.glob("*.json")) and "vvp" in descendants(process.pid).values())
        below = descendants(process.pid)
        process.kill()
        process.wait()
    until(lambda: not any(map(alive, below)), 30)
    done = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert 1 <= len(done) < len(NAMES)
    # Nothing half-written, under no name.
    assert set(folder.iterdir()) == set(done)
    junit_file = tmp_path / "cosim.xml"
    with started(*arguments, "--junit", junit_file, "--json", folder=tmp_path) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    summary = json.loads(out)
    assert summary["passed"]
    assert summary["runs"] == len(NAMES)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    expected = {f"{name}.json" for name in NAMES} | {"functional_coverage.json"}
    assert {path.name for path in folder.iterdir()} == expected
    results = [json.loads((folder / f"{name}.json").read_text()) for name in NAMES]
    for name, count in summary["functional_coverage"].items():
        assert count == sum(r["functional_coverage"].get(name, 0) for r in results)
    cases = ElementTree.parse(junit_file).getroot().findall("testcase")  # noqa: S314 - our own
    assert [case.get("name") for case in cases] == NAMES


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that nobody else uses, with one simulation."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EOQ_CACHE", str(cache))
        cosimulate(network="mlp", array=(2, 3), simulator="icarus", batch=1)
    return cache


@pytest.mark.parametrize(
    ("what", "stop"),
    [
        pytest.param("list", signal.SIGINT, marks=pytest.mark.slow),
        ("one", signal.SIGINT),
        pytest.param("one", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_leaves_no_process_and_no_file(
    tmp_path: Path, stop: signal.Signals, what: str, own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    runs = own_cache / "runs"
    monkeypatch.setenv("EOQ_CACHE", str(own_cache))
    one = ("--array", "2x3", "--sim", "icarus", "--steps", "2000", "--batch", "1")
    listed = LIST.replace("[1, 2]", "1").replace("[0, 1]", "0") + "steps = 2000\n"
    arguments = {
        "one": (*one, "--junit", "out.xml"),
        "list": ("--list", write(tmp_path, listed), "-o", "results", "--junit", "out.xml"),
    }[what]
    with started(*arguments, folder=tmp_path) as process:
        # Before a simulation there is vvp too, which is asked for its version.
        until(lambda: list(runs.glob("core-*/trace.txt")))
        below = descendants(process.pid)
        assert "vvp" in below.values()
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "eoq: interrupted")
    assert not any(map(alive, below))
    assert not list(runs.iterdir())
    assert not (tmp_path / "out.xml").exists()
    assert what == "one" or not list((tmp_path / "results").iterdir())


@pytest.mark.slow
def test_ctrl_c_stops_the_compiler_too(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EOQ_CACHE", str(own_cache))
    builds = set((own_cache / "simulations").iterdir())
    with started("--array", "2x3", "--batch", "1", "--waves", folder=tmp_path) as process:
        until(lambda: "cc1plus" in descendants(process.pid).values())
        below = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, "eoq: interrupted")
    until(lambda: not any(map(alive, below)), 5)
    assert set((own_cache / "simulations").iterdir()) == builds
    assert not list((own_cache / "runs").iterdir())


def test_junit_counts_failures_and_errors_and_survives_any_text() -> None:
    results = [
        {"name": "a", "passed": True, "seconds": 1.25, "first_mismatch": None},
        {"name": 'b<&">', "passed": False, "seconds": 0.5, "first_mismatch": "got <1>\x00\x1b[0m"},
        {"name": "c", "passed": False, "seconds": 0.25, "error": "no core"},
    ]
    suite = ElementTree.fromstring(junit(results, ["a bin"]))  # noqa: S314 - our own
    assert suite.tag == "testsuite"
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "time")}
    assert counts == {"tests": "4", "failures": "2", "errors": "1", "time": "2.000"}
    said = {case.get("name"): [(c.tag, c.get("message")) for c in case] for case in suite}
    assert said == {
        "a": [], "b<&\">": [("failure", "got <1>[0m")], "c": [("error", "no core")],
        "a bin": [("failure", "never hit")],
    }  # fmt: skip
