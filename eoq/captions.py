"""What every table and figure on cost says of itself: batch, memories, table, conventions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from eoq.api import Costs
from hwmodel.cost import Cost
from hwmodel.ledger import PHASES

__all__ = [
    "LAYERS_AND_PHASES",
    "chosen",
    "conventions",
    "each",
    "frame_of",
    "in_order",
    "memories",
    "technology",
]

LAYERS_AND_PHASES = "Product: a weighted layer and what follows it up to the next."
"""What the rows of `in_order` are."""


def each(all_costs: Sequence[Costs]) -> Iterator[tuple[dict[str, Any], Cost]]:
    """Every cost with the columns that name it."""
    for costs in all_costs:
        for cost in costs:
            yield {"network": cost.step.network.name, "scheme": cost.step.scheme.name}, cost


def chosen(costs: Costs) -> list[Cost]:
    """The two schemes that are drawn layer by layer: EOQ and what it replaces, or the first."""
    by_name = {cost.step.scheme.name: cost for cost in costs}
    pair = [by_name[name] for name in ("eoq", "fp32-bn") if name in by_name]
    return pair or list(costs)[:2]


def frame_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Whole numbers stay whole beside a missing one."""
    return pd.DataFrame(rows).convert_dtypes()


def conventions(cost: Cost) -> str:
    """Conventions of the counts, in words."""
    named = cost.step.conventions.as_dict().items()
    return "Conventions: " + ", ".join(f"{name} = {value}" for name, value in named) + "."


def memories(cost: Cost) -> str:
    """Batch and memories."""
    return f"Batch {cost.step.batch}; {cost.hierarchy.describe()}."


def technology(cost: Cost) -> str:
    """The energy and area table."""
    return f"Table {cost.technology.name} ({cost.technology.title})."


def in_order(
    cost: Cost, sums: Mapping[tuple[str, str], Any]
) -> Iterator[tuple[dict[str, str], Any]]:
    """Values by (layer, phase) in the order of the network, then of the phases, each with the
    columns that name it: `product` is the weighted layer that it comes with."""
    place, products, last = {}, {}, ""
    weighted = [layer.name for layer in cost.step.weighted]
    for number, layer in enumerate(cost.step.network):
        last = layer.name if layer.name in weighted else last
        place[layer.name], products[layer.name] = number, last or (weighted or [layer.name])[0]
    place["loss"], products["loss"] = len(place), "loss"
    for (name, phase), value in sorted(
        sums.items(), key=lambda item: (place[item[0][0]], PHASES.index(item[0][1]))
    ):
        yield {"product": products[name], "layer": name, "phase": phase}, value
