"""Operands are those of golden's step: their products, codes and updates are golden's."""

from collections import Counter

import numpy as np
import pytest

from cosim.operands import Step, in_order, operands
from golden.data import load
from golden.formats import QuantSpec
from golden.networks import load as load_network
from golden.optimizer import WEIGHT, Rate, update
from golden.training import learning_rate_shift


@pytest.fixture(scope="module")
def step() -> Step:
    digits = load("digits")
    network = load_network("resnet8", input_shape=digits.shape, classes=10)
    return operands(network, digits, steps=6)


def planes(product: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rows of positions as (samples, channels, height, width)."""
    if like.ndim == 2:
        return product
    samples, channels, high, wide = like.shape
    return product.reshape(samples, high, wide, channels).transpose(0, 3, 1, 2)


def test_every_product_is_golden_s(step: Step) -> None:
    seen = dict.fromkeys(("forward", "backward_data", "backward_weight"), 0)
    for product in step.products:
        result = product.a.astype(np.int64) @ product.b.astype(np.int64)
        what = "backward_weight.weight" if product.phase == "backward_weight" else product.phase
        wanted = step.trace[f"{product.layer}.{what}.product"]
        if product.phase == "backward_weight":
            np.testing.assert_array_equal(result.ravel(), wanted.ravel())
        else:
            np.testing.assert_array_equal(planes(result, wanted), wanted)
        seen[product.phase] += 1
    # All layers; backward-data without the first and the two strided ones.
    assert seen == {"forward": 8, "backward_data": 5, "backward_weight": 8}


def test_quantizations_fill_eight_bits(step: Step) -> None:
    for each in step.quantizations:
        codes = QuantSpec().apply(each.values, each.shift, None)
        largest = int(abs(codes).max())
        assert largest <= 127
        assert largest >= 63 or each.shift == 0
    assert len(step.quantizations) == 16 * (8 + 7)
    phases = Counter((each.layer, each.phase) for each in step.quantizations)
    convolutions = [f"stage{s}.0.conv{n}" for s in (1, 2, 3) for n in (1, 2)]
    layers = ["stem.conv", *convolutions, "fc"]
    assert phases == {
        **{(layer, "forward"): 16 for layer in layers},
        **{(layer, "backward_data"): 16 for layer in layers[1:]},
    }


def test_every_update_is_golden_s(step: Step) -> None:
    assert len(step.updates) == 8
    rate = Rate(k=learning_rate_shift(16))
    for each in step.updates:
        assert each.applied == WEIGHT.applied_shift(0)
        assert each.decay == WEIGHT.decay_bits(rate.k)
        p, v, u = update(each.parameter, each.momentum, each.gradient, rate, WEIGHT, key=each.key)
        for name, got in (("P", p), ("V", v), ("U", u)):
            wanted = step.trace[f"{each.layer}.update.weight.{name}"]
            np.testing.assert_array_equal(got, in_order(wanted))
