"""TOML files checked key by key: what is refused is refused in one line that names the key."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from golden.errors import InputError

__all__ = ["BYTES", "CERTAINTIES", "Band", "TomlReader"]

BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
"""Units of a memory's size."""

CERTAINTIES = ("read", "recalled", "measured", "assumed")
"""How sure a number is: read in its source, from memory, measured by this project, or our guess."""

_LARGEST = 16 << 20
"""Most bytes of a file; what people write is a thousandth of that."""


class Band(NamedTuple):
    """A number with its range: low <= nominal <= high."""

    low: float
    nominal: float
    high: float

    def __add__(self, other: object) -> "Band":
        """Sum of each end."""
        if not isinstance(other, Band):
            return NotImplemented
        return Band(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def times(self, factor: Any) -> "Band":
        """Each end times a number of at least 0, or an array of them."""
        return Band(self.low * factor, self.nominal * factor, self.high * factor)

    def scaled(self, other: "Band") -> "Band":
        """Each end times the same end of another band."""
        return Band(*(a * b for a, b in zip(self, other, strict=True)))


class TomlReader:
    """Checks of one file.

    Parameters
    ----------
    kind, where:
        What the file is and its name, for messages.
    """

    def __init__(self, kind: str, where: str) -> None:
        self.kind = kind
        self.where = where

    def load(self, path: Path) -> dict[str, Any]:
        """Return what the file holds. Raises InputError when it is no readable TOML."""
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
            if len(content) > _LARGEST:
                raise ValueError(f"more than {_LARGEST} bytes")
            return tomllib.loads(content.decode())
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or error
            if "integer string conversion" in str(reason):
                reason = "a number of thousands of digits"
            raise InputError(
                f"{self.kind} {self.where!r} must be readable TOML: {str(reason)[:200]}"
            ) from None

    def refuse(self, key: str, required: str, got: object) -> InputError:
        """Return the error: what was required, what was got, where."""
        # Keys are the file's: what does not print is escaped, so that the error stays one line.
        place = key if key.isprintable() else repr(key)[1:-1]
        return InputError(f"{self.kind} {self.where!r}, {place}: {required}, got {_short(got)!r}")

    def keys(self, key: str, table: Any, required: Iterable[str], optional: str = "") -> None:
        """Check that `table` is a table with these keys and no others."""
        if not isinstance(table, dict):
            raise self.refuse(key, "requires a table", table)
        required = tuple(required)
        known = {*required, *optional.split()}
        for name in table:
            if name not in known:
                raise self.refuse(key, f"keys must be of {', '.join(sorted(known))}", name)
        for name in required:
            if name not in table:
                raise self.refuse(key, f"requires the key {name}", ", ".join(table) or "none")

    def text(self, key: str, value: Any, allowed: Iterable[str] = ()) -> str:
        """Check a text, one of `allowed` if there are any."""
        allowed = tuple(allowed)
        if not isinstance(value, str) or not value.strip() or (allowed and value not in allowed):
            raise self.refuse(key, f"must be one of {', '.join(allowed) or 'text'}", value)
        return value

    def number(self, key: str, value: Any, *, above: bool = False) -> float:
        """Check a finite number of at least 0, or above it."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # A whole number of thousands of digits is no float.
        finite = number and abs(value) < 1e300
        if not finite or value < 0 or (above and not value):
            required = "above 0" if above else "of at least 0"
            raise self.refuse(key, f"must be a finite number {required}", value)
        return float(value)

    def whole(self, key: str, value: Any, low: int, high: int) -> int:
        """Check a whole number in a range."""
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refuse(key, f"must be a whole number from {low} to {high}", value)
        return value

    def quantity(self, key: str, table: Any, units: Mapping[str, float]) -> float:
        """Check `{ value, unit }` above 0, and return it in the base unit."""
        self.keys(key, table, ("value", "unit"))
        unit = self.text(f"{key}.unit", table["unit"], units)
        return self.number(f"{key}.value", table["value"], above=True) * units[unit]

    def band(self, key: str, table: Any, unit: str) -> Band:
        """Check `{ value, unit, source, certainty, low, high }`, the last two optional."""
        self.keys(key, table, ("value", "unit", "source", "certainty"), "low high")
        self.text(f"{key}.unit", table["unit"], (unit,))
        self.text(f"{key}.source", table["source"])
        self.text(f"{key}.certainty", table["certainty"], CERTAINTIES)
        value = self.number(f"{key}.value", table["value"])
        low = self.number(f"{key}.low", table.get("low", value))
        high = self.number(f"{key}.high", table.get("high", value))
        if not low <= value <= high:
            raise self.refuse(key, "must have low <= value <= high", f"{low}, {value}, {high}")
        return Band(low, value, high)

    def list_of_tables(self, name: str, content: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Check `[[name]]`, and return every table with the key that messages use."""
        tables = content[name]
        if not isinstance(tables, list):
            raise self.refuse(name, f"must be a list of tables [[{name}]]", tables)
        return [(f"{name}[{index}]", table) for index, table in enumerate(tables)]


def _short(value: object) -> str:
    """Return a value as it is shown in a message; Python refuses to print the longest integers."""
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    try:
        return str(value)[:80]
    except ValueError:
        return "a number of thousands of digits"
