"""Versions of the programs beside Python's packages: simulators, synthesis, timing."""

from cosim import tools
from golden.errors import InputError
from rtl import timing, yosys

__all__ = ["tool_versions"]


def tool_versions() -> dict[str, str]:
    """Return versions by name; what is not there is said to be not installed."""
    found = {}
    for command in ("verilator", "iverilog", "g++"):
        title = tools.REQUIREMENTS[command].title if command in tools.REQUIREMENTS else command
        try:
            found[title] = tools.find(command).version
        except (InputError, KeyError):
            found[title] = "not installed"
    try:
        found["pyosys"] = yosys.version()
    except InputError:
        found["pyosys"] = "not installed"
    found["OpenSTA"] = timing.sta_version() or "not installed"
    return found
