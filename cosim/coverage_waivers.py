"""Waivers of line and toggle coverage: a TOML file that says what is not to be met, and why.

A bit that is waived is taken to keep its value in every run, and then so does all that can change
only if it does (`cosim.constant_bits`): the reason is given once, at the cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.constant_bits import Held
from golden.errors import InputError
from hwmodel.toml_reader import TomlReader

__all__ = ["LineWaiver", "Waivers", "read_waivers"]


@dataclass(frozen=True)
class LineWaiver:
    """Lines of a module whose text has `code` in it."""

    module: str
    code: str


@dataclass(frozen=True)
class Waivers:
    """What is waived, each with its reason.

    Members
    -------
    bits, lines:
        Of signals, and of the Verilog.
    """

    bits: dict[Held, str]
    lines: dict[LineWaiver, str]


_BITS = {"module", "signal", "bits", "value", "reason"}
_LINES = {"module", "code", "reason"}


def read_waivers(path: Path) -> Waivers:
    """Read `[[toggle]]` and `[[line]]` tables. InputError, one line, for anything wrong."""
    content = TomlReader("waivers", str(path)).load(path)
    if unknown := sorted(content.keys() - {"toggle", "line"}):
        raise InputError(f"{path}: tables must be toggle and line, not {unknown[0]!r}")
    found = Waivers({}, {})
    for number, table in enumerate(content.get("toggle", [])):
        where = f"{path}, toggle {number}"
        reason = _checked(where, table, _BITS, {"module": str, "reason": str})
        bits = table.get("bits")
        if not (_list_of(bits, int) and len(bits) == 2 and 0 <= bits[0] <= bits[1]):
            raise InputError(f"{where}: bits must be [lowest, highest], not {bits!r}")
        value = table.get("value", 0)
        if value not in (0, 1):
            raise InputError(f"{where}: value must be 0 or 1, not {value!r}")
        for signal in _names(where, table, "signal"):
            found.bits[Held(table["module"], signal, bits[0], bits[1], value)] = reason
    for number, table in enumerate(content.get("line", [])):
        where = f"{path}, line {number}"
        reason = _checked(where, table, _LINES, {"reason": str})
        for module in _names(where, table, "module"):
            for code in _names(where, table, "code"):
                found.lines[LineWaiver(module, code)] = reason
    return found


def _checked(where: str, table: Any, allowed: set[str], needed: Mapping[str, type]) -> str:
    """Check a table's keys; return its reason."""
    if not isinstance(table, dict):
        raise InputError(f"{where} must be a table, not {table!r}")
    if unknown := sorted(table.keys() - allowed):
        raise InputError(f"{where}: keys must be {', '.join(sorted(allowed))}, not {unknown[0]!r}")
    for key, kind in needed.items():
        value = table.get(key)
        if not isinstance(value, kind) or not value:
            raise InputError(f"{where}: {key} must be a {kind.__name__}, not {value!r}")
    return str(table["reason"])


def _names(where: str, table: Mapping[str, Any], key: str) -> list[str]:
    """One text or several."""
    said = table.get(key)
    names: Any = [said] if isinstance(said, str) else said
    if not _list_of(names, str) or not all(names):
        raise InputError(f"{where}: {key} must be a text or a list of such, not {names!r}")
    return list(names)


def _list_of(values: Any, kind: type) -> bool:
    return isinstance(values, list) and bool(values) and all(type(v) is kind for v in values)
