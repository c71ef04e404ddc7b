"""A shuffle is the transpose of groups and channels, and its error goes back where it came from."""

import numpy as np

from golden.channel_shuffle import ChannelShuffleLayer, shuffled
from golden.values import Value


def test_a_shuffle_is_a_transpose() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (2, 12, 3, 2))
    layer = ChannelShuffleLayer("s", 12, 3)
    out = layer.forward([Value(codes, np.array([1, 2]), is_codes=True)])
    transposed = codes.reshape(2, 3, 4, 3, 2).transpose(0, 2, 1, 3, 4).reshape(codes.shape)
    assert (out.integers == transposed).all()
    assert out.is_codes
    (back,) = layer.backward(out)
    assert (back.integers == codes).all()


def test_one_group_stays() -> None:
    assert shuffled(5, 1).tolist() == [0, 1, 2, 3, 4]
    assert shuffled(6, 2).tolist() == [0, 3, 1, 4, 2, 5]
