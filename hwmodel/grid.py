"""A grid of designs, from a TOML file whose every key is checked.

    network = ["resnet18"]                    # built-in names or .onnx files
    scheme = ["eoq", "fp32-bn"]
    batch = [1, 16]
    rows = { first = 4, last = 32, step = 4 }
    columns = [8, 16, 32]
    buffer = { first = "64 KiB", last = "4 MiB", factor = 2 }
    technology = ["horowitz-45nm"]

    [conventions]                             # of the counts; see docs/assumptions.md
    division = "per-element"

`network` is required; the rest has the defaults of `eoq cost`. A single value may stand for a list
of one. Files are found beside the TOML file.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from golden.errors import InputError
from golden.network import Network
from golden.networks import load
from golden.schemes import scheme as scheme_by_name
from hwmodel.conventions import DEFAULT, Conventions
from hwmodel.hardware import ARRAY_MAX
from hwmodel.technology import Technology, load_technology
from hwmodel.toml_reader import BYTES, TomlReader

__all__ = ["DESIGNS_MAX", "Grid", "load_grid"]

DESIGNS_MAX = 1_000_000_000
"""Most designs of a grid."""

_KEYS = ("network", "scheme", "batch", "rows", "columns", "buffer", "technology", "conventions")


@dataclass(frozen=True)
class Grid:
    """Every combination of some networks, schemes, batches, technologies, arrays and buffers.

    Designs are numbered from 0, in the order of the fields; buffers (bytes) vary fastest.
    """

    networks: tuple[Network, ...]
    schemes: tuple[str, ...]
    batches: tuple[int, ...]
    technologies: tuple[Technology, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    buffers: tuple[int, ...]
    conventions: Conventions = DEFAULT

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return (*self.outer, *self.inner)

    @property
    def outer(self) -> tuple[int, int, int, int]:
        """Lengths of the axes that need a ledger of their own, and the technologies."""
        return len(self.networks), len(self.schemes), len(self.batches), len(self.technologies)

    @property
    def inner(self) -> tuple[int, int, int]:
        """Lengths of the axes that are array arithmetic."""
        return len(self.rows), len(self.columns), len(self.buffers)

    def __len__(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def digest(self) -> str:
        """Fingerprint of the designs and of the program that prices them."""
        content = [
            version("eoqkit"),
            [_fingerprint(network) for network in self.networks],
            self.schemes,
            self.batches,
            [repr(technology) for technology in self.technologies],
            self.rows,
            self.columns,
            self.buffers,
            self.conventions.as_dict(),
        ]
        return hashlib.sha256(repr(content).encode()).hexdigest()


def _fingerprint(network: Network) -> list[object]:
    layers = [(layer.name, repr(layer.operator), layer.inputs) for layer in network]
    return [network.name, network.input_shape, layers]


def load_grid(path: str | Path) -> Grid:
    """Read a grid. Raises InputError, one line that names the file and the key."""
    path = Path(path)
    where = str(path)[:200]
    reader = _Reader(where, path.parent)
    return reader.read(reader.load(path))


class _Reader(TomlReader):
    """Checks a file's content key by key."""

    def __init__(self, where: str, folder: Path) -> None:
        super().__init__("sweep", where)
        self._folder = folder

    def read(self, content: dict[str, Any]) -> Grid:
        """Return the grid, or raise InputError."""
        for key in content:
            if key not in _KEYS:
                raise self.refuse("file", f"keys must be of {', '.join(_KEYS)}", key)
        if "network" not in content:
            raise self.refuse("file", "requires the key network", ", ".join(content) or "none")
        conventions = self._conventions(content.get("conventions", {}))
        grid = Grid(
            networks=self._named("network", content, None, load),
            schemes=self._named("scheme", content, "eoq", lambda name: scheme_by_name(name).name),
            batches=self._numbers("batch", content, 1, (1, 1 << 20)),
            technologies=self._named("technology", content, "horowitz-45nm", load_technology),
            rows=self._numbers("rows", content, 16, (1, ARRAY_MAX)),
            columns=self._numbers("columns", content, 16, (1, ARRAY_MAX)),
            buffers=self._numbers("buffer", content, 512 << 10, (1 << 10, 1 << 30)),
            conventions=conventions,
        )
        if len(grid) > DESIGNS_MAX:
            raise self.refuse("file", f"requires at most {DESIGNS_MAX} designs", len(grid))
        for axis, names in (("network", grid.networks), ("technology", grid.technologies)):
            self._different(axis, [one.name for one in names])
        return grid

    def _different(self, key: str, values: list[Any]) -> None:
        seen = set()
        for value in values:
            if value in seen:
                raise self.refuse(key, "values must differ", value)
            seen.add(value)

    def _list(self, key: str, value: Any) -> list[Any]:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise self.refuse(key, "requires at least one value", "none")
        return values

    def _named(
        self, key: str, content: dict[str, Any], default: str | None, read: Callable[[str], Any]
    ) -> tuple[Any, ...]:
        values = self._list(key, content.get(key, default))
        found = []
        for value in values:
            if not isinstance(value, str):
                raise self.refuse(key, "must be a name or a list of names", value)
            is_file = Path(value).suffix.lower() in (".onnx", ".toml")
            try:
                found.append(read(str(self._folder / value) if is_file else value))
            except InputError as error:
                raise InputError(f"sweep {self.where!r}, {key}: {error}") from None
        self._different(key, values)
        return tuple(found)

    def _numbers(
        self, key: str, content: dict[str, Any], default: int, limits: tuple[int, int]
    ) -> tuple[int, ...]:
        value = content.get(key, default)
        if isinstance(value, dict):
            numbers = list(self._range(key, value, limits))
        else:
            numbers = [self._number(key, one, limits) for one in self._list(key, value)]
        self._different(key, numbers)
        return tuple(numbers)

    def _number(self, key: str, value: Any, limits: tuple[int, int]) -> int:
        low, high = limits
        if key.startswith("buffer") and isinstance(value, str):
            match = re.fullmatch(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB)", value)
            if not match:
                raise self.refuse(key, "must be bytes, or text like '512 KiB'", value)
            value = int(match[1]) * BYTES[match[2]]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refuse(key, f"must be a whole number from {low} to {high}", value)
        return value

    def _range(self, key: str, table: Mapping[str, Any], limits: tuple[int, int]) -> Iterator[int]:
        """{first, last, step} adds, {first, last, factor} multiplies; `last` is included if met."""
        for name in table:
            if name not in ("first", "last", "step", "factor"):
                raise self.refuse(key, "keys must be of first, last and step or factor", name)
        if not {"first", "last"} <= set(table) or ("step" in table) == ("factor" in table):
            raise self.refuse(
                key, "requires the keys first, last and one of step and factor", ", ".join(table)
            )
        first, last = (self._number(f"{key}.{n}", table[n], limits) for n in ("first", "last"))
        if first > last:
            raise self.refuse(key, "requires first <= last", f"{first}, {last}")
        if "factor" in table:
            factor = self._number(f"{key}.factor", table["factor"], (2, limits[1]))
            while first <= last:
                yield first
                first *= factor
        else:
            yield from range(
                first, last + 1, self._number(f"{key}.step", table["step"], (1, limits[1]))
            )

    def _conventions(self, table: Any) -> Conventions:
        known = {field.name: type(getattr(DEFAULT, field.name)) for field in fields(Conventions)}
        if not isinstance(table, dict):
            raise self.refuse("conventions", "requires a table", table)
        for name, value in table.items():
            if name not in known:
                raise self.refuse("conventions", f"keys must be of {', '.join(known)}", name)
            if type(value) is not known[name]:
                raise self.refuse(f"conventions.{name}", f"must be a {known[name].__name__}", value)
        try:
            return Conventions(**table)
        except InputError as error:
            raise InputError(f"sweep {self.where!r}, conventions: {error}") from None
