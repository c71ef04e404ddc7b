"""A design: array, clock and memories, built in code or read from a TOML file.

    name = "edge"

    [array]
    rows = 16
    columns = 16
    lanes = 16                                     # elements a cycle beside the array; columns
    frequency = { value = 500, unit = "MHz" }      # optional: without it there are no seconds

    [[memory]]                                     # nearest the array first
    name = "buffer"
    size = { value = 512, unit = "KiB" }
    word = { value = 128, unit = "bit" }           # of one access
    bandwidth = { value = 32, unit = "B/cycle" }   # optional

    [[memory]]                                     # the last is off chip: no size
    name = "dram"
    word = { value = 64, unit = "bit" }
    energy = { value = 1300, unit = "pJ", source = "data sheet", certainty = "read" }
    bandwidth = { value = 16, unit = "B/cycle" }

An access energy that is not given comes from the technology, by the memory's size. Keys that are
not known, units that are not one of those, and numbers that are zero, negative or not finite are
refused in one line.
"""

import operator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from golden.errors import InputError
from hwmodel.hierarchy import LEVELS_MAX, SIZE_MAX, WORD_MAX, Hierarchy, Level
from hwmodel.toml_reader import BYTES, TomlReader

__all__ = ["ARRAY_MAX", "Hardware", "load_hardware"]

ARRAY_MAX = 4096
"""Most rows or columns that are priced."""

LANES_MAX = 1 << 16
FREQUENCY_MAX = 1e11

_PICO = 1e-12
_HERTZ = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A design.

    Parameters
    ----------
    name:
        What results are marked with.
    rows, columns:
        Of the array of multipliers, 1 to 4096 each.
    hierarchy:
        Its memories.
    lanes:
        Elements a cycle of work that is no matrix product. None: one a column.
    frequency:
        Clock in Hz. None: cycles have no seconds.
    """

    name: str = "default"
    rows: int = 16
    columns: int = 16
    hierarchy: Hierarchy = field(default_factory=Hierarchy)
    lanes: int | None = None
    frequency: float | None = None

    def __post_init__(self) -> None:
        """Refuse arrays and clocks that cannot be."""
        rows, columns = self.array
        if not (1 <= rows <= ARRAY_MAX and 1 <= columns <= ARRAY_MAX):
            raise InputError(
                f"array must have 1 to {ARRAY_MAX} rows and columns, not {rows}x{columns}"
            )
        if self.lanes is not None and not 1 <= self.lanes <= LANES_MAX:
            raise InputError(f"lanes must be 1 to {LANES_MAX}, not {self.lanes!r}")
        if self.frequency is not None and not 0 < self.frequency <= FREQUENCY_MAX:
            raise InputError(f"frequency must be above 0 and at most 1e11 Hz, not {self.frequency}")

    @property
    def array(self) -> tuple[int, int]:
        """Rows and columns."""
        try:
            return operator.index(self.rows), operator.index(self.columns)
        except TypeError:
            raise InputError(
                "array must be two whole numbers (rows, columns), "
                f"not {(self.rows, self.columns)!r}"
            ) from None

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers in base units; strict JSON."""
        return {
            "name": self.name,
            "rows": self.rows,
            "columns": self.columns,
            "lanes": self.lanes or self.columns,
            "frequency_hz": self.frequency,
            "memories": [
                {
                    "name": level.name,
                    "bytes": level.size,
                    "word_bits": level.word_bits,
                    "bandwidth_bytes_a_cycle": level.bandwidth,
                    "access_j": level.energy and level.energy._asdict(),
                }
                for level in self.hierarchy.levels
            ],
        }


def load_hardware(path: str | Path) -> Hardware:
    """Read a design. Raises InputError, one line that names the file and the key."""
    path = Path(path)
    reader = _Reader("hardware", str(path)[:200])
    return reader.read(reader.load(path))


class _Reader(TomlReader):
    """Checks a design's file."""

    def read(self, content: dict[str, Any]) -> Hardware:
        """Return the design, or raise InputError."""
        self.keys("file", content, ("name", "array", "memory"))
        name = self.text("name", content["name"])
        array = content["array"]
        self.keys("array", array, ("rows", "columns"), "lanes frequency")
        tables = self.list_of_tables("memory", content)
        if not 2 <= len(tables) <= LEVELS_MAX:
            required = f"requires 2 to {LEVELS_MAX}, at least one on chip and one off chip"
            raise self.refuse("memory", required, len(tables))
        lanes = frequency = None
        if "lanes" in array:
            lanes = self.whole("array.lanes", array["lanes"], 1, LANES_MAX)
        if "frequency" in array:
            frequency = self.quantity("array.frequency", array["frequency"], _HERTZ)
        rows, columns = (
            self.whole(f"array.{side}", array[side], 1, ARRAY_MAX) for side in ("rows", "columns")
        )
        fields = [self._level(key, table) for key, table in tables]
        try:
            return Hardware(
                name=name,
                rows=rows,
                columns=columns,
                lanes=lanes,
                frequency=frequency,
                hierarchy=Hierarchy(levels=tuple(Level(**values) for values in fields)),
            )
        except InputError as error:
            raise InputError(f"hardware {self.where!r}: {error}") from None

    def _level(self, key: str, table: Any) -> dict[str, Any]:
        """Arguments of a `Level`."""
        self.keys(key, table, ("name", "word"), "size energy bandwidth")
        found: dict[str, Any] = {
            "name": self.text(f"{key}.name", table["name"]),
            "word_bits": self._integer(f"{key}.word", table["word"], {"bit": 1, "B": 8}, WORD_MAX),
        }
        if "size" in table:
            found["size"] = self._integer(f"{key}.size", table["size"], BYTES, SIZE_MAX)
        if "energy" in table:
            found["energy"] = self.band(f"{key}.energy", table["energy"], "pJ").times(_PICO)
        if "bandwidth" in table:
            unit = {"B/cycle": 1.0}
            found["bandwidth"] = self.quantity(f"{key}.bandwidth", table["bandwidth"], unit)
        return found

    def _integer(self, key: str, table: Any, units: dict[str, int], most: int) -> int:
        number = self.quantity(key, table, units)
        if number != int(number) or not 1 <= number <= most:
            raise self.refuse(key, f"must be whole and at most {most} in its base unit", number)
        return int(number)
