"""Range BN: its steps, and its gradient without them."""

import math

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from golden import data, range_bn, zoo
from golden.float_layers import Noise
from golden.learners import learner
from golden.range_bn import RangeNormalizationLayer, to_steps


def test_steps_go_from_the_minimum_to_the_maximum() -> None:
    values = np.array([-1.0, -0.999, 0.0, 0.3, 2.0, 5.0], np.float32)
    coded = to_steps(values, 8, -1.0, 2.0)
    step = 3 / 255
    np.testing.assert_allclose(coded[[0, 4, 5]], [-1, 2, 2], atol=1e-6)
    assert (np.abs(coded[:5] - values[:5]) <= step / 2 + 1e-6).all()
    assert len(np.unique(np.rint((coded + 1) / step))) == len(np.unique(coded))
    # No range at all: everything is the one value.
    assert (to_steps(np.full(3, 4, np.float32), 8, 4.0, 4.0) == 4).all()


def test_stochastic_steps_keep_the_mean() -> None:
    values = np.full(20_000, 0.3, np.float32)
    coded = to_steps(values, 2, 0.0, 1.0, Noise(0))
    np.testing.assert_allclose(np.unique(coded), [0, 1 / 3])
    assert coded.mean() == pytest.approx(0.3, abs=0.003)


def test_the_range_estimates_the_deviation() -> None:
    layer = RangeNormalizationLayer(np.ones(3, np.float32), np.zeros(3, np.float32), Noise(0))
    x = np.random.default_rng(0).normal(2, 5, (64, 3, 16, 16)).astype(np.float32)
    y = layer.forward([x], training=True)
    assert y.mean() == pytest.approx(0, abs=0.02)
    # The constant of the paper is an approximation for normal values.
    assert y.std() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("shape", [(4, 2, 4, 4), (1, 2, 3, 1), (2, 3)])
def test_its_gradient_is_that_of_autograd(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the steps, which are passed straight through.
    monkeypatch.setattr(range_bn, "_whole", lambda values, *_, **__: values)
    monkeypatch.setattr(range_bn._Measure, "quantize", lambda self, values, training: values)
    rng = np.random.default_rng(1)
    channels = shape[1]
    gamma, beta = rng.normal(size=channels), rng.normal(size=channels)
    x, error = rng.normal(size=shape), rng.normal(size=shape)
    layer = RangeNormalizationLayer(gamma, beta, Noise(0))
    y = layer.forward([x], training=True)
    (below,) = layer.backward(error, needed=True)
    count = x[:, 0].size
    chunks = 16 if count == 64 else 1

    def reference(x, gamma, beta):
        matrix = anp.moveaxis(x, 1, 0).reshape(channels, count)
        parts = matrix.reshape(channels, chunks, -1)
        size = parts.shape[2]
        constant = (
            0.5 * 0.35 * (1 + math.sqrt(math.pi * math.log(4))) / math.sqrt(2 * math.log(size))
        )
        spread = anp.mean(anp.max(parts, axis=2) - anp.min(parts, axis=2), axis=1)
        scale = 1 / (spread * constant + 1e-5)
        mean = anp.mean(matrix, axis=1, keepdims=True)
        result = (matrix - mean) * scale[:, None] * gamma[:, None] + beta[:, None]
        swapped = (channels, shape[0], *shape[2:])
        return anp.sum(anp.moveaxis(result.reshape(swapped), 0, 1) * error)

    assert (y * error).sum() == pytest.approx(reference(x, gamma, beta))
    for place, ours in ((0, below), (1, layer.gradients["gamma"]), (2, layer.gradients["beta"])):
        expected = grad(reference, place)(x, gamma, beta)
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-8)


def test_products_see_256_values_and_weight_gradients_more() -> None:
    digits = data.load("digits")
    it = learner("range-bn", zoo.resnet8((1, 8, 8)), digits, seed=0)
    it.train(digits.train[slice(16)], k=0)
    layer = it.model.layers["stage1.0.conv1"]
    assert len(np.unique(layer._weight)) <= 256
    assert len(np.unique(layer._patches)) <= 257  # and the padding's zero
    for_data, for_weight = layer._conversions.errors(np.random.default_rng(0).normal(size=(999,)))
    assert len(np.unique(for_data)) <= 256 < len(np.unique(for_weight))
    # The master copy is not coded.
    assert len(np.unique(layer.learned["weight"])) > 256


def test_a_batch_of_one_is_normalised_too() -> None:
    digits = data.load("digits")
    for name in ("resnet8", "mlp"):
        it = learner("range-bn", zoo.BUILT_IN[name]((1, 8, 8)), digits, seed=0)
        for i in range(3):
            it.train(digits.train[slice(i, i + 1)], k=4)
        assert all(np.isfinite(values).all() for values in it.state().values())
