"""Training with 8-bit products and Range BN, imitated in floating point.

Banner, Hubara, Hoffer and Soudry, "Scalable Methods for 8-bit Training of Neural Networks" (arXiv
1805.11046), and its public code (github.com/eladhoffer/quantized.pytorch).

As in the code: every convolution and linear layer, the first and the last too; weights, inputs and
biases on 256 steps between their minimum and maximum, an input's being the mean over the samples'
minima and maxima, with running averages for inference; errors on 256 steps with stochastic
rounding; the weight gradient from an error that has not been through these (bifurcation); the
normalisation below, whose scale, gamma, beta, input and error are in 8 bits; straight-through
gradients; SGD with momentum 0.9 on float32 weights.

Our choices: 16 bits, to nearest, for the error of the weight gradient (the paper leaves 16 bits or
floating point open); inputs rounded to nearest; running averages that keep 0.9 of the past, where
the code keeps 0.1 and would rest small batches' inference on the last batch alone; fewer than 16
chunks where a channel has too few values; learning rate and initial weights those of FP32 + BN.
"""

import math
from collections.abc import Sequence

import numpy as np

from golden.float_build import Parts
from golden.float_layers import FloatLayer, Floats, Noise
from golden.float_learner import Setup
from golden.float_normalization import EPSILON, RUNNING_DECAY, by_channel, from_channels
from golden.float_products import Conversions

__all__ = ["RANGE_BN", "RangeNormalizationLayer", "to_steps"]

_CHUNKS = 16
_BITS = 8
_GRADIENT_BITS = 16
_SMALLEST_STEP = 1e-8


def to_steps(
    values: Floats, bits: int, low: Floats | float, high: Floats | float, noise: Noise | None = None
) -> Floats:
    """`values` on 2**bits evenly spaced steps from `low` to `high`, clipped.

    Rounds to nearest, or stochastically with `noise`. Zero need not be a step.
    """
    kind = values.dtype.type
    top = kind(2**bits - 1)
    bottom = kind(low)
    step = max(kind((kind(high) - bottom) / top), kind(_SMALLEST_STEP))
    position = (values - bottom) / step
    rounded = np.rint(position) if noise is None else np.floor(position + noise.uniform(values))
    return np.minimum(np.maximum(rounded, 0), top) * step + bottom


def _whole(values: Floats, bits: int = _BITS, noise: Noise | None = None) -> Floats:
    """On steps between the tensor's own minimum and maximum."""
    return to_steps(values, bits, values.min(), values.max(), noise)


class _Measure:
    """An input's range: the batch's in training, a running average in inference."""

    def __init__(self) -> None:
        self.running = {name: np.zeros(1, np.float32) for name in ("low", "high")}

    def quantize(self, values: Floats, training: bool) -> Floats:
        if training:
            samples = values.reshape(len(values), -1)
            measured = {"low": samples.min(axis=1).mean(), "high": samples.max(axis=1).mean()}
            for name, value in measured.items():
                kept = np.float32(RUNNING_DECAY)
                self.running[name] = kept * self.running[name] + (1 - kept) * value
        else:
            measured = {name: values[0] for name, values in self.running.items()}
        return to_steps(values, _BITS, measured["low"], measured["high"])


class _RangeConversions(Conversions):
    """Of a convolution or linear layer."""

    def __init__(self, noise: Noise) -> None:
        self._measure = _Measure()
        self.running = self._measure.running
        self._noise = noise

    def weight(self, values: Floats) -> Floats:
        """8 bits."""
        return _whole(values)

    def bias(self, values: Floats) -> Floats:
        """8 bits."""
        return _whole(values)

    def input(self, values: Floats, training: bool) -> Floats:
        """8 bits."""
        return self._measure.quantize(values, training)

    def errors(self, error: Floats) -> tuple[Floats, Floats]:
        """8 bits, stochastically, downwards; 16 bits for the weight gradient."""
        return _whole(error, noise=self._noise), _whole(error, _GRADIENT_BITS)


def _chunks(count: int) -> int:
    """Chunks of a channel's `count` values: 16, or as many as leave two values in each."""
    return next((c for c in (_CHUNKS, 8, 4, 2) if count % c == 0 and count // c >= 2), 1)


class RangeNormalizationLayer(FloatLayer):
    """Mean and range of the batch a channel, scale and shift.

    The deviation is estimated from the mean over chunks of (maximum - minimum) times
    0.5 * 0.35 * (1 + sqrt(pi * ln 4)) / sqrt(2 ln n), n values in a chunk: no squares and no root,
    but one division a channel.
    """

    def __init__(self, gamma: Floats, beta: Floats, noise: Noise) -> None:
        super().__init__()
        self.learned = {"gamma": gamma, "beta": beta}
        self._measure = _Measure()
        self.running = self._measure.running
        self.running |= {"mean": np.zeros_like(gamma), "scale": np.ones_like(gamma)}
        self._noise = noise

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Normalise, scale and shift."""
        matrix = by_channel(self._measure.quantize(inputs[0], training))
        if training:
            mean, self._scale = matrix.mean(axis=1), self._measured_scale(matrix)
            kept = matrix.dtype.type(RUNNING_DECAY)
            for name, value in (("mean", mean), ("scale", self._scale)):
                self.running[name] = kept * self.running[name] + (1 - kept) * value
        else:
            mean, self._scale = self.running["mean"], self.running["scale"]
        self._coded_scale = _whole(self._scale)
        self._gamma = _whole(self.learned["gamma"])
        self._centred = matrix - mean[:, None]
        result = self._centred * (self._coded_scale * self._gamma)[:, None]
        return from_channels(result + _whole(self.learned["beta"])[:, None], inputs[0].shape)

    def _measured_scale(self, matrix: Floats) -> Floats:
        channels, count = matrix.shape
        chunks = matrix.reshape(channels, _chunks(count), -1)
        self._high, self._low = (f(axis=2)[..., None] for f in (chunks.argmax, chunks.argmin))
        spread = np.take_along_axis(chunks, self._high, 2) - np.take_along_axis(
            chunks, self._low, 2
        )
        size = max(chunks.shape[2], 2)
        self._factor = 0.5 * 0.35 * (1 + math.sqrt(math.pi * math.log(4)))
        self._factor /= math.sqrt(2 * math.log(size))
        kind = matrix.dtype.type
        return 1 / (spread.mean(axis=(1, 2)) * kind(self._factor) + kind(EPSILON))

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Through mean and range as well: the range's error goes to each chunk's two extremes."""
        matrix = by_channel(_whole(error, noise=self._noise))
        correlation = (matrix * self._centred).sum(axis=1)
        self.gradients = {"gamma": correlation * self._coded_scale, "beta": matrix.sum(axis=1)}
        result = matrix * (self._coded_scale * self._gamma)[:, None]
        result -= result.mean(axis=1, keepdims=True)
        kind = matrix.dtype.type
        of_range = -correlation * self._gamma * self._scale**2 * kind(self._factor)
        chunks = result.reshape(len(result), self._high.shape[1], -1)
        share = (of_range / kind(chunks.shape[1]))[:, None, None]
        for place, part in ((self._high, share), (self._low, -share)):
            at = np.take_along_axis(chunks, place, 2)
            np.put_along_axis(chunks, place, at + part, 2)
        return [from_channels(result, error.shape)]


RANGE_BN = Setup(
    parts=lambda network: Parts(
        normalization=RangeNormalizationLayer,
        conversions=lambda name, noise: _RangeConversions(noise),
    )
)
"""See the module's text."""
