"""Layers in floating point, forward and backward by hand: the baseline that integers replace.

Work is done in the type of the parameters: float32 to train, float64 to be tested. Planes are
(samples, channels, height, width) with the channels outermost in memory (`golden.values`).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.values import zero_planes

__all__ = [
    "AddLayer",
    "ConcatLayer",
    "DropoutLayer",
    "FloatLayer",
    "Floats",
    "MultiplyLayer",
    "Noise",
    "PadLayer",
    "RectifierLayer",
    "ReshapeLayer",
    "ShiftLayer",
    "ShuffleLayer",
    "SoftConversions",
    "StretchLayer",
    "channel_shape",
]

Floats = NDArray[np.floating]


class Noise:
    """Uniform random numbers of one step: the same for the same seed and step."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.begin(0)

    def begin(self, step: int) -> None:
        """Start over for a step."""
        self._source = np.random.default_rng([self._seed, step])

    def uniform(self, like: Floats) -> Floats:
        """Numbers in [0, 1) of the shape, type and memory order of `like`."""
        result = np.empty_like(like)
        result[...] = self._source.random(like.shape, dtype=np.float32)
        return result


class FloatLayer(ABC):
    """One layer of a network; keeps from the forward pass what backward needs.

    Members
    -------
    learned, gradients:
        Parameters and, after `backward`, their gradients, by name.
    running:
        What inference needs beside the parameters: averages over the steps.
    """

    def __init__(self) -> None:
        self.learned: dict[str, Floats] = {}
        self.gradients: dict[str, Floats] = {}
        self.running: dict[str, Floats] = {}

    @abstractmethod
    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Return the output."""

    @abstractmethod
    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Return the error of each input, which nobody reads unless `needed`."""


def channel_shape(values: Floats) -> tuple[int, ...]:
    """Shape in which one number a channel broadcasts against `values`."""
    return (1, -1, *(1 for _ in values.shape[2:]))


class ShiftLayer(FloatLayer):
    """A learned number added: one a tensor (Fixup's bias), or one a channel."""

    def __init__(self, bias: Floats) -> None:
        super().__init__()
        self.learned["bias"] = bias

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Add it."""
        (x,) = inputs
        return x + self.learned["bias"].reshape(channel_shape(x))

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Pass the error on."""
        self.gradients["bias"] = _summed(error, self.learned["bias"])
        return [error]


class StretchLayer(FloatLayer):
    """A learned factor: one a tensor (Fixup's multiplier), or one a channel."""

    def __init__(self, multiplier: Floats) -> None:
        super().__init__()
        self.learned["multiplier"] = multiplier

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Multiply."""
        (self._input,) = inputs
        return self._input * self.learned["multiplier"].reshape(channel_shape(self._input))

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Multiply the error."""
        factor = self.learned["multiplier"]
        self.gradients["multiplier"] = _summed(error * self._input, factor)
        return [error * factor.reshape(channel_shape(error))]


def _summed(values: Floats, like: Floats) -> Floats:
    """Sum down to one number, or to one a channel."""
    axes = (0, *range(2, values.ndim))
    sums = values.sum(axis=axes, dtype=values.dtype)
    return sums if like.size == sums.size else sums.sum(keepdims=True)


class SoftConversions:
    """What a scheme does to the result of an activation and to its error: nothing, in FP32."""

    def output(self, values: Floats) -> Floats:
        """Return the activation as it is stored."""
        return values

    def error(self, error: Floats) -> Floats:
        """Return the error as it is passed on."""
        return error


class RectifierLayer(FloatLayer):
    """ReLU, clipped at `maximum` or leaky with `slope`."""

    def __init__(
        self, maximum: float | None, slope: float, conversions: SoftConversions | None = None
    ) -> None:
        super().__init__()
        self._maximum, self._slope = maximum, slope
        self._conversions = conversions or SoftConversions()

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Replace or scale negative values; clip."""
        (x,) = inputs
        self._positive = x > 0
        self._inside = None if self._maximum is None else x < self._maximum
        result = np.maximum(x, 0)
        if self._slope:
            result += np.minimum(x, 0) * x.dtype.type(self._slope)
        if self._maximum is not None:
            np.minimum(result, x.dtype.type(self._maximum), out=result)
        return self._conversions.output(result)

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Only where the input was positive and not clipped."""
        error = self._conversions.error(error)
        result = error * self._positive
        if self._slope:
            result += error * ~self._positive * error.dtype.type(self._slope)
        if self._inside is not None:
            result *= self._inside
        return [result]


class AddLayer(FloatLayer):
    """The join of a residual block."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Add."""
        self._count = len(inputs)
        return sum(inputs[1:], start=inputs[0])

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Return the same error for each."""
        return [error] * self._count


class MultiplyLayer(FloatLayer):
    """Element-wise product of two tensors; one number a channel is spread over the plane."""

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Multiply."""
        self._left, self._right = inputs
        return self._left * self._right

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Each operand's: the error times the other, summed where it was spread."""
        pairs = ((self._left, self._right), (self._right, self._left))
        return [_gathered(error * other, own) for own, other in pairs]


def _gathered(products: Floats, like: Floats) -> Floats:
    axes = tuple(axis for axis, size in enumerate(like.shape) if size < products.shape[axis])
    return products.sum(axis=axes, keepdims=True, dtype=products.dtype) if axes else products


class ConcatLayer(FloatLayer):
    """Concatenation along one dimension of the samples."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self._axis = axis + 1

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Concatenate."""
        self._ends = np.cumsum([x.shape[self._axis] for x in inputs])[:-1]
        return np.concatenate(inputs, axis=self._axis)

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Cut."""
        return np.split(error, self._ends, axis=self._axis)


class ReshapeLayer(FloatLayer):
    """Flatten or reshape: the same elements."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._target = shape

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Reshape."""
        (x,) = inputs
        self._shape = x.shape
        return x.reshape(len(x), *self._target)

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Reshape back."""
        return [error.reshape(self._shape)]


class PadLayer(FloatLayer):
    """Zero channels and borders."""

    def __init__(self, amounts: tuple[int, int, int, int, int]) -> None:
        super().__init__()
        channels, top, left, bottom, right = amounts
        self._more = (channels, top + bottom, left + right)
        self._first = (top, left)

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Pad."""
        (x,) = inputs
        samples, *sizes = x.shape
        spans = zip((0, *self._first), sizes, strict=True)
        self._inner = (slice(None), *(slice(first, first + size) for first, size in spans))
        grown = (size + more for size, more in zip(sizes, self._more, strict=True))
        result = zero_planes((samples, *grown), x.dtype)
        result[self._inner] = x
        return result

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Cut."""
        return [error[self._inner]]


class ShuffleLayer(FloatLayer):
    """Channels in another order."""

    def __init__(self, order: NDArray[np.int64]) -> None:
        super().__init__()
        self._order = order

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Reorder."""
        return inputs[0][:, self._order]

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Put back."""
        return [error[:, np.argsort(self._order)]]


class DropoutLayer(FloatLayer):
    """Random zeros in training; what is left is scaled up, so that inference needs nothing."""

    def __init__(self, probability: float, noise: Noise) -> None:
        super().__init__()
        self._probability, self._noise = probability, noise

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Drop."""
        (x,) = inputs
        if not training:
            return x
        kept = self._noise.uniform(x) >= self._probability
        self._factor = kept / x.dtype.type(1 - self._probability)
        return x * self._factor

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Drop the same."""
        return [error * self._factor]
