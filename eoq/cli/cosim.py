"""`eoq cosim`: the RTL trains, golden and the cost model check it."""

import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from eoq.cli.parameters import ARRAY, NEW_FILE, NEW_FOLDER
from eoq.progress import Progress
from reports.files import write_files

__all__ = ["cosim"]


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq cosim --array 4x4\n"
    "  eoq cosim --array 2x3 --sim icarus --steps 2 --seed 7 --json\n"
    "  eoq cosim --array 4x4 --network resnet8 --steps 2\n"
    "  eoq cosim --list nightly.toml -o results --workers 2 --junit cosim.xml\n"
)
@click.option("--array", type=ARRAY, default="4x4", show_default=True, help="Rows x columns.")
@click.option(
    "--sim",
    "simulator",
    metavar="verilator|icarus",
    default="verilator",
    show_default=True,
    help="Simulator.",
)
@click.option(
    "--network", default="mlp", show_default=True, help="Built-in name or .onnx file to train."
)
@click.option("--steps", type=int, default=1, show_default=True, help="Training steps.")
@click.option("--batch", type=int, default=16, show_default=True, help="Samples a step, 2**n.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option(
    "--random",
    "case",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="A random network, core, batch and latency instead of those above.",
)
@click.option("--waves", is_flag=True, help="Write a waveform and print where it is.")
@click.option("--coverage", is_flag=True, help="Verilator's line and toggle coverage.")
@click.option(
    "--list",
    "run_file",
    type=click.Path(path_type=Path),
    help="Run what a TOML file lists, each in a result of its own; what has one already is not run "
    "again.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=NEW_FOLDER,
    help="Folder for the results of --list.",
)
@click.option("--workers", type=int, default=2, show_default=True, help="Processes of --list.")
@click.option(
    "--junit",
    "junit_file",
    type=NEW_FILE,
    help="Write the outcome as JUnit XML too.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def cosim(
    array: tuple[int, int],
    simulator: str,
    network: str,
    steps: int,
    batch: int,
    seed: int,
    case: int | None,
    waves: bool,
    coverage: bool,
    run_file: Path | None,
    folder: Path | None,
    workers: int,
    junit_file: Path | None,
    as_json: bool,
) -> None:
    """Train a network on the RTL core; hold every tensor and every cycle against the model.

    Trains on the 8x8 digits. Every tensor of every step is compared bit for bit with golden, what
    every instruction writes with the instruction set's model, and when it is taken and complete
    with the cost model. Exit status 1 when one differs.
    """
    # Whoever ends it politely wants what Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if run_file is not None:
        if folder is None:
            raise click.UsageError("--list requires -o FOLDER for the results")
        sys.exit(_run_list(run_file, folder, workers, junit_file, as_json=as_json))

    from cosim.runner import cosimulate

    what: dict[str, Any] = {
        "network": network, "array": array, "steps": steps, "batch": batch, "seed": seed,
    }  # fmt: skip
    if case is not None:
        from cosim.random_cases import random_case

        what = random_case(case).arguments()
    started = perf_counter()
    with Progress() as progress:
        result = cosimulate(
            **what, simulator=simulator, waves=waves, coverage=coverage, tell=progress.say
        )
    summary = result.summary()
    if junit_file:
        from cosim.junit import junit

        name = f"{summary['network']} on {summary['array']}, {simulator}"
        outcome = {**summary, "name": name, "seconds": perf_counter() - started}
        write_files(junit_file.parent, {junit_file.name: junit([outcome]).encode()})
    files = {"waves": result.waves, "coverage": result.coverage}
    summary |= {name: str(path) for name, path in files.items() if path}
    if as_json:
        print(json.dumps(summary, indent=2))
    else:
        _show(summary, files)
    sys.exit(0 if summary["passed"] else 1)


def _run_list(
    run_file: Path, folder: Path, workers: int, junit_file: Path | None, *, as_json: bool
) -> int:
    from cosim.junit import junit
    from cosim.regression import run_list
    from cosim.regression_list import read_list

    with Progress() as progress:
        found = run_list(read_list(run_file), folder, workers=workers, tell=progress.say)
    if junit_file:
        xml = junit(found.results, found.missed, found.checks)
        write_files(junit_file.parent, {junit_file.name: xml.encode()})
    failed = [result for result in found.results if not result["passed"]]
    if as_json:
        print(json.dumps({
            "passed": found.passed, "runs": len(found.results),
            "failed": [result["name"] for result in failed], "missed_bins": found.missed,
            "functional_coverage": dict(found.hits),
            "coverage": {
                core.core: {
                    name: {**asdict(tally), "percentage": round(tally.percentage, 2)}
                    for name, tally in (("lines", core.lines), ("toggles", core.toggles))
                }
                for core in found.coverage
            },
            "failed_checks": {name: wrong for name, wrong in found.checks.items() if wrong},
        }, indent=2))  # fmt: skip
        return int(not found.passed)
    for result in failed:
        print(f"FAIL  {result['name']}: {result.get('error') or result['first_mismatch']}")
    for name in found.missed:
        print(f"FAIL  functional bin {name!r} was never hit")
    for name, wrong in found.checks.items():
        if wrong:
            print(f"FAIL  {name}: {wrong}")
    for core in found.coverage:
        for kind, tally in (("lines", core.lines), ("toggles", core.toggles)):
            print(f"{core.core}: {tally.percentage:.2f} % of {tally.points:,} {kind}; not counted: "
                  f"{tally.constant:,} constant, {tally.waived:,} waived")  # fmt: skip
    verdict = "PASS" if found.passed else "FAIL"
    print(f"{verdict}  {len(found.results) - len(failed)} of {len(found.results)} runs passed; "
          f"results in {folder}")  # fmt: skip
    return int(not found.passed)


def _show(summary: dict[str, object], files: dict[str, Path | None]) -> None:
    verdict = "PASS" if summary["passed"] else "FAIL"
    print(f"{verdict}  {summary['network']} on {summary['array']}, {summary['simulator']} "
          f"{summary['simulator_version']}, seed {summary['seed']}")  # fmt: skip
    print(f"bits    {summary['tensors']} tensors, {summary['elements']:,} elements, "
          f"{summary['mismatches']} mismatches")  # fmt: skip
    if summary["first_mismatch"]:
        print(f"        first: {summary['first_mismatch']}")
    print(f"cycles  RTL {summary['cycles_rtl']:,}, model {summary['cycles_model']:,} over "
          f"{summary['instructions']} instructions, {summary['instructions_with_wrong_cycles']} "
          "differ")  # fmt: skip
    print(f"speed   {summary['sim_cycles_per_second']:,.0f} simulated cycles a second; "
          f"MAC utilisation {summary['mac_utilization']:.1%}")  # fmt: skip
    for name, path in files.items():
        if path:
            print(f"{name:<8}{path}")
