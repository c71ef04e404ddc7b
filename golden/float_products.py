"""Convolution and fully connected layer in floating point."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from golden.float_layers import FloatLayer, Floats, channel_shape
from golden.network import Convolution
from golden.patches import Patches

__all__ = ["Conversions", "ConvolutionLayer", "LinearLayer"]


class Conversions:
    """What a scheme does to the operands of a layer's three products: nothing, in FP32.

    Members
    -------
    running:
        Averages that the conversion keeps for inference; part of the layer's.
    """

    def __init__(self) -> None:
        self.running: dict[str, Floats] = {}

    def weight(self, values: Floats) -> Floats:
        """Return weights as forward and backward-data use them."""
        return values

    def bias(self, values: Floats) -> Floats:
        """Return biases as they are added."""
        return values

    def input(self, values: Floats, training: bool) -> Floats:
        """Return the input as forward and the weight gradient use it."""
        return values

    def errors(self, error: Floats) -> tuple[Floats, Floats]:
        """Return the output's error as backward-data and as the weight gradient use it."""
        return error, error


class _ProductLayer(FloatLayer):
    def __init__(
        self, weight: Floats, bias: Floats | None, conversions: Conversions | None
    ) -> None:
        super().__init__()
        self.learned = {"weight": weight} | ({} if bias is None else {"bias": bias})
        self._conversions = conversions or Conversions()
        self.running = self._conversions.running

    def forward(self, inputs: Sequence[Floats], training: bool) -> Floats:
        """Multiply, and add the biases."""
        (x,) = inputs
        self._weight = self._conversions.weight(self.learned["weight"])
        product = self._multiply(self._conversions.input(x, training))
        if "bias" not in self.learned:
            return product
        bias = self._conversions.bias(self.learned["bias"])
        return product + bias.reshape(channel_shape(product))

    def backward(self, error: Floats, needed: bool) -> list[Floats]:
        """Gradients of weight and bias, and the error of the input."""
        for_data, for_weight = self._conversions.errors(error)
        self.gradients["weight"] = self._weight_gradient(for_weight)
        if "bias" in self.learned:
            axes = (0, *range(2, error.ndim))
            self.gradients["bias"] = for_weight.sum(axis=axes, dtype=error.dtype)
        return [self._data_gradient(for_data) if needed else error]

    @abstractmethod
    def _multiply(self, x: Floats) -> Floats: ...

    @abstractmethod
    def _weight_gradient(self, error: Floats) -> Floats: ...

    @abstractmethod
    def _data_gradient(self, error: Floats) -> Floats: ...


class LinearLayer(_ProductLayer):
    """Fully connected: weights (out, in), inputs (samples, in)."""

    def _multiply(self, x: Floats) -> Floats:
        self._input = x
        return x @ self._weight.T

    def _weight_gradient(self, error: Floats) -> Floats:
        return error.T @ self._input

    def _data_gradient(self, error: Floats) -> Floats:
        return error @ self._weight


class ConvolutionLayer(_ProductLayer):
    """2-D convolution: weights (out, in/groups, height, width), inputs (samples, in, h, w)."""

    def __init__(
        self,
        operator: Convolution,
        weight: Floats,
        bias: Floats | None,
        conversions: Conversions | None = None,
    ) -> None:
        super().__init__(weight, bias, conversions)
        self._operator = operator

    def _matrices(self) -> Floats:
        """Weights as (groups, out/groups, in/groups * taps)."""
        return self._weight.reshape(self._operator.groups, -1, self._weight[0].size)

    def _multiply(self, x: Floats) -> Floats:
        self._geometry = Patches(self._operator, *x.shape)
        self._patches = self._geometry.gather(x, x.dtype)
        return self._geometry.planes(np.matmul(self._matrices(), self._patches))

    def _weight_gradient(self, error: Floats) -> Floats:
        rows = self._geometry.rows(error, error.dtype)
        gradient = np.matmul(rows, self._patches.transpose(0, 2, 1))
        return gradient.reshape(self._weight.shape)

    def _data_gradient(self, error: Floats) -> Floats:
        rows = self._geometry.rows(error, error.dtype)
        return self._geometry.scatter(np.matmul(self._matrices().transpose(0, 2, 1), rows))
