"""Compiled simulators of the core, kept in a folder named by the hash of all that went in.

A build happens once for a configuration and a tool version. Verilator is run by us and not by
cocotb's runner, which makes every signal of the design public to the simulator's interface: here
only the ports are, and the simulation is several times as fast.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import get_runner

from cosim import tools
from golden.errors import CheckError, InputError
from rtl.cache import cache_folder, content_key, made

__all__ = ["SIMULATORS", "TOP", "Build", "build", "cache_folder", "require"]

SIMULATORS = ("verilator", "icarus")

TOP = "eoq_core"
"""Verilog module at the top."""

TIMESCALE = ("1ns", "1ps")


@dataclass(frozen=True)
class Build:
    """A compiled simulator.

    Members
    -------
    folder:
        Where it is.
    simulator, version:
        What made it.
    cached:
        It was there already.
    """

    folder: Path
    simulator: str
    version: str
    cached: bool


def require(simulator: str) -> tools.Tool:
    """Return the simulator's compiler, if all that it needs is there.

    Raises InputError for an unknown simulator, and for a tool that is missing or too old.
    """
    if simulator not in SIMULATORS:
        raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    needed = (
        ("verilator", "g++", "make", "perl") if simulator == "verilator" else ("iverilog", "vvp")
    )
    found = [tools.find(name) for name in needed]
    tools.libpython()
    return found[0]


def build(
    sources: Mapping[str, str], simulator: str, *, waves: bool = False, coverage: bool = False
) -> Build:
    """Return a simulator of the given Verilog, compiled now or found in the cache.

    Parameters
    ----------
    sources:
        File name -> text: Verilog (.v) and Verilator control files (.vlt).
    simulator:
        One of `SIMULATORS`.
    waves:
        It can write a waveform.
    coverage:
        Verilator only: it counts lines and toggles.

    Raises
    ------
    InputError
        If the simulator is unknown, missing or too old.
    CheckError
        If the compiler refuses the Verilog; the message ends with what it said.
    """
    tool = require(simulator)
    if coverage and simulator != "verilator":
        raise InputError(f"coverage requires the simulator verilator, got {simulator!r}")
    recipe = (simulator, tool.version, waves, coverage, str(cocotb_tools.config.libs_dir))
    key = content_key((*map(str, recipe), Path(__file__).read_text(), *_flatten(sources)))
    folder = cache_folder() / "builds" / f"{simulator}-{key}"
    cached = folder.is_dir()

    def make(temporary: Path) -> None:
        for name, text in sources.items():
            (temporary / name).write_text(text)
        if simulator == "verilator":
            _verilate(temporary, sources, tool.path, waves=waves, coverage=coverage)
        else:
            _compile_icarus(temporary, sources, waves=waves)

    return Build(made(folder, make), simulator, tool.version, cached=cached)


def _flatten(sources: Mapping[str, str]) -> list[str]:
    return [part for name in sorted(sources) for part in (name, sources[name])]


def _verilate(
    folder: Path, sources: Mapping[str, str], verilator: Path, *, waves: bool, coverage: bool
) -> None:
    public = "`verilator_config\n" + f'public_flat_rw -module "{TOP}" -port "*"\n'
    (folder / "public.vlt").write_text(public)
    libraries = cocotb_tools.config.libs_dir
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    command = [
        verilator, "-cc", "--exe", "--build", "-j", str(os.cpu_count() or 1), "-Mdir", ".",
        "--top-module", TOP, "--prefix", "Vtop", "-o", TOP, "--vpi",
        # Yosys writes a sign extension as bits of a port that read its top bit: no loop, but one
        # to a tool that looks at whole words.
        "-Wno-UNOPTFLAT",
        # Only `$time` needs it; the design has no delays.
        "--timescale", "/".join(TIMESCALE),
        # Compiling takes far longer than a few training steps run: the C++ compiler is not asked
        # for much, less still where every signal is counted, and has files for all cores.
        "-O3", "--output-split", "8000",
        "-MAKEFLAGS", f"OPT_FAST=-O{int(not (waves or coverage))} OPT_SLOW=-O0 OPT_GLOBAL=-O0",
        "-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator",
        *(["--trace-fst"] if waves and _has_lz4() else ["--trace"] if waves else []),
        *(["--coverage"] if coverage else []),
        main, "public.vlt",
        *sorted(n for n in sources if n.endswith(".vlt")),
        *sorted(n for n in sources if n.endswith(".v")),
    ]  # fmt: skip
    _run(command, folder)


def _has_lz4() -> bool:
    return any(Path(p, "lz4.h").exists() for p in ("/usr/include", "/usr/local/include"))


def _compile_icarus(folder: Path, sources: Mapping[str, str], *, waves: bool) -> None:
    runner = get_runner("icarus")
    try:
        runner.build(
            sources=[folder / name for name in sorted(sources) if name.endswith(".v")],
            hdl_toplevel=TOP,
            build_dir=folder,
            timescale=TIMESCALE,
            waves=waves,
            always=True,
            log_file=folder / "build.log",
        )
    except (RuntimeError, SystemExit) as error:
        raise CheckError(_said(folder / "build.log", "iverilog")) from error


def _run(command: list[str | Path], folder: Path) -> None:
    log = folder / "build.log"
    with log.open("w") as stream:
        done = subprocess.run(  # noqa: S603 - our own command line
            list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if done.returncode:
        raise CheckError(_said(log, "verilator"))


def _said(log: Path, program: str) -> str:
    return f"{program} failed:\n" + log.read_text(errors="replace")[-2000:]
