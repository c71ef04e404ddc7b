"""Clipped and leaky ReLU in integers. Source of both: our choice.

The plain one is `golden.layers.RectifierLayer`.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.formats import Integers, half_up_shift, rounding_shift, saturate
from golden.layers import IntegerLayer
from golden.values import Value, per_sample

__all__ = ["ClippedLayer", "LeakyLayer", "clip_levels"]

_LEVEL_BITS = 17

_MAX_SHIFT = 15


def clip_levels(level: int, level_exponent: int, exponent: NDArray[np.int64]) -> Integers:
    """The level at each sample's exponent, rounded half up, within 31 bits: (samples,).

    The level has 17 bits, so that the greatest left shift, 15, is past every 32-bit value.
    """
    return saturate(rounding_shift(np.array(level), level_exponent - exponent), 32)


class ClippedLayer(IntegerLayer):
    """ReLU with a maximum (ReLU6). One bit an element is kept: whether it was strictly between.

    The level is a constant of 17 bits; for 6 it is 6 * 2**14, exact. It comes to each sample's
    exponent by a rounding shift, as a bias does. Where the samples' step is so coarse that it
    rounds to zero, so does everything; where it is past 31 bits, the largest of them stands for it.
    """

    def __init__(self, name: str, maximum: float) -> None:
        super().__init__(name)
        if not 0 < maximum < math.inf:
            raise InputError(f"layer {name!r}: the maximum must be above 0, not {maximum}")
        self.level_exponent = _LEVEL_BITS - math.frexp(maximum)[1]
        self.level = min(round(math.ldexp(maximum, self.level_exponent)), (1 << _LEVEL_BITS) - 1)

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Replace negative values by zero, and those above the level by it."""
        (value,) = inputs
        levels = clip_levels(self.level, self.level_exponent, value.exponent)
        top = per_sample(levels.astype(np.int32), value.integers)
        self._mask = (value.integers > 0) & (value.integers < top)
        if value.is_codes:
            # No code is above 127, and 8 bits hold the level then.
            top = np.minimum(top, 127).astype(value.integers.dtype)
        result = np.minimum(np.maximum(value.integers, 0), top)
        return Value(result, value.exponent, value.is_codes)

    def backward(self, error: Value) -> list[Value]:
        """Only where the input was positive and not clipped."""
        return [Value(error.integers * self._mask, error.exponent, error.is_codes)]


class LeakyLayer(IntegerLayer):
    """ReLU that passes 2**-k of what is negative: the power of two nearest to the slope.

    No multiplier stands here: 0.01 becomes 1/128, 0.1 becomes 1/8. 32-bit values shift right,
    rounding half up. Codes would lose themselves in that, so the positive ones shift left instead,
    exactly: 7 + k bits and a sign, and k more in the exponent.
    """

    def __init__(self, name: str, slope: float) -> None:
        super().__init__(name)
        self.shift = round(-math.log2(slope)) if 0 < slope <= 1 else -1
        if not 0 <= self.shift <= _MAX_SHIFT:
            raise InputError(f"layer {name!r}: the slope must be 2**-{_MAX_SHIFT} to 1 for integer "
                             f"training, not {slope}")  # fmt: skip

    def _pass(self, value: Value) -> Value:
        if value.is_codes:
            wide = value.integers.astype(np.int32)
            result = np.where(self._positive, wide << self.shift, wide)
            return Value(result, value.exponent + self.shift)
        result = half_up_shift(value.integers, np.where(self._positive, 0, self.shift))
        return Value(result, value.exponent)

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Pass what is positive, and 2**-k of the rest."""
        (value,) = inputs
        self._positive = value.integers > 0
        return self._pass(value)

    def backward(self, error: Value) -> list[Value]:
        """The same of the error, by the sign of the input."""
        return [self._pass(error)]
