"""golden's own step, instrumented: it must do what the ledger says that it does."""

import math

import numpy as np
import pytest

from cosim.instrumented import SHIFTED, counted_pieces
from golden import zoo
from golden.initialization import build
from golden.network import (
    Activation,
    AveragePool,
    ChannelBias,
    ChannelMultiplier,
    ChannelShuffle,
    Concat,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Linear,
    MaxPool,
    Multiply,
    Network,
    Normalization,
    Softmax,
)
from golden.schemes import EOQ
from hwmodel.conventions import Conventions
from hwmodel.ledger import MAC_PHASES, ledger
from hwmodel.step import Step, total


def vgg_like():
    """Maxima with and without overlap, biases a layer, a hidden linear layer with dropout."""
    network = Network("vgg-like", (3, 11, 9))
    for index, pool in enumerate((MaxPool((2, 2), (2, 2)), MaxPool((3, 3), (2, 2), (1, 1, 1, 1)))):
        convolution = Convolution((3, 3), (1, 1), (1, 1, 1, 1), out_channels=6, bias=True)
        network.add(f"conv{index}", convolution)
        network.add(f"norm{index}", Normalization())
        network.add(f"relu{index}", Activation())
        network.add(f"pool{index}", pool)
    network.add("flatten", Flatten())
    network.add("fc1", Linear(12))
    network.add("relu", Activation())
    network.add("dropout", Dropout())
    network.add("fc2", Linear(10))
    return network


def inception_like():
    """Branches that are concatenated: convolution, leaky or clipped, and both kinds of pooling."""
    network = Network("inception-like", (4, 8, 8))
    window = ((3, 3), (1, 1), (1, 1, 1, 1))
    start = network.add("stem", Convolution(*window, out_channels=4))
    narrow = network.add("one", Convolution((1, 1), out_channels=3), start)
    narrow = network.add("leaky", Activation(slope=0.1), narrow)
    maxima = network.add("max", MaxPool(*window), start)
    means = network.add("avg", AveragePool(*window), start)
    means = network.add("project", Convolution((1, 1), out_channels=2), means)
    network.add("joined", Concat(), narrow, maxima, means)
    network.add("relu6", Activation(maximum=6.0))
    network.add("scale", ChannelMultiplier())
    network.add("shift", ChannelBias())
    network.add("grouped", Convolution((2, 2), dilation=(2, 3), out_channels=6, groups=3))
    network.add("shuffle", ChannelShuffle(3))
    gate = network.add("gate", GlobalAveragePool())
    network.add("gated", Multiply(), "shuffle", gate)
    top = network.add("top", GlobalMaxPool())
    mean = network.add("mean", GlobalAveragePool(), "shuffle")
    network.add("both", Concat(), top, mean)
    network.add("flatten", Flatten())
    network.add("fc", Linear(10))
    network.add("softmax", Softmax())
    return network


NETWORKS = {
    "mlp": zoo.mlp,
    "resnet8": zoo.resnet8,
    "resnet20": zoo.resnet20,
    "lenet5": zoo.lenet5,
    "mobilenetv2": lambda: zoo.mobilenetv2((3, 32, 32), classes=10),
    "vgg-like": vgg_like,
    "inception-like": inception_like,
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 4])
def test_instrumented_step(name, batch):
    network = NETWORKS[name]()
    step = Step(network, EOQ, batch)
    model = build(step.network, 0)
    codes = np.random.default_rng(1).integers(-127, 128, (batch, *network.input_shape))
    with counted_pieces() as counts:
        model.step(codes, np.arange(batch) % 10, 1)

    rows = [row for row in ledger(step) if row.layer != "loss"]
    unpadded = ledger(Step(network, EOQ, batch, Conventions(padding=False)))
    assert counts["mac"] == sum(total(unpadded, op="mac", phase=phase) for phase in MAC_PHASES)

    draws = {phase: total(rows, op="random", phase=phase) for phase in ("quantization", "update")}
    assert draws == {
        "quantization": counts["align_errors"] + counts["quantize_gradient"],
        "update": counts["update"],
    }

    assert total(rows, op="shift", phase="update") == 2 * counts["update"] + counts["decay"]
    multipliers = sum(math.prod(layer.parameters.get("multiplier", (0,))) for layer in step.network)
    shifted = sum(counts[piece] for piece in SHIFTED if piece != "update")
    assert total(rows, op="shift", phase="quantization") == shifted + 2 * multipliers

    def of(kinds, **where):
        names = {layer.name for layer in step.network if isinstance(layer.operator, kinds)}
        return total([row for row in rows if row.layer in names], **where)

    windows = (MaxPool, AveragePool)
    sums = of(AveragePool, op="add", phase="forward")
    assert of(MaxPool, op="compare", phase="forward") == counts["first_largest"]
    assert sums == counts["sum_taps"]
    forks = sum(
        (len(step.error_sources[layer.name]) - 1) * step.elements(layer.name)
        for layer in step.network
        if isinstance(layer.operator, windows) and len(step.error_sources[layer.name]) > 1
    )
    assert of(windows, op="add", phase="backward_data") == counts["scatter"] + forks
    assert of(Dropout, op="random") == counts["kept"]
    assert (
        of(Activation, op="shift", phase="forward")
        + of(Activation, op="shift", phase="backward_data")
        == counts["leaky"]
    )
