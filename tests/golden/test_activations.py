"""Clipped and leaky ReLU against exact rational arithmetic, at the corners too."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.activations import ClippedLayer, LeakyLayer
from golden.errors import InputError
from golden.float_layers import RectifierLayer
from golden.values import Value

_TOP = (1 << 31) - 1


def half_up(exact: Fraction) -> int:
    return math.floor(exact + Fraction(1, 2))


def one(number: int, exponent: int, *, codes: bool = False) -> Value:
    dtype = np.int8 if codes else np.int32
    return Value(np.array([[number]], dtype), np.array([exponent]), is_codes=codes)


@given(st.integers(-_TOP, _TOP), st.integers(-40, 60), st.sampled_from([6.0, 1.0, 0.7, 20, 1e-3]))
def test_a_clipped_value(number: int, exponent: int, maximum: float) -> None:
    layer = ClippedLayer("c", maximum)
    out = layer.forward([one(number, exponent)])
    assert Fraction(layer.level, 1 << 17) < 1 <= Fraction(layer.level, 1 << 16)
    constant = Fraction(layer.level) / Fraction(2) ** layer.level_exponent
    assert abs(constant - Fraction(maximum)) <= constant / (1 << 17)
    level = min(half_up(constant * Fraction(2) ** exponent), _TOP)
    assert int(out.integers[0, 0]) == min(max(number, 0), level)
    (below,) = layer.backward(one(-5, 3))
    assert int(below.integers[0, 0]) == (-5 if 0 < number < level else 0)


def test_relu6_is_exact_where_its_level_is_an_integer() -> None:
    layer, reference = ClippedLayer("c", 6.0), RectifierLayer(6.0, 0.0)
    assert (layer.level, layer.level_exponent) == (6 << 14, 14)
    numbers = np.arange(-130, 900, dtype=np.int32).reshape(2, -1)
    exponent = np.array([6, 2])
    real = numbers * 2.0 ** -exponent[:, None]
    out = layer.forward([Value(numbers, exponent)])
    assert (out.integers * 2.0 ** -exponent[:, None] == reference.forward([real], True)).all()
    (below,) = layer.backward(Value(np.ones_like(numbers), exponent))
    assert (below.integers == reference.backward(np.ones_like(real), True)[0]).all()


def test_codes_stay_codes_when_they_are_clipped() -> None:
    numbers = np.array([[-127, 3, 95, 96, 127]], np.int8)
    layer = ClippedLayer("c", 6.0)
    out = layer.forward([Value(numbers, np.array([4]), is_codes=True)])
    assert out.integers.tolist() == [[0, 3, 95, 96, 96]]
    assert out.is_codes
    assert out.integers.dtype == np.int8
    # Level 6 * 2**60 is past everything, level 6 * 2**-40 is nothing.
    assert layer.forward([one(127, 60, codes=True)]).integers.tolist() == [[127]]
    assert layer.forward([one(127, -40, codes=True)]).integers.tolist() == [[0]]


@given(st.integers(-_TOP, _TOP), st.sampled_from([1.0, 0.1, 0.01, 0.25]))
def test_a_leaky_value(number: int, slope: float) -> None:
    layer = LeakyLayer("l", slope)
    used = Fraction(1, 1 << layer.shift)
    assert Fraction(slope) / used < Fraction(3, 2)
    assert used / Fraction(slope) < Fraction(3, 2)
    out = layer.forward([one(number, 5)])
    factor = used if number <= 0 else Fraction(1)
    assert int(out.integers[0, 0]) == half_up(number * factor)
    assert out.exponent.tolist() == [5]
    (below,) = layer.backward(one(-1000, 3))
    assert int(below.integers[0, 0]) == half_up(-1000 * factor)


@given(st.integers(-127, 127), st.sampled_from([0.1, 0.01, 2.0**-15]))
def test_leaky_codes_lose_nothing(number: int, slope: float) -> None:
    layer = LeakyLayer("l", slope)
    out = layer.forward([one(number, 60, codes=True)])
    exact = number * (1 if number > 0 else Fraction(1, 1 << layer.shift))
    assert Fraction(int(out.integers[0, 0])) * Fraction(2) ** -int(out.exponent[0] - 60) == exact
    assert not out.is_codes
    assert abs(int(out.integers[0, 0])) < 2**22


@pytest.mark.parametrize("maximum", [0.0, -1.0, math.inf, math.nan])
def test_levels_that_are_refused(maximum: float) -> None:
    with pytest.raises(InputError, match=r"^layer 'c': the maximum must be above 0, not"):
        ClippedLayer("c", maximum)


@pytest.mark.parametrize("slope", [0.0, -0.1, 1.5, 1e-9, math.nan])
def test_slopes_that_are_refused(slope: float) -> None:
    with pytest.raises(InputError, match=r"^layer 'l': the slope must be 2\*\*-15 to 1 for int"):
        LeakyLayer("l", slope)
