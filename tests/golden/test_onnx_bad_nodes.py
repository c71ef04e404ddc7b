"""Nodes that cannot be used: one line that names the file and the node, and nothing worse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

Write = Callable[..., Path]
Refused = Callable[[Path], str]
node = helper.make_node
X = {"x": (1, 4, 8, 8)}
CONV = [node("Conv", ["x", "w"], ["y"], name="c")]
RELU = [node("Relu", ["x"], ["y"], name="r")]
BN = [node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], name="n")]
W = {"w": (6, 4, 3, 3)}


def conv(**attributes: Any) -> list[Any]:
    return [node("Conv", ["x", "w"], ["y"], name="c", **attributes)]


def pool(**attributes: Any) -> list[Any]:
    return [node("MaxPool", ["x"], ["y"], name="p", **attributes)]


def reshape(*shape: int) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    return [node("Reshape", ["x", "s"], ["y"], name="r")], X, {"s": np.array(shape)}


# id: (nodes, inputs, weights) and how the message goes on after the file's name
NODES: dict[str, tuple[tuple[Any, ...], str]] = {
    "unknown operator": (
        ([node("Frobnicate", ["x"], ["y"], name="f")], X, {}),
        "node 'f' (Frobnicate): the operator must be one that docs/onnx.md lists, not 'Frobnicate'",
    ),
    "unknown domain": (
        ([node("Relu", ["x"], ["y"], name="f", domain="com.example")], X, {}),
        "node 'f' (com.example.Relu): the operator must be one that docs/onnx.md lists",
    ),
    "PRelu": (
        ([node("PRelu", ["x", "s"], ["y"])], X, {"s": (1,)}),
        "node 'PRelu_0' (PRelu): the operator must be one that",
    ),
    "cycle": (
        ([node("Add", ["x", "b"], ["a"], name="p"), node("Relu", ["a"], ["b"], name="q"),
          node("Relu", ["b"], ["y"])], X, {}),
        "node 'p' (Add): input 'b' must be computed by an earlier node, not by node 'q' (Relu)",
    ),
    "out of order": (
        ([node("Relu", ["a"], ["y"], name="p"), node("Relu", ["x"], ["a"], name="q")], X, {}),
        "node 'p' (Relu): input 'a' must be computed by an earlier node, not by node 'q' (Relu)",
    ),
    "own input": (
        ([node("Add", ["x", "y"], ["y"], name="p")], X, {}),
        "node 'p' (Add): input 'y' must be computed by an earlier node, not by node 'p' (Add)",
    ),
    "missing initializer": (
        (CONV, X, {}),
        "node 'c' (Conv): input 'w' must be an initializer, a graph input or another node's "
        "output, and is missing",
    ),
    "two sources": (
        ([*RELU, node("Relu", ["x"], ["y"], name="s")], X, {}),
        "node 's' (Relu): output 'y' must be new, and is also that of node 'r' (Relu)",
    ),
    "output is an input": (
        ([node("Relu", ["x"], ["x"], name="s"), *RELU], X, {}),
        "node 's' (Relu): output 'x' must be new, and is also that of an input or initializer",
    ),
    "no nodes": (([], X, {}), "must have at least one node, and has none"),
    "output from nowhere": (
        ([node("Relu", ["x"], ["z"])], X, {}),
        "graph output 'y' must be computed by a node, and is not",
    ),
    "only constants": (
        ([node("Identity", ["w"], ["y"])], X, W),
        "must have exactly one graph input that is data, not 0",
    ),
    "no layers": (
        ([node("Identity", ["x"], ["y"])], X, {}),
        "must have at least one layer, and passes its input on",
    ),
    "two inputs": (
        ([node("Add", ["x", "z"], ["y"])], X | {"z": (1, 4, 8, 8)}, {}),
        "must have exactly one graph input that is data, not 2: 'x', 'z'",
    ),
    "dynamic height": (
        (RELU, {"x": (1, 4, "h", 8)}, {}),
        "graph input 'x' must be static but for the batch, not [1, 4, '?', 8]",
    ),
    "dynamic weight": (
        (CONV, X | {"w": (6, 4, 3, "k")}, {}),
        "weight 'w', a graph input, must have a static shape",
    ),
    "negative dimension": (
        (RELU, {"x": (1, 4, -8, 8)}, {}),
        "graph input 'x': a shape must have 1 to 8 dimensions of at least 1",
    ),
    "zero batch": ((RELU, {"x": (0, 4, 8, 8)}, {}), "graph input 'x': a shape must have 1 to 8"),
    "enormous dimension": (
        (RELU, {"x": (1, 4, 1 << 62, 8)}, {}), "graph input 'x': a shape must have 1 to 8",
    ),
    "many dimensions": (
        (RELU, {"x": (1,) * 9}, {}), "graph input 'x': a shape must have 1 to 8 dimensions",
    ),
    "no batch": (
        (RELU, {"x": (8,)}, {}),
        "graph input 'x' must have a shape of the batch and at least one dimension",
    ),
    "enormous weight as an input": (
        (CONV, X | {"w": (1 << 61, 4, 3, 3)}, {}),
        "weight 'w', a graph input: a tensor must have dimensions of at least 0 and at most",
    ),
    "channels of a convolution": (
        (CONV, {"x": (1, 5, 8, 8)}, W),
        "node 'c' (Conv): weight (6, 4, 3, 3) in 1 group(s) requires 4 input channels, and there "
        "are 5",
    ),
    "groups": (
        (conv(group=0), X, W), "node 'c' (Conv): weight (6, 4, 3, 3) in 0 group(s) requires",
    ),
    "groups and output channels": (
        (conv(group=4), X, {"w": (6, 1, 3, 3)}),
        "node 'c' (Conv): groups must divide 4 input and 6 output channels, not 4",
    ),
    "kernel_shape": (
        (conv(kernel_shape=[3, 5]), X, W),
        "node 'c' (Conv): kernel_shape must be that of the weight, [3, 3]",
    ),
    "one-dimensional convolution": (
        (CONV, {"x": (1, 4, 8)}, {"w": (6, 4, 3)}),
        "node 'c' (Conv): input must be (batch, channels, height, width), and has (4, 8)",
    ),
    "weight from data": (
        ([node("Conv", ["x", "x"], ["y"], name="c")], X, {}),
        "node 'c' (Conv): input 1 must be a weight or constant, not computed from data",
    ),
    "data from a weight": (
        ([node("Conv", ["w", "v"], ["z"], name="c"), node("Add", ["z", "x"], ["y"])], X,
         W | {"v": (1, 4, 1, 1)}),
        "node 'c' (Conv): must depend on the graph's data input, or make or reshape a weight",
    ),
    "no weight": (
        ([node("Conv", ["x"], ["y"], name="c")], X, {}),
        "node 'c' (Conv): requires input 1, and has 1",
    ),
    "bias": (
        ([node("Conv", ["x", "w", "b"], ["y"], name="c")], X, W | {"b": (5,)}),
        "node 'c' (Conv): bias must have shape (6,), not (5,)",
    ),
    "zero stride": (
        (conv(strides=[0, 1]), X, W),
        "node 'c' (Conv): kernel_shape, strides and dilations must be at least 1, not [3, 3], "
        "[0, 1] and [1, 1]",
    ),
    "three strides": (
        (conv(strides=[1, 1, 1]), X, W), "node 'c' (Conv): strides must have 2 entries, not 3",
    ),
    "negative pads": (
        (conv(pads=[-1, 0, 0, 0]), X, W), "node 'c' (Conv): kernel, stride and dilation must be",
    ),
    "two pads": ((conv(pads=[1, 1]), X, W), "node 'c' (Conv): pads must have 4 entries, not 2"),
    "enormous pads": (
        (conv(pads=[1 << 40, 0, 0, 0]), X, W),
        "node 'c' (Conv): a shape must have 1 to 8 dimensions of at least 1 and at most",
    ),
    "auto_pad": (
        (conv(auto_pad="SOME"), X, W), "node 'c' (Conv): auto_pad must be NOTSET, VALID",
    ),
    "auto_pad and pads": (
        (conv(auto_pad="VALID", pads=[1, 1, 1, 1]), X, W),
        "node 'c' (Conv): pads must be absent where auto_pad is 'VALID'",
    ),
    "attribute type": (
        (conv(strides=1.5), X, W), "node 'c' (Conv): attribute strides must be INTS, not FLOAT",
    ),
    "window too large": (
        (pool(kernel_shape=[9, 9]), X, {}),
        "node 'p' (MaxPool): window (9, 9) must fit the padded input, which is (4, 8, 8)",
    ),
    "no kernel_shape": ((pool(), X, {}), "node 'p' (MaxPool): requires kernel_shape, and has none"),
    "mask": (
        ([node("Dropout", ["x"], ["d", "mask"], name="d"), node("Mul", ["d", "mask"], ["y"])],
         X, {}),
        "node 'd' (Dropout): only the first output may be read, and so is 'mask'",
    ),
    "normalization of others": (
        (BN, X, {"g": (4,), "b": (4,), "m": (4,), "v": (5,)}),
        "node 'n' (BatchNormalization): input 4 must have shape (4,), not (5,)",
    ),
    "gemm transA": (
        ([node("Gemm", ["x", "w"], ["y"], name="g", transA=1)], {"x": (1, 4)}, {"w": (4, 2)}),
        "node 'g' (Gemm): transA must be 0",
    ),
    "gemm alpha": (
        ([node("Gemm", ["x", "w"], ["y"], name="g", alpha=2.0)], {"x": (1, 4)}, {"w": (4, 2)}),
        "node 'g' (Gemm): alpha and beta must be 1",
    ),
    "gemm features": (
        ([node("Gemm", ["x", "w"], ["y"], name="g")], {"x": (1, 5)}, {"w": (4, 2)}),
        "node 'g' (Gemm): weight takes 4 features, and there are 5",
    ),
    "attention": (
        ([node("MatMul", ["x", "x"], ["y"], name="m")], X, {}),
        "node 'm' (MatMul): input 1 must be a weight or constant, not computed from data",
    ),
    "add of two shapes": (
        ([node("GlobalMaxPool", ["x"], ["p"]), node("Add", ["p", "x"], ["y"], name="a")], X, {}),
        "node 'a' (Add): inputs must have one shape, not",
    ),
    "add of a whole tensor": (
        ([node("Add", ["x", "w"], ["y"], name="a")], X, {"w": (1, 4, 8, 8)}),
        "node 'a' (Add): a constant operand must be one number or one a channel of (4, 8, 8), "
        "not (1, 4, 8, 8)",
    ),
    "concat along the batch": (
        ([node("Concat", ["x", "x"], ["y"], name="k", axis=0)], X, {}),
        "node 'k' (Concat): axis must not be 0, the batch",
    ),
    "empty operand": (
        ([node("Concat", ["x", ""], ["y"], name="k", axis=1)], X, {}),
        "node 'k' (Concat): input 1 must depend on the network's input, and does not",
    ),
    "empty operands of a shape": (
        ([node("Shape", ["x"], ["s"]), node("Gather", ["s", ""], ["g"], name="g"),
          node("Reshape", ["x", "g"], ["y"])], X, {}),
        "node 'g' (Gather): requires at least 2 input(s) and none left empty",
    ),
    "concat axis": (
        ([node("Concat", ["x", "x"], ["y"], name="k", axis=7)], X, {}),
        "node 'k' (Concat): axis must be -4 to 3, not 7",
    ),
    "concat of others": (
        ([node("GlobalMaxPool", ["x"], ["p"]), node("Concat", ["x", "p"], ["y"], name="k", axis=1)],
         X, {}),
        "node 'k' (Concat): inputs must agree but along axis 0, not",
    ),
    "reshape of others": (
        reshape(1, 255), "node 'r' (Reshape): shape [1, 255] must have the input's 256 elements",
    ),
    "reshape with two unknowns": (
        reshape(1, -1, -1), "node 'r' (Reshape): shape must have at most one -1 and no other",
    ),
    "reshape of the batch": (
        reshape(2, 128), "node 'r' (Reshape): dimension 0 must stay the batch, 1; the result is",
    ),
    "reshape to a float": (
        ([node("Reshape", ["x", "s"], ["y"], name="r")], X, {"s": (2,)}),
        "node 'r' (Reshape): the shape must be constant integers in the file, and are not",
    ),
    "flatten the batch": (
        ([node("Flatten", ["x"], ["y"], name="f", axis=2)], X, {}),
        "node 'f' (Flatten): dimension 0 must stay the batch, 1; the result is (4, 64)",
    ),
    "transpose": (
        ([node("Transpose", ["x"], ["y"], name="t", perm=[0, 2, 3, 1])], X, {}),
        "node 't' (Transpose): must be part of a channel shuffle",
    ),
    "half a shuffle": (
        ([node("Reshape", ["x", "s"], ["r"]),
          node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
          node("Relu", ["t"], ["y"], name="h")], X, {"s": np.array([1, 2, 2, 8, 8])}),
        "node 'h' (Relu): input 0 must not be a transposed tensor",
    ),
    "a shuffle that ends elsewhere": (
        ([node("Reshape", ["x", "s"], ["r"]),
          node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
          node("Flatten", ["t"], ["y"], name="h")], X, {"s": np.array([1, 2, 2, 8, 8])}),
        "node 'h' (Flatten): a channel shuffle must end in the shape it began with, (4, 8, 8), "
        "not (256,)",
    ),
    "empty part of a shape": (
        ([node("Shape", ["x"], ["s"]), node("Concat", ["s", ""], ["k"], name="k", axis=0),
          node("Reshape", ["x", "k"], ["y"])], X, {}),
        "node 'k' (Concat): requires at least 1 input(s) and none left empty",
    ),
    "clip": (
        ([node("Clip", ["x", "a", "b"], ["y"], name="k")], X,
         {"a": np.float32(-1), "b": np.float32(1)}),
        "node 'k' (Clip): bounds must be 0 and a positive number, not -1.0 and 1.0",
    ),
    "clip at NaN": (
        ([node("Clip", ["x", "a", "b"], ["y"], name="k")], X,
         {"a": np.float32(0), "b": np.float32("nan")}),
        "node 'k' (Clip): bounds must be 0 and a positive number, not 0.0 and nan",
    ),
    "leak of NaN": (
        ([node("LeakyRelu", ["x"], ["y"], name="l", alpha=float("nan"))], X, {}),
        "node 'l' (LeakyRelu): alpha must be a finite number, not nan",
    ),
    "pad before the channels": (
        ([node("Pad", ["x", "p"], ["y"], name="p")], X, {"p": np.array([0, 1, 0, 0, 0, 0, 0, 0])}),
        "node 'p' (Pad): must not pad the batch nor before the first channel",
    ),
    "negative padding": (
        ([node("Pad", ["x", "p"], ["y"], name="p")], X, {"p": np.array([0, 0, -1, 0, 0, 0, 0, 0])}),
        "node 'p' (Pad): amounts must be at least 0, not (0, -1, 0, 0, 0)",
    ),
    "reflected padding": (
        ([node("Pad", ["x", "p"], ["y"], name="p", mode="reflect")], X, {"p": np.zeros(8, int)}),
        "node 'p' (Pad): mode must be constant, not 'reflect'",
    ),
    "softmax over the batch": (
        ([node("Softmax", ["x"], ["y"], name="s", axis=0)], X, {}),
        "node 's' (Softmax): axis must not be 0, the batch",
    ),
    "cast to integers": (
        ([node("Cast", ["x"], ["y"], name="k", to=TensorProto.INT8)], X, {}),
        "node 'k' (Cast): data must be cast to a floating-point type",
    ),
    "division by zero in a shape": (
        ([node("Shape", ["x"], ["s"]), node("Div", ["s", "z"], ["d"], name="d"),
          node("Reshape", ["x", "d"], ["y"])], X, {"z": np.array([0])}),
        "node 'd' (Div): must not divide by 0",
    ),
    "squares of a shape": (
        ([node("Shape", ["x"], ["s0"]),
          *(node("Mul", [f"s{i}"] * 2, [f"s{i + 1}"], name=f"m{i}") for i in range(60)),
          node("Reshape", ["x", "s60"], ["y"])], X, {}),
        "node 'm4' (Mul): a shape's arithmetic must stay within 64 bits",
    ),
    "loop": (
        ([node("If", ["x"], ["y"], name="i", then_branch=helper.make_graph([], "t", [], []))],
         X, {}),
        "node 'i' (If): the operator must be one that docs/onnx.md lists, not 'If'",
    ),
    "a name with lines and tags": (
        ([node("Frob<script>\n", ["x"], ["y"], name="<img src=x>\n\x1b[31m" + "n" * 999)], X, {}),
        r"node '<img src=x>\n\x1b[31mnnn",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NODES)
def test_graph(case: str, write_onnx: Write, refused: Refused) -> None:
    (nodes, inputs, weights), message = NODES[case]
    assert refused(write_onnx(nodes, inputs, weights)).startswith(message)


def test_disagreement_with_onnx_names_the_node(write_onnx: Write, refused: Refused) -> None:
    # Before version 22 ONNX counted a window that starts behind the input; no runtime did.
    nodes = pool(kernel_shape=[1, 1], strides=[3, 3], ceil_mode=1)
    message = refused(write_onnx(nodes, X, {}, opset=12))
    assert message == (
        "node 'p' (MaxPool): the output's shape must be ONNX's, [1, 4, 4, 4], not [1, 4, 3, 3]"
    )
