"""Channels dealt out from groups (ShuffleNet, arXiv 1707.01083): a permutation, nothing else."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.layers import IntegerLayer
from golden.values import Value

__all__ = ["ChannelShuffleLayer", "shuffled"]


def shuffled(channels: int, groups: int) -> NDArray[np.int64]:
    """Which channel comes to each place: the first of every group, then the second of every one."""
    return np.arange(channels).reshape(groups, -1).T.ravel()


class ChannelShuffleLayer(IntegerLayer):
    """Channels reordered between groups."""

    def __init__(self, name: str, channels: int, groups: int) -> None:
        super().__init__(name)
        self._order = shuffled(channels, groups)

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Deal."""
        (value,) = inputs
        return Value(value.integers[:, self._order], value.exponent, value.is_codes)

    def backward(self, error: Value) -> list[Value]:
        """Collect."""
        back = np.argsort(self._order)
        return [Value(error.integers[:, back], error.exponent, error.is_codes)]
