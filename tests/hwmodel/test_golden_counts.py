"""golden's own step, instrumented: it must do what the ledger says that it does.

Counted are golden's pieces, not its shifts: where a batch happens to need no shift, golden's arrays
skip it, and hardware does not.
"""

import importlib
import math

import numpy as np
import pytest

from golden import convolution, gradients, layers, zoo
from golden.activations import LeakyLayer
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
from hwmodel.windows import overlaps

MODULES = (
    "values", "layers", "gradients", "convolution", "training",
    "activations", "channel_scalars", "concatenation", "dropout", "pooling",
)  # fmt: skip


def size(value):
    return value.integers.size


PIECES = {
    "quantize_samples": lambda value, *_: size(value),
    "align_errors": lambda errors, *_: size(errors),
    "quantize_gradient": lambda gradient, *_: gradient.size,
    "update": lambda parameter, *_, **__: parameter.size,
    "join": lambda operands: len(operands) * size(operands[0]) if len(operands) > 1 else 0,
    # The bias comes to the exponent of each sample, once a channel.
    "add_bias": lambda value, bias: len(value) * bias.size,
    "sum_samples": lambda sums, *_: sums.size,
    "clip_levels": lambda level, exponent, samples: samples.size,
    "align_codes": lambda operands: sum(size(value) for value in operands),
}
"""Piece -> elements that it shifts (but for the update, which shifts each twice, and `decayed`)."""


def scattered(windows, error, place, *_):
    """Additions of a pooling's backward pass: none where every element gets one error."""
    if not overlaps(windows.operator):
        return 0
    return size(error) * (math.prod(windows.operator.kernel) if place is None else 1)


OTHERS = {
    "first_largest": lambda taps: (len(taps) - 1) * taps[0].size,
    "sum_taps": lambda taps: (len(taps) - 1) * taps[0].size,
    "scatter": scattered,
    "kept": lambda key, shape, *_: math.prod(shape),
}
"""Piece -> its comparisons, additions or draws."""


def decayed(parameter, momentum, gradient, rate, rule, **_):
    """Elements that an update shifts once more, for their decay."""
    return parameter.size if rule.decay_bits(rate.k) else 0


def inside(planes, windows):
    """Elements of (samples, height, width, channels) that all windows read."""
    ones = np.ones((1, *planes.shape[1:3], 1), np.int8)
    taps = math.prod(windows.kernel)
    read = windows.gather(ones, np.empty((windows.rows(1), taps), np.int8))
    return int(read.sum(dtype=int)) * len(planes) * planes.shape[-1]


@pytest.fixture
def counts(monkeypatch):
    """Elements that pass each piece, and multiply-accumulates."""
    found = dict.fromkeys([*PIECES, *OTHERS, "decay", "leaky", "mac"], 0)

    def counted(name, function, of):
        def wrapper(*arguments, **options):
            found[name] += of(*arguments, **options)
            return function(*arguments, **options)

        return wrapper

    for module in map(importlib.import_module, (f"golden.{name}" for name in MODULES)):
        for name, of in (PIECES | OTHERS).items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, counted(name, getattr(module, name), of))
    decay = counted("decay", gradients.update, decayed)
    monkeypatch.setattr(gradients, "update", decay)
    leaky = counted("leaky", LeakyLayer._pass, lambda layer, value: size(value))
    monkeypatch.setattr(LeakyLayer, "_pass", leaky)
    # A linear layer's matrices are what it multiplies. A convolution's have zeros for the taps in
    # the padding, and backwards for those behind the errors' edge: counted are the taps inside.
    products = counted("mac", layers.matmul, lambda a, b: math.prod(a.shape) * b.shape[-1])
    monkeypatch.setattr(layers, "matmul", products)
    for name, of in (
        ("_convolve", lambda planes, windows, weights: inside(planes, windows) * weights.shape[1]),
        ("_correlate", lambda errors, planes, windows: inside(planes, windows) * errors.shape[-1]),
    ):
        monkeypatch.setattr(convolution, name, counted("mac", getattr(convolution, name), of))
    return found


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
def test_instrumented_step(counts, name, batch):
    network = NETWORKS[name]()
    step = Step(network, EOQ, batch)
    model = build(step.network, 0)
    codes = np.random.default_rng(1).integers(-127, 128, (batch, *network.input_shape))
    counts.update(dict.fromkeys(counts, 0))
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
    shifted = sum(counts[piece] for piece in PIECES if piece != "update")
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
