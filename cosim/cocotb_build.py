"""Builds the shipped core for cocotb as cocotb's own runner does, and runs coroutines on it."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from cosim import tools
from cosim.core_build import require
from golden.errors import CheckError
from rtl.cache import cache_folder, content_key, made
from rtl.config import CoreConfig
from rtl.ip_package import TOP, package

__all__ = ["build_for_cocotb", "run_in_cocotb"]

_TIMESCALE = ("1ns", "1ps")


def build_for_cocotb(config: CoreConfig, simulator: str) -> Path:
    """Return the folder of a simulation for cocotb, compiled now or found in the cache.

    Parameters
    ----------
    config:
        Size of the core.
    simulator:
        One of `cosim.core_build.SIMULATORS`.

    Raises
    ------
    InputError
        If the simulator or this Python's shared library is missing.
    """
    version = require(simulator)
    tools.libpython()
    # In the order that files.f has: waivers come first.
    files = package(config)
    names = files["files.f"].split()
    if simulator == "icarus":
        names = [name for name in names if name.endswith(".v")]
    recipe = (simulator, version, metadata.version("cocotb"), Path(__file__).read_text())
    key = content_key((*recipe, *(files[name] for name in names)))
    folder = cache_folder() / "simulations" / f"cocotb-{simulator}-{key}"

    def make(temporary: Path) -> None:
        for name in names:
            (temporary / name).write_text(files[name])
        log = temporary / "build.log"
        with _on_path(simulator):
            try:
                get_runner(simulator).build(
                    sources=[temporary / name for name in names], hdl_toplevel=TOP,
                    build_dir=temporary, always=True, timescale=_TIMESCALE, log_file=log,
                )  # fmt: skip
            except (RuntimeError, SystemExit) as error:
                said = log.read_text(errors="replace")[-2000:]
                raise CheckError(f"{simulator} failed:\n{said}") from error

    return made(folder, make)


def run_in_cocotb(
    build: Path, simulator: str, module: str, folder: Path, *, seed: int,
    environment: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Run all coroutines of a module marked `cocotb.test`.

    Parameters
    ----------
    build, simulator:
        From `build_for_cocotb`.
    module:
        By its name; it must be found on PYTHONPATH.
    folder:
        For the simulation's files; simulation.log is what it said.
    seed:
        Of everything random.
    environment:
        More variables for the simulation.

    Raises
    ------
    CheckError
        If one fails, or there is none; the message ends with what the simulation said.
    """
    log = folder / "simulation.log"
    with _on_path(simulator):
        try:
            xml = get_runner(simulator).test(
                test_module=module, hdl_toplevel=TOP, hdl_toplevel_lang="verilog",
                build_dir=build, test_dir=folder, results_xml=str(folder / "results.xml"),
                log_file=log, seed=seed, extra_env=dict(environment or {}),
                timescale=None if simulator == "verilator" else _TIMESCALE,
            )  # fmt: skip
            count, failed = get_results(xml)
        except (RuntimeError, SystemExit):
            count = failed = 0
    if failed or not count:
        said = log.read_text(errors="replace")[-4000:] if log.exists() else ""
        raise CheckError(f"{module} failed in {simulator} with seed {seed}:\n{said}")


@contextlib.contextmanager
def _on_path(simulator: str) -> Iterator[None]:
    """Put a simulator that was found elsewhere in front of PATH, where cocotb looks for it."""
    command = {"verilator": "verilator", "icarus": "iverilog"}[simulator]
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{tools.find(command).path.parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
