"""WAGEUBN, imitated in floating point.

Yang et al., "Training High-Performance and Large-Scale Deep Neural Networks with Full 8-bit
Integers" (arXiv 1909.02384), and its public code (github.com/yang-yk/wageubn).

As in the code, with Q(x, k) = round(x * 2**(k-1)) / 2**(k-1), half to even:

- weights clip(Q(W, 8)) within +-(1 - 2**-7), kept as Q(W, 24);
- activations Q(x, 8) behind the ReLU, not clipped, so that 8 bits are those of the fraction;
- errors at a ReLU R * clip(Q(e/R, 8), -1, 1), R = 2**round(log2 max|e|); at a convolution's output
  in the format with a flag: 8-bit steps of R/128, and 8-bit fractions of the step below it;
- weight gradients e/R * 128, stochastically rounded, within +-127, times 2**-14: their magnitude
  is discarded; gamma's and beta's Q(g, 15);
- momentum 1/4, kept as Q(V, 13); the learning rate on a 10-bit grid;
- batch normalisation with mean and deviation Q(., 16), x-hat, gamma and beta Q(., 8), epsilon
  2**-15 added to the deviation;
- the first convolution and the last layer in float32;
- initial weights of variance 1/fan-in, cut at two deviations, on a 16-bit grid;
- straight-through gradients.

Our choices: no weight decay, as in all schemes here; the base learning rate, from the validation
part; it halves with the schedule down to the grid's last bit, then the gradient's 128 halves as in
the code's last epochs; running averages that keep 0.9 (the code: 0.997, for a million steps);
biases, which its networks do not have, as beta. Its networks normalise before the convolution; the
ones here behind it.
"""

import math
from collections.abc import Sequence

import numpy as np

from golden.float_build import Parts, product_ends
from golden.float_layers import FloatLayer, Floats, Noise, SoftConversions
from golden.float_learner import Setup, Tensor, Update
from golden.float_normalization import RUNNING_DECAY, by_channel, from_channels
from golden.float_products import Conversions
from golden.network import Network

__all__ = ["WAGEUBN", "flagged_error", "on_grid", "quantized_gradient", "shared_error"]

RATE = 0.4
"""Base learning rate at a batch of 64.

Of 0.05 (the code's, for 100 epochs), 0.1, 0.2 and 0.4 the best on held-out fifths of the digits'
training images: 96, 96, 98 and 98.5 % after 8 epochs.
"""

_MOMENTUM = 0.25
_EPSILON = 2.0**-15
_RATE_BITS = 10
_LEVELS = 128


def on_grid(values: Floats, bits: int) -> Floats:
    """Q: multiples of 2**-(bits-1), half to even."""
    steps = values.dtype.type(2.0 ** (bits - 1))
    return np.rint(values * steps) / steps


def _clipped(values: Floats, bits: int) -> Floats:
    limit = values.dtype.type(1 - 2.0 ** (1 - bits))
    return np.minimum(np.maximum(values, -limit), limit)


def _magnitude(values: Floats) -> float:
    """R: the power of two nearest to the largest magnitude, in logarithms; 0 for zeros."""
    largest = float(np.abs(values).max(initial=0))
    return 2.0 ** round(math.log2(largest)) if largest else 0.0


def shared_error(error: Floats) -> Floats:
    """8 bits with one scale; up to 1.41 R saturates to R."""
    scale = error.dtype.type(_magnitude(error))
    if not scale:
        return error
    return scale * np.minimum(np.maximum(on_grid(error / scale, 8), -1), 1)


def flagged_error(error: Floats) -> Floats:
    """8 bits and a flag: multiples of a step, or of its 128th part below one step."""
    scale = _magnitude(error)
    if not scale:
        return error
    step = error.dtype.type(scale / _LEVELS)
    counts = np.abs(error / step)
    below = np.minimum(on_grid(counts, 8), 1)
    above = np.minimum(np.rint(counts), _LEVELS - 1)
    return np.copysign(step * np.where(counts < 1, below, above), error)


def quantized_gradient(gradient: Floats, levels: float, noise: Noise) -> Floats:
    """`levels` times the gradient over its R, stochastically rounded, times 2**-14.

    `levels` is 128 until late in training, a smaller power of two then.
    """
    scale = _magnitude(gradient)
    if not scale:
        return gradient
    position = np.abs(gradient) * gradient.dtype.type(levels / scale)
    whole = np.floor(position)
    counts = whole + (position - whole > noise.uniform(gradient))
    counts = np.minimum(counts, gradient.dtype.type(max(levels - 1, 1)))
    return np.copysign(on_grid(counts * gradient.dtype.type(2.0**-14), 15), gradient)


class _ProductConversions(Conversions):
    """Of a convolution or linear layer that is neither the first nor the last."""

    def weight(self, values: Floats) -> Floats:
        """8 bits."""
        return _clipped(on_grid(values, 8), 8)

    def bias(self, values: Floats) -> Floats:
        """8 bits."""
        return on_grid(values, 8)

    def errors(self, error: Floats) -> tuple[Floats, Floats]:
        """8 bits and a flag, for both products."""
        flagged = flagged_error(error)
        return flagged, flagged


class _ActivationConversions(SoftConversions):
    def output(self, values: Floats) -> Floats:
        """8 bits of fraction."""
        return on_grid(values, 8)

    def error(self, error: Floats) -> Floats:
        """8 bits."""
        return shared_error(error)


class _NormalizationLayer(FloatLayer):
    """Batch normalisation in fixed point, straight through its roundings."""

    def __init__(self, gamma: Floats, beta: Floats) -> None:
        super().__init__()
        self.learned = {"gamma": gamma, "beta": beta}
        self.running = {"mean": np.zeros_like(gamma), "variance": np.ones_like(gamma)}

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Normalise, scale and shift."""
        matrix = by_channel(inputs[0])
        if training:
            mean, variance = matrix.mean(axis=1), matrix.var(axis=1)
            kept = matrix.dtype.type(RUNNING_DECAY)
            for name, value in (("mean", mean), ("variance", variance)):
                self.running[name] = kept * self.running[name] + (1 - kept) * value
        else:
            mean, variance = self.running["mean"], self.running["variance"]
        deviation = on_grid(np.sqrt(variance), 16) + matrix.dtype.type(_EPSILON)
        self._inverse = 1 / deviation
        centred = matrix - on_grid(mean, 16)[:, None]
        self._normal = on_grid(centred * self._inverse[:, None], 8)
        self._gamma = on_grid(self.learned["gamma"], 8)
        result = self._normal * self._gamma[:, None] + on_grid(self.learned["beta"], 8)[:, None]
        return from_channels(result, inputs[0].shape)

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """As for batch normalisation, with the rounded values."""
        matrix = by_channel(error)
        beta, gamma = matrix.sum(axis=1), (matrix * self._normal).sum(axis=1)
        self.gradients = {"gamma": gamma, "beta": beta}
        count = matrix.dtype.type(matrix.shape[1])
        centred = matrix - beta[:, None] / count - self._normal * (gamma[:, None] / count)
        return [from_channels(centred * (self._gamma * self._inverse)[:, None], error.shape)]


def _rate_and_levels(k: int) -> tuple[float, float]:
    """Learning rate on its grid, and the gradient's levels once the rate cannot halve any more."""
    steps = RATE * 2.0**-k * 2 ** (_RATE_BITS - 1)
    if steps >= 1:
        return round(steps) / 2 ** (_RATE_BITS - 1), _LEVELS
    return 1 / 2 ** (_RATE_BITS - 1), max(_LEVELS * 2.0 ** math.floor(math.log2(steps)), 2)


def _updates(network: Network) -> Update:
    ends = product_ends(network)

    def update(
        tensor: Tensor, parameter: Floats, momentum: Floats, gradient: Floats, k: int, noise: Noise
    ) -> tuple[Floats, Floats]:
        """Momentum and learning rate; both ends of the network in float32."""
        rate, levels = _rate_and_levels(k)
        if tensor.layer in ends:
            momentum = _MOMENTUM * momentum + gradient
            return parameter - rate * momentum, momentum
        if tensor.kind == "weight":
            gradient = quantized_gradient(gradient, levels, noise)
        else:
            gradient = on_grid(gradient, 15)
        momentum = _MOMENTUM * momentum + gradient
        return on_grid(parameter - rate * momentum, 24), on_grid(momentum, 13)

    return update


def _parts(network: Network) -> Parts:
    ends = product_ends(network)

    def initial(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Floats | None:
        if name in ends:
            return None
        values = rng.normal(size=shape)
        while (far := np.abs(values) > 2).any():
            values[far] = rng.normal(size=int(far.sum()))
        return on_grid(values / math.sqrt(math.prod(shape[1:])), 16)

    return Parts(
        normalization=lambda gamma, beta, noise: _NormalizationLayer(gamma, beta),
        conversions=lambda name, noise: Conversions() if name in ends else _ProductConversions(),
        soft_conversions=_ActivationConversions,
        initial=initial,
    )


WAGEUBN = Setup(parts=_parts, updates=_updates)
"""See the module's text."""
