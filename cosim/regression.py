"""Runs a list of co-simulations in parallel; what is done already is not done again."""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from cosim.core_coverage import CoreCoverage, core_coverage
from cosim.functional_bins import Hits, missed
from cosim.regression_list import Run, RunList
from cosim.regression_worker import write_json
from cosim.sources import sources_key
from golden.errors import CheckError, InputError
from rtl.cache import content_key
from rtl.config import CoreConfig

__all__ = ["Regression", "run_list"]

_PATIENCE = 20
"""Seconds that an interrupted worker has to clean up."""


@dataclass(frozen=True)
class Regression:
    """What came of a list.

    Members
    -------
    results:
        One a run: `CosimResult.summary`, or `error`; and name, settings, seconds.
    hits:
        Of `cosim.functional_bins.BINS`, all runs together.
    missed:
        Bins that had to be hit and were not.
    coverage:
        Of every core on which runs counted it, if the list has limits for it.
    checks:
        What had to hold of that coverage, and what was wrong, None if nothing.
    """

    results: list[dict[str, Any]]
    hits: Hits
    missed: list[str]
    coverage: list[CoreCoverage] = field(default_factory=list)
    checks: dict[str, str | None] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Every run passed, every bin that had to be hit was, and coverage is what it has to be."""
        well = all(result["passed"] for result in self.results)
        return well and not self.missed and not any(self.checks.values())


def run_list(
    wanted: RunList, folder: Path, *, workers: int = 2, tell: Callable[[str], None] = lambda _: None
) -> Regression:
    """Run what has no result in a folder yet, and gather all results.

    Results of other sources or settings are made again.

    Parameters
    ----------
    wanted:
        The list.
    folder:
        For NAME.json of each run, NAME.dat with Verilator's coverage where it is asked for,
        functional_coverage.json, and coverage.json with what lines and toggles were missed.
    workers:
        Processes.
    tell:
        Called with a line about what is done.

    Raises
    ------
    InputError
        Without a worker, or with a folder that cannot be written.
    CheckError
        If a worker dies.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from error
    sources = sources_key()
    keys = {run.name: content_key((sources, json.dumps(run.settings))) for run in wanted.runs}
    left = [run for run in wanted.runs if _result(folder, run, keys[run.name]) is None]
    tell(f"{len(left)} of {len(wanted.runs)} to run")
    if left:
        _work(left, keys, folder, workers, tell)
    results = []
    for run in wanted.runs:
        result = _result(folder, run, keys[run.name])
        if result is None:
            raise CheckError(f"{run.name} left no result")
        results.append(result)
    hits: Hits = Counter()
    for found in results:
        hits.update(found.get("functional_coverage", {}))
    write_json(folder / "functional_coverage.json", hits)
    coverage = _coverage(wanted, results, folder, tell) if wanted.covers else []
    return Regression(results, hits, missed(hits) if wanted.every_bin else [], coverage,
                      _checks(wanted, coverage))  # fmt: skip


def _coverage(
    wanted: RunList, results: Sequence[dict[str, Any]], folder: Path, tell: Callable[[str], None]
) -> list[CoreCoverage]:
    """Merge coverage core by core, and write what was missed into coverage.json."""
    files: dict[CoreConfig, list[Path]] = {}
    for result in results:
        if "core" in result:
            files.setdefault(CoreConfig(**result["core"]), []).append(
                folder / f"{result['name']}.dat"
            )
    tell("merging coverage")
    found = [core_coverage(config, parts, wanted.waivers) for config, parts in files.items()]
    write_json(folder / "coverage.json", [asdict(core) for core in found])
    return found


def _checks(wanted: RunList, coverage: Sequence[CoreCoverage]) -> dict[str, str | None]:
    checks: dict[str, str | None] = {}
    if wanted.covers and not coverage:
        checks["coverage"] = "no run has counted it"
    for core in coverage:
        for what, limit, tally in (
            ("line", wanted.line_coverage, core.lines),
            ("toggle", wanted.toggle_coverage, core.toggles),
        ):
            if limit is not None:
                short = tally.percentage < limit
                checks[f"{what} coverage of {core.core}"] = (
                    f"{tally.percentage:.2f} %, {limit:g} % required" if short else None
                )
        wrong = "; ".join(core.wrong_waivers[:3]) or None
        checks[f"waivers of {core.core}"] = wrong
    return checks


def _result(folder: Path, run: Run, key: str) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((folder / f"{run.name}.json").read_text())
        if isinstance(found, dict) and found.get("key") == key:
            return found
    return None


def _work(
    runs: Sequence[Run], keys: dict[str, str], folder: Path, workers: int,
    tell: Callable[[str], None],
) -> None:  # fmt: skip
    # Runs of one core go to one worker, so that it is built once.
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.core, []).append(run)
    waiting: queue.SimpleQueue[list[Run]] = queue.SimpleQueue()
    for group in sorted(groups.values(), key=len, reverse=True):
        waiting.put(group)
    done: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    processes = [_start() for _ in range(min(workers, len(groups)))]
    try:
        threads = [
            threading.Thread(target=_feed, args=(p, waiting, done, keys, folder), daemon=True)
            for p in processes
        ]
        for thread in threads:
            thread.start()
        running, finished = len(threads), 0
        while running:
            name = done.get()
            if name is None:
                running -= 1
                continue
            finished += 1
            tell(f"{finished} of {len(runs)}: {name}")
        for process in processes:
            _pipe(process.stdin).close()
            if process.wait():
                raise CheckError(f"a worker ended with status {process.returncode}")
    finally:
        _end(processes)


def _start() -> subprocess.Popen[str]:
    # A process group of its own: Ctrl-C reaches it through this process alone, and once.
    return subprocess.Popen(
        [sys.executable, "-m", "cosim.regression_worker"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # noqa: S101 - both are pipes
    return stream


def _feed(
    process: subprocess.Popen[str], waiting: "queue.SimpleQueue[list[Run]]",
    done: "queue.SimpleQueue[str | None]", keys: dict[str, str], folder: Path,
) -> None:  # fmt: skip
    """Give one worker its runs, one after the other, until there is no group or no worker left."""
    with contextlib.suppress(queue.Empty, OSError, ValueError):
        while True:
            for run in waiting.get_nowait():
                order = {
                    "name": run.name, "settings": run.settings, "key": keys[run.name],
                    "folder": str(folder.resolve()),
                }  # fmt: skip
                stdin = _pipe(process.stdin)
                stdin.write(json.dumps(order) + "\n")
                stdin.flush()
                if not _pipe(process.stdout).readline():
                    raise OSError
                done.put(run.name)
    done.put(None)


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Let no worker, compiler or simulator outlive this process."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        process.kill()
        process.wait()
