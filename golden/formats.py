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

_HALF = 1 << (RANDOM_BITS - 1)


class Rounding(enum.Enum):
    """What happens to the bits that a right shift drops."""

    HALF_UP = "half up"
    STOCHASTIC = "stochastic"


def bit_length(magnitude: Integers | int) -> NDArray[np.int64]:
    """Position of the leading one plus one; 0 for 0. `magnitude` is not negative."""
    # frexp is exact below 2**53: value = mantissa * 2**exponent with mantissa in [0.5, 1).
    return np.frexp(np.asarray(magnitude, dtype=np.float64))[1].astype(np.int64)


def excess_bits(
    values: Integers, width: int = 8, axis: tuple[int, ...] | None = None
) -> NDArray[np.int64]:
    """Right shift that brings `values` into `width` signed bits: max(bitlen(max|x|)-(width-1), 0).

    Taken over `axis` (all of it by default); 0 where everything is zero.
    """
    magnitude = np.abs(values.astype(np.int64))
    return np.maximum(bit_length(magnitude.max(axis=axis, initial=0)) - (width - 1), 0)


def clamp_exponent(exponent: Integers | int) -> NDArray[np.int64]:
    """`exponent` limited to the range that is stored."""
    return np.clip(np.asarray(exponent, dtype=np.int64), EXPONENT_MIN, EXPONENT_MAX)


def saturate(values: Integers, width: int) -> NDArray[np.int64]:
    """Clip to +-(2**(width-1) - 1). Symmetric: the most negative code never appears."""
    limit = (1 << (width - 1)) - 1
    return np.clip(np.asarray(values, dtype=np.int64), -limit, limit)


def rounding_shift(
    values: Integers, shift: Integers | int, random: Integers | int = _HALF
) -> NDArray[np.int64]:
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
        16-bit draws, of `values`' shape, or the constant of half-up rounding.
    """
    wide = np.asarray(values, dtype=np.int64)
    count = np.asarray(shift, dtype=np.int64)
    right = np.clip(count, 0, 63)
    left = np.clip(-count, 0, LEFT_SHIFT_MAX)
    whole = wide >> right
    # The 16 bits just below the result's LSB. int64 has room: `right` > 47 leaves only sign bits.
    below = np.where(
        right >= RANDOM_BITS,
        wide >> np.maximum(right - RANDOM_BITS, 0),
        wide << (RANDOM_BITS - np.minimum(right, RANDOM_BITS)),
    )
    fraction = below & ((1 << RANDOM_BITS) - 1)
    carry = (fraction + np.asarray(random, dtype=np.int64)) >> RANDOM_BITS
    return np.where(count > 0, whole + carry, wide << left)


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
    ) -> NDArray[np.int64]:
        """Bit-exact result for arrays: SAT(RSH(values, shift)) or SAT(SRSH(values, shift)).

        `random` holds 16-bit draws of `values`' shape and is required by stochastic rounding only.
        """
        if self.rounding is Rounding.STOCHASTIC:
            if random is None:
                raise ValueError("stochastic rounding requires random draws, got None")
            rounded = rounding_shift(values, shift, random)
        else:
            rounded = rounding_shift(values, shift)
        return saturate(rounded, self.width_out)
