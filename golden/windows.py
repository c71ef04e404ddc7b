"""Pooling windows over planes: where each tap of all windows lies in the padded input.

A tap is one position of a window; the elements that it takes from all windows are one slice of the
padded planes, so that pooling is as many array operations as a window has positions.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.network import AveragePool, MaxPool

__all__ = ["PoolingWindows", "Tap", "first_largest", "overlaps"]

Tap = tuple[slice, ...]
"""Indexes (samples, channels, height, width)."""


def overlaps(operator: MaxPool | AveragePool) -> bool:
    """Some element lies in more than one window, and gets the sum of their errors."""
    # Two taps d apart meet where d * dilation is a multiple of the stride.
    return any(
        kernel > stride // math.gcd(stride, dilation)
        for kernel, stride, dilation in zip(
            operator.kernel, operator.stride, operator.dilation, strict=True
        )
    )


def first_largest(taps: Iterable[NDArray]) -> tuple[NDArray, NDArray[np.unsignedinteger]]:
    """Element-wise maximum of arrays of one shape, and which is the first to have it."""
    first, *others = taps
    largest = first.copy(order="K")
    place = np.zeros_like(largest, dtype=np.min_scalar_type(len(others)))
    for number, tap in enumerate(others, start=1):
        larger = tap > largest
        np.copyto(largest, tap, where=larger)
        np.copyto(place, place.dtype.type(number), where=larger)
    return largest, place


@dataclass(frozen=True)
class PoolingWindows:
    """The geometry of one pooling operator on planes of one size.

    Parameters
    ----------
    operator:
        The pooling.
    height, width:
        Of the input's planes.
    """

    operator: MaxPool | AveragePool
    height: int
    width: int

    @property
    def positions(self) -> tuple[int, int]:
        """Output height and width."""
        return self.operator.positions((1, self.height, self.width))

    def _reach(self) -> tuple[int, int]:
        """Padded height and width: as far as the last window reaches, if lengths round up."""
        o = self.operator
        top, left, bottom, right = o.padding
        height, width = (
            (n - 1) * stride + (kernel - 1) * dilation + 1
            for n, stride, kernel, dilation in zip(
                self.positions, o.stride, o.kernel, o.dilation, strict=True
            )
        )
        return max(self.height + top + bottom, height), max(self.width + left + right, width)

    @property
    def inside(self) -> Tap:
        """Where in the padded planes the input is."""
        top, left, _, _ = self.operator.padding
        rows, columns = slice(top, top + self.height), slice(left, left + self.width)
        return (slice(None), slice(None), rows, columns)

    def zeros(self, like: NDArray) -> NDArray:
        """Padded planes of zeros, of the samples, channels, type and memory order of `like`."""
        return np.zeros_like(like, shape=(*like.shape[:2], *self._reach()))

    def pad(self, planes: NDArray, fill: float = 0) -> NDArray:
        """Return the planes with `fill` around them."""
        result = self.zeros(planes)
        if fill:
            result[...] = fill
        result[self.inside] = planes
        return result

    def taps(self) -> Iterator[Tap]:
        """Every tap, row by row."""
        o = self.operator
        for y in range(o.kernel[0]):
            for x in range(o.kernel[1]):
                spans = zip((y, x), o.dilation, self.positions, o.stride, strict=True)
                yield (
                    slice(None),
                    slice(None),
                    *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in spans),
                )

    def has_empty(self) -> bool:
        """Some window lies in the padding altogether."""
        o = self.operator
        for axis, size in enumerate((self.height, self.width)):
            for n in range(self.positions[axis]):
                first = n * o.stride[axis] - o.padding[axis]
                reached = range(first, first + o.kernel[axis] * o.dilation[axis], o.dilation[axis])
                if not any(0 <= place < size for place in reached):
                    return True
        return False
