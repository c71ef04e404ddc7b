"""The network that EOQ's integers round: float64 at the integers' own parameters."""

import math
from collections.abc import Sequence

import numpy as np

from golden.activations import ClippedLayer, LeakyLayer
from golden.float_build import build_float
from golden.float_layers import FloatLayer, Floats, RectifierLayer
from golden.float_model import FloatModel
from golden.float_pools import GlobalAverageLayer
from golden.layers import IntegerLayer, MultiplierLayer
from golden.network import AveragePool, GlobalAveragePool, Layer
from golden.training import Model
from golden.values import Value
from golden.windows import PoolingWindows

__all__ = ["dequantized"]


def dequantized(model: Model) -> FloatModel:
    """Return the piecewise linear network, in float64, that an integer model rounds.

    Its constants are those that the integers multiply by and add: learned ones, slopes, levels, and
    means by powers of two. Its activations and errors are not rounded, so its ReLUs may open where
    the integers' do not.
    """
    result = build_float(model.network, 0, dtype=np.float64)
    for layer in model.network:
        own = model.layers[layer.name]
        target = _replaced(layer, own, result.layers[layer.name])
        for kind, learned in own.learned.items():
            target.learned[kind] = learned.values * 2.0**-learned.exponent
        if isinstance(own, MultiplierLayer):
            # It is used in fewer bits than it is kept: in those that an error of one comes back in.
            (factor,) = own.backward(Value(np.ones((1, 1), np.int32), np.zeros(1, np.int64)))
            target.learned["multiplier"] = factor.integers[0] * 2.0**-factor.exponent
        result.layers[layer.name] = target
    return result


def _replaced(layer: Layer, own: IntegerLayer, usual: FloatLayer) -> FloatLayer:
    """Return the layer with the integers' constants where they are not the operator's."""
    match layer.operator:
        case GlobalAveragePool():
            return _ShiftedMean()
        case AveragePool() as operator:
            return _ShiftedWindows(operator)
    if isinstance(own, LeakyLayer):
        return RectifierLayer(None, 2.0**-own.shift)
    if isinstance(own, ClippedLayer):
        return RectifierLayer(own.level * 2.0**-own.level_exponent, 0.0)
    return usual


class _ShiftedMean(GlobalAverageLayer):
    """A sum over the plane divided by the next power of two, as the integers have it."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Average."""
        positions = math.prod(inputs[0].shape[2:])
        self._share = positions / (1 << (positions - 1).bit_length())
        return super().forward(inputs, training) * self._share

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Spread."""
        return super().backward(error * self._share, needed)


class _ShiftedWindows(FloatLayer):
    """A sum over each window divided by the next power of two; padding counts, being zeros."""

    def __init__(self, operator: AveragePool) -> None:
        super().__init__()
        self._operator = operator
        self._divisor = 1 << (math.prod(operator.kernel) - 1).bit_length()

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Average."""
        (x,) = inputs
        self._windows = PoolingWindows(self._operator, *x.shape[2:])
        planes = self._windows.pad(x)
        first, *others = (planes[tap] for tap in self._windows.taps())
        return sum(others, start=first) / self._divisor

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Spread."""
        planes = self._windows.zeros(error)
        for tap in self._windows.taps():
            planes[tap] += error / self._divisor
        return [planes[self._windows.inside]]
