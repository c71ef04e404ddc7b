"""Rounding and saturation against exact rational arithmetic."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.formats import (
    QuantSpec,
    Rounding,
    bit_length,
    clamp_exponent,
    excess_bits,
    rounding_shift,
    saturate,
)

INT32 = st.integers(-(2**31), 2**31 - 1)


@given(INT32, st.integers(0, 62))
def test_half_up_is_floor_of_value_plus_half(value: int, shift: int) -> None:
    exact = floor(Fraction(value, 2**shift) + Fraction(1, 2)) if shift else value
    assert rounding_shift(np.array([value]), shift)[0] == exact


@given(INT32, st.integers(1, 40), st.integers(0, 2**16 - 1))
def test_stochastic_carries_when_the_first_16_dropped_bits_and_the_draw_overflow(
    value: int, shift: int, draw: int
) -> None:
    fraction = Fraction(value, 2**shift) - floor(Fraction(value, 2**shift))
    carry = floor(fraction * 2**16) + draw >= 2**16
    expected = floor(Fraction(value, 2**shift)) + carry
    assert rounding_shift(np.array([value]), shift, np.array([draw]))[0] == expected


@pytest.mark.parametrize("shift", [1, 4, 8])
def test_stochastic_rounding_has_the_mean_of_the_value(shift: int) -> None:
    draws = np.arange(2**16)
    for value in (-37, -1, 5, 100):
        total = int(rounding_shift(np.full(2**16, value), shift, draws).sum())
        assert Fraction(total, 2**16) == Fraction(value, 2**shift)


@given(INT32, st.integers(-15, 0))
def test_negative_shift_is_exact(value: int, shift: int) -> None:
    assert rounding_shift(np.array([value]), shift)[0] == value * 2**-shift


def test_shifts_past_the_word_leave_the_signs_rounding() -> None:
    values = np.array([2**31 - 1, -(2**31), 0])
    assert rounding_shift(values, 63).tolist() == [0, 0, 0]
    assert rounding_shift(values, 200).tolist() == [0, 0, 0]
    assert rounding_shift(values, 32).tolist() == [0, 0, 0]


@given(st.integers(0, 2**52))
def test_bit_length(magnitude: int) -> None:
    assert bit_length(magnitude) == magnitude.bit_length()


@given(st.lists(INT32, min_size=1, max_size=20))
def test_excess_bits_leaves_the_largest_in_range_or_one_rounding_above(values: list[int]) -> None:
    shift = int(excess_bits(np.array(values)))
    top = max(map(abs, values))
    assert top >> shift <= 127
    assert shift == 0 or top >> (shift - 1) > 127


def test_symmetric_saturation_and_clamp() -> None:
    assert saturate(np.array([-(2**31), -128, -127, 127, 128]), 8).tolist() == [
        -127, -127, -127, 127, 127,
    ]  # fmt: skip
    assert clamp_exponent(np.array([-100, 100])).tolist() == [-40, 60]


def test_spec_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match=r"^width_in must be 2 to 48 bits, not 64$"):
        QuantSpec(width_in=64)
    with pytest.raises(ValueError, match=r"^width_out must be 2 to width_in \(8\) bits, not 9$"):
        QuantSpec(width_in=8, width_out=9)
    with pytest.raises(ValueError, match=r"^stochastic rounding requires random draws, got None$"):
        QuantSpec(rounding=Rounding.STOCHASTIC).apply(np.array([1]), 1)


@pytest.mark.parametrize("shift", [30, 31, 32, 33, 47, 63])
def test_32_bits_round_as_64_do(shift: int) -> None:
    values = np.array([-(2**31) + 1, -(2**30), -1, 0, 1, 2**30, 2**31 - 1])
    draws = np.array([0, 1, 0x7FFF, 0x8000, 0xC000, 0xFFFF])
    pairs = (x.reshape(-1) for x in np.meshgrid(values, draws))
    x, random = pairs
    narrow = rounding_shift(x.astype(np.int32), shift, random)
    assert (narrow == rounding_shift(x, shift, random)).all()
