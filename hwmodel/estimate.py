"""Estimates on top of the counts: energy and area, each a band with the name of its table.

Energy is operations times the table's energy of each, plus the accesses of every memory. Not
included: clock, control, leakage, wires between units. Area is that of arithmetic only: the array's
processing elements, and one lane a column of what normalisation (or Fixup) needs. Not included:
memories, control, wires.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from golden.schemes import Normalizer, Scaling
from hwmodel.hierarchy import Hierarchy
from hwmodel.step import Row, Step
from hwmodel.technology import NOTHING, Technology
from hwmodel.tiling import Bytes
from hwmodel.toml_reader import Band

__all__ = [
    "Part",
    "area_parts",
    "memory_parts",
    "operation_counts",
    "operation_parts",
    "sum_parts",
]


class Part(NamedTuple):
    """A share of an estimate."""

    part: str
    low: float
    nominal: float
    high: float


def sum_parts(parts: Iterable[Part]) -> Band:
    """All parts together."""
    total = NOTHING
    for part in parts:
        total += Band(*part[1:])
    return total


def operation_parts(rows: Iterable[Row], technology: Technology) -> list[Part]:
    """Joules of one step's operations: `mac`, and the others by phase."""
    parts: dict[str, Band] = {}
    for (part, op, number_format), count in operation_counts(rows).items():
        energy = technology.energy(op, number_format).times(count)
        parts[part] = parts.get(part, NOTHING) + energy
    return [Part(name, *band) for name, band in parts.items()]


def operation_counts(rows: Iterable[Row]) -> dict[tuple[str, str, str], int]:
    """Operations by (part, operation, format)."""
    counts: dict[tuple[str, str, str], int] = {}
    for row in rows:
        part = "mac" if row.op == "mac" else row.phase
        if row.op != "mac" and part in ("forward", "backward_data", "backward_weight"):
            part = "elements"
        key = (part, row.op, row.format)
        counts[key] = counts.get(key, 0) + row.count
    return counts


def memory_parts(
    moved: Mapping[str, Bytes], technology: Technology, hierarchy: Hierarchy
) -> list[Part]:
    """Joules of every memory, the outermost first.

    Parameters
    ----------
    moved:
        Modelled bytes by level. A memory is accessed for what it hands inwards or takes back, and
        for what fills and drains it: its own level's bytes and those of the next level out.
    technology, hierarchy:
        Where a level does not say what an access costs, the table does.
    """
    parts = []
    outside: Bytes = 0
    for level in reversed(hierarchy.levels):
        size = outside + moved[level.name]
        outside = moved[level.name]
        if level.energy is not None:
            parts.append(Part(level.name, *level.energy.times(-(-8 * size // level.word_bits))))
        else:
            price = technology.sram(level.size) if level.size else technology.dram
            parts.append(Part(level.name, *price.times(size)))
    return parts


def area_parts(step: Step, technology: Technology, rows: Any, columns: Any) -> list[Part]:
    """Area in um2; empty when the table has none. Arrays of rows and columns give arrays.

    A processing element is a multiplier of the widest products of the scheme's three phases and a
    sum. Beside each column: for batch normalisation an adder and a multiplier, and once a divider
    and (but for Range BN, which compares) a square root; for EOQ Fixup's adder and multiplier. For
    conversions to narrow formats by powers of two a shifter, a compare and a random draw; for Range
    BN's affine ones an FP32 adder, multiplier and compare, and a draw. The update has no units of
    its own in any scheme.
    """
    if not technology.has_area:
        return []
    scheme = step.scheme
    weight, error = scheme.formats["A"].operand, scheme.weight_gradient_error.operand
    product = weight if weight == error else f"{weight}x{error}"
    parts = [("array", technology.area("mac", product).times(rows * columns))]
    fmt = scheme.statistics.operand
    if scheme.normalizer is Normalizer.NONE:
        total = scheme.accumulator.operand
        lane = technology.area("add", total)
        lane += technology.area("multiply", scheme.formats["A"].operand)
        parts.append(("fixup", lane.times(columns)))
    else:
        lane = technology.area("add", fmt) + technology.area("multiply", fmt)
        once = technology.area("div", fmt)
        if scheme.normalizer is Normalizer.RANGE:
            lane += technology.area("compare", fmt)
        else:
            once += technology.area("sqrt", fmt)
        parts.append(("normalization", lane.times(columns) + once))
    if scheme.scaling is not Scaling.NONE:
        affine = scheme.scaling is Scaling.AFFINE
        ops = ("add", "multiply", "compare") if affine else ("shift", "compare")
        total = "fp32" if affine else scheme.accumulator.operand
        lane = technology.area("random", "int16")
        for op in ops:
            lane += technology.area(op, total)
        parts.append(("conversion", lane.times(columns)))
    return [Part(name, *band) for name, band in parts]
