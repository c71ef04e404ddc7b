"""Clock-by-clock inputs of single blocks: real operands of a training step, and uniform noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cosim.lane_passes import LEAD, LanePass, run_passes, update_passes
from cosim.operands import Product, Quantization, Step, Update
from golden.formats import Integers
from golden.optimizer import WEIGHT
from rtl.config import CoreConfig
from rtl.quantizer import ROUND_HALF

__all__ = ["WORKLOADS", "Maker", "Workload", "draw_place", "element_workload"]

_LIMIT = 127

_LONGEST = 256
"""Most operands that are taken from one tile: many places are seen, not one for long."""

_PART = 64
"""Most parameters of a tensor that are updated before another one is drawn."""


@dataclass(frozen=True)
class Workload:
    """Inputs of one block.

    Attributes
    ----------
    phase:
        forward, backward_data, backward_weight or update; "noise" for uniform operands.
    inputs:
        Port -> one value a cycle, signed where the port is.
    operations:
        What is counted: products, quantised values or updated parameters after `settle`.
    settle:
        Cycles at the start that fill the pipeline and are not counted.
    """

    phase: str
    inputs: Mapping[str, Integers]
    operations: int
    settle: int


Maker = Callable[[Step, CoreConfig, int, np.random.Generator], Iterator[Workload]]
"""(step, configuration, cycles a phase, random source) -> one workload a phase."""


def _element(
    step: Step, config: CoreConfig, cycles: int, rng: np.random.Generator
) -> Iterator[Workload]:
    """One processing element of a weight-stationary array, at random places of random tiles."""
    noise = Product(
        "noise", "noise",
        rng.integers(-_LIMIT, _LIMIT + 1, (max(cycles, 64), 4 * config.rows)),
        rng.integers(-_LIMIT, _LIMIT + 1, (4 * config.rows, config.columns)),
    )  # fmt: skip
    for phase in ("forward", "backward_data", "backward_weight", "noise"):
        products = [p for p in [*step.products, noise] if p.phase == phase]
        if products:
            yield element_workload(phase, products, config.rows, cycles, rng)


def element_workload(
    phase: str, products: Sequence[Product], rows: int, cycles: int, rng: np.random.Generator
) -> Workload:
    """A processing element at random places of random tiles that follow each other without a gap.

    Parameters
    ----------
    phase:
        Name of the workload.
    products:
        Of which each is taken as often as it has multiplications.
    rows:
        Of the array.
    cycles:
        At least how many.
    rng:
        Draws the places.
    """
    lead = rows + 4
    tiles = []
    start = lead
    while start < lead + cycles:
        product, part, place, n = draw_place(products, rng)
        stream = product.a[part, place].astype(np.int64)
        # Sums from above: all earlier tiles and the rows over this one.
        above = product.a[part, :place].astype(np.int64) @ product.b[:place, n].astype(np.int64)
        row = place % rows
        column = product.b[place - row : place - row + rows, n].astype(np.int64)
        tiles.append((start, row, column, stream, above))
        # A tile is at least as long as loading the next one takes.
        start += max(len(stream), rows + 1)
    end = start + rows
    inputs = {name: np.zeros(end, dtype=np.int64) for name in ("a_i", "psum_i", "b", "take")}
    for start, row, column, stream, above in tiles:
        inputs["a_i"][start : start + len(stream)] = stream
        # Due one cycle after its operand.
        inputs["psum_i"][start + 1 : start + 1 + len(above)] = above
        # The column's wire shows row r's weight r cycles after row 0's, and the element takes its
        # own in the cycle before its first operand.
        shown = start - 1 - row
        inputs["b"][shown : shown + len(column)] = column
        inputs["take"][start - 1] = 1
    settle = lead + 4
    counted = sum(len(stream) for _, _, _, stream, _ in tiles) - 4
    return Workload(phase, inputs, counted, settle)


def draw_place(
    products: Sequence[Product], rng: np.random.Generator
) -> tuple[Product, slice, int, int]:
    """A product, drawn as often as it has multiplications; some of its vectors, and the place and
    column of one weight."""
    macs = np.array([float(p.a.shape[0]) * p.a.shape[1] * p.b.shape[1] for p in products])
    product = products[rng.choice(len(products), p=macs / macs.sum())]
    m, k = product.a.shape
    place, n = int(rng.integers(k)), int(rng.integers(product.b.shape[1]))
    low = int(rng.integers(max(m - _LONGEST, 0) + 1))
    return product, slice(low, low + _LONGEST), place, n


def _quantizer(
    step: Step, config: CoreConfig, cycles: int, rng: np.random.Generator
) -> Iterator[Workload]:
    """Samples' 32-bit results, as many of each tensor as it has elements."""
    noise = [Quantization("noise", "noise", rng.integers(-(1 << 31), 1 << 31, cycles + 8), 24)]
    for phase in ("forward", "backward_data", "noise"):
        tensors = [q for q in step.quantizations if q.phase == phase] if phase != "noise" else noise
        if not tensors:
            continue
        sizes = np.array([float(t.values.size) for t in tensors])
        values: list[Integers] = []
        shifts: list[Integers] = []
        while sum(map(len, values)) < cycles + 8:
            tensor = tensors[rng.choice(len(tensors), p=sizes / sizes.sum())]
            start = int(rng.integers(max(tensor.values.size - 256, 0) + 1))
            values.append(tensor.values[start : start + 256])
            shifts.append(np.full(len(values[-1]), tensor.shift))
        t, shift = np.concatenate(values), np.concatenate(shifts)
        # Activations and errors are rounded half up.
        inputs = {"t": t, "shift": shift, "random": np.full_like(t, ROUND_HALF)}
        yield Workload(phase, inputs, len(t) - 4, 4)


def _lane(
    step: Step, config: CoreConfig, cycles: int, rng: np.random.Generator
) -> Iterator[Workload]:
    """A lane that updates weights: lane 0, which has every C-th parameter of a tensor."""
    lanes = config.columns
    drawn = rng.integers(-_LIMIT, _LIMIT + 1, (3, cycles * lanes))
    uniform = Update(
        "noise",
        drawn[0],
        drawn[1],
        drawn[2],
        WEIGHT.applied_shift(0),
        WEIGHT.decay_bits(0),
        0x12345678,
    )
    for phase, updates in (("update", step.updates), ("noise", [uniform])):
        sizes = np.array([float(u.parameter.size) for u in updates])
        passes: list[LanePass] = []
        parameters = 0
        while sum(len(each.x) for each in passes) < cycles:
            tensor = updates[rng.choice(len(updates), p=sizes / sizes.sum())]
            made = list(update_passes(tensor, lanes, min(_PART, cycles)))
            passes += made
            parameters += len(made[0].x)
        yield Workload(phase, run_passes(passes).inputs, parameters, LEAD)


WORKLOADS: dict[str, Maker] = {
    "pe": _element,
    "quantizer": _quantizer,
    "vector_lane": _lane,
}
"""Block -> what makes its workloads."""
