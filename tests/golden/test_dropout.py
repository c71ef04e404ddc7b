"""Dropout: what stays is drawn by position, evenly, and inference has the mean of training."""

import numpy as np
import pytest

from golden.dropout import DropoutLayer, kept
from golden.errors import InputError
from golden.initialization import build
from golden.network import Dropout, Linear, Network
from golden.randomness import draw, first_state, tensor_key
from golden.training import draw_number
from golden.values import Value

SHAPE = (8, 4, 25, 20)


def keys(what: str) -> int:
    return tensor_key(first_state(3), draw_number(2, what))


def ones(number: int = 100, dtype: type = np.int8) -> Value:
    return Value(np.full(SHAPE, number, dtype), np.arange(8), is_codes=True)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.2, 0.5, 0.75, 0.99])
def test_a_mask_keeps_the_share_it_says(probability: float) -> None:
    layer = DropoutLayer("d", probability)
    assert abs(layer.keep / 256 - (1 - probability)) <= 1 / 512
    mask = kept(keys("mask"), SHAPE, layer.keep)
    share = layer.keep / 256
    deviation = np.sqrt(share * (1 - share) / mask.size)
    assert abs(mask.mean() - share) <= 4.5 * deviation
    # By sample, and by neighbours.
    spread = np.sqrt(share * (1 - share) / mask[0].size)
    assert (np.abs(mask.reshape(8, -1).mean(axis=1) - share) <= 5 * spread).all()


def test_a_place_is_drawn_for_itself() -> None:
    mask = kept(keys("mask"), (3, 2, 4), 128)
    index = np.random.default_rng(0).permutation(24)
    assert (mask.ravel()[index] == (draw(keys("mask"), index) < 128 << 8)).all()


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.75, 0.9])
def test_inference_has_the_mean_of_training(probability: float) -> None:
    layer = DropoutLayer("d", probability)
    layer.begin(keys)
    trained = layer.forward([ones()])
    mean = trained.integers.mean() * 2.0 ** -float((trained.exponent - np.arange(8))[0])
    layer.begin(None)
    used = layer.forward([ones()])
    exact = used.integers.max() * 2.0 ** -float((used.exponent - np.arange(8))[0])
    assert mean == pytest.approx(exact, rel=0.06)
    # The power of two is taken out: the factor is 0.7 to 1.42 and fits 8 bits.
    assert 45 <= layer.scale <= 91
    assert exact == pytest.approx(100 * layer.keep / 256 * 2**layer.shift, rel=0.02)


def test_a_half_multiplies_nothing() -> None:
    layer = DropoutLayer("d", 0.5)
    assert (layer.keep, layer.shift, layer.scale) == (128, 1, 64)
    value = ones()
    assert layer.forward([value]) is value


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_the_error_falls_out_where_the_unit_did(dtype: type) -> None:
    layer = DropoutLayer("d", 0.5)
    layer.begin(keys)
    out = layer.forward([ones(dtype=dtype)])
    (below,) = layer.backward(ones(-127, dtype))
    assert (below.integers == np.where(out.integers, -127, 0)).all()
    assert out.is_codes
    assert below.is_codes
    assert (out.exponent == np.arange(8) - 1).all()
    assert (below.exponent == out.exponent).all()
    zero = layer.forward([ones(0)])
    assert not zero.integers.any()


def test_steps_differ_and_inference_does_not() -> None:
    network = Network("n", (64,))
    network.add("fc1", Linear(64))
    network.add("drop", Dropout(0.25))
    network.add("fc2", Linear(3))
    it = build(network, seed=1)
    codes = np.random.default_rng(0).integers(-127, 128, (4, 64))
    labels = np.array([0, 1, 2, 0])
    one, other = it.logits(codes), it.logits(codes)
    assert (one[0] == other[0]).all()
    masks = []
    for _ in range(2):
        it.step(codes, labels, 1)
        masks.append(it.layers["drop"]._mask)
    assert (masks[0] != masks[1]).any()
    again = build(network, seed=1)
    again.step(codes, labels, 1)
    assert (again.layers["drop"]._mask == masks[0]).all()


@pytest.mark.parametrize("probability", [1.0, 0.9999, -0.1, 1.5, float("nan")])
def test_probabilities_that_keep_nothing(probability: float) -> None:
    with pytest.raises(InputError, match=r"^layer 'd': dropout must keep at least 1/512, and"):
        DropoutLayer("d", probability)
