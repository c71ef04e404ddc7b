"""Products of two tensors against the floating-point layer, which autograd was held against."""

import numpy as np
import pytest

from golden.float_layers import MultiplyLayer as FloatMultiply
from golden.multiplication import MultiplyLayer
from golden.values import Value


def scaled(value: Value) -> np.ndarray:
    return value.integers * 2.0 ** -value.exponent.reshape(-1, 1, 1, 1)


def random_codes(seed: int, shape: tuple[int, ...], dtype: type) -> Value:
    rng = np.random.default_rng(seed)
    return Value(rng.integers(-127, 128, shape).astype(dtype), rng.integers(-9, 9, 3), True)


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
@pytest.mark.parametrize("other", [(3, 2, 4, 5), (3, 2, 1, 1)])
@pytest.mark.parametrize("swapped", [False, True])
def test_products_and_errors(dtype: type, other: tuple[int, ...], swapped: bool) -> None:
    values = [random_codes(0, (3, 2, 4, 5), dtype), random_codes(1, other, dtype)]
    values = values[::-1] if swapped else values
    layer, reference = MultiplyLayer("m"), FloatMultiply()
    out = layer.forward(values)
    np.testing.assert_array_equal(
        scaled(out), reference.forward([scaled(value) for value in values], True)
    )
    error = random_codes(2, (3, 2, 4, 5), dtype)
    pairs = zip(layer.backward(error), reference.backward(scaled(error), True), strict=True)
    for (below, exact), value in zip(pairs, values, strict=True):
        np.testing.assert_array_equal(scaled(below), exact)
        assert below.integers.shape == value.integers.shape
        assert not below.is_codes


def test_the_sum_over_a_plane_saturates() -> None:
    plane = Value(np.full((1, 1, 400, 400), 127, np.int8), np.array([0]), True)
    layer = MultiplyLayer("m")
    layer.forward([plane, Value(np.array([[[[-127]]]], np.int8), np.array([0]), True)])
    _, below = layer.backward(Value(-plane.integers, np.array([3]), True))
    assert below.integers.tolist() == [[[[-(2**31) + 1]]]]
