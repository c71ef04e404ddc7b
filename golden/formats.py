"""Number formats: rounding, saturation, and the exponent that every tensor carries.

A value is ``q * 2**-s``: an integer `q` and one small signed exponent `s` a sample and tensor.
`QuantSpec` is the one description of a conversion between two such formats. Its `apply` is the
specification in NumPy; `rtl.quantizer` builds hardware from the same object.

Source: our choice throughout (the equations of arXiv 2105.13890 are not public); the abstract
fixes only that W, A, E, G and U are 8-bit integers.
"""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EXPONENT_MAX",
    "EXPONENT_MIN",
    "LEFT_SHIFT_MAX",
    "RANDOM_BITS",
    "QuantSpec",
    "Rounding",
    "bit_length",
    "clamp_exponent",
    "excess_bits",
    "half_up_shift",
    "largest_magnitude",
    "rounding_shift",
    "saturate",
]

Integers = NDArray[np.integer]

EXPONENT_MIN, EXPONENT_MAX = -40, 60
"""Exponents are clamped to this range, which fits a signed byte (our choice)."""

RANDOM_BITS = 16
"""Random bits drawn for one stochastic rounding (our choice)."""

LEFT_SHIFT_MAX = 15
"""Left shifts are limited to this: past saturation for every 8- and 16-bit result."""


class Rounding(enum.Enum):
    """What happens to the bits that a right shift drops."""

    HALF_UP = "half up"
    STOCHASTIC = "stochastic"


def bit_length(magnitude: Integers | int) -> NDArray[np.int64]:
    """Position of the leading one plus one; 0 for 0. `magnitude` is not negative."""
    # frexp is exact below 2**53: value = mantissa * 2**exponent with mantissa in [0.5, 1).
    return np.frexp(np.asarray(magnitude, dtype=np.float64))[1].astype(np.int64)


def largest_magnitude(values: Integers, axis: tuple[int, ...] | None = None) -> NDArray[np.int64]:
    """max|values| over `axis` (all of it by default); 0 where there is nothing."""
    highest = values.max(axis=axis, initial=0).astype(np.int64)
    lowest = values.min(axis=axis, initial=0).astype(np.int64)
    return np.maximum(highest, -lowest)


def excess_bits(
    values: Integers, width: int = 8, axis: tuple[int, ...] | None = None
) -> NDArray[np.int64]:
    """Right shift that brings `values` into `width` signed bits: max(bitlen(max|x|)-(width-1), 0).

    Taken over `axis` (all of it by default); 0 where everything is zero.
    """
    return np.maximum(bit_length(largest_magnitude(values, axis)) - (width - 1), 0)


def clamp_exponent(exponent: Integers | int) -> NDArray[np.int64]:
    """`exponent` limited to the range that is stored."""
    return np.clip(np.asarray(exponent, dtype=np.int64), EXPONENT_MIN, EXPONENT_MAX)


def saturate(values: Integers, width: int) -> Integers:
    """Clip to +-(2**(width-1) - 1). Symmetric: the most negative code never appears."""
    limit = (1 << (width - 1)) - 1
    wide = _signed(values)
    # np.clip asks for the type's limits first, which takes longer than a small array's work.
    clipped = np.maximum(wide, wide.dtype.type(-limit))
    return np.minimum(clipped, wide.dtype.type(limit), out=clipped if clipped.ndim else None)


def _signed(values: Integers) -> Integers:
    """32-bit integers as they are, all others as 64-bit ones: half the memory for most work."""
    array = np.asarray(values)
    return array if array.dtype == np.int32 else array.astype(np.int64, copy=False)


def rounding_shift(
    values: Integers, shift: Integers | int, random: Integers | int | None = None
) -> Integers:
    """Shift right by `shift` and round; a negative `shift` shifts left, exactly.

    The first 16 dropped bits plus `random` (16 bits) carry into the result. With `random` = 0x8000
    that is rounding half up, with uniform `random` it is stochastic rounding with probability
    equal to the dropped fraction (in 2**-16 steps): one datapath for both.

    Parameters
    ----------
    values:
        Integers of at most 48 bits.
    shift:
        Broadcasts against `values`. Right shifts of 63 and more are as 63 (the result is then 0,
        or for negative values -1 before the carry); left shifts are limited to 15, which is past
        saturation for every 8- and 16-bit result and any value but 0.
    random:
        16-bit draws, of `values`' shape; 0x8000, for rounding half up, by default.

    Returns
    -------
    int32 for int32 values that are not shifted left (with draws: nor by more than 31), otherwise
    int64.
    """
    count = np.asarray(shift, dtype=np.int64)
    wide = _signed(values)
    # 32 bits end at a right shift of 31, and stochastic rounding tells 32 from it.
    beyond = random is not None and count.max(initial=0) > 31
    if wide.dtype == np.int32 and (count.min(initial=0) < 0 or beyond):
        wide = wide.astype(np.int64)
    if random is None:
        return half_up_shift(wide, count)
    top = 8 * wide.dtype.itemsize - 1
    right = np.minimum(np.maximum(count, 0), top).astype(wide.dtype)
    # The 16 bits just below the result's LSB; what a left shift loses at the top is masked anyway.
    below = wide >> np.maximum(right - RANDOM_BITS, 0)
    below <<= np.maximum(RANDOM_BITS - right, 0)
    below &= (1 << RANDOM_BITS) - 1
    below += np.asarray(random).astype(wide.dtype, copy=False)
    below >>= RANDOM_BITS
    below += wide >> right
    if count.min(initial=1) > 0:
        return below
    return np.where(count > 0, below, wide << _left(count, wide.dtype))


def _left(count: Integers, kind: np.dtype) -> Integers:
    return np.minimum(np.maximum(-count, 0), LEFT_SHIFT_MAX).astype(kind)


def half_up_shift(values: Integers, shift: Integers | int) -> Integers:
    """`rounding_shift` to nearest, in the type of `values`: left shifts must fit it."""
    count = np.asarray(shift, dtype=np.int64)
    kind = values.dtype
    top = 8 * kind.itemsize - 1
    # The last of the dropped bits carries. It is added to the result, not to the operand, whose
    # type may have no room for it.
    last = (count > 0).astype(kind)
    carry = values >> np.minimum(np.maximum(count - 1, 0), top).astype(kind)
    carry &= last
    result = values >> np.minimum(np.maximum(count, 0), top).astype(kind)
    result += carry
    if count.min(initial=0) < 0:
        result <<= _left(count, kind)
    return result


@dataclass(frozen=True)
class QuantSpec:
    """A conversion to a narrower integer: shift, round, saturate.

    Parameters
    ----------
    width_in, width_out:
        Signed bits of the operand (2 to 48) and of the result (2 to `width_in`).
    rounding:
        Half up, or stochastic with 16 random bits an element (`golden.randomness`).
    """

    width_in: int = 32
    width_out: int = 8
    rounding: Rounding = Rounding.HALF_UP

    def __post_init__(self) -> None:
        """Refuse widths that no datapath has."""
        if not 2 <= self.width_in <= 48:
            raise ValueError(f"width_in must be 2 to 48 bits, not {self.width_in!r}")
        if not 2 <= self.width_out <= self.width_in:
            raise ValueError(
                f"width_out must be 2 to width_in ({self.width_in}) bits, not {self.width_out!r}"
            )

    @property
    def limit(self) -> int:
        """Largest magnitude of a result."""
        return (1 << (self.width_out - 1)) - 1

    def apply(
        self, values: Integers, shift: Integers | int, random: Integers | None = None
    ) -> Integers:
        """Bit-exact result for arrays: SAT(RSH(values, shift)) or SAT(SRSH(values, shift)).

        `random` holds 16-bit draws of `values`' shape and is required by stochastic rounding only.
        int32 stays int32.
        """
        if self.rounding is Rounding.STOCHASTIC:
            if random is None:
                raise ValueError("stochastic rounding requires random draws, got None")
            rounded = rounding_shift(values, shift, random)
        else:
            rounded = rounding_shift(values, shift)
        narrow = saturate(rounded, self.width_out)
        return narrow.astype(np.int32, copy=False) if values.dtype == np.int32 else narrow
