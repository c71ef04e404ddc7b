"""Which entry of a technology's table moves the energy of a step most, one at a time.

Every entry in turn is taken at the low and at the high end of its band while all others keep their
nominal value. An entry without a range does not swing; `elasticity` says of every entry by how many
per cent the energy grows when it alone grows by one.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hwmodel.estimate import memory_parts, operation_counts
from hwmodel.hierarchy import Hierarchy
from hwmodel.step import Row
from hwmodel.technology import NOTHING, Technology

__all__ = ["Influence", "sensitivity"]

_SMALL = 0.01
"""Relative change that an elasticity is taken over."""


class Influence(NamedTuple):
    """What one entry does to the energy of a step, in joules.

    `low`, `nominal` and `high` are the entry's own, in `unit`.
    """

    entry: str
    unit: str
    low: float
    nominal: float
    high: float
    energy_low_j: float
    energy_high_j: float
    swing_j: float
    swing_share: float
    elasticity: float


def sensitivity(
    rows: Iterable[Row], moved: Mapping[str, int], technology: Technology, hierarchy: Hierarchy
) -> list[Influence]:
    """Influence of every entry that says an energy, the largest swing first.

    Parameters
    ----------
    rows, moved:
        The ledger, and modelled bytes by level.
    technology, hierarchy:
        The table, and the memories. Access energies that these give themselves are not varied.
    """
    counts: dict[tuple[str, str], int] = {}
    for (_, op, number_format), count in operation_counts(rows).items():
        counts[op, number_format] = counts.get((op, number_format), 0) + count

    def energy(table: Technology) -> float:
        total = NOTHING
        for (op, number_format), count in counts.items():
            total += table.energy(op, number_format).times(count)
        return total.nominal + sum(p.nominal for p in memory_parts(moved, table, hierarchy))

    nominal = energy(technology)
    found = []
    for entry, (unit, band) in technology.energy_entries.items():
        low, high = (energy(technology.at(entry, value)) for value in (band.low, band.high))
        more = energy(technology.at(entry, band.nominal * (1 + _SMALL)))
        found.append(
            Influence(
                entry, unit, *band, low, high, high - low,
                (high - low) / nominal if nominal else 0.0,
                (more / nominal - 1) / _SMALL if nominal else 0.0,
            )
        )  # fmt: skip
    return sorted(found, key=lambda i: (-abs(i.swing_j), -i.elasticity, i.entry))
