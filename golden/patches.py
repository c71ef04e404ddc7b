"""Sliding windows as matrices, and back: what makes a convolution one matrix product.

Matrices have channels and taps in their rows and positions of all samples in their columns, so that
nothing has to be transposed: weights (out, rows) times patches (rows, columns) is the output with
its channels outermost in memory.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from golden.acceleration import compiled
from golden.network import Convolution
from golden.values import zero_planes

__all__ = ["Patches"]


@dataclass(frozen=True)
class Patches:
    """The geometry of one convolution on a batch.

    Parameters
    ----------
    operator:
        The convolution.
    samples, channels, height, width:
        The input.
    """

    operator: Convolution
    samples: int
    channels: int
    height: int
    width: int

    @property
    def _padded(self) -> tuple[int, int, int, int]:
        top, left, bottom, right = self.operator.padding
        return (self.samples, self.channels, self.height + top + bottom, self.width + left + right)

    @property
    def _inside(self) -> tuple[slice, ...]:
        top, left, _, _ = self.operator.padding
        rows, columns = slice(top, top + self.height), slice(left, left + self.width)
        return (slice(None), slice(None), rows, columns)

    @property
    def _offset(self) -> tuple[int, int]:
        """Row and column of the input at which the first window begins."""
        top, left, _, _ = self.operator.padding
        return (-top, -left)

    @property
    def positions(self) -> tuple[int, int]:
        """Output height and width."""
        return self.operator.positions((self.channels, self.height, self.width))

    def _tap(self, y: int, x: int) -> tuple[slice, ...]:
        """Where in the padded input one tap of all windows is."""
        o = self.operator
        first = (y * o.dilation[0], x * o.dilation[1])
        spans = zip(first, self.positions, o.stride, strict=True)
        return tuple(slice(f, f + (n - 1) * stride + 1, stride) for f, n, stride in spans)

    def gather(self, planes: NDArray, dtype: DTypeLike) -> NDArray:
        """Matrices (groups, in/groups * taps, samples * positions) of `dtype`."""
        o = self.operator
        rows = self.channels // o.groups * o.kernel[0] * o.kernel[1]
        positions = self.positions
        result: NDArray = np.empty(
            (self.channels, *o.kernel, self.samples, *positions), dtype=dtype
        )
        loops = compiled(result.size)
        if loops:
            outermost = planes.transpose(1, 0, 2, 3).astype(dtype, copy=False)
            loops.spread(outermost, result, o.stride, o.dilation, self._offset)
            return result.reshape(o.groups, rows, -1)
        padded = zero_planes(self._padded, dtype)
        padded[self._inside] = planes
        padded = padded.transpose(1, 0, 2, 3)
        for y in range(o.kernel[0]):
            for x in range(o.kernel[1]):
                result[:, y, x] = padded[(slice(None), slice(None), *self._tap(y, x))]
        return result.reshape(o.groups, rows, -1)

    def scatter(self, matrices: NDArray) -> NDArray:
        """Add up every element of the matrices where `gather` took it from."""
        o = self.operator
        taps = matrices.reshape(self.channels, *o.kernel, self.samples, *self.positions)
        loops = compiled(taps.size)
        if loops:
            shape = (self.channels, self.samples, self.height, self.width)
            planes: NDArray = np.empty(shape, dtype=matrices.dtype)
            loops.collapse(taps, planes, o.stride, o.dilation, self._offset)
            return planes.transpose(1, 0, 2, 3)
        padded = zero_planes(self._padded, matrices.dtype)
        outermost = padded.transpose(1, 0, 2, 3)
        for y in range(o.kernel[0]):
            for x in range(o.kernel[1]):
                outermost[(slice(None), slice(None), *self._tap(y, x))] += taps[:, y, x]
        return padded[self._inside]

    def rows(self, planes: NDArray, dtype: DTypeLike) -> NDArray:
        """Output-shaped planes as (groups, out/groups, samples * positions)."""
        outermost: NDArray = planes.transpose(1, 0, 2, 3).astype(dtype, order="C", copy=False)
        return outermost.reshape(self.operator.groups, planes.shape[1] // self.operator.groups, -1)

    def planes(self, rows: NDArray) -> NDArray:
        """Return what `rows` gives as (samples, out, height, width)."""
        shape = (self.operator.out_channels, self.samples, *self.positions)
        return rows.reshape(shape).transpose(1, 0, 2, 3)
