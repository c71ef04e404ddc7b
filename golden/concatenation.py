"""Concatenation of codes with exponents of their own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.formats import half_up_shift, largest_magnitude
from golden.layers import IntegerLayer
from golden.values import Value, per_sample

__all__ = ["ConcatLayer", "align_codes"]


def align_codes(operands: Sequence[Value]) -> list[Value]:
    """Codes at one exponent a sample: the coarsest, so that all stay within 8 bits.

    Finer operands shift right, rounding half up. An operand that is all zero has no say; where all
    are, the coarsest has. Source: our choice.
    """
    exponents = np.array([value.exponent for value in operands])
    live = np.array(
        [largest_magnitude(v.integers, tuple(range(1, v.integers.ndim))) > 0 for v in operands]
    )
    speaks = live | ~live.any(axis=0)
    common = np.where(speaks, exponents, exponents.max(axis=0)).min(axis=0)
    # Zeros may shift as they like, and left they stay zeros.
    shifts = np.maximum(exponents - common, 0)
    return [_shifted(value, shift, common) for value, shift in zip(operands, shifts, strict=True)]


def _shifted(value: Value, shift: NDArray[np.int64], exponent: NDArray[np.int64]) -> Value:
    # Rounding 127 up takes a ninth bit before the shift.
    wide = value.integers.astype(np.int32, copy=False)
    codes = half_up_shift(wide, per_sample(shift, wide))
    return Value(codes.astype(value.integers.dtype, copy=False), exponent, is_codes=True)


class ConcatLayer(IntegerLayer):
    """Concatenation along one dimension of the samples (0: channels); codes in, codes out."""

    needs_codes = True

    def __init__(self, name: str, axis: int) -> None:
        super().__init__(name)
        self._axis = axis + 1

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Align and concatenate."""
        self._ends = np.cumsum([value.integers.shape[self._axis] for value in inputs])[:-1]
        aligned = align_codes(inputs)
        joined = np.concatenate([value.integers for value in aligned], axis=self._axis)
        return Value(joined, aligned[0].exponent, is_codes=True)

    def backward(self, error: Value) -> list[Value]:
        """Cut; every part keeps the exponent."""
        parts = np.split(error.integers, self._ends, axis=self._axis)
        return [Value(part, error.exponent, error.is_codes) for part in parts]
