"""From a network to its integers at their initial values.

Fixup (arXiv 1901.09321): the first convolutions of a residual branch are He-initialised and scaled
by L**(-1/(2m-2)) for L branches of m convolutions, the last one and the classifier are zero,
multipliers one, biases zero. Our choice: a weight's static exponent leaves room for eight of He's
standard deviations, by inputs or by outputs, whichever is larger. Without a normalisation weights
grow while they learn: with room for four, those of the stem and the classifier saturated, which
cost a point on Fashion-MNIST.
"""

import math
from collections.abc import Mapping

import numpy as np

from golden.channel_scalars import ChannelBiasLayer, ChannelMultiplierLayer
from golden.classifier import split_classifier
from golden.convolution import ConvolutionLayer
from golden.errors import InputError
from golden.fixed_layers import fixed_layer
from golden.formats import Integers
from golden.gradients import Learned
from golden.layers import (
    BIAS_EXPONENT,
    MULTIPLIER_EXPONENT,
    BiasLayer,
    IntegerLayer,
    LinearLayer,
    MultiplierLayer,
)
from golden.network import (
    ChannelBias,
    ChannelMultiplier,
    Convolution,
    Layer,
    Linear,
    Network,
    ScalarBias,
    ScalarMultiplier,
)
from golden.optimizer import SCALAR, WEIGHT
from golden.reductions import check_reductions
from golden.training import Model

__all__ = ["branch_scales", "build"]

_ROOM = 8
"""Standard deviations that an initial weight's range has room for."""


def build(network: Network, seed: int) -> Model:
    """Integers for a network that the EOQ scheme has rewritten.

    Raises InputError that names the layer when golden cannot train one of the operators, or one
    of its sums could pass 32 bits.
    """
    rng = np.random.default_rng(seed)
    network, classifier = split_classifier(network)
    check_reductions(network)
    scales = branch_scales(network)
    if classifier is not None:
        scales[classifier] = 0.0
    layers = [_layer(network, layer, scales.get(layer.name, 1.0), rng) for layer in network]
    return Model(network, layers, seed)


def branch_scales(network: Network) -> dict[str, float]:
    """Fixup's factor for each convolution of a residual branch; 0 for the last."""
    consumers = network.consumers()
    branches = []
    for layer in network:
        if not isinstance(layer.operator, ScalarMultiplier):
            continue
        # A branch reaches back to the fork it started from.
        found, pending = [], list(layer.inputs)
        while pending:
            name = pending.pop()
            if name == "input" or len(consumers[name]) > 1:
                continue
            if isinstance(network.layers[name].operator, Convolution):
                found.append(name)
            pending.extend(network.layers[name].inputs)
        branches.append(found)
    scales = {}
    for last, *others in filter(None, branches):
        scales[last] = 0.0
        for name in others:
            scales[name] = len(branches) ** (-1 / (2 * len(others)))
    return scales


def _layer(network: Network, layer: Layer, scale: float, rng: np.random.Generator) -> IntegerLayer:
    shapes = layer.parameters
    match layer.operator:
        case Linear(bias=bias):
            weight = _weight(shapes["weight"], shapes["weight"][1], scale, rng)
            return LinearLayer(layer.name, weight, _zeros(shapes) if bias else None)
        case Convolution(bias=bias) as operator:
            outputs, _, height, width = shapes["weight"]
            fan = outputs // operator.groups * height * width
            weight = _weight(shapes["weight"], fan, scale, rng)
            return ConvolutionLayer(layer.name, operator, weight, _zeros(shapes) if bias else None)
        case ScalarBias():
            return BiasLayer(layer.name, _zeros(shapes))
        case ScalarMultiplier():
            one = np.array([1 << MULTIPLIER_EXPONENT])
            return MultiplierLayer(layer.name, Learned.fresh(one, MULTIPLIER_EXPONENT, SCALAR))
        case ChannelBias():
            return ChannelBiasLayer(layer.name, _zeros(shapes))
        case ChannelMultiplier():
            ones = np.full(shapes["multiplier"], 1 << MULTIPLIER_EXPONENT)
            learned = Learned.fresh(ones, MULTIPLIER_EXPONENT, SCALAR)
            return ChannelMultiplierLayer(layer.name, learned)
    try:
        found = fixed_layer(layer)
    except InputError as error:
        raise InputError(f"network {network.name!r}, {error}") from error
    if found is None:
        raise InputError(
            f"network {network.name!r}, layer {layer.name!r}: integer training requires an "
            f"operator of docs/numerics.md, got {type(layer.operator).__name__}"
        )
    return found


def _weight(shape: tuple[int, ...], fan: int, scale: float, rng: np.random.Generator) -> Learned:
    deviation = math.sqrt(2 / fan)
    largest = max(deviation, math.sqrt(2 / math.prod(shape[1:])))
    exponent = math.floor(math.log2(127 / (_ROOM * largest)))
    real = rng.normal(0.0, deviation, shape) * scale * 2.0**exponent
    return Learned.fresh(np.clip(np.rint(real), -127, 127).astype(np.int64), exponent, WEIGHT)


def _zeros(shapes: Mapping[str, tuple[int, ...]]) -> Learned:
    values: Integers = np.zeros(shapes["bias"], dtype=np.int64)
    return Learned.fresh(values, BIAS_EXPONENT, SCALAR)
