"""Sums at their bound: what fits is exact, what could pass 32 bits is refused by name."""

import numpy as np
import pytest

from golden import zoo
from golden.errors import InputError
from golden.fixup import fixup
from golden.initialization import build
from golden.matmul import MAX_REDUCTION, matmul
from golden.network import Convolution, Flatten, GlobalAveragePool, Linear, Network
from golden.reductions import check_reductions, largest_batch, reductions


def test_the_longest_sum_is_exact() -> None:
    # All codes at their largest, of one sign: the worst there is, and one more is past 32 bits.
    ones = np.full((1, MAX_REDUCTION), 127, np.int8)
    assert matmul(ones, -ones.T).tolist() == [[-MAX_REDUCTION * 127 * 127]]
    assert MAX_REDUCTION * 127 * 127 < 2**31 <= (MAX_REDUCTION + 1) * 127 * 127


def test_sums_by_hand() -> None:
    network = Network("n", (6, 9, 9))
    network.add("c", Convolution((3, 2), (2, 1), out_channels=4, groups=2))
    network.add("f", Flatten())
    network.add("l", Linear(5))
    c, f, fc = (reductions(layer) for layer in network)
    assert c == {"forward": 3 * 6, "backward_data": 2 * 6, "backward_weight": 4 * 8}
    assert f == {}
    assert fc == {"forward": 4 * 4 * 8, "backward_data": 5, "backward_weight": 1}
    assert largest_batch(network) == 4096  # of 133,144 / 32 = 4,160


def test_a_layer_too_wide_is_refused() -> None:
    network = Network("wide", (MAX_REDUCTION + 1,))
    network.add("fc", Linear(2))
    with pytest.raises(InputError, match=r"^network 'wide', layer 'fc': a sum of forward .*45$"):
        build(network, 0)
    check_reductions(zoo.vgg16())
    many = Network("many", (2,))
    many.add("fc", Linear(MAX_REDUCTION + 1))
    with pytest.raises(InputError, match="a sum of backward_data must have at most 133144"):
        check_reductions(many)


def test_a_batch_too_large_is_refused_before_any_work() -> None:
    network = Network("tall", (1, 512, 256))
    network.add("conv", Convolution((1, 1), out_channels=1))
    network.add("pool", GlobalAveragePool())
    network.add("flat", Flatten())
    network.add("fc", Linear(2))
    it = build(network, 0)
    codes = np.zeros((2, 1, 512, 256), np.int8)
    before = it.state
    with pytest.raises(InputError, match=r"^batch must be at most 1 for network 'tall', .* not 2$"):
        it.step(codes, np.array([0, 1]), 0)
    assert it.state == before
    it.step(codes[:1], np.array([0]), 0)


def test_resnet18_on_imagenet() -> None:
    # 112 x 112 positions in the stem.
    assert largest_batch(fixup(zoo.resnet18())) == 8
    assert largest_batch(fixup(zoo.resnet18((3, 32, 32)))) == 512
