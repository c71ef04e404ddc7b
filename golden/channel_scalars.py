"""Learned numbers a channel in integers: Fixup's scalars, one for each channel of a tensor.

No scheme puts them into a network; ONNX files have them. Source: our choice, as for Fixup's.
"""

import numpy as np
from numpy.typing import NDArray

from golden.formats import Integers
from golden.layers import BiasLayer, MultiplierLayer
from golden.values import Value

__all__ = ["ChannelBiasLayer", "ChannelMultiplierLayer"]


def _channel_sums(values: Integers) -> NDArray[np.int64]:
    """Sum of each sample's channels: (samples, channels)."""
    return values.sum(axis=tuple(range(2, values.ndim)), dtype=np.int64)


class ChannelBiasLayer(BiasLayer):
    """One bias a channel, in the tensor's own width."""

    def contribution(self, error: Value) -> Value:
        """Sum of each channel's error."""
        return Value(_channel_sums(error.integers), error.exponent)


class ChannelMultiplierLayer(MultiplierLayer):
    """One multiplier a channel: 8-bit codes times an 8-bit number."""

    def contribution(self, error: Value) -> Value:
        """Sum of each channel's error times input."""
        products = error.integers.astype(np.int32) * self._input.integers
        return Value(_channel_sums(products), error.exponent + self._input.exponent)
