import pytest

from golden import zoo
from golden.blocks import find_blocks
from golden.errors import InputError
from golden.fixup import fixup
from golden.network import Activation, Add, Flatten, Linear, Network
from golden.schemes import SCHEMES


def test_blocks_of_a_residual_network_are_the_same_with_and_without_fixup() -> None:
    plain = zoo.resnet8((1, 8, 8))
    names = ["stem.conv", "stage1.0", "stage2.0", "stage3.0", "pool", "fc"]
    for network in (plain, fixup(plain)):
        assert [block.name for block in find_blocks(network)] == names
    (stem, first, *_) = find_blocks(plain)
    assert [layer.name for layer in stem.layers] == ["stem.conv", "stem.norm", "stem.relu"]
    assert (first.source, first.output) == ("stem.relu", "stage1.0.relu")


def test_layers_before_the_first_product_belong_to_it() -> None:
    blocks = find_blocks(zoo.mlp())
    assert [[layer.name for layer in block.layers] for block in blocks] == [
        ["flatten", "fc1", "norm1", "relu1"],
        ["fc2"],
    ]


@pytest.mark.parametrize("name", zoo.BUILT_IN)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_layer_is_in_one_block_that_reads_one_tensor(name: str, scheme: str) -> None:
    network = SCHEMES[scheme].rewrite(zoo.BUILT_IN[name]())
    blocks = find_blocks(network)
    assert [layer for block in blocks for layer in block.layers] == list(network)
    assert len({block.name for block in blocks}) == len(blocks)
    source = "input"
    for block in blocks:
        inside = {layer.name for layer in block.layers}
        read = {name for layer in block.layers for name in layer.inputs} - inside
        assert read == {block.source} == {source}
        source = block.output


def test_a_fork_at_the_input_and_a_layer_nobody_reads() -> None:
    network = Network("fork", (4,))
    network.add("a", Linear(4), "input")
    network.add("unread", Linear(3), "a")
    network.add("sum", Add(), "a", "input")
    network.add("end", Linear(2), "sum")
    blocks = find_blocks(network)
    assert [[layer.name for layer in block.layers] for block in blocks] == [["a", "sum"], ["end"]]
    assert [block.name for block in blocks] == ["sum", "end"]


def test_a_network_without_products_is_one_block() -> None:
    network = Network("thin", (1, 2, 2))
    network.add("relu", Activation())
    network.add("flatten", Flatten())
    (block,) = find_blocks(network)
    assert (block.name, block.source, block.output) == ("flatten", "input", "flatten")


def test_a_network_without_layers() -> None:
    with pytest.raises(InputError, match=r"^network 'none': blocks require at least one layer"):
        find_blocks(Network("none", (4,)))
