"""A step cut into instructions for the core, and the cycles they take.

On an array of R rows (the reduction) and C columns one MATMUL makes up to `accumulator_depth` rows
by C columns of a product's result over ceil(k/R) tiles. Conversions are one QUANTIZE a sample and
tensor, alignments one SHIFT, updates one UPDATE a tensor, the loss one LOSS a sample. Cycles are
`hwmodel.cycles`, instruction by instruction, one after another.

The same forms price one core (`Schedule`) and many at once (`step_cycles`).
"""

import math
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.network import Activation
from hwmodel.cycles import (
    Arrays,
    Sizes,
    loss_cycles,
    matmul_cycles,
    quantize_cycles,
    shift_cycles,
    update_cycles,
)
from hwmodel.ledger import MAC_PHASES
from hwmodel.products import matrix_products
from hwmodel.step import Row, Step
from rtl.config import SIZE_MAX, CoreConfig

__all__ = ["DEPTH", "LOSS_CLASSES_MAX", "Schedule", "Work", "step_cycles"]

LOSS_CLASSES_MAX = 1024
"""Most classes that the core's loss unit can be made for (`rtl.config`)."""

_MOST = 0xFFFF
"""Most tiles of one MATMUL, and most beats of one vector instruction."""

DEPTH = 64
"""Rows of sums that a column keeps, in any scheme: the default of `CoreConfig`."""

_FORMS = {"QUANTIZE": quantize_cycles, "SHIFT": shift_cycles, "UPDATE": update_cycles}


class Work(NamedTuple):
    """Instructions of one kind in one layer and phase, their cycles, and the useful MACs in them.

    The instruction "VECTOR" is work that the core has no instruction for yet: element operations
    at one beat of C of them a cycle.
    """

    layer: str
    phase: str
    instruction: str
    instructions: int
    cycles: int
    macs: int


class _Job(NamedTuple):
    """`times` runs of a vector instruction over so many elements."""

    layer: str
    phase: str
    instruction: str
    elements: int
    times: int


def _ceil(a: int, b: Any) -> Any:
    return -(-a // b)


def _matmuls(m: int, k: int, blocks: Any, sizes: Sizes) -> tuple[Any, Any]:
    """Instructions and cycles of `blocks` products of m rows and one block of columns.

    A reduction longer than one instruction's tiles takes several of them, and so do more rows than
    a column keeps: whole pieces, and the rest.
    """
    count: Any = 0
    cycles: Any = 0
    tiles = _ceil(k, sizes.rows)
    for rows, times in ((DEPTH, m // DEPTH), (m % DEPTH, 1)):
        if not rows or not times:
            continue
        for length, parts in ((_MOST, tiles // _MOST), (tiles % _MOST, tiles % _MOST > 0)):
            if np.any(parts):
                many = blocks * parts * times
                count = count + many
                cycles = cycles + many * matmul_cycles(rows, length, sizes)
    return count, cycles


def _vectors(instruction: str, elements: int, limit: Any, columns: Any) -> tuple[Any, Any]:
    """Instructions and cycles of one run over so many elements, cut to at most `limit` beats."""
    form = _FORMS[instruction]
    beats = _ceil(elements, columns)
    whole, rest = beats // limit, beats % limit
    return whole + (rest > 0), whole * form(limit) + (rest > 0) * form(rest)


@lru_cache(maxsize=1 << 16)
def _one_matmul(m: int, k: int, blocks: int, config: CoreConfig) -> tuple[int, int]:
    count, cycles = _matmuls(m, k, blocks, config)
    return int(count), int(cycles)


@lru_cache(maxsize=1 << 16)
def _one_vector(instruction: str, elements: int, limit: int, columns: int) -> tuple[int, int]:
    count, cycles = _vectors(instruction, elements, limit, columns)
    return int(count), int(cycles)


def _jobs(step: Step) -> Iterator[_Job]:
    """QUANTIZE a sample for each A and E, SHIFT a sample for each alignment of E; one SHIFT for
    each G and one UPDATE for each parameter tensor."""
    flow = step.dataflow
    for tensor in (*flow.activations, *flow.errors):
        each = step.elements(tensor) // step.batch
        yield _Job(tensor, "quantization", "QUANTIZE", each, step.batch)
    for layer in step.network:
        if layer.name not in step.learned:
            continue
        if "weight" in step.parameters[layer.name]:
            each, times = step.elements(layer.name) // step.batch, len(step.parameters[layer.name])
            yield _Job(layer.name, "quantization", "SHIFT", each, step.batch * times)
        for shape in step.parameters[layer.name].values():
            yield _Job(layer.name, "quantization", "SHIFT", math.prod(shape), 1)
    for layer in step.network:
        if layer.name in step.learned:
            for shape in step.parameters[layer.name].values():
                yield _Job(layer.name, "update", "UPDATE", math.prod(shape), 1)


def _longest(step: Step) -> int:
    """Elements of the longest tensor that waits in the core's tensor buffer."""
    flow = step.dataflow
    waiting = {*flow.activations, *flow.errors}
    return max((step.elements(t) // step.batch for t in waiting), default=1)


def _tensor_depth(longest: int, columns: Any) -> Any:
    """Beats of the tensor buffer: as many as the longest tensor needs, within the core's limits."""
    return np.clip(_ceil(longest, columns), 512, _MOST)


def _classes(step: Step) -> int:
    return math.prod(step.network.shape_of(step.output))


def _uncovered(step: Step, rows: list[Row]) -> list[Row]:
    """Element operations of the ledger that the core has no instruction for: joins, pooling,
    dropout, scalars a tensor or a channel."""
    return [
        row
        for row in rows
        if row.phase in ("normalization", *MAC_PHASES)
        and row.op != "mac"
        and row.layer != "loss"
        and not _covered(step, row)
    ]


def _covered(step: Step, row: Row) -> bool:
    """QUANTIZE adds the biases of weighted layers and makes an activation's compares; a product
    sums the gradients of biases."""
    layer = step.network.layers[row.layer]
    if isinstance(layer.operator, Activation):
        return row.op == "compare"
    return "weight" in step.parameters[layer.name] and row.phase in ("forward", "backward_weight")


class Schedule:
    """A step on a core.

    The core is as small as the step allows: buffers as long as the longest tensor that has to wait
    in them, up to the core's limits; what is longer is cut.

    Parameters
    ----------
    step:
        Of the scheme eoq: the core computes in int8 and has no normalisation.
    rows, columns:
        Size of the array.

    Raises
    ------
    InputError
        If the core's range does not hold the array.
    """

    def __init__(self, step: Step, rows: int, columns: int) -> None:
        self.step = step
        self.classes = _classes(step)
        try:
            self.config = CoreConfig(
                rows=rows,
                columns=columns,
                accumulator_depth=DEPTH,
                tensor_depth=int(_tensor_depth(_longest(step), columns or 1)),
                loss_classes=min(max(self.classes, 64), LOSS_CLASSES_MAX),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"array {rows}x{columns}: {error}") from None

    @cached_property
    def work(self) -> list[Work]:
        """Everything that the core does in the step."""
        return [*self._matmuls(), *self._vectors(), self._loss()]

    @property
    def cycles(self) -> int:
        """Clock cycles of the step, one instruction after another."""
        return sum(work.cycles for work in self.work)

    @property
    def utilization(self) -> float:
        """Useful multiply-accumulates over those that the array could make in all cycles."""
        macs = sum(work.macs for work in self.work)
        return macs / (self.cycles * self.config.rows * self.config.columns)

    def uncovered(self, rows: list[Row], lanes: int | None = None) -> list[Work]:
        """Element operations of the ledger that the core has no instruction for, as "VECTOR", so
        many `lanes` of them a cycle; the core's columns unless told otherwise."""
        lanes = lanes or self.config.columns
        return [
            Work(row.layer, row.phase, "VECTOR", 0, _ceil(row.count, lanes), 0)
            for row in _uncovered(self.step, rows)
        ]

    def _matmuls(self) -> Iterator[Work]:
        for p in matrix_products(self.step):
            blocks = _ceil(p.n, self.config.columns) * p.repeats
            count, cycles = _one_matmul(p.m, p.k, blocks, self.config)
            yield Work(p.layer, p.phase, "MATMUL", count, cycles, p.macs)

    def _vectors(self) -> Iterator[Work]:
        config = self.config
        for layer, phase, instruction, elements, times in _jobs(self.step):
            limit = config.tensor_depth if instruction == "QUANTIZE" else _MOST
            count, cycles = _one_vector(instruction, elements, limit, config.columns)
            yield Work(layer, phase, instruction, times * count, times * cycles, 0)

    def _loss(self) -> Work:
        # More classes than the core's tables hold follow the same form; `Cost.assumptions` says so.
        cycles = int(loss_cycles(max(self.classes, 2), self.config))
        return Work("loss", "forward", "LOSS", self.step.batch, self.step.batch * cycles, 0)


def step_cycles(
    step: Step, ledger: list[Row], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Clock cycles of a step on each of many arrays; 0 where the core's range does not hold one.

    What `Schedule` adds up for one array, as array arithmetic. Exact below 2**63 cycles.

    Parameters
    ----------
    step, ledger:
        Of the scheme eoq, and its ledger.
    rows, columns:
        One array each.
    """
    total = np.zeros(len(rows), dtype=np.int64)
    inside = (rows <= SIZE_MAX) & (columns <= SIZE_MAX)
    sizes = Arrays(rows[inside], columns[inside])
    cycles = np.zeros(len(sizes.rows), dtype=np.int64)
    blocks: Counter[tuple[int, int, int]] = Counter()
    for p in matrix_products(step):
        blocks[p.m, p.k, p.n] += p.repeats
    for (m, k, n), repeats in blocks.items():
        cycles += _matmuls(m, k, _ceil(n, sizes.columns) * repeats, sizes)[1]
    depth = _tensor_depth(_longest(step), sizes.columns)
    runs: Counter[tuple[str, int]] = Counter()
    for job in _jobs(step):
        runs[job.instruction, job.elements] += job.times
    # Vector work knows the columns only.
    few, place, inverse = np.unique(sizes.columns, return_index=True, return_inverse=True)
    vector = step.batch * loss_cycles(max(_classes(step), 2), Arrays(few, few))
    for (instruction, elements), times in runs.items():
        limit = depth[place] if instruction == "QUANTIZE" else _MOST
        vector += times * _vectors(instruction, elements, limit, few)[1]
    for count, times in Counter(row.count for row in _uncovered(step, ledger)).items():
        vector += times * _ceil(count, few)
    total[inside] = cycles + vector[inverse]
    return total
