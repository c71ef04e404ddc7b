"""The network object: shapes, parameters, names, and what it refuses."""

import re
from typing import Any

import pytest

from golden.errors import InputError
from golden.network import (
    MAX_ELEMENTS,
    Activation,
    Add,
    AveragePool,
    ChannelBias,
    ChannelMultiplier,
    ChannelShuffle,
    Concat,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Linear,
    LocalResponseNormalization,
    MaxPool,
    Multiply,
    Network,
    Normalization,
    Operator,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
    Softmax,
)

PLANES = (4, 8, 6)

# operator, input shapes, output shape, shapes of the parameters
SHAPES: list[tuple[Operator, list[tuple[int, ...]], tuple[int, ...], dict[str, Any]]] = [
    (Convolution((3, 3), out_channels=5), [PLANES], (5, 6, 4), {"weight": (5, 4, 3, 3)}),
    (Convolution((1, 3), (2, 1), (0, 1, 0, 1), out_channels=8, groups=4, bias=True),
     [PLANES], (8, 4, 6), {"weight": (8, 1, 1, 3), "bias": (8,)}),
    (Convolution((3, 3), dilation=(2, 2), out_channels=1), [PLANES], (1, 4, 2),
     {"weight": (1, 4, 3, 3)}),
    (Linear(7), [(5,)], (7,), {"weight": (7, 5), "bias": (7,)}),
    (Linear(7, bias=False), [(3, 5)], (3, 7), {"weight": (7, 5)}),
    (Normalization(), [PLANES], PLANES, {"gamma": (4,), "beta": (4,)}),
    (Normalization(), [(9,)], (9,), {"gamma": (9,), "beta": (9,)}),
    (ScalarBias(), [PLANES], PLANES, {"bias": (1,)}),
    (ScalarMultiplier(), [PLANES], PLANES, {"multiplier": (1,)}),
    (ChannelBias(), [PLANES], PLANES, {"bias": (4,)}),
    (ChannelMultiplier(), [PLANES], PLANES, {"multiplier": (4,)}),
    (Activation(), [PLANES], PLANES, {}),
    (MaxPool((2, 2), (2, 2)), [PLANES], (4, 4, 3), {}),
    (AveragePool((1, 1), (2, 2)), [(4, 7, 7)], (4, 4, 4), {}),
    (MaxPool((3, 3), (2, 2), ceil=True), [PLANES], (4, 4, 3), {}),
    (GlobalAveragePool(), [PLANES], (4, 1, 1), {}),
    (GlobalMaxPool(), [PLANES], (4, 1, 1), {}),
    (Add(), [PLANES, PLANES, PLANES], PLANES, {}),
    (Multiply(), [(4, 1, 1), PLANES], PLANES, {}),
    (Multiply(), [PLANES, PLANES], PLANES, {}),
    (Concat(), [PLANES, (2, 8, 6)], (6, 8, 6), {}),
    (Concat(2), [PLANES, (4, 8, 1)], (4, 8, 7), {}),
    (Flatten(), [PLANES], (192,), {}),
    (Reshape((2, 96)), [PLANES], (2, 96), {}),
    (ChannelShuffle(2), [PLANES], PLANES, {}),
    (Pad((1, 2, 3, 4, 5)), [PLANES], (5, 14, 14), {}),
    (Dropout(0.1), [PLANES], PLANES, {}),
    (Softmax(), [(10,)], (10,), {}),
    (LocalResponseNormalization(), [PLANES], PLANES, {}),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "inputs", "shape", "parameters"), SHAPES)
def test_shapes_and_parameters(
    operator: Operator,
    inputs: list[tuple[int, ...]],
    shape: tuple[int, ...],
    parameters: dict[str, Any],
) -> None:
    assert operator.infer(*inputs) == shape
    assert operator.parameters(*inputs) == parameters


REFUSED: list[tuple[Operator, list[tuple[int, ...]], str]] = [
    (Convolution((3, 3), out_channels=4), [(9,)], "input must be (channels, height, width)"),
    (Convolution((9, 3), out_channels=4), [PLANES], "window (9, 3) must fit the padded input"),
    (Convolution((3, 3), out_channels=4, groups=3), [PLANES], "groups must divide 4 input and 4"),
    (Convolution((3, 3), out_channels=4, groups=0), [PLANES], "groups must divide 4 input and 4"),
    (MaxPool((2, 2)), [(9,)], "input must be (channels, height, width), not (9,)"),
    (GlobalMaxPool(), [(9,)], "input must be (channels, height, width), not (9,)"),
    (Add(), [PLANES, (4, 8, 5)], "inputs must have one shape, not"),
    (Multiply(), [PLANES, (3, 1, 1)], "inputs must have one shape or be per channel, not"),
    (Concat(3), [PLANES], "axis must be 0 to 2, not 3"),
    (Concat(1), [PLANES, (5, 8, 6)], "inputs must agree but along axis 1, not"),
    (Reshape((5,)), [PLANES], "(4, 8, 6) must have as many elements as (5,)"),
    (ChannelShuffle(3), [PLANES], "groups must divide 4 channels, not 3"),
    (ChannelShuffle(0), [PLANES], "groups must divide 4 channels, not 0"),
    (Pad((1, 0, 0, 0, 0)), [(9,)], "input must be (channels, height, width), not (9,)"),
]


@pytest.mark.parametrize(("operator", "inputs", "message"), REFUSED)
def test_shapes_that_do_not_fit(
    operator: Operator, inputs: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        operator.infer(*inputs)


@pytest.mark.parametrize("field", ["kernel", "stride", "dilation"])
def test_windows_of_zero(field: str) -> None:
    options: dict[str, Any] = {"kernel": (1, 1)} | {field: (1, 0)}
    with pytest.raises(ValueError, match=r"^kernel, stride and dilation must be at least 1"):
        MaxPool(**options)


def test_negative_padding() -> None:
    with pytest.raises(ValueError, match=r"^kernel, stride and dilation must be at least 1"):
        MaxPool((1, 1), padding=(0, -1, 0, 0))
    with pytest.raises(ValueError, match=r"^amounts must be at least 0, not \(0, 0, -1, 0, 0\)$"):
        Pad((0, 0, -1, 0, 0))


def test_a_pool_is_of_one_kind() -> None:
    assert not isinstance(AveragePool((1, 1)), MaxPool)


def small() -> Network:
    network = Network("small", (3, 8, 8))
    network.add("conv", Convolution((3, 3), padding=(1, 1, 1, 1), out_channels=3))
    network.add("relu", Activation())
    network.add("add", Add(), "relu", "input")
    return network


def test_layers_in_order() -> None:
    network = small()
    assert [layer.name for layer in network] == ["conv", "relu", "add"]
    assert len(network) == 3
    assert network.output == "add"
    assert network.layers["relu"].inputs == ("conv",)
    assert network.layers["add"].input_shapes == ((3, 8, 8), (3, 8, 8))
    assert network.shape_of("input") == (3, 8, 8)
    assert network.consumers() == {
        "input": ["conv", "add"], "conv": ["relu"], "relu": ["add"], "add": [],
    }  # fmt: skip
    assert network.parameter_count == 81
    assert Network("empty", (1,)).output == "input"


def test_what_a_network_refuses() -> None:
    network = small()
    where = r"^network 'small', layer "
    with pytest.raises(InputError, match=rf"{where}'conv': a layer's name must be new, and is"):
        network.add("conv", Activation())
    with pytest.raises(InputError, match=rf"{where}'input': a layer's name must be new, and is"):
        network.add("input", Activation())
    with pytest.raises(InputError, match=rf"{where}'a': inputs must be earlier layers, not 'b'$"):
        network.add("a", Activation(), "b")
    with pytest.raises(InputError, match=rf"{where}'a': inputs must be earlier layers, not 'a'$"):
        network.add("a", Activation(), "a")
    with pytest.raises(InputError, match=rf"{where}'a': requires 1 input\(s\), got 2$"):
        network.add("a", Activation(), "conv", "relu")
    with pytest.raises(InputError, match=rf"{where}'a': requires 2 input\(s\), got 1$"):
        network.add("a", Multiply())
    with pytest.raises(InputError, match=rf"{where}'a': \(3, 8, 8\) must have as many elements"):
        network.add("a", Reshape((5,)))
    with pytest.raises(InputError, match=rf"{where}'a': a shape must have 1 to 8 dimensions"):
        network.add("a", Reshape((1,) * 8 + (192,)))
    with pytest.raises(InputError, match=rf"{where}'a': a shape must have 1 to 8 dimensions"):
        network.add("a", Pad((0, 1 << 30, 0, 0, 1 << 30)))
    assert [layer.name for layer in network] == ["conv", "relu", "add"]


def test_a_weight_may_not_be_larger_than_a_tensor() -> None:
    network = Network("wide", (1 << 21,))
    with pytest.raises(InputError, match=r"^network 'wide', layer 'fc': a shape must have 1 to 8"):
        network.add("fc", Linear(1 << 21))
    assert MAX_ELEMENTS < 1 << 42


def test_ten_thousand_layers() -> None:
    network = Network("long", (1, 2, 2))
    for index in range(10_000):
        network.add(str(index), Activation())
    assert network.output == "9999"
    assert len(network.consumers()) == 10_001
