"""The exact ledger of one training step: one row a (layer, phase, operation, format).

Phases: forward, backward_data, backward_weight, normalization, quantization, update. Operations:
mac, add, multiply, shift, compare, lookup, sqrt, div, random (a 16-bit draw). The formula of each
count is in the docstring of the function that makes it: `hwmodel.operations` by operator,
`hwmodel.normalization`, `hwmodel.quantization`, `hwmodel.updates`. Nothing here is estimated.
"""

from collections.abc import Iterable

from hwmodel.normalization import normalization_operations
from hwmodel.operations import layer_operations, loss_operations
from hwmodel.quantization import quantization_operations
from hwmodel.step import Row, Step
from hwmodel.updates import update_operations

__all__ = ["MAC_PHASES", "OPERATIONS", "PHASES", "ledger", "macs_by_phase"]

PHASES = (
    "forward",
    "backward_data",
    "backward_weight",
    "normalization",
    "quantization",
    "update",
)

OPERATIONS = ("mac", "add", "multiply", "shift", "compare", "lookup", "sqrt", "div", "random")

MAC_PHASES = PHASES[:3]
"""Phases of the three matrix products."""


def ledger(step: Step) -> list[Row]:
    """Every operation of a step, in the order of layers, then phases; zero counts left out.

    Raises InputError when an operator has no cost.
    """
    counts: dict[tuple[str, str, str, str], int] = {}

    def collect(rows: Iterable[Row]) -> None:
        for row in rows:
            key = row[:4]
            counts[key] = counts.get(key, 0) + row[4]

    for layer in step.network:
        collect(layer_operations(step, layer))
        collect(normalization_operations(step, layer))
        collect(update_operations(step, layer))
    collect(loss_operations(step))
    collect(quantization_operations(step))

    place = {name: index for index, name in enumerate([*step.network.layers, "loss"])}
    phase = {name: index for index, name in enumerate(PHASES)}
    op = {name: index for index, name in enumerate(OPERATIONS)}
    order = sorted(
        (place[key[0]], phase[key[1]], op[key[2]], key[3], key)
        for key, count in counts.items()
        if count
    )
    return [Row(*key, counts[key]) for *_, key in order]


def macs_by_phase(rows: Iterable[Row]) -> dict[str, int]:
    """Multiply-accumulates of the three products and their total."""
    macs = dict.fromkeys(MAC_PHASES, 0)
    for row in rows:
        if row.op == "mac":
            macs[row.phase] += row.count
    return {**macs, "total": sum(macs.values())}
