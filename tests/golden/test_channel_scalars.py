"""Learned numbers a channel against the floating-point layers and exact sums."""

import numpy as np
import pytest

from golden.channel_scalars import ChannelBiasLayer, ChannelMultiplierLayer
from golden.float_layers import ShiftLayer, StretchLayer
from golden.gradients import Learned, sum_samples
from golden.layers import BIAS_EXPONENT, MULTIPLIER_EXPONENT
from golden.optimizer import SCALAR
from golden.values import Value

SHAPE = (4, 3, 5, 2)
AXES = (1, -1, 1, 1)


def keys(what: str) -> int:
    raise AssertionError("nothing is drawn")


def scaled(value: Value) -> np.ndarray:
    return value.integers * 2.0 ** -value.exponent.reshape(-1, 1, 1, 1)


def random_codes(seed: int, dtype: type) -> Value:
    rng = np.random.default_rng(seed)
    return Value(rng.integers(-127, 128, SHAPE).astype(dtype), np.array([3, 5, 5, 4]), True)


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_multipliers_a_channel(dtype: type) -> None:
    # Whole steps of the 8 bits they are used in, so that nothing is rounded.
    m8 = np.array([64, -127, 3])
    layer = ChannelMultiplierLayer("m", Learned.fresh(m8 << 7, MULTIPLIER_EXPONENT, SCALAR))
    reference = StretchLayer(m8 / 64)
    value, error = random_codes(0, dtype), random_codes(1, dtype)
    out = layer.forward([value])
    np.testing.assert_array_equal(scaled(out), reference.forward([scaled(value)], True))
    (below,) = layer.backward(error)
    np.testing.assert_array_equal(scaled(below), reference.backward(scaled(error), True)[0])
    gradient = layer.gradients(layer.contribution(error), keys)["multiplier"]
    difference = gradient.total * 2.0**-gradient.exponent - reference.gradients["multiplier"]
    # Three of the samples are brought to the coarsest one's step.
    assert np.abs(difference).max() <= 3 * 2.0**-gradient.exponent
    assert gradient.total.shape == (3,)


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_biases_a_channel(dtype: type) -> None:
    bias = np.array([1 << 12, -(1 << 10), 0])
    layer = ChannelBiasLayer("b", Learned.fresh(bias, BIAS_EXPONENT, SCALAR))
    rng = np.random.default_rng(0)
    wide = Value(rng.integers(-(2**20), 2**20, SHAPE).astype(np.int32), np.array([3, 5, 5, 4]))
    reference = ShiftLayer(bias * 2.0**-BIAS_EXPONENT)
    np.testing.assert_array_equal(
        scaled(layer.forward([wide])), reference.forward([scaled(wide)], True)
    )
    error = random_codes(1, dtype)
    (below,) = layer.backward(error)
    assert below is error
    reference.backward(scaled(error), True)
    gradient = layer.gradients(layer.contribution(error), keys)["bias"]
    difference = gradient.total * 2.0**-gradient.exponent - reference.gradients["bias"]
    assert np.abs(difference).max() <= 3 * 2.0**-gradient.exponent
    saturated = layer.forward([Value(np.full(SHAPE, 127), np.full(4, 5), is_codes=True)])
    assert saturated.integers.max() == 127


def test_sums_of_samples_come_to_the_coarsest_that_has_any() -> None:
    sums = np.array([[0, 0, 0], [5, -8, 1], [3, 0, 0]])
    gradient = sum_samples(sums, np.array([-40, 2, 0]))
    # 5, -8 and 1 quarters: 1.25, -2 and 0.25 to nearest.
    assert gradient.exponent == 0
    assert gradient.total.tolist() == [1 + 3, -2, 0]
    assert sum_samples(np.zeros((4, 2), int), np.full(4, 60)).exponent == 0
    one = sum_samples(np.array([4, 7]), np.array([1, 1]))
    assert (one.total.tolist(), one.exponent) == ([11], 1)
