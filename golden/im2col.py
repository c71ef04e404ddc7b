"""Convolution's windows as a matrix of 8-bit codes: im2col with the channels last.

A row is one output position of one sample, its columns are (kernel row, kernel column, channel).
Backward-data of an unstrided convolution is a convolution of the errors with flipped weights, and
so has windows of its own; only a strided one adds up what overlaps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.acceleration import compiled

__all__ = ["Windows"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """Where the windows of a convolution lie in its input.

    Parameters
    ----------
    kernel, stride, dilation:
        Height and width.
    offset:
        Row and column at which the first window begins; negative where there is padding.
    size:
        Height and width of the input.
    positions:
        Height and width of the output.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    offset: Pair
    size: Pair
    positions: Pair

    def flipped(self) -> "Windows":
        """Windows of the errors that reach each input, taps in reversed order; stride 1 only."""
        spans = zip(self.kernel, self.dilation, self.offset, strict=True)
        y, x = (-offset - (kernel - 1) * dilation for kernel, dilation, offset in spans)
        return Windows(self.kernel, (1, 1), self.dilation, (y, x), self.positions, self.size)

    @property
    def _is_plane(self) -> bool:
        """Each window is one position of the input, in order: nothing is to be moved."""
        return (self.kernel, self.stride, self.offset) == ((1, 1), (1, 1), (0, 0)) and (
            self.size == self.positions
        )

    def _taps(self) -> list[tuple[int, int, tuple[slice, slice], tuple[slice, slice]]]:
        """For each tap: its place, the input's rows and columns it sees, the output's."""
        result = []
        for ky, kx in np.ndindex(*self.kernel):
            inside, outside = [], []
            for axis, tap in enumerate((ky, kx)):
                start = self.offset[axis] + tap * self.dilation[axis]
                stride = self.stride[axis]
                first = max(-(start // stride), 0)
                last = min((self.size[axis] - 1 - start) // stride + 1, self.positions[axis])
                begin = start + first * stride
                count = max(last - first, 0)
                inside.append(slice(begin, begin + count * stride, stride))
                outside.append(slice(first, first + count))
            result.append((ky, kx, (inside[0], inside[1]), (outside[0], outside[1])))
        return result

    def gather(self, planes: NDArray) -> NDArray:
        """(samples, height, width, channels) to (samples * positions, taps * channels)."""
        samples, _, _, channels = planes.shape
        if self._is_plane:
            return planes.reshape(-1, channels)
        shape = (samples, *self.positions, *self.kernel, channels)
        loops = compiled(int(np.prod(shape)))
        if loops:
            rows = np.empty(shape, dtype=planes.dtype)
            loops.gather(planes, rows, self.stride, self.dilation, self.offset)
        else:
            rows = np.zeros(shape, dtype=planes.dtype)
            for ky, kx, inside, outside in self._taps():
                rows[:, outside[0], outside[1], ky, kx] = planes[:, inside[0], inside[1]]
        return rows.reshape(samples * self.positions[0] * self.positions[1], -1)

    def scatter(self, rows: NDArray, samples: int) -> NDArray:
        """Add up every element of such a matrix where `gather` took it from."""
        taps = rows.reshape(samples, *self.positions, *self.kernel, -1)
        shape = (samples, *self.size, taps.shape[-1])
        loops = compiled(taps.size)
        if loops:
            planes = np.empty(shape, dtype=rows.dtype)
            loops.scatter(taps, planes, self.stride, self.dilation, self.offset)
        else:
            planes = np.zeros(shape, dtype=rows.dtype)
            for ky, kx, inside, outside in self._taps():
                planes[:, inside[0], inside[1]] += taps[:, outside[0], outside[1], ky, kx]
        return planes
