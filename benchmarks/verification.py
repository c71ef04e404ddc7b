"""Run what verifies the hardware, and print what came of it as one JSON object.

    python benchmarks/verification.py           # what is done already, of the same sources, is kept
    python benchmarks/verification.py -o DIR    # the same in folders of `eoq cosim --list`

The full suite's lists of co-simulations, for functional bins and for lines and toggles, then every
test of the units, the proofs among them. With an empty cache it takes 20 minutes on two busy cores.
For the reports, `python benchmarks/records.py verification` keeps the object. Exit status 1 when
anything failed or was skipped.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cosim.functional_bins import BINS
from cosim.regression import Regression, run_list
from cosim.regression_list import read_list
from cosim.sources import sources_key
from rtl.cache import cache_folder

ROOT = Path(__file__).parents[1]
LISTS = "tests/cosim/lists"
UNITS = "tests/rtl"
CLAIMS = ("holds", "is refuted")
"""Properties of a test that is a proof (`tests.rtl.formal`)."""

Numbers = dict[str, Any]


def co_simulated(name: str, found: Regression) -> Numbers:
    """Sum the results of the list NAME.toml up by what was run and on which simulator."""
    groups = defaultdict(list)
    for result in found.results:
        settings = result["settings"]
        groups[_what(settings), settings["sim"]].append(result)
    rows = []
    for (what, simulator), results in groups.items():
        seeds = {_seed(result["settings"]) for result in results}
        # A program that must fault is compared by its outcome, a step by tensors and elements.
        sums = {
            key: sum(result.get(key, 0) for result in results)
            for key in ("steps", "tensors", "elements", "instructions", "cycles_rtl")
        }
        rows.append(
            {
                "what": what, "simulator": simulator, "runs": len(results),
                "passed": sum(result["passed"] for result in results), **sums,
                "seeds": ranges(seed for seed in seeds if seed is not None),
            }
        )  # fmt: skip
    return {
        "command": f"eoq cosim --list {LISTS}/{name}.toml -o DIR",
        "passed": found.passed,
        "runs": rows,
        "failed": {
            result["name"]: result.get("error") or result["first_mismatch"]
            for result in found.results
            if not result["passed"]
        }
        | {check: wrong for check, wrong in found.checks.items() if wrong},
        "bins": {hit: found.hits[hit] for hit in BINS},
        "coverage": [
            {"core": core.core, "what": what, "covered": tally.percentage} | asdict(tally)
            for core in found.coverage
            for what, tally in (("lines", core.lines), ("toggles", core.toggles))
        ],
    }


_CASES = {
    "random": "random networks and cores",
    "programs": "random programs",
    "unlawful": "unlawful programs",
    "fault": "programs with a fault",
}
"""Key of a run that is no step of a chosen network -> what it is."""


def _what(settings: Numbers) -> str:
    return next((what for key, what in _CASES.items() if key in settings), "chosen steps")


def _seed(settings: Numbers) -> int | None:
    """Return the number of a case, which is its seed; a program with a fault has the fault's."""
    numbers = (settings.get(key) for key in ("random", "programs", "unlawful", "seed"))
    return next((number for number in numbers if number is not None), None)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in ascending order, neighbours as ranges: 0-3, 7."""
    places = enumerate(sorted(numbers))
    parts = []
    for _, group in groupby(places, key=lambda item: item[1] - item[0]):
        found = [number for _, number in group]
        parts.append(f"{found[0]}-{found[-1]}" if len(found) > 1 else f"{found[0]}")
    return ", ".join(parts)


def unit_outcomes(xml: str) -> tuple[Numbers, list[Numbers]]:
    """Return the outcome of pytest's run from its JUnit XML, and that of each proof in it."""
    suite = ElementTree.fromstring(xml)  # noqa: S314 - our own
    outcomes, proofs = defaultdict(list), []
    for case in suite.iter("testcase"):
        tags = {child.tag for child in case}
        outcome = (
            "failed" if tags & {"failure", "error"} else
            "skipped" if "skipped" in tags else "passed"
        )  # fmt: skip
        outcomes[outcome].append(case.get("name"))
        for one in case.iter("property"):
            if one.get("name") in CLAIMS:
                proofs.append(
                    {
                        "file": f"{case.get('classname', '').replace('.', '/')}.py",
                        "name": in_words(case.get("name", "")),
                        "claim": one.get("name"), "reach": one.get("value"), "outcome": outcome,
                        "seconds": float(case.get("time", "nan")),
                    }
                )  # fmt: skip
    units = {
        "command": f"pytest {UNITS}",
        "tests": sum(map(len, outcomes.values())),
        "passed": len(outcomes["passed"]),
        "failed": outcomes["failed"],
        "skipped": outcomes["skipped"],
    }
    return units, proofs


def in_words(name: str) -> str:
    """Return a test's name as it is read: test_it_holds[8 bits-2 rows] as it holds: 8 bits, ..."""
    match = re.fullmatch(r"test_(\w+)(?:\[(.*)\])?", name)
    if match is None:
        return name
    said, parameters = match[1].replace("_", " "), match[2]
    return f"{said}: {parameters.replace('-', ', ')}" if parameters else said


def main() -> int:
    """Run it all, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "-o", "--output", type=Path, default=cache_folder() / "verification", metavar="DIR",
        help="results of the list; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, default=2, help="processes")
    asked = parser.parse_args()

    def tell(line: str) -> None:
        print(line, file=sys.stderr)

    sources = sources_key()
    simulated = {
        name: run_list(
            read_list(ROOT / LISTS / f"{name}.toml"), asked.output / name, workers=asked.workers,
            tell=tell,
        )
        for name in ("full", "coverage")
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "units.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", UNITS, "-q", "-n", str(asked.workers),
             f"--junitxml={xml}"],
            cwd=ROOT, stdout=sys.stderr, check=False,
        )  # fmt: skip
        units, proofs = unit_outcomes(xml.read_text())
    if sources_key() != sources:
        sys.exit("the sources have changed meanwhile: what was run is of both, run it again")
    found = {
        "sources": sources,
        "list": co_simulated("full", simulated["full"]),
        "coverage": co_simulated("coverage", simulated["coverage"]),
        "units": units,
        "proofs": proofs,
    }
    print(json.dumps(found, indent=1))
    passed = all(one.passed for one in simulated.values())
    return int(not passed or units["passed"] < units["tests"])


if __name__ == "__main__":
    sys.exit(main())
