"""Each ONNX operator in a small graph: what it becomes, and its shape."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import golden.network
from golden.network import (
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
    Normalization,
    Operator,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
    Softmax,
)
from golden.onnx_constants import _EVALUATE
from golden.onnx_import import import_onnx
from golden.onnx_operators import OPERATORS

Write = Callable[..., Path]
node = helper.make_node
ints = np.array
X = {"x": (1, 4, 8, 8)}
ROW = {"x": (1, 12)}
BN = {"g": (4,), "b": (4,), "m": (4,), "v": (4,)}
BN_INPUTS = ["x", "g", "b", "m", "v"]

# id: nodes, inputs, weights, options, the operators, the output's shape
CASES: dict[str, tuple[Any, ...]] = {
    "conv": (
        [node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        X, {"w": (6, 4, 3, 3)}, {},
        [Convolution((3, 3), padding=(1, 1, 1, 1), out_channels=6)], (6, 8, 8),
    ),
    "conv with bias, groups, stride, dilation, uneven pads": (
        [node("Conv", ["x", "w", "b"], ["y"], group=2, strides=[2, 1], dilations=[1, 2],
              pads=[0, 1, 2, 3], kernel_shape=[3, 2])],
        X, {"w": (6, 2, 3, 2), "b": (6,)}, {},
        [Convolution((3, 2), (2, 1), (0, 1, 2, 3), (1, 2), out_channels=6, groups=2, bias=True)],
        (6, 4, 10),
    ),
    "conv SAME_UPPER": (
        [node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])],
        X, {"w": (6, 4, 3, 3)}, {},
        [Convolution((3, 3), (2, 2), (0, 0, 1, 1), out_channels=6)], (6, 4, 4),
    ),
    "conv SAME_LOWER": (
        [node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[2, 2])],
        X, {"w": (6, 4, 3, 3)}, {},
        [Convolution((3, 3), (2, 2), (1, 1, 0, 0), out_channels=6)], (6, 4, 4),
    ),
    "conv VALID": (
        [node("Conv", ["x", "w"], ["y"], auto_pad="VALID")],
        X, {"w": (6, 4, 3, 3)}, {}, [Convolution((3, 3), out_channels=6)], (6, 6, 6),
    ),
    "conv and a bias added behind it": (
        [node("Conv", ["x", "w"], ["c"]), node("Add", ["b", "c"], ["y"])],
        X, {"w": (6, 4, 3, 3), "b": (1, 6, 1, 1)}, {},
        [Convolution((3, 3), out_channels=6, bias=True)], (6, 6, 6),
    ),
    "a second bias is a layer": (
        [node("Conv", ["x", "w", "b"], ["c"]), node("Add", ["c", "d"], ["y"])],
        X, {"w": (6, 4, 3, 3), "b": (6,), "d": (6, 1, 1)}, {},
        [Convolution((3, 3), out_channels=6, bias=True), ChannelBias()], (6, 6, 6),
    ),
    "a bias on one of two readers is a layer": (
        [node("Conv", ["x", "w"], ["c"]), node("Add", ["c", "b"], ["d"]),
         node("Add", ["c", "d"], ["y"])],
        X, {"w": (6, 4, 3, 3), "b": (6, 1, 1)}, {},
        [Convolution((3, 3), out_channels=6), ChannelBias(), Add()], (6, 6, 6),
    ),
    "a bias on one of two readers behind an identity is a layer": (
        [node("Conv", ["x", "w"], ["c"]), node("Identity", ["c"], ["i"]),
         node("Add", ["i", "b"], ["d"]), node("Add", ["c", "d"], ["y"])],
        X, {"w": (6, 4, 3, 3), "b": (6, 1, 1)}, {},
        [Convolution((3, 3), out_channels=6), ChannelBias(), Add()], (6, 6, 6),
    ),
    "gemm transposed": (
        [node("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        ROW, {"w": (5, 12), "b": (5,)}, {}, [Linear(5)], (5,),
    ),
    "gemm without bias": (
        [node("Gemm", ["x", "w"], ["y"])], ROW, {"w": (12, 5)}, {}, [Linear(5, False)], (5,),
    ),
    "matmul": (
        [node("MatMul", ["x", "w"], ["y"])], ROW, {"w": (12, 5)}, {}, [Linear(5, False)], (5,),
    ),
    "matmul and bias": (
        [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])],
        ROW, {"w": (12, 5), "b": (5,)}, {}, [Linear(5)], (5,),
    ),
    "matmul of a sequence and bias": (
        [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])],
        {"x": (1, 7, 12)}, {"w": (12, 5), "b": (5,)}, {}, [Linear(5)], (7, 5),
    ),
    "batch normalization": (
        [node("BatchNormalization", BN_INPUTS, ["y"])], X, BN, {}, [Normalization()], (4, 8, 8),
    ),
    "batch normalization of features": (
        [node("BatchNormalization", BN_INPUTS, ["y"])],
        {"x": (1, 4)}, BN, {}, [Normalization()], (4,),
    ),
    "Caffe's scale layer is gamma and beta": (
        [node("BatchNormalization", BN_INPUTS, ["n"]), node("Unsqueeze", ["s", "a"], ["s3"]),
         node("Mul", ["n", "s3"], ["p"]), node("Unsqueeze", ["t", "a"], ["t3"]),
         node("Add", ["p", "t3"], ["y"])],
        X, BN | {"s": (4,), "t": (4,), "a": ints([1, 2])}, {}, [Normalization()], (4, 8, 8),
    ),
    "scale of a shared normalization": (
        [node("BatchNormalization", BN_INPUTS, ["n"]), node("Mul", ["n", "s"], ["p"]),
         node("Add", ["p", "n"], ["y"])],
        X, BN | {"s": (4, 1, 1)}, {}, [Normalization(), ChannelMultiplier(), Add()], (4, 8, 8),
    ),
    "scalars": (
        [node("Mul", ["x", "s"], ["m"]), node("Add", ["m", "s"], ["y"])],
        X, {"s": (1,)}, {}, [ScalarMultiplier(), ScalarBias()], (4, 8, 8),
    ),
    "relu": ([node("Relu", ["x"], ["y"])], X, {}, {}, [Activation()], (4, 8, 8)),
    "relu6": (
        [node("Clip", ["x", "a", "b"], ["y"])],
        X, {"a": np.float32(0), "b": np.float32(6)}, {}, [Activation(maximum=6)], (4, 8, 8),
    ),
    "relu6 by attributes": (
        [node("Clip", ["x"], ["y"], min=0.0, max=6.0)],
        X, {}, {"opset": 10}, [Activation(maximum=6)], (4, 8, 8),
    ),
    "clip from below": (
        [node("Clip", ["x", "a"], ["y"])], X, {"a": np.float32(0)}, {}, [Activation()], (4, 8, 8),
    ),
    "clip of nothing": (
        [node("Clip", ["x"], ["c"]), node("Relu", ["c"], ["y"])],
        X, {}, {}, [Activation()], (4, 8, 8),
    ),
    "leaky relu": (
        [node("LeakyRelu", ["x"], ["y"], alpha=0.125)], X, {}, {},
        [Activation(slope=0.125)], (4, 8, 8),
    ),
    "max pool": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2])],
        X, {}, {}, [MaxPool((3, 3), (2, 2))], (4, 3, 3),
    ),
    "max pool, rounding up": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)],
        X, {}, {}, [MaxPool((3, 3), (2, 2), ceil=True)], (4, 4, 4),
    ),
    "average pool": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[3, 2], pads=[1, 0, 1, 0],
              count_include_pad=1)],
        X, {}, {}, [AveragePool((3, 2), padding=(1, 0, 1, 0))], (4, 8, 7),
    ),
    "global pools": (
        [node("GlobalAveragePool", ["x"], ["a"]), node("GlobalMaxPool", ["x"], ["b"]),
         node("Sum", ["a", "b"], ["y"])],
        X, {}, {}, [GlobalAveragePool(), GlobalMaxPool(), Add()], (4, 1, 1),
    ),
    "mean over the plane": (
        [node("ReduceMean", ["x"], ["y"], axes=[-1, 2], keepdims=0)],
        X, {}, {}, [GlobalAveragePool(), Flatten()], (4,),
    ),
    "mean over the plane, axes as input": (
        [node("ReduceMean", ["x", "a"], ["y"])],
        X, {"a": ints([2, 3])}, {"opset": 18}, [GlobalAveragePool()], (4, 1, 1),
    ),
    "sum of three": (
        [node("Relu", ["x"], ["a"]), node("LeakyRelu", ["x"], ["b"], alpha=0.5),
         node("Sum", ["a", "b", "x"], ["y"])],
        X, {}, {}, [Activation(), Activation(slope=0.5), Add()], (4, 8, 8),
    ),
    "sum of one": (
        [node("Sum", ["x"], ["s"]), node("Relu", ["s"], ["y"])],
        X, {}, {}, [Activation()], (4, 8, 8),
    ),
    "product of two": (
        [node("GlobalAveragePool", ["x"], ["a"]), node("Mul", ["a", "x"], ["y"])],
        X, {}, {}, [GlobalAveragePool(), Multiply()], (4, 8, 8),
    ),
    "concat": (
        [node("Relu", ["x"], ["a"]), node("Concat", ["a", "x"], ["y"], axis=-3)],
        X, {}, {}, [Activation(), Concat(0)], (8, 8, 8),
    ),
    "flatten": ([node("Flatten", ["x"], ["y"])], X, {}, {}, [Flatten()], (256,)),
    "reshape": (
        [node("Reshape", ["x", "s"], ["y"])],
        X, {"s": ints([0, -1, 4])}, {}, [Reshape((64, 4))], (64, 4),
    ),
    "reshape to what it was": (
        [node("Reshape", ["x", "s"], ["r"]), node("Relu", ["r"], ["y"])],
        X, {"s": ints([1, 4, 8, -1])}, {}, [Activation()], (4, 8, 8),
    ),
    "reshape by a Constant node": (
        [node("Constant", [], ["s"], value_ints=[1, 256]), node("Reshape", ["x", "s"], ["y"])],
        X, {}, {}, [Flatten()], (256,),
    ),
    "reshape by the end of a shape": (
        [node("Shape", ["x"], ["all"]),
         node("Slice", ["all", "from", "to", "", "step"], ["two"]),
         node("Concat", ["one", "two", "left"], ["s"], axis=0),
         node("Reshape", ["x", "s"], ["y"])],
        X, {"from": ints([-1]), "to": ints([-4]), "step": ints([-2]), "one": ints([1]),
            "left": ints([-1])}, {}, [Reshape((8, 4, 8))], (8, 4, 8),
    ),
    "reshape by a computed shape": (
        [node("Shape", ["x"], ["all"]), node("Gather", ["all", "zero"], ["n"]),
         node("Unsqueeze", ["n", "axis"], ["n1"]), node("Slice", ["all", "one", "two"], ["c1"]),
         node("Mul", ["c1", "rest"], ["f"]), node("Concat", ["n1", "f"], ["s"], axis=0),
         node("Reshape", ["x", "s"], ["y"])],
        {"x": ("batch", 4, 8, 8)},
        {"zero": np.int64(0), "axis": ints([0]), "one": ints([1]), "two": ints([2]),
         "rest": ints([64])}, {}, [Flatten()], (256,),
    ),
    "squeeze and unsqueeze": (
        [node("GlobalMaxPool", ["x"], ["p"]), node("Squeeze", ["p", "a"], ["q"]),
         node("Unsqueeze", ["q", "a"], ["y"])],
        X, {"a": ints([2, 3])}, {}, [GlobalMaxPool(), Flatten(), Reshape((4, 1, 1))], (4, 1, 1),
    ),
    "squeeze by attribute": (
        [node("GlobalMaxPool", ["x"], ["p"]), node("Squeeze", ["p"], ["y"], axes=[-1, -2])],
        X, {}, {"opset": 11}, [GlobalMaxPool(), Flatten()], (4,),
    ),
    "channel shuffle": (
        [node("Reshape", ["x", "s"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
         node("Reshape", ["t", "u"], ["y"])],
        X, {"s": ints([1, 2, 2, 8, 8]), "u": ints([1, 4, 8, 8])}, {},
        [ChannelShuffle(2)], (4, 8, 8),
    ),
    "transpose of ones": (
        [node("GlobalMaxPool", ["x"], ["p"]), node("Transpose", ["p"], ["y"], perm=[0, 2, 3, 1])],
        X, {}, {}, [GlobalMaxPool(), Reshape((1, 1, 4))], (1, 1, 4),
    ),
    "softmax": ([node("Softmax", ["x"], ["y"])], ROW, {}, {}, [Softmax()], (12,)),
    "softmax over the channels": (
        [node("Softmax", ["x"], ["y"], axis=1)], X, {}, {}, [Softmax(0)], (4, 8, 8),
    ),
    "softmax before version 13": (
        [node("Softmax", ["x"], ["y"])],
        {"x": (1, 12, 1, 1)}, {}, {"opset": 9}, [Softmax(0)], (12, 1, 1),
    ),
    "log-softmax": ([node("LogSoftmax", ["x"], ["y"])], ROW, {}, {}, [Softmax()], (12,)),
    "local response": (
        [node("LRN", ["x"], ["y"], size=3)], X, {}, {},
        [LocalResponseNormalization(3)], (4, 8, 8),
    ),
    "dropout": (
        [node("Dropout", ["x", "r"], ["y"])],
        X, {"r": np.float32(0.25)}, {}, [Dropout(0.25)], (4, 8, 8),
    ),
    "dropout by attribute": (
        [node("Dropout", ["x"], ["y"], ratio=0.25)],
        X, {}, {"opset": 9}, [Dropout(0.25)], (4, 8, 8),
    ),
    "pad": (
        [node("Pad", ["x", "p"], ["y"])],
        X, {"p": ints([0, 0, 1, 2, 0, 5, 3, 4])}, {}, [Pad((5, 1, 2, 3, 4))], (9, 12, 14),
    ),
    "pad some axes": (
        [node("Pad", ["x", "p", "v", "a"], ["y"])],
        X, {"p": ints([2, 4]), "v": np.float32(0), "a": ints([-1])}, {"opset": 18},
        [Pad((0, 0, 2, 0, 4))], (4, 8, 14),
    ),
    "identity and cast": (
        [node("Identity", ["x"], ["i"]), node("Relu", ["i"], ["r"]),
         node("Cast", ["r"], ["y"], to=TensorProto.FLOAT)],
        X, {}, {}, [Activation()], (4, 8, 8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_operator(case: str, write_onnx: Write) -> None:
    nodes, inputs, weights, options, operators, shape = CASES[case]
    network = import_onnx(write_onnx(nodes, inputs, weights, **options))
    assert [layer.operator for layer in network] == operators
    assert network.shape_of(network.output) == shape


@pytest.mark.parametrize("batch", [1, 32, "N", None])
@pytest.mark.parametrize("shape", [[-1, 256], [0, -1]])
def test_the_batch_is_dropped(batch: int | str | None, shape: list[int], write_onnx: Write) -> None:
    nodes = [node("Reshape", ["x", "s"], ["r"]), node("Gemm", ["r", "w"], ["y"])]
    path = write_onnx(nodes, {"x": (batch, 4, 8, 8)}, {"s": ints(shape), "w": (256, 10)})
    assert [layer.shape for layer in import_onnx(path)] == [(256,), (10,)]


def test_weights_may_be_graph_inputs(write_onnx: Write) -> None:
    nodes = [node("Conv", ["x", "w", "b"], ["c"]), node("MatMul", ["c", "m"], ["y"])]
    inputs = {"w": (5, 4, 3, 3), "b": (5,), "x": (1, 4, 8, 8), "unread": (7,), "m": (6, 2)}
    network = import_onnx(write_onnx(nodes, inputs))
    assert network.input_shape == (4, 8, 8)
    assert network.parameter_count == 5 * 4 * 9 + 5 + 6 * 2


def test_weights_may_be_generated(write_onnx: Write) -> None:
    nodes = [
        node("RandomNormal", [], ["w"], shape=[5, 4, 3, 3]),
        node("ConstantOfShape", ["s"], ["b"]),
        node("Conv", ["x", "w", "b"], ["y"]),
    ]
    network = import_onnx(write_onnx(nodes, weights={"s": ints([5])}))
    assert network.parameter_count == 5 * 4 * 9 + 5


def test_what_the_output_does_not_need_is_left_out(write_onnx: Write) -> None:
    nodes = [
        node("Relu", ["x"], ["y"], name="kept"),
        node("Einsum", ["x"], ["dead"], equation="i->i"),
    ]
    assert [layer.name for layer in import_onnx(write_onnx(nodes))] == ["kept"]


def test_names_are_kept_made_and_made_unique(write_onnx: Write) -> None:
    names = ["a", "", "a", "input", "<b>/../\n", "n" * 300, "a"]
    values = ["x", *(f"v{i}" for i in range(len(names) - 1)), "y"]
    nodes = [node("Relu", [values[i]], [values[i + 1]], name=name) for i, name in enumerate(names)]
    network = import_onnx(write_onnx(nodes))
    expected = ["a", "Relu_1", "a_2", "input_2", "<b>/../\n", "n" * 200, "a_3"]
    assert [layer.name for layer in network] == expected


def test_a_made_name_may_be_taken(write_onnx: Write) -> None:
    nodes = [
        node("Relu", ["x"], ["a"], name="a_2"),
        node("Relu", ["a"], ["b"], name="a"),
        node("Relu", ["b"], ["y"], name="a"),
    ]
    assert [layer.name for layer in import_onnx(write_onnx(nodes))] == ["a_2", "a", "a_3"]


def test_the_documented_table_is_complete() -> None:
    page = (Path(__file__).parents[2] / "docs/onnx.md").read_text(encoding="utf-8")
    for operator in [*OPERATORS, *_EVALUATE, "Constant"]:
        assert f"`{operator}`" in page, operator
    for name in golden.network.__all__:
        value = getattr(golden.network, name)
        if isinstance(value, type) and issubclass(value, Operator) and value is not Operator:
            assert f"`{name}`" in page, name


def test_ten_thousand_nodes_of_one_name_are_quick(write_onnx: Write) -> None:
    count = 10_000
    nodes = [node("Relu", [f"v{i}"], [f"v{i + 1}"], name="same") for i in range(count)]
    path = write_onnx(nodes, {"v0": (1, 4, 8, 8)}, output=f"v{count}")
    start = time.perf_counter()
    network = import_onnx(path)
    assert time.perf_counter() - start < 5
    assert len(network) == count
    assert math.prod(network.shape_of(network.output)) == 256
