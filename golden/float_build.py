"""From a network to its floating-point layers, and the parts that a scheme may exchange."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from golden.channel_shuffle import shuffled
from golden.classifier import split_classifier
from golden.errors import InputError
from golden.float_layers import (
    AddLayer,
    ConcatLayer,
    DropoutLayer,
    FloatLayer,
    Floats,
    MultiplyLayer,
    Noise,
    PadLayer,
    RectifierLayer,
    ReshapeLayer,
    ShiftLayer,
    ShuffleLayer,
    SoftConversions,
    StretchLayer,
)
from golden.float_model import FloatModel
from golden.float_normalization import BatchNormalizationLayer
from golden.float_pools import (
    GlobalAverageLayer,
    GlobalMaxLayer,
    WindowAverageLayer,
    WindowMaxLayer,
)
from golden.float_products import Conversions, ConvolutionLayer, LinearLayer
from golden.initialization import branch_scales
from golden.network import (
    Activation,
    Add,
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
    Layer,
    Linear,
    MaxPool,
    Multiply,
    Network,
    Normalization,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
)

__all__ = ["Parts", "build_float", "product_ends"]


Initial = Callable[[np.random.Generator, str, tuple[int, ...]], Floats | None]
"""(random source, layer's name, shape) -> initial weights, or None for He's."""


@dataclass(frozen=True)
class Parts:
    """What a scheme puts in the place of FP32's.

    Members
    -------
    normalization:
        (gamma, beta, noise) -> layer.
    conversions:
        (layer's name, noise) -> conversions of a convolution or linear layer.
    soft_conversions:
        () -> conversions of an activation.
    initial:
        Initial weights.
    """

    normalization: Callable[[Floats, Floats, Noise], FloatLayer] = field(
        default=lambda gamma, beta, noise: BatchNormalizationLayer(gamma, beta)
    )
    conversions: Callable[[str, Noise], Conversions] = field(
        default=lambda name, noise: Conversions()
    )
    soft_conversions: Callable[[], SoftConversions] = SoftConversions
    initial: Initial = field(default=lambda rng, name, shape: None)


def product_ends(network: Network) -> set[str]:
    """Names of the first convolution or linear layer and of the last."""
    names = [layer.name for layer in network if isinstance(layer.operator, (Convolution, Linear))]
    return {names[0], names[-1]} if names else set()


def build_float(
    network: Network, seed: int, parts: Parts | None = None, dtype: type = np.float32
) -> FloatModel:
    """Layers with initial parameters for a network that a scheme has rewritten.

    Convolutions are drawn as He et al. 2015 (by outputs), linear layers by inputs. With
    normalisation, the classifier has a variance of one over its inputs (our choice); without,
    branches are scaled and the classifier is zero, as Fixup has it (`golden.initialization`).

    Raises InputError that names the layer when an operator cannot be trained.
    """
    network, classifier = split_classifier(network)
    normalized = any(isinstance(layer.operator, Normalization) for layer in network)
    scales = branch_scales(network)
    if classifier is not None:
        scales[classifier] = math.sqrt(0.5) if normalized else 0.0
    builder = _Builder(network, scales, np.random.default_rng(seed), Noise(seed), dtype)
    layers = {layer.name: builder.layer(layer, parts or Parts()) for layer in network}
    return FloatModel(network, layers, builder.noise)


@dataclass(frozen=True)
class _Builder:
    network: Network
    scales: Mapping[str, float]
    rng: np.random.Generator
    noise: Noise
    dtype: type

    def _weight(self, layer: Layer, fan: int, parts: Parts) -> Floats:
        shape = layer.parameters["weight"]
        values = parts.initial(self.rng, layer.name, shape)
        if values is None:
            deviation = math.sqrt(2 / fan) * self.scales.get(layer.name, 1.0)
            values = self.rng.normal(0.0, 1.0, shape) * deviation
        return values.astype(self.dtype)

    def _full(self, layer: Layer, name: str, value: float = 0.0) -> Floats:
        return np.full(layer.parameters[name], value, dtype=self.dtype)

    def layer(self, layer: Layer, parts: Parts) -> FloatLayer:
        """Return the layer of one operator."""
        match layer.operator:
            case Linear(bias=bias):
                return LinearLayer(
                    self._weight(layer, layer.parameters["weight"][1], parts),
                    self._full(layer, "bias") if bias else None,
                    parts.conversions(layer.name, self.noise),
                )
            case Convolution(bias=bias) as operator:
                fan = operator.out_channels // operator.groups * math.prod(operator.kernel)
                return ConvolutionLayer(
                    operator,
                    self._weight(layer, fan, parts),
                    self._full(layer, "bias") if bias else None,
                    parts.conversions(layer.name, self.noise),
                )
            case Normalization():
                gamma, beta = self._full(layer, "gamma", 1.0), self._full(layer, "beta")
                return parts.normalization(gamma, beta, self.noise)
            case ScalarBias() | ChannelBias():
                return ShiftLayer(self._full(layer, "bias"))
            case ScalarMultiplier() | ChannelMultiplier():
                return StretchLayer(self._full(layer, "multiplier", 1.0))
            case Activation(maximum=maximum, slope=slope):
                return RectifierLayer(maximum, slope, parts.soft_conversions())
            case Dropout(probability=probability):
                return DropoutLayer(probability, self.noise)
        return self._plain(layer)

    def _plain(self, layer: Layer) -> FloatLayer:
        """Layers that learn nothing and that no scheme changes."""
        match layer.operator:
            case Add():
                return AddLayer()
            case Multiply():
                return MultiplyLayer()
            case Concat(axis=axis):
                return ConcatLayer(axis)
            case Flatten() | Reshape():
                return ReshapeLayer(layer.shape)
            case Pad(amounts=amounts):
                return PadLayer(amounts)
            case ChannelShuffle(groups=groups):
                return ShuffleLayer(shuffled(layer.shape[0], groups))
            case GlobalAveragePool():
                return GlobalAverageLayer()
            case GlobalMaxPool():
                return GlobalMaxLayer()
            case MaxPool() as operator:
                return WindowMaxLayer(operator)
            case AveragePool() as operator:
                return WindowAverageLayer(operator)
            case operator:
                raise InputError(
                    f"network {self.network.name!r}, layer {layer.name!r}: floating-point training "
                    f"has no {type(operator).__name__}"
                )
