"""Energy of a step by layer and phase: which layer, in which phase, spends it on what."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hwmodel.hierarchy import Hierarchy
from hwmodel.step import Row
from hwmodel.technology import NOTHING, Technology
from hwmodel.toml_reader import Band
from hwmodel.traffic import Transfer

__all__ = ["LayerEnergy", "layer_energy"]


class LayerEnergy(NamedTuple):
    """Joules of one layer in one phase: `part` is "arithmetic", or the memory."""

    layer: str
    phase: str
    part: str
    low: float
    nominal: float
    high: float


def _byte_prices(hierarchy: Hierarchy, technology: Technology) -> dict[str, list[tuple[str, Band]]]:
    """By level, the memories that one of its bytes accesses, and joules a byte of each: its own,
    and the next one inside, which it fills or drains."""
    own = []
    for level in hierarchy.levels:
        if level.energy is not None:
            own.append((level.name, level.energy.times(8 / level.word_bits)))
        else:
            price = technology.sram(level.size) if level.size else technology.dram
            own.append((level.name, price))
    inside = [[], *([one] for one in own[:-1])]
    return {
        name: [(name, price), *inner]
        for (name, price), inner in zip(own, inside, strict=True)
    }  # fmt: skip


def layer_energy(
    rows: Iterable[Row],
    transfers: Iterable[Transfer],
    technology: Technology,
    hierarchy: Hierarchy,
) -> Iterator[LayerEnergy]:
    """Energy of every layer and phase, in the order of the ledger.

    Its sum is that of `Cost.energy_parts`, but for the last word of a memory whose file says what
    an access costs: there whole words are counted over the step, here bytes.
    """
    found: dict[tuple[str, str, str], Band] = {}
    prices: dict[tuple[str, str], Band] = {}
    for layer, phase, op, number_format, count in rows:
        price = prices.get((op, number_format))
        if price is None:
            price = prices[op, number_format] = technology.energy(op, number_format)
        key = (layer, phase, "arithmetic")
        found[key] = found.get(key, NOTHING) + price.times(count)
    by_level = _byte_prices(hierarchy, technology)
    for transfer in transfers:
        for memory, price in by_level[transfer.level]:
            key = (transfer.layer, transfer.phase, memory)
            found[key] = found.get(key, NOTHING) + price.times(transfer.modelled)
    for key, band in found.items():
        yield LayerEnergy(*key, *band)
