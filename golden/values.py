"""What flows through an integer network: 8-bit codes or 32-bit results, one exponent a sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.formats import (
    EXPONENT_MIN,
    LEFT_SHIFT_MAX,
    Integers,
    QuantSpec,
    bit_length,
    clamp_exponent,
    excess_bits,
    rounding_shift,
    saturate,
)

__all__ = [
    "ACTIVATION_ZERO_EXPONENT",
    "ERROR_ZERO_EXPONENT",
    "Value",
    "join",
    "per_sample",
    "quantize_samples",
]

ACTIVATION_ZERO_EXPONENT = 5
"""Exponent given to a sample whose activations are all zero."""

ERROR_ZERO_EXPONENT = 20
"""Exponent given to a sample whose errors are all zero."""

_NEAREST = QuantSpec()

_JOIN_BITS = 30
"""A sum of two aligned operands of this many bits fits 32 with its sign."""


@dataclass(frozen=True)
class Value:
    """A tensor of a batch: element = integer * 2**-exponent.

    Members
    -------
    integers:
        (samples, ...), within 32 bits; within +-127 when `is_codes`.
    exponent:
        (samples,).
    is_codes:
        It went through a quantiser and is stored in 8 bits.
    """

    integers: Integers
    exponent: NDArray[np.int64]
    is_codes: bool = False

    def __len__(self) -> int:
        return len(self.integers)


def per_sample(values: Integers, like: Integers) -> Integers:
    """Shape (samples,) to (samples, 1, ...), so that it broadcasts against `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))


def quantize_samples(value: Value, zero_exponent: int) -> Value:
    """QA and QE: every sample to 8 bits with its own exponent, rounding half up.

    Nothing waits for the batch. A sample that is all zero gets `zero_exponent`; otherwise its
    exponent would drift from layer to layer with nothing to hold it. Source: our choice.
    """
    integers = value.integers
    axes = tuple(range(1, integers.ndim))
    shift = excess_bits(integers, axis=axes)
    codes = _NEAREST.apply(integers, per_sample(shift, integers))
    is_zero = ~integers.any(axis=axes)
    exponent = clamp_exponent(np.where(is_zero, zero_exponent, value.exponent - shift))
    return Value(codes, exponent, is_codes=True)


def join(operands: Sequence[Value]) -> Value:
    """Sum of tensors with exponents of their own: the end of a residual block, or of a fork.

    Each sample takes the finest of its operands' exponents at which none of them is shifted left by
    more than 15 bits or, with its own leading one, exceeds 30 bits; coarser operands shift left,
    finer ones right, rounding half up. Operands that are all zero have no say. Source: our choice.
    """
    if len(operands) == 1:
        return operands[0]
    axes = tuple(range(1, operands[0].integers.ndim))
    exponents = np.array([value.exponent for value in operands])
    tops = bit_length(np.array([np.abs(value.integers).max(axis=axes) for value in operands]))
    finest = np.where(tops > 0, exponents, EXPONENT_MIN).max(axis=0)
    room = np.minimum(LEFT_SHIFT_MAX, _JOIN_BITS - tops)
    fits = np.where(tops > 0, exponents + room, finest).min(axis=0)
    common = np.minimum(finest, fits)
    total = sum(
        rounding_shift(value.integers, per_sample(value.exponent - common, value.integers))
        for value in operands
    )
    return Value(saturate(np.asarray(total), 32), common)
