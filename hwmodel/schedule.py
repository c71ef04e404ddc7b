"""A step cut into instructions for the core, and the cycles they take.

On an array of R rows (the reduction) and C columns one MATMUL makes up to `accumulator_depth` rows
by C columns of a product's result over ceil(k/R) tiles. Conversions are one QUANTIZE a sample and
tensor, alignments one SHIFT, updates one UPDATE a tensor, the loss one LOSS a sample. Cycles are
`hwmodel.cycles`, instruction by instruction, one after another.
"""

import math
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple

from golden.errors import InputError
from golden.formats import Rounding
from golden.network import Activation
from hwmodel.cycles import instruction_cycles, loss_cycles
from hwmodel.ledger import MAC_PHASES
from hwmodel.products import matrix_products
from hwmodel.step import Row, Step
from rtl.config import CoreConfig
from rtl.isa import Instruction, Matmul, Quantize, Shift, Update

__all__ = ["LOSS_CLASSES_MAX", "Schedule", "Work"]

LOSS_CLASSES_MAX = 1024
"""Most classes that the core's loss unit can be made for (`rtl.config`)."""

_MOST = 0xFFFF
"""Most tiles of one MATMUL, and most beats of one vector instruction."""


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


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


@lru_cache(maxsize=1 << 16)
def _cycles(instruction: Instruction, config: CoreConfig) -> int:
    return int(instruction_cycles(instruction, config))


def _cut(length: int, limit: int) -> list[tuple[int, int]]:
    """(length, how many): whole pieces of `limit`, and the rest."""
    pieces = [(limit, length // limit), (length % limit, 1)]
    return [(size, times) for size, times in pieces if size and times]


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
        self._flow = step.dataflow
        longest = 1
        for tensor in {*self._flow.activations, *self._flow.errors}:
            longest = max(longest, _ceil(step.elements(tensor) // step.batch, columns or 1))
        for layer in step.network:
            for shape in layer.parameters.values():
                longest = max(longest, _ceil(math.prod(shape), columns or 1))
        self.classes = math.prod(step.network.shape_of(step.output))
        try:
            self.config = CoreConfig(
                rows=rows,
                columns=columns,
                tensor_depth=min(max(longest, 512), _MOST),
                loss_classes=min(max(self.classes, 64), LOSS_CLASSES_MAX),
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"array {rows}x{columns}: {error}") from None

    @cached_property
    def work(self) -> list[Work]:
        """Everything that the core does in the step."""
        return [*self._matmuls(), *self._conversions(), *self._updates(), *self._losses()]

    @property
    def cycles(self) -> int:
        """Clock cycles of the step, one instruction after another."""
        return sum(work.cycles for work in self.work)

    @property
    def utilization(self) -> float:
        """Useful multiply-accumulates over those that the array could make in all cycles."""
        macs = sum(work.macs for work in self.work)
        return macs / (self.cycles * self.config.rows * self.config.columns)

    def uncovered(self, rows: list[Row]) -> list[Work]:
        """Element operations of the ledger that the core has no instruction for, as "VECTOR" work:
        joins, pooling, dropout, scalars a tensor or a channel."""
        columns = self.config.columns
        return [
            Work(row.layer, row.phase, "VECTOR", 0, _ceil(row.count, columns), 0)
            for row in rows
            if row.phase in ("normalization", *MAC_PHASES)
            and row.op != "mac"
            and row.layer != "loss"
            and not self._covered(row)
        ]

    def _covered(self, row: Row) -> bool:
        """QUANTIZE adds the biases of weighted layers and makes an activation's compares; a product
        sums the gradients of biases."""
        layer = self.step.network.layers[row.layer]
        if isinstance(layer.operator, Activation):
            return row.op == "compare"
        return "weight" in layer.parameters and row.phase in ("forward", "backward_weight")

    def _matmuls(self) -> Iterator[Work]:
        config = self.config
        for product in matrix_products(self.step):
            blocks = _ceil(product.n, config.columns) * product.repeats
            cycles = count = 0
            # A reduction longer than one instruction's tiles takes several of them.
            for tiles, parts in _cut(_ceil(product.k, config.rows), _MOST):
                for rows, times in _cut(product.m, config.accumulator_depth):
                    many = blocks * parts * times
                    cycles += many * _cycles(Matmul(rows=rows, tiles=tiles), config)
                    count += many
            yield Work(product.layer, product.phase, "MATMUL", count, cycles, product.macs)

    def _vector(
        self, layer: str, phase: str, elements: int, times: int, make: Callable[[int], Instruction]
    ) -> Work:
        """`times` runs over so many elements, each cut into instructions that are short enough."""
        beats = _ceil(elements, self.config.columns)
        limit = self.config.tensor_depth if isinstance(make(1), Quantize) else _MOST
        cycles = count = 0
        for length, pieces in _cut(beats, limit):
            cycles += times * pieces * _cycles(make(length), self.config)
            count += times * pieces
        return Work(layer, phase, type(make(1)).__name__.upper(), count, cycles, 0)

    def _conversions(self) -> Iterator[Work]:
        """QUANTIZE a sample for each A and E, SHIFT a sample for each alignment of E, QUANTIZE for
        each G."""
        step = self.step
        for tensor in (*self._flow.activations, *self._flow.errors):
            elements = step.elements(tensor) // step.batch
            yield self._vector(
                tensor, "quantization", elements, step.batch, lambda n: Quantize(beats=n)
            )
        for layer in step.network:
            if layer.name not in step.learned:
                continue
            if "weight" in layer.parameters:
                elements = step.elements(layer.name) // step.batch
                yield self._vector(
                    layer.name, "quantization", elements, step.batch * len(layer.parameters),
                    lambda n: Shift(beats=n, shift=1, rounding=Rounding.STOCHASTIC),
                )  # fmt: skip
            for shape in layer.parameters.values():
                yield self._vector(
                    layer.name, "quantization", math.prod(shape), 1, lambda n: Quantize(beats=n)
                )

    def _updates(self) -> Iterator[Work]:
        for layer in self.step.network:
            if layer.name in self.step.learned:
                for name, shape in layer.parameters.items():
                    make = _wide_update if name != "weight" else _update
                    size = math.prod(shape)
                    yield self._vector(layer.name, "update", size, 1, make)

    def _losses(self) -> Iterator[Work]:
        # More classes than the core's tables hold follow the same form; `Cost.assumptions` says so.
        cycles = int(loss_cycles(max(self.classes, 2), self.config))
        yield Work("loss", "forward", "LOSS", self.step.batch, self.step.batch * cycles, 0)


def _update(beats: int) -> Instruction:
    return Update(beats=beats, gradient_shift=1, update_shift=1, gradient_key=0, update_key=0)


def _wide_update(beats: int) -> Instruction:
    return Update(
        beats=beats, gradient_shift=1, update_shift=1, gradient_key=0, update_key=0, wide=True
    )
