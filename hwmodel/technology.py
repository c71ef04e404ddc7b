"""Technologies: energy and area of operations and memory accesses, from a file with its sources.

A file is TOML (`hwmodel/technologies/*.toml` are examples). Every number is a table with `value`,
`unit`, `source` and `certainty`, and optionally `low` and `high`; without them the band is the
value. Keys that are not known, units that are not the expected one, and numbers that are negative
or not finite are refused in one line.

A width that a table does not have is interpolated between its neighbours on logarithmic scales
(an adder is nearly linear in its width, a multiplier nearly quadratic), and so is the access
energy of a memory by its capacity; beyond the ends the line through the last two points goes on.

A file that `eoq synth --calibrate` wrote also says `mac` itself, the energy of a processing element
by what changes in it (`[[element]]`), and the area of the core's blocks by what they are made of
(`[[block]]`, `hwmodel.core_area`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from golden.errors import InputError
from hwmodel.core_area import BLOCK_PARTS, MEMORY_PARTS, PARTS
from hwmodel.toml_reader import BYTES, Band, TomlReader
from rtl.config import CoreConfig

__all__ = ["BUILT_IN", "CHANGES", "Band", "Technology", "load_technology"]

_FOLDER = Path(__file__).parent / "technologies"

BUILT_IN = ("horowitz-45nm", "jouppi-7nm", "eyeriss-relative", "osu018")

CHANGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "element": ("cycle", "operand_bit", "sum_bit", "multiplied_bit"),
        "lane": ("cycle", "value", "value_bit"),
    }
)
"""What energy is linear in. A processing element's: clock cycles; bits that change of the moving
operand and of the sum from above; bits of the operand that change before a weight that is not 0. A
vector lane's: clock cycles; values; bits in which the 32-bit value differs from that before."""

_ACCESS_BITS = 64
_PICO = 1e-12


NOTHING = Band(0.0, 0.0, 0.0)

_Curve = dict[int, Band]
"""Bands by width in bits, or by capacity in bytes."""


@dataclass(frozen=True)
class Technology:
    """Energy (J) and area (um2) of one table.

    Members
    -------
    name, title:
        What every estimate is marked with.
    notes:
        Sources, and what is not the source's own.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    _curves: Mapping[tuple[str, str, str], _Curve]
    """By (quantity, operation, family of formats), by width."""
    _relative: Mapping[tuple[str, str], tuple[str, Band]]
    """(quantity, operation) -> operation it is a multiple of, and the factor."""
    _sram: _Curve
    _dram: Band
    _work: Mapping[str, Mapping[str, Band]]
    """element, lane -> `CHANGES` -> pJ; empty where the table is not calibrated."""
    _blocks: Mapping[str, Mapping[str, Band]]
    """Block -> part -> um2; empty where the table is not calibrated."""
    _macros: Mapping[str, Band]
    """By `MEMORY_PARTS`, um2; empty where the table is not calibrated."""

    @property
    def has_area(self) -> bool:
        """The table says areas."""
        return any(quantity == "area" for quantity, *_ in self._curves)

    def energy(self, op: str, number_format: str) -> Band:
        """Joules of one operation; a mac is a multiplication and an addition to its sum."""
        return self._of("energy", op, number_format).times(_PICO)

    def area(self, op: str, number_format: str) -> Band:
        """Area in um2 of one unit for an operation."""
        return self._of("area", op, number_format)

    @property
    def calibrated(self) -> bool:
        """The table says what elements, lanes and the core's blocks cost."""
        return bool(self._work and self._blocks)

    def work(self, part: str, changes: Mapping[str, float]) -> Band:
        """Joules of an element or a lane in so many `CHANGES`. Calibrated tables only."""
        self._require_calibration()
        total = NOTHING
        for name, count in changes.items():
            total += self._work[part][name].times(count)
        return total.times(_PICO)

    def block_area(self, block: str, config: CoreConfig) -> Band:
        """Area in um2 of a block of the core, without memories. Calibrated tables only."""
        self._require_calibration()
        total = NOTHING
        for part, area in self._blocks[block].items():
            total += area.times(PARTS[part](config))
        return total

    def memory_area(self, config: CoreConfig) -> Band:
        """Area in um2 of a core's scratchpad and results memory. Calibrated tables only."""
        self._require_calibration()
        total = NOTHING
        for part, area in self._macros.items():
            total += area.times(MEMORY_PARTS[part](config))
        return total

    def _require_calibration(self) -> None:
        if not self.calibrated:
            raise InputError(
                f"technology {self.name!r} must be calibrated (eoq synth --calibrate), and is not"
            )

    def sram(self, capacity: int) -> Band:
        """Joules a byte to or from an on-chip memory of so many bytes."""
        return _interpolate(self._sram, capacity).times(8 / _ACCESS_BITS * _PICO)

    @property
    def dram(self) -> Band:
        """Joules a byte to or from DRAM."""
        return self._dram.times(8 / _ACCESS_BITS * _PICO)

    @property
    def energy_entries(self) -> dict[str, tuple[str, Band]]:
        """Unit and band of every entry that says an energy, by a name for people."""
        found = {
            f"{op} {family}{width}": ("pJ", band)
            for (quantity, op, family), curve in self._curves.items()
            for width, band in curve.items()
            if quantity == "energy"
        }
        found |= {
            f"{op} (of {base})": ("x", band)
            for (quantity, op), (base, band) in self._relative.items()
            if quantity == "energy"
        }
        found |= {
            f"sram {capacity} B": (f"pJ/{_ACCESS_BITS}b", band)
            for capacity, band in self.sram_entries.items()
        }
        return found | {"dram": (f"pJ/{_ACCESS_BITS}b", self.dram_entry)}

    @property
    def sram_entries(self) -> Mapping[int, Band]:
        """Bytes of each on-chip memory that the table has, and pJ an access of 64 bits."""
        return self._sram

    @property
    def dram_entry(self) -> Band:
        """DRAM's pJ an access of 64 bits."""
        return self._dram

    def without_sram(self, capacity: int) -> "Technology":
        """The same table without one of `sram_entries`, so that the others say what it costs."""
        kept = {size: band for size, band in self._sram.items() if size != capacity}
        return replace(self, _sram=kept)

    def at(self, entry: str, value: float) -> "Technology":
        """The same table with one of `energy_entries` at a value, without a range."""
        band = Band(value, value, value)
        kind, _, rest = entry.partition(" ")
        if entry == "dram":
            return replace(self, _dram=band)
        if kind == "sram":
            return replace(self, _sram={**self._sram, int(rest.removesuffix(" B")): band})
        if rest.startswith("("):
            base, _ = self._relative["energy", kind]
            return replace(self, _relative={**self._relative, ("energy", kind): (base, band)})
        family, width = _parse(rest)
        curve = {**self._curves["energy", kind, family], int(width): band}
        return replace(self, _curves={**self._curves, ("energy", kind, family): curve})

    def _of(self, quantity: str, op: str, number_format: str) -> Band:
        if op == "mac" and _parse(number_format)[1] not in self._curves.get(
            (quantity, op, _parse(number_format)[0]), {}
        ):
            sums = "fp32" if number_format.startswith("fp") else "int32"
            return self._of(quantity, "multiply", number_format) + self._of(quantity, "add", sums)
        if (quantity, op) in self._relative:
            base, factor = self._relative[quantity, op]
            return self._of(quantity, base, number_format).scaled(factor)
        family, width = _parse(number_format)
        curve = self._curves.get((quantity, op, family))
        if not curve:
            raise InputError(
                f"technology {self.name!r} must give the {quantity} of {op} in {number_format}, "
                "and does not"
            )
        return _interpolate(curve, width)


def _parse(number_format: str) -> tuple[str, float]:
    """Family and width; int8xint16 multiplies as a square multiplier of the same area would."""
    widths, family = [], ""
    for part in number_format.split("x"):
        family = part.rstrip("0123456789")
        widths.append(int(part[len(family) :]))
    return family, math.prod(widths) ** (1 / len(widths))


def _interpolate(curve: _Curve, at: float) -> Band:
    if at in curve or len(curve) == 1:
        return curve.get(int(at), next(iter(curve.values())))
    points = sorted(curve)
    right = min(max(1, sum(p < at for p in points)), len(points) - 1)
    a, b = points[right - 1], points[right]
    share = math.log(at / a) / math.log(b / a)
    ends = zip(curve[a], curve[b], strict=True)
    return Band(*(x * (y / x) ** share if x and y else max(x, y) for x, y in ends))


def load_technology(name: str | Path) -> Technology:
    """Return a built-in technology by name, or the one in a .toml file.

    Raises InputError, one line that names the file and the key.
    """
    if str(name) in BUILT_IN:
        return _built_in(str(name))
    path = Path(name)
    if path.suffix != ".toml":
        raise InputError(
            f"technology must be one of {', '.join(BUILT_IN)} or a path that ends in .toml, "
            f"not {str(name)[:200]!r}"
        )
    return _read(path, str(path)[:200])


@lru_cache
def _built_in(name: str) -> Technology:
    return _read(_FOLDER / f"{name}.toml", name)


def _read(path: Path, where: str) -> Technology:
    reader = _Reader("technology", where)
    return reader.read(reader.load(path))


class _Reader(TomlReader):
    """Checks a technology's file."""

    def read(self, content: dict[str, Any]) -> Technology:
        """Return the technology, or raise InputError."""
        lists = ("operation", "relative", "memory")
        required = ("name", "title", "node_nm", "sources", *lists)
        self.keys("file", content, required, "element lane block macro")
        name, title = self.text("name", content["name"]), self.text("title", content["title"])
        self.number("node_nm", content["node_nm"])
        if not isinstance(content["sources"], dict):
            raise self.refuse("sources", "requires a table", content["sources"])
        notes = [
            f"{key}: {self.text(f'sources.{key}', text)}"
            for key, text in content["sources"].items()
        ]
        curves = self._curves(content)
        relative = self._relatives(content)
        sram, dram = self._memories(content)
        for family in ("int", "fp"):
            for op in ("add", "multiply"):
                if ("energy", op, family) not in curves:
                    raise self.refuse("operation", f"requires energy of {op} in {family}", "none")
        calibration = self._calibration(content)
        return Technology(name, title, tuple(notes), curves, relative, sram, dram, *calibration)

    def _calibration(
        self, content: dict[str, Any]
    ) -> tuple[dict[str, dict[str, Band]], dict[str, dict[str, Band]], dict[str, Band]]:
        """Elements and lanes by change, blocks by part, memories by macro: all or nothing."""
        work: dict[str, dict[str, Band]] = {}
        blocks: dict[str, dict[str, Band]] = {}
        macros: dict[str, Band] = {}
        lists = (*CHANGES, "block", "macro")
        given = {key: content[key] for key in lists if key in content}
        if not given:
            return work, blocks, macros
        self.keys("file", given, lists)
        for part, names in CHANGES.items():
            work[part] = {}
            for key, table in self.list_of_tables(part, content):
                self.keys(key, table, ("per", "energy"))
                per = self.text(f"{key}.per", table["per"], names)
                work[part][per] = self.band(f"{key}.energy", table["energy"], "pJ")
            for per in names:
                if per not in work[part]:
                    raise self.refuse(part, f"requires the energy per {per}", "none")
        for key, table in self.list_of_tables("block", content):
            self.keys(key, table, ("name", "per", "area"))
            name = self.text(f"{key}.name", table["name"], BLOCK_PARTS)
            part = self.text(f"{key}.per", table["per"], BLOCK_PARTS[name])
            blocks.setdefault(name, {})[part] = self.band(f"{key}.area", table["area"], "um2")
        for name in BLOCK_PARTS:
            if name not in blocks:
                raise self.refuse("block", f"requires the area of {name}", "none")
        for key, table in self.list_of_tables("macro", content):
            self.keys(key, table, ("per", "area"))
            per = self.text(f"{key}.per", table["per"], MEMORY_PARTS)
            macros[per] = self.band(f"{key}.area", table["area"], "um2")
        for per in MEMORY_PARTS:
            if per not in macros:
                raise self.refuse("macro", f"requires the area per {per}", "none")
        return work, blocks, macros

    def _curves(self, content: dict[str, Any]) -> dict[tuple[str, str, str], _Curve]:
        curves: dict[tuple[str, str, str], _Curve] = {}
        formats = tuple(f"{f}{w}" for f in ("int", "fp", "bf") for w in (4, 8, 16, 24, 32, 64))
        for key, table in self.list_of_tables("operation", content):
            self.keys(key, table, ("op", "format", "energy"), "area")
            op = self.text(f"{key}.op", table["op"], ("add", "multiply", "mac"))
            family, width = _parse(self.text(f"{key}.format", table["format"], formats))
            for quantity, band in self._quantities(key, table):
                curves.setdefault((quantity, op, family), {})[int(width)] = band
        return curves

    def _quantities(
        self, key: str, table: dict[str, Any], unit: str = ""
    ) -> Iterator[tuple[str, Band]]:
        for quantity, own in (("energy", "pJ"), ("area", "um2")):
            if quantity in table:
                yield quantity, self.band(f"{key}.{quantity}", table[quantity], unit or own)

    def _relatives(self, content: dict[str, Any]) -> dict[tuple[str, str], tuple[str, Band]]:
        result: dict[tuple[str, str], tuple[str, Band]] = {}
        others = ("shift", "compare", "lookup", "random", "div", "sqrt")
        for key, table in self.list_of_tables("relative", content):
            self.keys(key, table, ("op", "of", "energy"), "area")
            op = self.text(f"{key}.op", table["op"], others)
            of = self.text(f"{key}.of", table["of"], ("add", "multiply"))
            for quantity, band in self._quantities(key, table, unit="x"):
                result[quantity, op] = (of, band)
        for op in others:
            if ("energy", op) not in result:
                raise self.refuse("relative", f"requires energy of {op}", "none")
        return result

    def _memories(self, content: dict[str, Any]) -> tuple[_Curve, Band]:
        sram: _Curve = {}
        dram: Band | None = None
        for key, table in self.list_of_tables("memory", content):
            self.keys(key, table, ("level", "energy"), "capacity")
            level = self.text(f"{key}.level", table["level"], ("sram", "dram"))
            band = self.band(f"{key}.energy", table["energy"], f"pJ/{_ACCESS_BITS}b")
            if level == "dram":
                dram = band
                continue
            self.keys(f"{key}.capacity", table.get("capacity"), ("value", "unit"))
            unit = self.text(f"{key}.capacity.unit", table["capacity"]["unit"], tuple(BYTES))
            size = self.number(f"{key}.capacity.value", table["capacity"]["value"])
            if size * BYTES[unit] < 1:
                raise self.refuse(f"{key}.capacity", "must be at least 1 B", size)
            sram[int(size * BYTES[unit])] = band
        if dram is None or not sram:
            raise self.refuse("memory", "requires sram and dram", "none of one")
        return sram, dram
