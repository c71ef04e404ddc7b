"""What flows through an integer network: 8-bit codes or 32-bit results, one exponent a sample."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from golden.acceleration import compiled
from golden.formats import (
    EXPONENT_MIN,
    LEFT_SHIFT_MAX,
    Integers,
    QuantSpec,
    bit_length,
    clamp_exponent,
    half_up_shift,
    largest_magnitude,
    saturate,
)

__all__ = [
    "ACTIVATION_ZERO_EXPONENT",
    "ERROR_ZERO_EXPONENT",
    "Value",
    "channels_last",
    "channels_last_zeros",
    "join",
    "per_sample",
    "quantize_samples",
    "zero_planes",
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
    magnitude:
        (samples,), max|integers| of each where what made them found it on the way.
    """

    integers: Integers
    exponent: NDArray[np.int64]
    is_codes: bool = False
    magnitude: NDArray[np.int64] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of `integers`; who asks for this alone may be before they are made."""
        return self.integers.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def largest(self) -> NDArray[np.int64]:
        """max|integers| of each sample, shape (samples,)."""
        if self.magnitude is not None:
            return self.magnitude
        loops = compiled(self.integers.size)
        if loops:
            return loops.largest(self.integers)
        return largest_magnitude(self.integers, axis=tuple(range(1, self.integers.ndim)))

    def __len__(self) -> int:
        return self.shape[0]


def per_sample(values: Integers, like: Integers) -> Integers:
    """Shape (samples,) to (samples, 1, ...), so that it broadcasts against `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))


def quantize_samples(value: Value, zero_exponent: int) -> Value:
    """QA and QE: every sample to 8 bits with its own exponent, rounding half up.

    Nothing waits for the batch. A sample that is all zero gets `zero_exponent`; otherwise its
    exponent would drift from layer to layer with nothing to hold it. Source: our choice.
    """
    loops = compiled(value.size)
    if loops:
        quantized: Value = loops.quantize(value, zero_exponent)
        return quantized
    integers = value.integers
    magnitude = value.largest()
    shift = np.maximum(bit_length(magnitude) - 7, 0)
    codes = _NEAREST.apply(integers, per_sample(shift, integers)).astype(np.int8)
    exponent = clamp_exponent(np.where(magnitude, value.exponent - shift, zero_exponent))
    return Value(codes, exponent, is_codes=True)


def join(operands: Sequence[Value]) -> Value:
    """Sum of tensors with exponents of their own: the end of a residual block, or of a fork.

    Each sample takes the finest of its operands' exponents at which none of them is shifted left by
    more than 15 bits or, with its own leading one, exceeds 30 bits; coarser operands shift left,
    finer ones right, rounding half up. Operands that are all zero have no say. Source: our choice.
    """
    if len(operands) == 1:
        return operands[0]
    if len(operands) == 2 and (loops := compiled(operands[0].size)):
        joined: Value = loops.join(*operands, _JOIN_BITS)
        return joined
    exponents = np.array([value.exponent for value in operands])
    tops = bit_length(np.array([value.largest() for value in operands]))
    finest = np.where(tops > 0, exponents, EXPONENT_MIN).max(axis=0)
    room = np.minimum(LEFT_SHIFT_MAX, _JOIN_BITS - tops)
    fits = np.where(tops > 0, exponents + room, finest).min(axis=0)
    common = np.minimum(finest, fits)
    shifts = exponents - common
    # Left shifts fit 30 bits, as just arranged; operands of zeros may shift as they like.
    aligned = [
        half_up_shift(_at_least_32_bits(value.integers), per_sample(shift, value.integers))
        for value, shift in zip(operands, shifts, strict=True)
    ]
    # Rounding up may reach the next power of two.
    bound = (1 << np.clip(tops - shifts, 0, _JOIN_BITS)).sum(axis=0).max(initial=0)
    if bound < 1 << 31:
        return Value(saturate(sum(aligned[1:], start=aligned[0]), 32), common)
    wide = sum(part.astype(np.int64) for part in aligned)
    return Value(saturate(np.asarray(wide), 32).astype(np.int32), common)


def zero_planes(shape: Sequence[int], dtype: DTypeLike) -> NDArray:
    """Zeros of a shape (samples, channels, height, width), with the channels outermost in memory.

    That is the order in which a convolution's product comes out of one matrix multiplication. The
    shape is what everybody sees; element-wise work keeps the order, and is fast if all share it.
    """
    samples, channels, *plane = shape
    return np.zeros((channels, samples, *plane), dtype=dtype).transpose(1, 0, 2, 3)


def _at_least_32_bits(values: Integers) -> Integers:
    return values.astype(np.promote_types(values.dtype, np.int32), copy=False)


def channels_last(planes: NDArray) -> NDArray:
    """(samples, channels, height, width) as contiguous (samples, height, width, channels)."""
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def channels_last_zeros(shape: Sequence[int], dtype: DTypeLike) -> NDArray:
    """Zeros of a shape (samples, channels, height, width), with the channels last in memory.

    That is the order in which an integer convolution's product comes out of one multiplication.
    """
    samples, channels, *plane = shape
    return np.zeros((samples, *plane, channels), dtype=dtype).transpose(0, 3, 1, 2)
