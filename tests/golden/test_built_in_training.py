"""Every built-in network takes integer steps and gets better at what it is shown."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from golden import data
from golden.initialization import build
from golden.learners import learner
from golden.schemes import EOQ
from golden.training import Model, learning_rate_shift
from golden.zoo import BUILT_IN

SHAPES = {
    "mlp": (1, 8, 8),
    "lenet5": (1, 8, 8),
    "resnet8": (1, 8, 8),
    "resnet20": (1, 8, 8),
    "alexnet": (3, 63, 63),
}
"""Smallest planes on which they have one; the others take CIFAR's."""

CLASSES = 4
STEPS = {"vgg11": 6, "vgg16": 6, "alexnet": 6, "resnet8_narrow": 20}
SLOWER = {"vgg11": 2, "alexnet": 2}
"""Wide hidden layers with dropout, and no residual branch that begins at zero: a quarter of the
rate."""
SLOW = {"mobilenetv2", "resnet18", "resnet34", "resnet50", "vgg11", "vgg16", "alexnet"}

NAMES = [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in BUILT_IN]


def loss(it: Model, codes: np.ndarray, labels: np.ndarray) -> float:
    logits, exponent = it.logits(codes)
    z = logits * 2.0 ** -exponent[:, None].astype(float)
    z -= z.max(axis=1, keepdims=True)
    return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).mean())


@pytest.mark.parametrize("name", NAMES)
def test_a_few_integer_steps_lower_the_loss(name: str) -> None:
    shape = SHAPES.get(name, (3, 32, 32))
    it = build(EOQ.rewrite(BUILT_IN[name](shape, classes=CLASSES)), seed=0)
    rng = np.random.default_rng(0)
    labels = np.arange(8) % CLASSES
    codes = rng.integers(-60, 61, (CLASSES, *shape))[labels]
    codes = codes + rng.integers(-30, 31, codes.shape)
    before = loss(it, codes, labels)
    # Logits of zeros: the classifier is zero at first.
    assert before == pytest.approx(np.log(CLASSES))
    moved = set()
    # As the trainer has it: the products are small.
    with threadpool_limits(limits=1):
        for _ in range(STEPS.get(name, 10)):
            trace = it.step(codes, labels, learning_rate_shift(8) + SLOWER.get(name, 0))
            products = {key for key in trace if key.endswith("backward_weight.weight.product")}
            moved |= {key for key in products if trace[key].any()}
        assert loss(it, codes, labels) < before - 0.01
    # Every weight has had a gradient, also behind Fixup's branches, which begin at zero.
    weights = [n for n, layer in it.layers.items() if "weight" in layer.learned]
    assert {f"{n}.backward_weight.weight.product" for n in weights} <= moved
    bits = {"product": 32, "error": 17}
    for key, values in trace.items():
        assert np.issubdtype(values.dtype, np.integer), key
        kind = key.rsplit(".", 1)[-1]
        scalar = key.endswith((".V", ".P", ".U")) and "weight" not in key
        width = 16 if scalar else bits.get(kind, 8)
        assert max(int(values.max()), -int(values.min())) < 1 << (width - 1), key


def test_lenet5_learns_the_digits() -> None:
    digits = data.load("digits")
    it = learner("eoq", BUILT_IN["lenet5"](digits.shape, digits.classes), digits, seed=0)
    rng = np.random.default_rng(0)
    for _ in range(150):
        it.train(digits.train[rng.integers(0, len(digits.train), 64)], 0)
    part = digits.validation
    assert (it.classify(part.pixels) == part.labels).mean() > 0.9
