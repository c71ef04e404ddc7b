"""Pooling in floating point."""

from collections.abc import Sequence

import numpy as np

from golden.float_layers import FloatLayer, Floats
from golden.network import AveragePool, MaxPool
from golden.values import zero_planes

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
    """Taps of all windows at once: as many slices as a window has positions."""

    def __init__(self, operator: MaxPool | AveragePool) -> None:
        super().__init__()
        self._operator = operator

    def _start(self, x: Floats, fill: float) -> None:
        """Pad as far as the last window reaches, which is further if lengths are rounded up."""
        o = self._operator
        self._shape = x.shape
        self._positions = o.positions(x.shape[1:])
        top, left, bottom, right = o.padding
        reach = [
            (n - 1) * stride + (k - 1) * dilation + 1
            for n, stride, k, dilation in zip(
                self._positions, o.stride, o.kernel, o.dilation, strict=True
            )
        ]
        height = max(x.shape[2] + top + bottom, reach[0])
        width = max(x.shape[3] + left + right, reach[1])
        self._padded = (*x.shape[:2], height, width)
        self._inside = (
            slice(None), slice(None), slice(top, top + x.shape[2]), slice(left, left + x.shape[3]),
        )  # fmt: skip
        self._planes = zero_planes(self._padded, x.dtype)
        if fill:
            self._planes[...] = fill
        self._planes[self._inside] = x

    def _taps(self) -> list[tuple[slice, ...]]:
        o = self._operator
        return [
            (
                slice(None),
                slice(None),
                *(
                    slice(tap * dilation, tap * dilation + (n - 1) * stride + 1, stride)
                    for tap, dilation, n, stride in zip(
                        (y, x), o.dilation, self._positions, o.stride, strict=True
                    )
                ),
            )
            for y in range(o.kernel[0])
            for x in range(o.kernel[1])
        ]


class WindowMaxLayer(_WindowLayer):
    """Maximum over a window; the first of equals gets the error."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Take the largest."""
        self._start(inputs[0], -np.inf)
        first, *others = self._taps()
        result = self._planes[first].copy()
        self._winner = np.zeros_like(result, dtype=np.int32)
        for number, tap in enumerate(others, start=1):
            larger = self._planes[tap] > result
            np.copyto(result, self._planes[tap], where=larger)
            self._winner[larger] = number
        return result

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Put the error where the maximum was."""
        result = zero_planes(self._padded, error.dtype)
        for number, tap in enumerate(self._taps()):
            result[tap] += error * (self._winner == number)
        return [result[self._inside]]


class WindowAverageLayer(_WindowLayer):
    """Mean over a window, of what is not padding (ONNX's default)."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Average."""
        (x,) = inputs
        self._start(np.ones_like(x[:1, :1]), 0)
        self._count = sum(self._planes[tap] for tap in self._taps())
        self._start(x, 0)
        first, *others = self._taps()
        total = self._planes[first].copy()
        for tap in others:
            total += self._planes[tap]
        return total / self._count

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Spread."""
        result = zero_planes(self._padded, error.dtype)
        shared = error / self._count
        for tap in self._taps():
            result[tap] += shared
        return [result[self._inside]]
