"""Convolution's windows as a matrix of 8-bit codes: im2col with the channels last.

A row is one output position of one sample, its columns are (kernel row, kernel column, channel).
Backward-data is a convolution of the errors as well, with flipped weights. Where there is a stride
it falls into phases, one for each place of an input position between the strides: each has some of
the taps, and none multiplies by a zero that the stride put between.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from golden.acceleration import compiled

__all__ = ["Phase", "Windows"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class Phase:
    """Input positions that the same taps reach.

    Members
    -------
    inputs:
        Their rows and columns.
    taps:
        Rows and columns of the kernel, in the order of the windows.
    windows:
        Of the errors.
    """

    inputs: tuple[slice, slice]
    taps: tuple[NDArray[np.int64], NDArray[np.int64]]
    windows: "Windows"


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

    def rows(self, samples: int) -> int:
        """Rows of the matrix."""
        return samples * self.positions[0] * self.positions[1]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Phases of backward-data; input positions that no tap reaches are in none of them."""
        return _phases(self)

    def find_phases(self) -> Iterator[Phase]:
        """Work them out."""
        for rows, ys, (tall, y_step, y) in self._axis_phases(0):
            for columns, xs, (wide, x_step, x) in self._axis_phases(1):
                windows = Windows(
                    (tall, wide), (1, 1), (y_step, x_step), (y, x), self.positions,
                    (len(range(self.size[0])[rows]), len(range(self.size[1])[columns])),
                )  # fmt: skip
                yield Phase((rows, columns), (ys, xs), windows)

    def _axis_phases(
        self, axis: int
    ) -> Iterator[tuple[slice, NDArray[np.int64], tuple[int, int, int]]]:
        """Inputs, taps, and the windows' kernel, dilation and offset, along one axis."""
        stride, dilation, offset = self.stride[axis], self.dilation[axis], self.offset[axis]
        # Taps so far apart are again a whole number of strides apart.
        apart = stride // math.gcd(stride, dilation)
        step = apart * dilation // stride
        for first in range(min(stride, self.size[axis])):
            for tap in range(min(apart, self.kernel[axis])):
                if (first - offset - tap * dilation) % stride == 0:
                    taps = np.arange(tap, self.kernel[axis], apart)[::-1]
                    error = (first - offset - tap * dilation) // stride
                    windows = len(taps), step, error - (len(taps) - 1) * step
                    yield slice(first, self.size[axis], stride), taps, windows

    @property
    def is_identity(self) -> bool:
        """Each window is one position of the input, in order: nothing is to be moved."""
        one_by_one = (self.kernel, self.stride, self.offset) == ((1, 1), (1, 1), (0, 0))
        return one_by_one and self.size == self.positions

    def _taps(self) -> Iterator[tuple[int, int, tuple[slice, slice], tuple[slice, slice]]]:
        """For each tap: its place, the input's rows and columns it sees, the output's."""
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
            yield ky, kx, (inside[0], inside[1]), (outside[0], outside[1])

    def gather(self, planes: NDArray, into: NDArray) -> NDArray:
        """(samples, height, width, channels) to (samples * positions, taps * channels).

        `into` holds that many elements; it is the result unless the planes are it already.
        """
        samples, _, _, channels = planes.shape
        if self.is_identity:
            return planes.reshape(-1, channels)
        rows = into.reshape(samples, *self.positions, *self.kernel, channels)
        loops = compiled(rows.size)
        if loops:
            loops.gather(planes, rows, self.stride, self.dilation, self.offset)
        else:
            rows[...] = 0
            for ky, kx, inside, outside in self._taps():
                rows[:, outside[0], outside[1], ky, kx] = planes[:, inside[0], inside[1]]
        return into.reshape(self.rows(samples), -1)


@lru_cache(maxsize=256)
def _phases(windows: Windows) -> tuple[Phase, ...]:
    return tuple(windows.find_phases())
