"""A step's products as the matrix unit runs them, for one array or many at once.

The same loops as `rtl.product_words` sets up, so that a product's cycles are exactly those of its
words (`hwmodel.product_cycles`), for any size: also for those that no word's fields hold. Rows and
columns of the array may be NumPy arrays.

What `rtl.product_words` has no words for is taken as products that it has: a group is a product of
its own, and a dilation steps over pixels, so that taps are never packed across it.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from golden.network import Convolution, Layer, Linear
from hwmodel.product_cycles import Sizes, period
from hwmodel.step import Step
from hwmodel.windows import window_axes

__all__ = ["LayerProduct", "backward_data", "backward_weight", "forward"]


class LayerProduct(NamedTuple):
    """Products of one size.

    Parameters
    ----------
    vectors:
        Positions that pass each tile of weights. 0: `reduced` is not, and the operand is
        transposed, so that vectors are blocks of `inner` channels times taps.
    reduced:
        Positions that a weight gradient sums over.
    inner:
        Channels of a tap of the moving operand.
    taps:
        Vertical and horizontal. A product without taps makes zeros.
    packs:
        A line of taps is contiguous, and is cut into blocks without regard to taps, which never
        takes more.
    outputs:
        Results a position: the array's columns.
    times:
        So many of them.
    """

    vectors: int
    reduced: int
    inner: int
    taps: tuple[int, int]
    packs: bool
    outputs: int
    times: int

    def _blocks(self, rows: Any) -> Any:
        """Blocks of R that the channels of all taps are cut into."""
        down, across = self.taps
        if self.packs:
            return -(-self.inner * across // rows) * down
        return -(-self.inner // rows) * across * down

    def tiles(self, sizes: Sizes) -> Any:
        """Tiles of weights (or aligned errors) of one product, in all blocks of columns."""
        blocks = -(-self.outputs // sizes.columns)
        if not self.vectors:
            return -(-self.reduced // sizes.rows) * blocks
        return (self._blocks(sizes.rows) if math.prod(self.taps) else 1) * blocks

    def streamed(self, sizes: Sizes) -> Any:
        """Vectors that enter the array a tile."""
        return self.vectors or self._blocks(sizes.rows) * sizes.rows

    def cycles(self, sizes: Sizes) -> Any:
        """Cycles from `Multiply` of one product to the next word (`ProductTime.next_taken`)."""
        return 2 + self.tiles(sizes) * period(self.streamed(sizes), sizes)

    def drain(self, sizes: Sizes) -> Any:
        """Cycles by which one product's last result is later than the next word."""
        streamed = self.streamed(sizes)
        late = streamed - period(streamed, sizes)
        return late + sizes.rows + sizes.columns + 6


def _groups(layer: Layer) -> tuple[int, int, int]:
    """Groups, and input and output channels of one."""
    operator = layer.operator
    assert isinstance(operator, Convolution)  # noqa: S101 - for the type checker
    groups = operator.groups
    return groups, layer.input_shapes[0][0] // groups, operator.out_channels // groups


def _linear(step: Step, layer: Layer) -> tuple[int, int, int]:
    """Rows of a batch, inputs, outputs."""
    operator = layer.operator
    assert isinstance(operator, Linear)  # noqa: S101 - for the type checker
    outputs = operator.out_features
    return step.elements(layer.name) // outputs, layer.input_shapes[0][-1], outputs


def _packs(operator: Convolution) -> bool:
    return operator.groups == 1 and operator.dilation[1] == 1


def forward(step: Step, layer: Layer) -> Iterator[LayerProduct]:
    """Outputs: of one sample at a time; of a linear layer for the whole batch."""
    if isinstance(layer.operator, Linear):
        rows, inputs, outputs = _linear(step, layer)
        yield LayerProduct(rows, 0, inputs, (1, 1), False, outputs, 1)
        return
    operator = layer.operator
    assert isinstance(operator, Convolution)  # noqa: S101 - for the type checker
    groups, inputs, outputs = _groups(layer)
    positions = math.prod(layer.shape[1:])
    yield LayerProduct(positions, 0, inputs, operator.kernel, _packs(operator), outputs,
                       groups * step.batch)  # fmt: skip


def backward_data(step: Step, layer: Layer) -> Iterator[LayerProduct]:
    """Errors of the inputs: one product for each phase of a stride."""
    if isinstance(layer.operator, Linear):
        rows, inputs, outputs = _linear(step, layer)
        yield LayerProduct(rows, 0, outputs, (1, 1), False, inputs, 1)
        return
    operator = layer.operator
    assert isinstance(operator, Convolution)  # noqa: S101 - for the type checker
    groups, inputs, outputs = _groups(layer)
    times = groups * step.batch
    if step.conventions.strided_backward == "zero-inserted":
        positions = math.prod(layer.input_shapes[0][1:])
        yield LayerProduct(positions, 0, outputs, operator.kernel, False, inputs, times)
        return
    rows_of, columns_of = (list(_phases(*axis)) for axis in window_axes(layer))
    for height, down in rows_of:
        for width, across in columns_of:
            yield LayerProduct(height * width, 0, outputs, (down, across), False, inputs, times)


def _phases(
    size: int, out: int, kernel: int, stride: int, before: int, dilation: int
) -> Iterator[tuple[int, int]]:
    """(input positions, taps that reach them) of every phase of an axis, also of those that none
    reaches."""
    for phase in range(min(stride, size)):
        reached = sum((k * dilation - phase - before) % stride == 0 for k in range(kernel))
        yield -(-(size - phase) // stride), reached


def backward_weight(step: Step, layer: Layer) -> Iterator[LayerProduct]:
    """Gradients of the weights: one product over the batch."""
    if isinstance(layer.operator, Linear):
        rows, inputs, outputs = _linear(step, layer)
        yield LayerProduct(0, rows, inputs, (1, 1), False, outputs, 1)
        return
    operator = layer.operator
    assert isinstance(operator, Convolution)  # noqa: S101 - for the type checker
    groups, inputs, outputs = _groups(layer)
    reduced = step.batch * math.prod(layer.shape[1:])
    yield LayerProduct(0, reduced, inputs, operator.kernel, _packs(operator), outputs, groups)
