"""Integer layers of the operators that learn nothing."""

from golden.activations import ClippedLayer, LeakyLayer
from golden.channel_shuffle import ChannelShuffleLayer
from golden.concatenation import ConcatLayer
from golden.dropout import DropoutLayer
from golden.layers import (
    AddLayer,
    IntegerLayer,
    RectifierLayer,
    ReshapeLayer,
    ShortcutLayer,
)
from golden.multiplication import MultiplyLayer
from golden.network import (
    Activation,
    Add,
    AveragePool,
    ChannelShuffle,
    Concat,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    MaxPool,
    Multiply,
    Pad,
    Reshape,
)
from golden.pooling import AveragePoolLayer, GlobalMaxLayer, MaxPoolLayer, MeanLayer

__all__ = ["fixed_layer"]


def fixed_layer(layer: Layer) -> IntegerLayer | None:
    """Return the integer layer of one operator; None where there is none.

    Raises InputError when its attributes have no integer form.
    """
    match layer.operator:
        case Add():
            return AddLayer(layer.name)
        case Multiply():
            return MultiplyLayer(layer.name)
        case Concat(axis=axis):
            return ConcatLayer(layer.name, axis)
        case Flatten() | Reshape():
            return ReshapeLayer(layer.name, layer.shape)
        case Pad(amounts=amounts):
            return ShortcutLayer(layer.name, (1, 1), amounts)
        case ChannelShuffle(groups=groups):
            return ChannelShuffleLayer(layer.name, layer.shape[0], groups)
        case Dropout(probability=probability):
            return DropoutLayer(layer.name, probability)
    return _pool(layer) or _activation(layer)


def _pool(layer: Layer) -> IntegerLayer | None:
    match layer.operator:
        case GlobalAveragePool():
            return MeanLayer(layer.name, layer.input_shapes[0][1:])
        case GlobalMaxPool():
            return GlobalMaxLayer(layer.name)
        case (AveragePool() | MaxPool()) as o if o.kernel == (1, 1) and not any(o.padding):
            # It chooses and computes nothing, so that 32-bit values may pass.
            return ShortcutLayer(layer.name, o.stride, (0, 0, 0, 0, 0))
        case AveragePool() as operator:
            return AveragePoolLayer(layer.name, operator)
        case MaxPool() as operator:
            return MaxPoolLayer(layer.name, operator, *layer.input_shapes[0][1:])
    return None


def _activation(layer: Layer) -> IntegerLayer | None:
    match layer.operator:
        case Activation(maximum=None, slope=0.0):
            return RectifierLayer(layer.name)
        case Activation(maximum=maximum, slope=0.0) if maximum is not None:
            return ClippedLayer(layer.name, maximum)
        case Activation(maximum=None, slope=slope):
            return LeakyLayer(layer.name, slope)
    return None
