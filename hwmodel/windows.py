"""Exact counts of a convolution's multiplications and of what it touches.

Rows and columns are independent, so every count is a product of two one-dimensional ones. A tap is
a pair (output position o, kernel index k); it reads input position o*stride + k*dilation - padding.
"""

import math
from functools import lru_cache

from golden.network import AveragePool, Convolution, Layer, Linear, MaxPool, Operator
from golden.windows import overlaps
from hwmodel.conventions import Conventions

__all__ = ["chooses", "overlaps", "phase_lengths", "product_macs", "taps", "touched", "window_axes"]


def chooses(operator: Operator) -> bool:
    """A pooling window of one position, and no padding, only takes every n-th element."""
    if not isinstance(operator, MaxPool | AveragePool):
        return False
    return operator.kernel == (1, 1) and not any(operator.padding)


@lru_cache(maxsize=4096)
def taps(size: int, out: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Taps along one axis that read inside the input: 0 <= o*stride + k*dilation - before < size.

    Never more than out * kernel, which is the count with taps on padding.
    """
    count = 0
    for k in range(kernel):
        offset = k * dilation - before
        first = max(0, -(offset // stride))
        last = min(out - 1, (size - 1 - offset) // stride)
        count += max(0, last - first + 1)
    return count


@lru_cache(maxsize=4096)
def touched(size: int, out: int, kernel: int, stride: int, before: int, dilation: int) -> int:
    """Input positions along one axis that at least one tap reads."""
    positions: set[int] = set()
    for k in range(kernel):
        start = k * dilation - before
        reached = range(start, start + out * stride, stride)
        positions.update(p for p in reached if 0 <= p < size)
        if len(positions) == size:
            break
    return len(positions)


@lru_cache(maxsize=4096)
def _inserted_taps(
    size: int, out: int, kernel: int, stride: int, before: int, dilation: int
) -> int:
    """Taps of the zero-inserted backward pass that fall on the stretched error.

    The error is stretched to (out-1)*stride + 1; input position i takes its element
    i + before - k*dilation for every k.
    """
    length = (out - 1) * stride + 1
    count = 0
    for k in range(kernel):
        offset = before - k * dilation
        count += max(0, min(size - 1, length - 1 - offset) - max(0, -offset) + 1)
    return count


def window_axes(
    layer: Layer,
) -> tuple[tuple[int, int, int, int, int, int], tuple[int, int, int, int, int, int]]:
    """(size, out, kernel, stride, padding before, dilation) of both axes of a window operator."""
    operator = layer.operator
    _, height, width = layer.input_shapes[0]
    rows, columns = layer.shape[1:]
    # A window operator by construction: callers come through the ledger's dispatch.
    kernel, stride = operator.kernel, operator.stride  # type: ignore[attr-defined]
    padding, dilation = operator.padding, operator.dilation  # type: ignore[attr-defined]
    return (
        (height, rows, kernel[0], stride[0], padding[0], dilation[0]),
        (width, columns, kernel[1], stride[1], padding[1], dilation[1]),
    )


def _pairs(layer: Layer) -> int:
    """Channel pairs that are multiplied: output channels times input channels of a group."""
    operator = layer.operator
    assert isinstance(operator, Convolution)  # noqa: S101 - for the type checker
    return operator.out_channels * (layer.input_shapes[0][0] // operator.groups)


def product_macs(layer: Layer, phase: str, conventions: Conventions) -> int:
    """Multiply-accumulates of one sample in one of a weighted layer's three products.

    Forward: out * in/groups * taps. Backward_weight: the same pairs, summed over positions.
    Backward_data: the same pairs again when decomposed into phases; with zeros inserted, kernel
    taps times *input* positions, of which stride**2 - 1 in stride**2 multiply a zero.
    """
    operator = layer.operator
    if isinstance(operator, Linear):
        return math.prod(layer.shape) * layer.input_shapes[0][-1]
    inserted = (
        phase == "backward_data"
        and conventions.strided_backward == "zero-inserted"
        and isinstance(operator, Convolution)
        and max(operator.stride) > 1
    )
    result = _pairs(layer)
    for axis in window_axes(layer):
        size, out, kernel = axis[:3]
        if inserted:
            result *= size * kernel if conventions.padding else _inserted_taps(*axis)
        else:
            result *= out * kernel if conventions.padding else taps(*axis)
    return result


def phase_lengths(
    size: int, out: int, kernel: int, stride: int, before: int, dilation: int
) -> list[tuple[int, int]]:
    """(input positions, kernel taps) of each phase of a strided axis's backward pass.

    Input position i belongs to phase (i + before) mod stride; only taps with
    k*dilation of the same remainder reach it. Phases without a tap leave zero errors.
    """
    lengths = []
    for phase in range(stride):
        reached = sum(1 for k in range(kernel) if (k * dilation) % stride == phase)
        first = (phase - before) % stride
        positions = (size - first + stride - 1) // stride if first < size else 0
        if reached and positions:
            lengths.append((positions, reached))
    return lengths
