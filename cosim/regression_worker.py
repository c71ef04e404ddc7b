"""One worker of a regression: co-simulates what it is told on standard input, a line a run.

A line is a JSON object: `name`, `settings`, `key` and `folder`. The result is folder/name.json, and
the name is printed when it is there. `cosim.regression` starts workers and talks to them.
"""

import dataclasses
import json
import os
import queue
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from cosim.chain import chain
from cosim.core_build import require
from cosim.cosim_result import CosimResult
from cosim.fault_programs import run_fault
from cosim.prepared_run import configure
from cosim.program_outcome import ProgramOutcome
from cosim.program_runs import run_random_programs, run_unlawful_programs
from cosim.random_cases import random_case
from cosim.runner import cosimulate
from golden.errors import CheckError, InputError
from golden.files import write_whole

__all__ = ["co_simulate", "main", "write_json"]


def write_json(path: Path, content: object) -> None:
    """Write an object into a file that is whole or not there."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


def co_simulate(settings: dict[str, Any]) -> CosimResult | ProgramOutcome:
    """Run what one entry of a list asks for (`cosim.regression_list`)."""
    if "fault" in settings:
        return run_fault(settings["fault"], settings["sim"], settings["latency"])
    sim, coverage = settings["sim"], settings["coverage"]
    if "programs" in settings:
        return run_random_programs(settings["programs"], sim, coverage=coverage)
    if "unlawful" in settings:
        return run_unlawful_programs(settings["unlawful"], sim, coverage=coverage)
    if "random" in settings:
        case = random_case(settings["random"])
        return cosimulate(**case.arguments(), simulator=sim, coverage=coverage)
    rows, _, columns = settings["array"].partition("x")
    if not (rows.isdecimal() and columns.isdecimal()):
        raise InputError(f"array must be ROWSxCOLUMNS, not {settings['array']!r}")
    array = int(rows), int(columns)
    require(sim)
    network = chain(settings["network"]) or settings["network"]
    config = configure(network, array, settings["batch"])
    config = dataclasses.replace(config, accumulator_bits=settings["accumulator_bits"])
    return cosimulate(
        network=network, array=array, simulator=sim, config=config, coverage=coverage,
        abort_after=settings["abort_after"] or None,
        **{key: settings[key] for key in ("steps", "batch", "seed", "halvings", "parameters",
                                          "latency", "order")},
    )  # fmt: skip


def _perform(order: dict[str, Any]) -> None:
    folder, started = Path(order["folder"]), perf_counter()
    result: dict[str, Any] = {key: order[key] for key in ("name", "settings", "key")}
    try:
        found = co_simulate(order["settings"])
        result |= found.summary()
        result["functional_coverage"] = dict(found.functional_coverage)
        if found.coverage:
            result["core"] = dataclasses.asdict(found.config)
            write_whole(folder / f"{order['name']}.dat", found.coverage.read_bytes())
            shutil.rmtree(found.coverage.parent)
    except (InputError, CheckError, ValueError) as error:
        result |= {"passed": False, "error": str(error)}
    result["seconds"] = perf_counter() - started
    write_json(folder / f"{order['name']}.json", result)


def _orders(working: threading.Event) -> Iterator[dict[str, Any]]:
    """Yield lines of standard input. When it ends in the middle of work, interrupt that: whoever
    gave the order is gone."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        if working.is_set():
            # To the thread that waits for a simulator; another one's would not wake it.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    while line := lines.get():
        yield json.loads(line)


def main() -> None:
    """Work until standard input ends, or SIGINT comes."""
    working = threading.Event()
    try:
        for order in _orders(working):
            working.set()
            _perform(order)
            working.clear()
            print(order["name"], flush=True)
    except (KeyboardInterrupt, BrokenPipeError):
        # What it started is gone by now (`cosim.process_group`), and nobody may be left to read
        # what an orderly end would flush.
        os._exit(130)


if __name__ == "__main__":
    main()
