"""The unit that normalises, or that stands in its place: area, time and energy of a step's work.

One unit of each kind is generated as RTL (`rtl.float_batch_norm`, `rtl.wageubn_norm`,
`rtl.range_norm`, `rtl.fixup_unit`); each takes one element a cycle in each of its passes. What is
said here of its cycles equals theirs, and a test holds them together. Area, critical path and
energy come from a file that says which command found them.

A batch normalisation starts a channel when the whole batch is there and holds it between its
passes; Fixup's scalars have one pass and nothing to wait for.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from golden.network import Layer, Normalization, ScalarBias, ScalarMultiplier
from golden.schemes import Normalizer
from hwmodel.step import Step
from hwmodel.toml_reader import Band, TomlReader

__all__ = [
    "DIRECTIONS",
    "UNITS",
    "ChannelEnergy",
    "Unit",
    "UnitCost",
    "load_units",
    "unit_cost",
    "unit_cycles",
]

UNITS = ("bn_fp32", "bn_wageubn", "bn_range", "fixup")

DIRECTIONS = ("forward", "backward")

_FILE = Path(__file__).parent / "units" / "osu018.toml"


class ChannelEnergy(NamedTuple):
    """pJ of a channel of M elements (fixup: of a sample's tensor): element * M + channel."""

    element: Band
    channel: Band


class Unit(NamedTuple):
    """One unit: its area in um2, its shortest clock in ns, and its dynamic energy by direction."""

    name: str
    what: str
    area: Band
    delay: Band
    energy: Mapping[str, ChannelEnergy]
    table: str


class UnitCost(NamedTuple):
    """What normalisation's unit costs, and for how long one of them is busy in a step.

    Seconds are those of the cycles at the unit's own shortest clock; joules are dynamic, without
    leakage. `latency_cycles`: of the largest channel (or tensor of a sample), forward, from its
    first element to its last result.
    """

    unit: str
    area_um2: float
    delay_ns: float
    forward_cycles: int
    backward_cycles: int
    latency_cycles: int
    seconds: float
    energy_j: float
    table: str


def unit_cycles(unit: str, count: int, *, backward: bool = False) -> int:
    """Cycles of one channel of `count` elements (fixup: of one sample's tensor).

    bn_fp32: four partial sums go round in an adder, so sums take a multiple of four; mean, then
    variance with root (27) and quotient (29), then the result. bn_wageubn: sum and squares in one
    pass, then three divisions of 54 bits, a root of 16; backward two divisions. bn_range: one pass
    and two divisions.
    """
    rounds = -(-count // 4) * 4
    if unit == "fixup":
        return count + 5
    if unit == "bn_fp32":
        if backward:
            return 1 + 4 + (rounds + 4 + 12) + 1 + 7 + (count + 12)
        return 1 + 4 + rounds + 16 + (rounds + 8 + 20 + 27 + 29) + 1 + (count + 16)
    if unit == "bn_wageubn":
        divide = 54 + 2
        if backward:
            return 2 * count + 2 * divide + 15
        return 2 * count + 3 * divide + 17 + 16 + 10
    if unit == "bn_range":
        divide = 41 + 2
        return 2 * count + 2 * divide + (13 if backward else 15)
    raise ValueError(f"unit must be one of {', '.join(UNITS)}, not {unit!r}")


@lru_cache
def load_units(path: Path = _FILE) -> dict[str, Unit]:
    """Read the file. Raises InputError, one line that names the key."""
    reader = TomlReader("units", str(path)[-200:])
    content = reader.load(path)
    reader.keys("file", content, ("name", "title", "unit"))
    table = reader.text("name", content["name"])
    reader.text("title", content["title"])
    found: dict[str, Unit] = {}
    for key, one in reader.list_of_tables("unit", content):
        reader.keys(key, one, ("name", "what", "area", "delay", *DIRECTIONS))
        name = reader.text(f"{key}.name", one["name"], UNITS)
        found[name] = Unit(
            name,
            reader.text(f"{key}.what", one["what"]),
            reader.band(f"{key}.area", one["area"], "um2"),
            reader.band(f"{key}.delay", one["delay"], "ns"),
            {way: _energy(reader, f"{key}.{way}", one[way]) for way in DIRECTIONS},
            table,
        )
    return found


def _energy(reader: TomlReader, key: str, table: Any) -> ChannelEnergy:
    reader.keys(key, table, ChannelEnergy._fields)
    parts = ChannelEnergy._fields
    return ChannelEnergy(*(reader.band(f"{key}.{part}", table[part], "pJ") for part in parts))


def _unit_of(step: Step) -> str:
    if step.scheme.normalizer is Normalizer.NONE:
        return "fixup"
    if step.scheme.normalizer is Normalizer.RANGE:
        return "bn_range"
    return "bn_fp32" if step.scheme.statistics.operand == "fp32" else "bn_wageubn"


def _pieces(step: Step) -> Iterator[tuple[Layer, int, int]]:
    """(layer, elements of a piece, pieces): channels over the batch, or a sample's tensors."""
    for layer in step.network:
        n = step.elements(layer.name)
        if step.normalizes and isinstance(layer.operator, Normalization):
            channels = layer.shape[0]
            yield layer, n // channels, channels
        elif isinstance(layer.operator, ScalarBias | ScalarMultiplier):
            yield layer, n // step.batch, step.batch


def unit_cost(step: Step, units: Mapping[str, Unit] | None = None) -> UnitCost:
    """One unit of the step's scheme, and its work; `units` in place of those of the file."""
    unit = (units or load_units())[_unit_of(step)]
    forward = backward = latency = 0
    picojoules = 0.0
    for layer, count, pieces in _pieces(step):
        one = unit_cycles(unit.name, count)
        forward += pieces * one
        latency = max(latency, one)
        picojoules += pieces * _spent(unit, "forward", count)
        if layer.name in step.learned:
            backward += pieces * unit_cycles(unit.name, count, backward=True)
            picojoules += pieces * _spent(unit, "backward", count)
    cycles = forward + backward
    return UnitCost(
        unit.name, unit.area.nominal, unit.delay.nominal, forward, backward, latency,
        cycles * unit.delay.nominal * 1e-9, picojoules * 1e-12, unit.table,
    )  # fmt: skip


def _spent(unit: Unit, direction: str, count: int) -> float:
    element, channel = unit.energy[direction]
    return count * element.nominal + channel.nominal
