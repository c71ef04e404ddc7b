"""The exact ledger of one training step: one row a (layer, phase, operation, format).

Phases: forward, backward_data, backward_weight, normalization, quantization, update. Operations:
mac, add, multiply, shift, compare, lookup, sqrt, div, random (a 16-bit draw). The formula of each
count is in the docstring of the function that makes it: `hwmodel.operations` by operator,
`hwmodel.normalization`, `hwmodel.quantization`, `hwmodel.updates`. Nothing here is estimated.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from hwmodel.footprint import recomputed_layers
from hwmodel.normalization import normalization_operations
from hwmodel.operations import layer_operations, loss_operations
from hwmodel.quantization import converted_tensors, quantization_operations
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
    "recomputation",
)

OPERATIONS = ("mac", "add", "multiply", "shift", "compare", "lookup", "sqrt", "div", "random")

MAC_PHASES = PHASES[:3]
"""Phases of the three matrix products."""


def ledger(step: Step) -> list[Row]:
    """Every operation of a step, in the order of layers, then phases; zero counts left out.

    Raises InputError when an operator has no cost.
    """
    conversions = converted_tensors(step)
    known: dict[tuple[object, ...], list[_Count]] = {}
    rows: list[Row] = []
    for layer in step.network:
        times = conversions.get(layer.name, 0)
        kind = (*step.kinds[layer.name], times)
        if kind not in known:
            known[kind] = _counted(
                chain(
                    layer_operations(step, layer),
                    normalization_operations(step, layer),
                    update_operations(step, layer),
                    quantization_operations(step, layer, times),
                )
            )
        rows += [Row(layer.name, *count) for count in known[kind]]
    rows += [Row("loss", *count) for count in _counted(loss_operations(step))]
    return rows + list(_recomputation(step))


def _recomputation(step: Step) -> Iterator[Row]:
    """What the layers that run forward twice cost the second time, in a phase of its own."""
    if step.conventions.recompute == "none":
        return
    layers = recomputed_layers(step)
    again = step.forward_only()
    again.conventions = replace(step.conventions, recompute="none")
    counts: dict[tuple[str, str, str], int] = {}
    for layer, _, op, fmt, count in ledger(again):
        if layer in layers:
            counts[layer, op, fmt] = counts.get((layer, op, fmt), 0) + count
    for (layer, op, fmt), count in counts.items():
        yield Row(layer, "recomputation", op, fmt, count)


_Count = tuple[str, str, str, int]
"""(phase, operation, format, count)."""


def _counted(rows: Iterable[Row]) -> list[_Count]:
    """One count a phase, operation and format, in their order; zero counts left out."""
    counts: dict[tuple[str, str, str], int] = {}
    for _, phase, op, fmt, count in rows:
        counts[phase, op, fmt] = counts.get((phase, op, fmt), 0) + count
    order = sorted(counts, key=lambda k: (PHASES.index(k[0]), OPERATIONS.index(k[1]), k[2]))
    return [(*key, counts[key]) for key in order if counts[key]]


def macs_by_phase(rows: Iterable[Row]) -> dict[str, int]:
    """Multiply-accumulates of the three products, of running forward again where that is done, and
    their total."""
    macs = dict.fromkeys(MAC_PHASES, 0)
    for row in rows:
        if row.op == "mac":
            macs[row.phase] = macs.get(row.phase, 0) + row.count
    return {**macs, "total": sum(macs.values())}
