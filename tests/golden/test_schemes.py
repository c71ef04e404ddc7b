"""Schemes, and the Fixup rewrite on graphs that are not a plain ResNet."""

from collections import Counter

import pytest

from golden import zoo
from golden.errors import InputError
from golden.fixup import fixup
from golden.network import (
    Activation,
    Add,
    Concat,
    Convolution,
    Linear,
    LocalResponseNormalization,
    Network,
    Normalization,
    ScalarBias,
    ScalarMultiplier,
)
from golden.schemes import EOQ, FP32_BN, SCHEMES, scheme


def kinds(network):
    return Counter(type(layer.operator).__name__ for layer in network)


def convolution(channels=4, bias=False):
    return Convolution((3, 3), (1, 1), (1, 1, 1, 1), out_channels=channels, bias=bias)


def test_names():
    assert list(SCHEMES) == ["eoq", "wageubn", "range-bn", "fp32-bn"]
    assert scheme("eoq") is EOQ
    with pytest.raises(InputError, match=r"^scheme must be one of eoq, .*, not 'EOQ'$"):
        scheme("EOQ")


def test_formats_are_what_each_source_says():
    assert EOQ.format_names == dict.fromkeys("WAEGUV", "int8")
    assert set(FP32_BN.format_names.values()) == {"fp32"}
    wageubn = scheme("wageubn")
    assert (wageubn.formats["W"].bits, wageubn.formats["W"].kept) == (8, 24)
    assert wageubn.formats["V"].bits == 13
    assert scheme("range-bn").weight_gradient_error.bits == 16


@pytest.mark.parametrize("name", ["wageubn", "range-bn", "fp32-bn"])
def test_only_eoq_rewrites(name):
    network = zoo.resnet8()
    assert scheme(name).rewrite(network) is network


@pytest.mark.parametrize("name", sorted(zoo.BUILT_IN))
def test_eoq_has_no_normalization_and_leaves_the_original(name):
    network = zoo.BUILT_IN[name]()
    before = kinds(network)
    rewritten = EOQ.rewrite(network)
    assert not any(isinstance(layer.operator, Normalization) for layer in rewritten)
    assert kinds(network) == before
    assert rewritten.shape_of(rewritten.output) == network.shape_of(network.output)
    assert [layer.name for layer in EOQ.rewrite(network)] == [layer.name for layer in rewritten]


def test_basic_block_has_the_scalars_of_the_paper():
    names = [layer.name for layer in EOQ.rewrite(zoo.resnet8())]
    block = [name for name in names if name.startswith("stage1.0.")]
    assert block == [
        "stage1.0.conv1.bias_in",
        "stage1.0.conv1",
        "stage1.0.conv1.bias_out",
        "stage1.0.relu1",
        "stage1.0.conv2.bias_in",
        "stage1.0.conv2",
        "stage1.0.conv2.multiplier",
        "stage1.0.add",
        "stage1.0.add.bias_out",
        "stage1.0.relu",
    ]
    assert names[:3] == ["stem.conv", "stem.norm.bias", "stem.relu"]
    assert names[-2:] == ["fc.bias_in", "fc"]


@pytest.mark.parametrize(
    ("name", "blocks", "biases"),
    [
        # A basic block has b1a, b1b, b2a and b2b; a bottleneck two more. Stem and head: one each.
        ("resnet18", 8, 8 * 4 + 2),
        ("resnet34", 16, 16 * 4 + 2),
        ("resnet50", 16, 16 * 6 + 2),
        ("resnet8", 3, 3 * 4 + 2),
        ("resnet20", 9, 9 * 4 + 2),
        # Ten of 17 blocks have a shortcut, 3 convolutions with 3 biases before them, 2 behind and
        # one behind the join. Each of the other 22 normalisations leaves a bias, and the head one.
        ("mobilenetv2", 10, 10 * 6 + (1 + 2 + 6 * 3 + 1) + 1),
        # No branches, and every layer has biases of its own.
        ("mlp", 0, 0),
        ("lenet5", 0, 0),
        ("vgg11", 0, 0),
        ("vgg16", 0, 0),
        ("alexnet", 0, 0),
    ],
)
def test_parameters_of_the_rewritten_networks(name, blocks, biases):
    network = zoo.BUILT_IN[name]()
    found = kinds(EOQ.rewrite(network))
    assert (found["ScalarMultiplier"], found["ScalarBias"]) == (blocks, biases)
    channels = sum(
        2 * layer.shape[0] for layer in network if isinstance(layer.operator, Normalization)
    )
    assert EOQ.rewrite(network).parameter_count == (
        network.parameter_count - channels + blocks + biases
    )


def test_shortcut_convolution_gets_nothing():
    names = [layer.name for layer in EOQ.rewrite(zoo.resnet18())]
    assert [n for n in names if "shortcut" in n] == [
        f"stage{stage}.0.shortcut.conv" for stage in (2, 3, 4)
    ]


def test_layers_with_biases_of_their_own_get_no_scalar():
    assert kinds(EOQ.rewrite(zoo.mlp()))["ScalarBias"] == 0
    assert kinds(EOQ.rewrite(zoo.vgg11()))["ScalarBias"] == 0
    network = Network("own", (4, 8, 8))
    network.add("conv", convolution())
    network.add("norm", Normalization())
    assert [layer.name for layer in fixup(network)] == ["conv", "norm.bias"]


def test_networks_without_normalization_are_returned_as_they_are():
    network = zoo.alexnet()
    assert EOQ.rewrite(network) is network


def test_local_response_normalization_goes_too():
    network = Network("lrn", (4, 8, 8))
    network.add("conv", convolution(bias=True))
    network.add("lrn", LocalResponseNormalization())
    network.add("relu", Activation())
    assert list(fixup(network).layers) == ["conv", "relu"]


def test_preactivation_block():
    """Normalisation first: its bias is the one in front of the convolution."""
    network = Network("pre", (4, 8, 8))
    network.add("norm", Normalization())
    network.add("relu", Activation())
    network.add("conv", convolution())
    network.add("add", Add(), "conv", "input")
    rewritten = fixup(network)
    assert list(rewritten.layers) == [
        "relu", "conv.bias_in", "conv", "conv.multiplier", "add", "add.bias_out",
    ]  # fmt: skip
    assert rewritten.layers["relu"].inputs == ("input",)


def test_branches_inside_a_branch_belong_to_their_own_join():
    network = Network("nested", (4, 8, 8))
    network.add("outer", convolution())
    network.add("inner", convolution(), "outer")
    network.add("norm", Normalization())
    network.add("join", Add(), "norm", "outer")
    network.add("end", Add(), "join", "input")
    rewritten = fixup(network)
    found = kinds(rewritten)
    assert found["ScalarMultiplier"] == 2
    assert "inner.bias_in" in rewritten.layers
    assert "outer.bias_in" in rewritten.layers
    # Past the inner join's shortcut the outer convolution is a last one too.
    assert not [name for name in rewritten.layers if name.endswith("conv.bias_out")]


def test_concatenated_branches_share_one_multiplier():
    network = Network("inception", (4, 8, 8))
    network.add("a", convolution(2), "input")
    network.add("b", convolution(2), "input")
    network.add("concat", Concat(), "a", "b")
    network.add("norm", Normalization())
    network.add("add", Add(), "norm", "input")
    found = kinds(fixup(network))
    assert (found["ScalarMultiplier"], found["ScalarBias"]) == (1, 3)


def test_two_weighted_branches_the_last_of_equals_is_the_shortcut():
    network = Network("equal", (4, 8, 8))
    network.add("a", convolution(), "input")
    network.add("norm", Normalization())
    network.add("b", convolution(), "input")
    network.add("add", Add(), "norm", "b")
    rewritten = fixup(network)
    assert rewritten.layers["add"].inputs == ("a.multiplier", "b")


def test_taken_names_are_not_taken_again():
    network = Network("names", (4, 8, 8))
    network.add("conv", convolution())
    network.add("norm.bias", Activation())
    network.add("norm", Normalization())
    assert "norm.bias_" in fixup(network).layers


def test_a_long_chain_of_blocks_is_linear_enough():
    network = Network("deep", (1, 1, 1))
    previous = "input"
    for index in range(1500):
        network.add(f"c{index}", Convolution((1, 1), out_channels=1), previous)
        network.add(f"n{index}", Normalization())
        previous = network.add(f"a{index}", Add(), f"n{index}", previous)
    network.add("fc", Linear(2))
    rewritten = fixup(network)
    assert sum(isinstance(x.operator, ScalarMultiplier) for x in rewritten) == 1500
    assert sum(isinstance(x.operator, ScalarBias) for x in rewritten) == 3001
