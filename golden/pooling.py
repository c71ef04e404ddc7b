"""Pooling in integers: windows read 8-bit codes, so that no 32-bit plane is ever stored.

Bounds: a window of k codes sums to at most 127 k, and an element that lies in several windows gets
the sum of at most k errors, 127 k again: within 32 bits for k up to 16,909,320. Source: our choice.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.formats import Integers
from golden.layers import IntegerLayer
from golden.network import AveragePool, MaxPool
from golden.values import Value
from golden.windows import PoolingWindows, first_largest, overlaps

__all__ = [
    "MAX_TAPS",
    "AveragePoolLayer",
    "GlobalMaxLayer",
    "MaxPoolLayer",
    "MeanLayer",
    "scatter",
    "sum_taps",
]

MAX_TAPS = ((1 << 31) - 1) // 127
"""Most positions of a window whose codes 32 bits are proven to sum."""

_BELOW_ALL = -128
"""Padding of a maximum: less than every code, and it fits their 8 bits."""


def sum_taps(taps: Iterable[Integers]) -> NDArray[np.int32]:
    """Element-wise sum of arrays of codes, exact."""
    first, *others = taps
    total = first.astype(np.int32)
    for tap in others:
        total += tap
    return total


def scatter(windows: PoolingWindows, error: Value, place: Integers | None, shift: int = 0) -> Value:
    """Error of a pooling's input: each window's at the tap in `place`, or at all of its taps.

    Where windows overlap an element gets the sum, 32 bits; otherwise codes stay codes. `shift` is
    added to the exponent.
    """
    sums = overlaps(windows.operator)
    integers = error.integers.astype(np.int32, copy=False) if sums else error.integers
    padded = windows.zeros(integers)
    for number, tap in enumerate(windows.taps()):
        # Whole numbers of one width: a mask times a code is the code or zero.
        padded[tap] += integers if place is None else integers * (place == number)
    codes = error.is_codes and not sums
    return Value(padded[windows.inside], error.exponent + shift, codes)


def _check_taps(name: str, taps: int) -> None:
    if taps > MAX_TAPS:
        raise InputError(f"layer {name!r}: a window must have at most {MAX_TAPS} positions "
                         f"for 32-bit sums, not {taps}")  # fmt: skip


class _WindowLayer(IntegerLayer):
    needs_codes = True

    def __init__(self, name: str, operator: MaxPool | AveragePool) -> None:
        super().__init__(name)
        self._operator = operator
        _check_taps(name, math.prod(operator.kernel))

    def _padded(self, value: Value, fill: int) -> Iterable[Integers]:
        self._windows = PoolingWindows(self._operator, *value.integers.shape[2:])
        padded = self._windows.pad(value.integers, fill)
        return [padded[tap] for tap in self._windows.taps()]


class MaxPoolLayer(_WindowLayer):
    """Maximum over a window. Kept is the tap it came from, the first of equals.

    Padding is less than every code. A window that lies in the padding altogether has no maximum,
    and is refused.
    """

    def __init__(self, name: str, operator: MaxPool, height: int, width: int) -> None:
        super().__init__(name, operator)
        if PoolingWindows(operator, height, width).has_empty():
            raise InputError(f"layer {name!r}: every window must reach the input, which is "
                             f"{height}x{width}, and one lies in the padding")  # fmt: skip

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Take the largest code; the exponent stays."""
        (value,) = inputs
        largest, self._place = first_largest(self._padded(value, _BELOW_ALL))
        return Value(largest, value.exponent, value.is_codes)

    def backward(self, error: Value) -> list[Value]:
        """To where the maximum was; overlapping windows add."""
        return [scatter(self._windows, error, self._place)]


class AveragePoolLayer(_WindowLayer):
    """Mean over a window: a sum, and the division by the next power of two in the exponent.

    As in `MeanLayer` there is no divider: k positions are divided by
    2**ceil(log2(k)), a window at the border by the same, its padding being zeros. So a 2x2 mean is
    exact and a 3x3 one is 9/16 of the mean, which the weights behind it take up.
    """

    def __init__(self, name: str, operator: AveragePool) -> None:
        super().__init__(name, operator)
        self._shift = (operator.kernel[0] * operator.kernel[1] - 1).bit_length()

    @property
    def shift(self) -> int:
        """What is added to the exponent: the division."""
        return self._shift

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Sum the codes of each window: 32 bits."""
        (value,) = inputs
        return Value(sum_taps(self._padded(value, 0)), value.exponent + self._shift)

    def backward(self, error: Value) -> list[Value]:
        """To every position of the window; overlapping windows add."""
        return [scatter(self._windows, error, None, self._shift)]


class GlobalMaxLayer(IntegerLayer):
    """Maximum over the plane; the first of equals gets the error."""

    needs_codes = True

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Take the largest code of each plane."""
        (value,) = inputs
        self._shape = value.integers.shape
        flat = value.integers.reshape(*self._shape[:2], -1)
        self._place = flat.argmax(axis=2)[..., None]
        largest = np.take_along_axis(flat, self._place, axis=2)[..., None]
        return Value(largest, value.exponent, value.is_codes)

    def backward(self, error: Value) -> list[Value]:
        """Put the error where the maximum was."""
        shape = (*self._shape[:2], self._shape[2] * self._shape[3])
        flat = np.zeros(shape, dtype=error.integers.dtype)
        np.put_along_axis(flat, self._place, error.integers[..., 0], axis=2)
        return [Value(flat.reshape(self._shape), error.exponent, error.is_codes)]


class MeanLayer(IntegerLayer):
    """Global average pooling: a sum of codes, and the division by the next power of two in the
    exponent.

    Dividing by 2**ceil(log2(positions)) instead of the number of positions is our choice: there is
    no divider, and the classifier's weights take up the constant.
    """

    needs_codes = True

    def __init__(self, name: str, plane: Sequence[int]) -> None:
        super().__init__(name)
        positions = math.prod(plane)
        _check_taps(name, positions)
        self._shift = (positions - 1).bit_length()

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Sum over height and width: 32 bits."""
        (value,) = inputs
        self._shape = value.integers.shape
        total = value.integers.sum(axis=(2, 3), keepdims=True, dtype=np.int32)
        return Value(total, value.exponent + self._shift)

    def backward(self, error: Value) -> list[Value]:
        """Spread over the positions."""
        spread = np.broadcast_to(error.integers, self._shape)
        exponent = error.exponent + self._shift
        return [Value(spread, exponent, error.is_codes, error.magnitude)]
