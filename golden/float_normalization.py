"""Batch normalisation in floating point (Ioffe and Szegedy 2015, arXiv 1502.03167)."""

from collections.abc import Sequence

import numpy as np

from golden.float_layers import FloatLayer, Floats

__all__ = ["EPSILON", "RUNNING_DECAY", "BatchNormalizationLayer", "by_channel", "from_channels"]

EPSILON = 1e-5
"""Added to the variance; the value of common frameworks."""

RUNNING_DECAY = 0.9
"""Share of the old running average that a step keeps; the value of common frameworks."""


def by_channel(values: Floats) -> Floats:
    """(samples, channels, ...) as a matrix (channels, samples * positions)."""
    return np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)


def from_channels(matrix: Floats, shape: tuple[int, ...]) -> Floats:
    """Return what `by_channel` got."""
    samples, channels, *plane = shape
    return np.moveaxis(matrix.reshape(channels, samples, *plane), 0, 1)


class BatchNormalizationLayer(FloatLayer):
    """Mean and variance of the batch a channel, scale and shift; running averages for inference."""

    def __init__(self, gamma: Floats, beta: Floats) -> None:
        super().__init__()
        self.learned = {"gamma": gamma, "beta": beta}
        self.running = {"mean": np.zeros_like(gamma), "variance": np.ones_like(gamma)}

    def _average(self, name: str, value: Floats) -> None:
        kept = value.dtype.type(RUNNING_DECAY)
        self.running[name] = kept * self.running[name] + (1 - kept) * value

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Normalise, scale and shift."""
        (x,) = inputs
        matrix = by_channel(x)
        if training:
            mean, variance = matrix.mean(axis=1), matrix.var(axis=1)
            count = matrix.shape[1]
            self._average("mean", mean)
            # The unbiased estimate, as common frameworks have it.
            self._average("variance", variance * variance.dtype.type(count / max(count - 1, 1)))
        else:
            mean, variance = self.running["mean"], self.running["variance"]
        self._inverse = 1 / np.sqrt(variance + variance.dtype.type(EPSILON))
        self._normal = (matrix - mean[:, None]) * self._inverse[:, None]
        result = self._normal * self.learned["gamma"][:, None] + self.learned["beta"][:, None]
        return from_channels(result, x.shape)

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Through the statistics as well: the batch's mean and its correlation with x-hat go."""
        matrix = by_channel(error)
        beta = matrix.sum(axis=1)
        gamma = (matrix * self._normal).sum(axis=1)
        self.gradients = {"gamma": gamma, "beta": beta}
        count = matrix.dtype.type(matrix.shape[1])
        centred = matrix - beta[:, None] / count - self._normal * (gamma[:, None] / count)
        scale = self.learned["gamma"] * self._inverse
        return [from_channels(centred * scale[:, None], error.shape)]
