"""The built-in networks against published sizes and against counts made by hand."""

import math
import subprocess
import sys

import pytest

from golden.errors import InputError
from golden.network import Add, AveragePool, Convolution, Linear, Network, Normalization
from golden.zoo import BUILT_IN, lenet5, mlp, resnet8, resnet20

# name: forward MACs, parameters, normalisations (layers, channels, elements), at the defaults.
# Parameters: torchvision's published counts (vgg: the bn variants); the first three ResNets' MACs
# and normalisations were measured on torchvision's own models.
IMAGENET = {
    "resnet18": (1_814_073_344, 11_689_512, (20, 4_800, 2_483_712)),
    "resnet34": (3_663_761_408, 21_797_672, (36, 8_512, 3_738_112)),
    "resnet50": (4_089_184_256, 25_557_032, (53, 26_560, 11_113_984)),
    "vgg11": (7_609_090_048, 132_868_840, (8, 2_752, 7_426_048)),
    "vgg16": (15_470_264_320, 138_365_992, (13, 4_224, 13_547_520)),
    "mobilenetv2": (300_774_272, 3_504_872, (52, 17_056, 6_678_112)),
    "alexnet": (714_188_480, 61_100_840, (0, 0, 0)),
}


def macs(network: Network) -> int:
    """Multiply-accumulates of one forward pass: outputs times what one output sums."""
    total = 0
    for layer in network:
        if isinstance(layer.operator, Convolution | Linear):
            total += math.prod(layer.shape) * math.prod(layer.parameters["weight"][1:])
    return total


def normalizations(network: Network) -> tuple[int, int, int]:
    shapes = [layer.shape for layer in network if isinstance(layer.operator, Normalization)]
    return len(shapes), sum(s[0] for s in shapes), sum(math.prod(s) for s in shapes)


@pytest.mark.parametrize("name", IMAGENET)
def test_published_counts(name: str) -> None:
    network = BUILT_IN[name]()
    assert (macs(network), network.parameter_count, normalizations(network)) == IMAGENET[name]
    assert network.input_shape == (3, 224, 224)
    assert network.shape_of(network.output) == (1000,)


def test_vgg16_macs_from_the_paper_s_table() -> None:
    # Configuration D: (plane, in, out) of each 3x3 convolution, then the three linear layers.
    planes = [
        (224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128),
        (56, 128, 256), (56, 256, 256), (56, 256, 256),
        (28, 256, 512), (28, 512, 512), (28, 512, 512),
        (14, 512, 512), (14, 512, 512), (14, 512, 512),
    ]  # fmt: skip
    expected = sum(9 * size**2 * a * b for size, a, b in planes)
    expected += 25_088 * 4_096 + 4_096 * 4_096 + 4_096 * 1_000
    assert macs(BUILT_IN["vgg16"]()) == expected


def test_alexnet_macs_by_hand() -> None:
    expected = 55**2 * 64 * 3 * 121 + 27**2 * 192 * 64 * 25
    expected += 13**2 * 9 * (384 * 192 + 256 * 384 + 256 * 256)
    expected += 9_216 * 4_096 + 4_096 * 4_096 + 4_096 * 1_000
    assert macs(BUILT_IN["alexnet"]()) == expected


def test_first_layer_of_resnet18() -> None:
    first = next(iter(BUILT_IN["resnet18"]()))
    assert math.prod(first.shape) * 3 * 7 * 7 == 118_013_952


def test_mlp_is_two_layers_on_digits() -> None:
    network = mlp()
    assert [(type(layer.operator).__name__, layer.shape) for layer in network] == [
        ("Flatten", (64,)),
        ("Linear", (32,)),
        ("Normalization", (32,)),
        ("Activation", (32,)),
        ("Linear", (10,)),
    ]
    assert network.parameter_count == 64 * 32 + 32 + 2 * 32 + 32 * 10 + 10
    assert macs(network) == 64 * 32 + 32 * 10


def test_lenet5_without_normalization_is_the_classic() -> None:
    network = lenet5(normalized=False)
    assert network.parameter_count == 61_706
    assert macs(network) == 28**2 * 6 * 25 + 10**2 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert lenet5().parameter_count == 61_706 + 2 * (6 + 16 + 120 + 84)
    assert lenet5((1, 8, 8)).shape_of("flatten") == (16 * 2 * 2,)


@pytest.mark.parametrize(
    ("input_shape", "planes"),
    [((1, 8, 8), (8, 4, 2)), ((1, 28, 28), (14, 7, 4)), ((3, 32, 32), (32, 16, 8))],
)
def test_resnet8_fits_every_data_set(input_shape: tuple[int, ...], planes: tuple[int, ...]) -> None:
    network = resnet8(input_shape, classes=7)
    joins = [layer for layer in network if isinstance(layer.operator, Add)]
    widths = (16, 32, 64)
    assert [j.shape for j in joins] == [(w, p, p) for w, p in zip(widths, planes, strict=True)]
    assert network.shape_of(network.output) == (7,)
    # Stem, two convolutions a stage with gamma and beta, and the classifier; no shortcut weights.
    weights = 9 * (input_shape[0] * 16 + 16 * 16 * 2 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    assert network.parameter_count == weights + 2 * (3 * 16 + 2 * 32 + 2 * 64) + 64 * 7 + 7


def test_resnet20_has_the_parameters_of_its_paper() -> None:
    # 0.27 M in table 6 of arXiv 1512.03385; option A shortcuts have no weights.
    network = resnet20()
    assert network.parameter_count == 269_722
    assert normalizations(network)[0] == 19
    subsamples = [la.operator for la in network if isinstance(la.operator, AveragePool)]
    assert [s.kernel for s in subsamples] == [(1, 1), (1, 1)]


def test_a_stem_stride_may_be_given() -> None:
    assert resnet8((1, 28, 28), stem_stride=1).shape_of("stem.relu") == (16, 28, 28)
    assert resnet8((3, 32, 32), stem_stride=2).shape_of("stem.relu") == (16, 16, 16)


@pytest.mark.parametrize("name", BUILT_IN)
def test_classes_and_names(name: str) -> None:
    network = BUILT_IN[name](classes=3)
    assert network.name == name
    assert network.shape_of(network.output) == (3,)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("input_shape", [(), (0, 8, 8), (3, -1, 8), (1 << 41,)])
def test_impossible_input_shapes_are_refused(name: str, input_shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=rf"^network '{name}', layer 'input': a shape must have"):
        BUILT_IN[name](input_shape)


def test_no_classes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^network 'mlp', layer 'fc2': a shape must have"):
        mlp(classes=0)


def test_a_plane_too_small_is_refused() -> None:
    with pytest.raises(InputError, match=r"^network 'alexnet', layer 'pool1': window \(3, 3\)"):
        BUILT_IN["alexnet"]((3, 8, 8))


def test_the_zoo_imports_nothing_heavy() -> None:
    code = "import golden.zoo, sys; print(sorted({'onnx', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
