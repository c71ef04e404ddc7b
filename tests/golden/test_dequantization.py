"""The network in float64 against the integers that round it."""

import numpy as np
import pytest

from golden import zoo
from golden.blocks import find_blocks
from golden.data import INPUT_EXPONENT
from golden.dequantization import dequantized
from golden.initialization import build
from golden.jacobians import FloatJacobians, IntegerJacobians
from golden.network import (
    Activation,
    AveragePool,
    ChannelMultiplier,
    Convolution,
    Flatten,
    GlobalAveragePool,
    Linear,
    Network,
    Operator,
    ScalarMultiplier,
)
from golden.schemes import EOQ
from golden.training import Model

RANDOM = 7


def spread(model: Model) -> Model:
    """Give every parameter a value of its own."""
    rng = np.random.default_rng(RANDOM)
    for layer in model.layers.values():
        for kind, learned in layer.learned.items():
            reach = {"weight": 20, "bias": 2000, "multiplier": 4000}[kind]
            learned.values += rng.integers(-reach, reach + 1, learned.values.shape)
    return model


@pytest.mark.parametrize(
    "operators",
    [
        [AveragePool((3, 3), (2, 2), (1, 1, 1, 1))],
        [AveragePool((2, 2), (2, 2))],
        [GlobalAveragePool()],
        [ScalarMultiplier()],
        [ChannelMultiplier()],
        [Convolution((3, 3), padding=(1, 1, 1, 1), out_channels=3), Activation(slope=0.4)],
        [Convolution((3, 3), padding=(1, 1, 1, 1), out_channels=3), Activation(maximum=6.0)],
    ],
)
def test_one_layer_pulls_errors_exactly_as_the_integers_do(operators: list[Operator]) -> None:
    """What is measured here is rounded nowhere: the codes have room for every result."""
    network = Network("one", (2, 7, 7))
    for number, operator in enumerate(operators):
        network.add(f"layer{number}", operator, *([] if number else ["input"]))
    network.add("flatten", Flatten())
    network.add("fc", Linear(2))
    model = spread(build(network, 0))
    rng = np.random.default_rng(1)
    codes = rng.integers(-127, 128, (5, 2, 7, 7)).astype(np.int32)
    integer = IntegerJacobians(model, codes)
    real = FloatJacobians(dequantized(model), codes * 2.0**-INPUT_EXPONENT)
    block = find_blocks(network)[0]
    signs = rng.choice([-1.0, 1.0], (5, *network.shape_of(block.output)))
    ours = integer.real(integer.pull(block, integer.probe(signs)))
    assert len(np.unique(np.abs(ours))) >= 1 + (len(operators) == 2)
    np.testing.assert_array_equal(real.real(real.pull(block, real.probe(signs))), ours)


@pytest.mark.parametrize("name", ["resnet8", "lenet5"])
def test_logits_are_the_integers_up_to_rounding(name: str) -> None:
    # ResNet's last planes are 7x7: its mean is over 49 positions and divided by 64.
    model = spread(build(EOQ.rewrite(zoo.BUILT_IN[name](input_shape=(1, 28, 28))), seed=0))
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (4, 1, 28, 28)).astype(np.int32)
    integers, exponent = model.logits(codes)
    ours = integers * np.exp2(-exponent.astype(float))[:, None]
    real = dequantized(model).logits(codes * 2.0**-INPUT_EXPONENT)
    assert np.linalg.norm(ours - real) < 0.1 * np.linalg.norm(real)
    # A factor of the mean, 49/64, would show here.
    assert (ours * real).sum() / (real * real).sum() == pytest.approx(1, abs=0.02)
