"""The networks that the onnx package ships, against published sizes and an independent counter."""

import math
from collections import Counter
from pathlib import Path

import onnx
import onnx_tool
import pytest

from golden.network import Convolution, Linear, Network
from golden.onnx_import import import_onnx
from golden.zoo import resnet50

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"

# Parameters and multiply-accumulates. Parameters are those published for torchvision's vgg19,
# densenet121, squeezenet1_1 and resnet50 and for Caffe's AlexNet and GoogLeNet.
ARCHITECTURES = {
    "bvlc_alexnet": (60_965_224, 654_560_384),
    "densenet121": (7_978_856, 2_834_161_664),
    "inception_v1": (6_998_552, 1_431_556_352),
    "inception_v2": (11_194_984, 2_018_851_840),
    "resnet50": (25_557_032, 4_089_184_256),
    "shufflenet": (1_393_320, 124_664_528),
    "squeezenet": (1_235_496, 349_151_936),
    "vgg19": (143_667_240, 19_632_062_464),
    "zfnet512": (87_250_536, 1_481_727_008),
}


def macs(network: Network) -> int:
    """Multiply-accumulates of one forward pass: outputs times what one output sums."""
    total = 0
    for layer in network:
        if isinstance(layer.operator, Convolution | Linear):
            total += math.prod(layer.shape) * math.prod(layer.parameters["weight"][1:])
    return total


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_wheel_s_architectures(name: str) -> None:
    network = import_onnx(LIGHT / f"light_{name}.onnx")
    assert (network.parameter_count, macs(network)) == ARCHITECTURES[name]
    assert network.input_shape == (3, 224, 224)
    assert math.prod(network.shape_of(network.output)) == 1000


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_macs_of_each_layer_against_onnx_tool(name: str) -> None:
    """onnx-tool counts a bias as one multiply-accumulate for each output; we count an addition."""
    path = LIGHT / f"light_{name}.onnx"
    counter = onnx_tool.Model(str(path)).graph
    counter.shape_infer()
    counter.profile()
    theirs = {
        node.name: int(node.macs[0])
        for node in counter.nodemap.values()
        if node.op_type in ("Conv", "Gemm")
    }
    ours = {}
    for layer in import_onnx(path):
        if isinstance(layer.operator, Convolution | Linear):
            count = math.prod(layer.shape) * math.prod(layer.parameters["weight"][1:])
            ours[layer.name] = count + math.prod(layer.shape) * layer.operator.bias
    assert ours == theirs


def test_kinds_of_layers() -> None:
    def kinds(name: str) -> Counter[str]:
        network = import_onnx(LIGHT / f"light_{name}.onnx")
        return Counter(type(layer.operator).__name__ for layer in network)

    # Caffe's scale layers are part of the normalisations before them, and shuffles are found.
    assert kinds("densenet121") == {
        "Convolution": 121, "Normalization": 121, "Activation": 121, "Concat": 58,
        "AveragePool": 3, "MaxPool": 1, "GlobalAveragePool": 1,
    }  # fmt: skip
    assert kinds("shufflenet")["ChannelShuffle"] == 16
    assert "Reshape" not in kinds("shufflenet")


def test_the_built_in_and_the_imported_resnet50_are_one() -> None:
    ours, theirs = resnet50(), import_onnx(LIGHT / "light_resnet50.onnx")

    def products(network: Network) -> list[tuple[object, ...]]:
        layers = [la for la in network if isinstance(la.operator, Convolution | Linear)]
        return sorted((la.shape, sorted(la.parameters.values())) for la in layers)

    assert products(ours) == products(theirs)
