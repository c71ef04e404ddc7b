"""Pooling in floating point."""

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from golden.float_layers import FloatLayer, Floats
from golden.network import AveragePool, MaxPool
from golden.windows import PoolingWindows, first_largest

__all__ = ["GlobalAverageLayer", "GlobalMaxLayer", "WindowAverageLayer", "WindowMaxLayer"]


class GlobalAverageLayer(FloatLayer):
    """Mean over the plane."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Average."""
        (x,) = inputs
        self._shape = x.shape
        return x.mean(axis=(2, 3), keepdims=True, dtype=x.dtype)

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Spread."""
        positions = self._shape[2] * self._shape[3]
        return [np.broadcast_to(error / error.dtype.type(positions), self._shape)]


class GlobalMaxLayer(FloatLayer):
    """Maximum over the plane; the first of equals gets the error."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Take the largest."""
        (x,) = inputs
        self._shape = x.shape
        flat = x.reshape(*x.shape[:2], -1)
        self._place = flat.argmax(axis=2)[..., None]
        return np.take_along_axis(flat, self._place, axis=2)[..., None]

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Put the error where the maximum was."""
        flat = np.zeros((*self._shape[:2], self._shape[2] * self._shape[3]), dtype=error.dtype)
        np.put_along_axis(flat, self._place, error[..., 0], axis=2)
        return [flat.reshape(self._shape)]


class _WindowLayer(FloatLayer):
    def __init__(self, operator: MaxPool | AveragePool) -> None:
        super().__init__()
        self._operator = operator
        self._taps = math.prod(operator.kernel)

    def _start(self, x: Floats) -> None:
        self._windows = PoolingWindows(self._operator, *x.shape[2:])

    def _scatter(self, parts: Iterable[Floats], like: Floats) -> Floats:
        """Sum of the taps' parts, where they came from."""
        result = self._windows.zeros(like)
        for tap, part in zip(self._windows.taps(), parts, strict=True):
            result[tap] += part
        return result[self._windows.inside]


class WindowMaxLayer(_WindowLayer):
    """Maximum over a window; the first of equals gets the error."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Take the largest."""
        (x,) = inputs
        self._start(x)
        planes = self._windows.pad(x, -np.inf)
        largest, self._place = first_largest(planes[tap] for tap in self._windows.taps())
        return largest

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Put the error where the maximum was."""
        parts = (error * (self._place == number) for number in range(self._taps))
        return [self._scatter(parts, error)]


class WindowAverageLayer(_WindowLayer):
    """Mean over a window, of what is not padding (ONNX's default)."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Average."""
        (x,) = inputs
        self._start(x)
        self._count = self._sum(np.ones_like(x[:1, :1]))
        return self._sum(x) / self._count

    def _sum(self, x: Floats) -> Floats:
        planes = self._windows.pad(x)
        first, *others = self._windows.taps()
        total = planes[first].copy()
        for tap in others:
            total += planes[tap]
        return total

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Spread."""
        shared = error / self._count
        return [self._scatter(itertools.repeat(shared, self._taps), error)]
