import math

import numpy as np

from golden import zoo
from golden.float_build import build_float
from golden.he import FP32_HE, without_normalization
from golden.network import ChannelBias, Convolution, Normalization


def test_a_bias_a_channel_stands_where_a_normalisation_stood() -> None:
    plain = zoo.resnet8((1, 8, 8))
    network = without_normalization(plain)
    assert list(network.layers) == list(plain.layers)
    for before, after in zip(plain, network, strict=True):
        if isinstance(before.operator, Normalization):
            assert isinstance(after.operator, ChannelBias)
        else:
            assert after == before


def test_no_second_bias_behind_a_layer_with_one() -> None:
    network = without_normalization(zoo.vgg11((3, 32, 32)))
    assert not any(isinstance(layer.operator, (ChannelBias, Normalization)) for layer in network)
    assert network.layers["stage1.0.relu"].inputs == ("stage1.0.conv",)


def test_weights_have_he_s_variance_and_no_branch_is_zero() -> None:
    network = FP32_HE.rewrite(zoo.resnet20((1, 8, 8)))
    model = build_float(network, 0, FP32_HE.parts(network))
    seen = 0
    for layer in network:
        weight = model.layers[layer.name].learned.get("weight")
        if weight is None:
            continue
        last = layer.name == network.output
        fan = weight.shape[1] / 1 if last else weight[:, 0].size
        expected = (1 if last else 2) / fan
        # The variance of n normal numbers is itself off by sqrt(2/n).
        assert abs(weight.var() / expected - 1) < 5 * math.sqrt(2 / weight.size), layer.name
        assert isinstance(layer.operator, Convolution) != last
        seen += 1
    assert seen == 20
    assert not any(
        np.any(values) for layer in model.layers.values() for kind, values in layer.learned.items()
        if kind == "bias"
    )  # fmt: skip
