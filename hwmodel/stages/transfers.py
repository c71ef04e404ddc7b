"""What the DMA moves for a step: a batch and all that is learned in, what is learned out again.

Lines of each part as `hwmodel.lowering.parameters` lays them out, and the cycles that a memory of
`hwmodel.program_cycles.BUS_LATENCY` cycles needs for them.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwmodel.product_cycles import Sizes
from hwmodel.program_cycles import BUS_LATENCY
from hwmodel.step import WEIGHTED, Step

__all__ = ["Moves", "moves"]

_LOAD_STEPS = BUS_LATENCY + 6
"""Cycles of a load beside its lines, until the next word moves."""

_STORE_STEPS = BUS_LATENCY + 8
"""Cycles of a store beside its lines and what its bursts take."""

_BURST_STEPS = 2
"""Cycles between the bursts of a store."""

_BURST_LINES = 64
_BOUNDARY = 4096
_FIRST = 24
"""Cycles until the first load is taken: the program itself is fetched first."""


class Moves(NamedTuple):
    """Times of the DMA's work, each an array.

    Parameters
    ----------
    inputs, tables:
        Cycle in which the batch is there, and scalars and biases.
    weights:
        By layer.
    loaded:
        Everything is.
    stores:
        Cycles of what is stored at the end.
    lines:
        Loaded and stored.
    """

    inputs: Any
    tables: Any
    weights: dict[str, Any]
    loaded: Any
    stores: Any
    lines: tuple[Any, Any]


def _line_bytes(sizes: Sizes) -> NDArray[np.int64]:
    """`CoreConfig.line_bytes` for arrays of sizes."""
    most = np.maximum(np.maximum(sizes.rows, sizes.columns), 4)
    return np.int64(1) << np.ceil(np.log2(most)).astype(np.int64)


def _weights(step: Step) -> Iterator[tuple[str, int, int, int]]:
    """(layer, rows, inputs, outputs) of all weights."""
    for layer in step.network:
        if isinstance(layer.operator, WEIGHTED):
            outputs, *others = step.parameters[layer.name]["weight"]
            yield layer.name, math.prod(others), others[0], outputs


def _vectors(step: Step) -> Iterator[int]:
    """Elements of all vectors of 16-bit numbers."""
    for layer in step.network:
        for name, shape in step.parameters[layer.name].items():
            if name != "weight" and math.prod(shape) > 1:
                yield math.prod(shape)


def _scalars(step: Step) -> int:
    return sum(
        math.prod(shape) == 1
        for layer in step.network
        for name, shape in step.parameters[layer.name].items()
        if name != "weight"
    )


def moves(step: Step, sizes: Sizes) -> Moves:
    """Times and lines of the DMA's work for arrays of sizes."""
    line = _line_bytes(sizes)

    def lines(count: Any) -> Any:
        return -(-count // line)

    at = np.full_like(line, _FIRST)
    loaded, stores, stored = np.zeros_like(line), np.zeros_like(line), np.zeros_like(line)

    def load(count: Any) -> Any:
        nonlocal at, loaded
        loaded = loaded + lines(count)
        at = at + lines(count) + _LOAD_STEPS
        return at

    def keep(count: Any) -> Any:
        nonlocal stores, stored
        each = lines(count)
        burst = np.minimum(_BURST_LINES, _BOUNDARY // line)
        stored = stored + each
        stores = stores + each + _BURST_STEPS * -(-each // burst) + _STORE_STEPS
        return load(count)

    n = step.batch
    load(step.elements("input"))
    inputs = load(2 * n)
    load(2 * n)
    tables = keep(4 * _scalars(step) + 4)
    for count in _vectors(step):
        keep(2 * lines(count) * line)
        tables = keep(2 * lines(count) * line)
    # Lanes past the last input and output have bytes of their own.
    columns = np.asarray(sizes.columns)
    sizes_of = {
        name: (rows + -inputs % columns - 1) * (lines(outputs - 1) * line + 1)
        + outputs + -outputs % columns
        for name, rows, inputs, outputs in _weights(step)
    }  # fmt: skip
    weights = {name: keep(size) for name, size in sizes_of.items()}
    for size in sizes_of.values():
        keep(size)
    return Moves(inputs, tables, weights, at, stores, (loaded, stored))
