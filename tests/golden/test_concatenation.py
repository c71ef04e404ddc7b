"""Concatenation of codes whose exponents differ, against exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from golden.concatenation import ConcatLayer, align_codes
from golden.values import Value

exponents = st.lists(st.integers(-40, 60), min_size=2, max_size=3)


def one(number: int, exponent: int) -> Value:
    return Value(np.array([[number]], np.int8), np.array([exponent]), is_codes=True)


@given(exponents, st.data())
def test_operands_come_to_the_coarsest_exponent(scales: list[int], data: st.DataObject) -> None:
    numbers = [data.draw(st.integers(-127, 127)) for _ in scales]
    aligned = align_codes([one(q, s) for q, s in zip(numbers, scales, strict=True)])
    spoken = [s for q, s in zip(numbers, scales, strict=True) if q] or scales
    for value, q, s in zip(aligned, numbers, scales, strict=True):
        assert value.exponent.tolist() == [min(spoken)]
        exact = Fraction(q) * Fraction(2) ** (min(spoken) - s)
        assert int(value.integers[0, 0]) == math.floor(exact + Fraction(1, 2))
        assert value.integers.dtype == np.int8
        assert value.is_codes


def test_every_sample_has_its_own() -> None:
    left = Value(np.array([[[[100]]], [[[0]]], [[[0]]]]), np.array([3, 50, 7]), is_codes=True)
    right = Value(np.array([[[[-6]]], [[[9]]], [[[0]]]]), np.array([5, 2, 9]), is_codes=True)
    layer = ConcatLayer("c", 0)
    out = layer.forward([left, right])
    # -6 is two bits finer: -1.5 rounds up.
    assert out.integers[:, :, 0, 0].tolist() == [[100, -1], [0, 9], [0, 0]]
    assert out.exponent.tolist() == [3, 2, 7]
    error = Value(np.arange(6).reshape(3, 2, 1, 1), np.array([1, 2, 3]), is_codes=True)
    first, second = layer.backward(error)
    assert first.integers.ravel().tolist() == [0, 2, 4]
    assert second.integers.ravel().tolist() == [1, 3, 5]
    assert (first.exponent == error.exponent).all()
    assert second.is_codes


def test_parts_of_unequal_size_along_another_dimension() -> None:
    rng = np.random.default_rng(0)
    parts = [
        Value(rng.integers(-127, 128, (2, 3, n, 4)), np.array([5, 5]), is_codes=True)
        for n in (1, 4, 2)
    ]
    layer = ConcatLayer("c", 1)
    out = layer.forward(parts)
    assert out.integers.shape == (2, 3, 7, 4)
    for part, back in zip(parts, layer.backward(out), strict=True):
        assert (back.integers == part.integers).all()


def test_the_greatest_shift_rounds_to_nothing() -> None:
    fine, coarse = align_codes([one(-127, 60), one(127, -40)])
    assert fine.integers.tolist() == [[0]]
    assert coarse.integers.tolist() == [[127]]
