"""Which ONNX node becomes which operator of `golden.network`; docs/onnx.md is the table to read.

Each handler raises ValueError, and the importer names the file and the node.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import onnx

from golden.network import (
    Activation,
    Add,
    AveragePool,
    ChannelBias,
    ChannelMultiplier,
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
    ScalarBias,
    ScalarMultiplier,
    Shape,
    Softmax,
)
from golden.onnx_builder import Builder, Data, Value, planes
from golden.onnx_constants import Constant, axis_of
from golden.onnx_graph import Node, quoted
from golden.onnx_reshapes import concat, pad, reshape, sample_axis, transpose

__all__ = ["OPERATORS"]


_FLOAT_MAX = 3.4028234663852886e38
"""Clip's bounds, where they are attributes, say "none" by the largest 32-bit float."""


def _pair(node: Node, name: str, default: int) -> tuple[int, int]:
    found = node.integers(name) or (default, default)
    if len(found) != 2:
        raise ValueError(f"{name} must have 2 entries, not {len(found)}")
    return found[0], found[1]


Window = tuple[tuple[int, int], tuple[int, int, int, int], tuple[int, int]]


def _window(node: Node, kernel: tuple[int, int], shape: Shape) -> Window:
    """Return stride, padding and dilation of a convolution or pool."""
    sizes = planes(shape)
    stride, dilation = _pair(node, "strides", 1), _pair(node, "dilations", 1)
    if min(*stride, *dilation, *kernel) < 1:
        raise ValueError(
            "kernel_shape, strides and dilations must be at least 1, not "
            f"{list(kernel)}, {list(stride)} and {list(dilation)}"
        )
    given = node.integers("pads") or (0, 0, 0, 0)
    if len(given) != 4:
        raise ValueError(f"pads must have 4 entries, not {len(given)}")
    pads = given[0], given[1], given[2], given[3]
    mode = node.text("auto_pad", "NOTSET") or "NOTSET"
    if mode == "NOTSET":
        return stride, pads, dilation
    if any(pads):
        raise ValueError(f"pads must be absent where auto_pad is {quoted(mode)}")
    if mode == "VALID":
        return stride, pads, dilation
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(
            f"auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, not {quoted(mode)}"
        )
    before, after = [], []
    for axis, size in enumerate(sizes):
        outputs = -(-size // stride[axis])
        covered = (outputs - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
        total = max(covered - size, 0)
        less, more = total // 2, total - total // 2
        before.append(less if mode == "SAME_UPPER" else more)
        after.append(more if mode == "SAME_UPPER" else less)
    return stride, (before[0], before[1], after[0], after[1]), dilation


def _convolution(builder: Builder, node: Node) -> Value:
    source, weight = builder.data(node), builder.constant(node, 1)
    bias = builder.given(node, 2)
    planes(source.shape)
    if len(weight.shape) != 4:
        raise ValueError(f"weight must have 4 dimensions, not {len(weight.shape)}")
    out_channels, per_group, height, width = weight.shape
    groups = node.integer("group", 1)
    if groups < 1 or per_group * groups != source.shape[0]:
        raise ValueError(
            f"weight {weight.shape} in {groups} group(s) requires {per_group * groups} input "
            f"channels, and there are {source.shape[0]}"
        )
    if (node.integers("kernel_shape") or (height, width)) != (height, width):
        raise ValueError(f"kernel_shape must be that of the weight, {[height, width]}")
    if bias is not None and bias.shape != (out_channels,):
        raise ValueError(f"bias must have shape {(out_channels,)}, not {bias.shape}")
    operator = Convolution(
        (height, width),
        *_window(node, (height, width), source.shape),
        out_channels=out_channels,
        groups=groups,
        bias=bias is not None,
    )
    return builder.append(node, operator, source)


def _pool(kind: type[MaxPool] | type[AveragePool]) -> Callable[[Builder, Node], Value]:
    def handle(builder: Builder, node: Node) -> Value:
        source = builder.data(node)
        if node.integers("kernel_shape") is None:
            raise ValueError("requires kernel_shape, and has none")
        kernel = _pair(node, "kernel_shape", 1)
        window = _window(node, kernel, source.shape)
        # With SAME the number of outputs is given, whatever the rounding.
        ceil = node.integer("ceil_mode", 0) != 0 and node.text("auto_pad", "")[:4] != "SAME"
        return builder.append(node, kind(kernel, *window, ceil=ceil), source)

    return handle


def _simple(make: Callable[[], Operator]) -> Callable[[Builder, Node], Value]:
    return lambda builder, node: builder.append(node, make(), builder.data(node))


def _same(builder: Builder, node: Node) -> Value:
    return builder.data(node)


def _cast(builder: Builder, node: Node) -> Value:
    kinds = onnx.TensorProto
    if node.integer("to", 0) not in (kinds.FLOAT, kinds.FLOAT16, kinds.BFLOAT16, kinds.DOUBLE):
        raise ValueError("data must be cast to a floating-point type")
    return builder.data(node)


def _linear(builder: Builder, node: Node, source: Data, weight: Shape, bias: bool) -> Data:
    if source.shape[-1] != weight[0]:
        raise ValueError(f"weight takes {weight[0]} features, and there are {source.shape[-1]}")
    return builder.append(node, Linear(weight[1], bias), source)


def _gemm(builder: Builder, node: Node) -> Value:
    source, weight, bias = builder.data(node), builder.constant(node, 1), builder.given(node, 2)
    if node.integer("transA", 0):
        raise ValueError("transA must be 0")
    if node.number("alpha", 1.0) != 1 or (bias is not None and node.number("beta", 1.0) != 1):
        raise ValueError("alpha and beta must be 1; scale the weights instead")
    if len(source.shape) != 1 or len(weight.shape) != 2:
        raise ValueError(
            "input must be (batch, features) and weight have 2 dimensions, not "
            f"{source.shape} a sample and {len(weight.shape)}"
        )
    shape = weight.shape[::-1] if node.integer("transB", 0) else weight.shape
    if bias is not None and bias.shape not in ((shape[1],), (1, shape[1])):
        raise ValueError(f"bias must have shape {(shape[1],)}, not {bias.shape}")
    return _linear(builder, node, source, shape, bias is not None)


def _matmul(builder: Builder, node: Node) -> Value:
    source, weight = builder.data(node), builder.constant(node, 1)
    if len(weight.shape) != 2:
        raise ValueError(f"weight must have 2 dimensions, not {len(weight.shape)}")
    return _linear(builder, node, source, weight.shape, bias=False)


def _normalization(builder: Builder, node: Node) -> Value:
    source = builder.data(node)
    if not node.integer("spatial", 1):
        raise ValueError("spatial must be 1: one mean a channel")
    for index in range(1, 5):
        shape = builder.constant(node, index).shape
        if shape != source.shape[:1]:
            raise ValueError(f"input {index} must have shape {source.shape[:1]}, not {shape}")
    return builder.append(node, Normalization(), source)


def _clip(builder: Builder, node: Node) -> Value:
    source = builder.data(node)
    bounds = [node.number("min", -math.inf), node.number("max", math.inf)]
    for index in (0, 1):
        value = builder.given(node, index + 1)
        bounds[index] = bounds[index] if value is None else value.number(("min", "max")[index])
        if abs(bounds[index]) >= _FLOAT_MAX:
            bounds[index] = math.copysign(math.inf, bounds[index])
    low, high = bounds
    if (low, high) == (-math.inf, math.inf):
        return source
    if low != 0 or not high > 0:
        raise ValueError(f"bounds must be 0 and a positive number, not {low} and {high}")
    return builder.append(node, Activation(None if high == math.inf else high), source)


def _leaky(builder: Builder, node: Node) -> Value:
    slope = node.number("alpha", 0.01)
    if not math.isfinite(slope):
        raise ValueError(f"alpha must be a finite number, not {slope}")
    return builder.append(node, Activation(slope=slope), builder.data(node))


def _spread(constant: Shape, shape: Shape) -> tuple[int, ...]:
    """Return a constant's dimensions against (batch, *shape), as NumPy aligns them."""
    rank = len(shape) + 1
    return (1,) * (rank - len(constant)) + constant if len(constant) <= rank else (0,)


def _with_constant(
    builder: Builder, node: Node, at: int, constant: Constant, multiply: bool
) -> Value:
    """Add or multiply by something learned: part of the layer before it, or one of its own."""
    source = builder.data(node, at)
    spread = _spread(constant.shape, source.shape)
    ones = (1,) * (len(source.shape) - 1)
    per_channel = spread == (1, source.shape[0], *ones)
    before = builder.layers.get(source.layer)
    if before is not None and builder.only_use(node, at):
        operator = before.operator
        if per_channel and isinstance(operator, Normalization):
            # Gamma and beta times and plus a number are a gamma and a beta.
            return source
        last = spread == (1, *ones, source.shape[-1])
        if not multiply and isinstance(operator, Convolution | Linear):
            matching = per_channel if isinstance(operator, Convolution) else last
            if matching and not operator.bias:
                before.operator = replace(operator, bias=True)
                return source
    if math.prod(spread) == 1:
        return builder.append(node, ScalarMultiplier() if multiply else ScalarBias(), source)
    if per_channel:
        return builder.append(node, ChannelMultiplier() if multiply else ChannelBias(), source)
    raise ValueError(
        f"a constant operand must be one number or one a channel of {source.shape}, "
        f"not {constant.shape}"
    )


def _element_wise(operator: Operator, multiply: bool) -> Callable[[Builder, Node], Value]:
    def handle(builder: Builder, node: Node) -> Value:
        constants = [
            index
            for index, name in enumerate(node.inputs)
            if isinstance(builder.values.get(name), Constant)
        ]
        if constants:
            if len(node.inputs) != 2 or len(constants) != 1:
                raise ValueError("with a constant there must be one other operand")
            index = constants[0]
            return _with_constant(builder, node, 1 - index, builder.constant(node, index), multiply)
        sources = [builder.data(node, i) for i in range(len(node.inputs))]
        if len(sources) == 1 and node.op == "Sum":
            return sources[0]
        if len(sources) < 2 or (operator.arity or len(sources)) != len(sources):
            raise ValueError(
                f"requires {operator.arity or 'at least 2'} inputs, not {len(sources)}"
            )
        return builder.append(node, operator, *sources)

    return handle


def _reduce_mean(builder: Builder, node: Node) -> Value:
    source = builder.data(node)
    planes(source.shape)
    axes = node.integers("axes")
    if axes is None:
        axes = builder.constant(node, 1).integers("axes")
    if sorted(axis_of(a, 4) for a in axes) != [2, 3]:
        raise ValueError(f"axes must be height and width, [2, 3], not {list(axes)}")
    pooled = builder.append(node, GlobalAveragePool(), source)
    if node.integer("keepdims", 1):
        return pooled
    return builder.append(node, Flatten(), pooled, suffix=".flatten")


def _softmax(builder: Builder, node: Node) -> Value:
    source = builder.data(node)
    shape = source.shape
    if builder.opset >= 13:
        axis = sample_axis(node.integer("axis", -1), shape)
    else:
        # Before version 13 all dimensions from the axis on counted as one.
        first = sample_axis(node.integer("axis", 1), shape)
        long = [a for a in range(first, len(shape)) if shape[a] > 1] or [len(shape) - 1]
        if len(long) > 1:
            raise ValueError(f"must be over one dimension, not over {len(long)} of {shape}")
        axis = long[0]
    return builder.append(node, Softmax(-1 if axis == len(shape) - 1 else axis), source)


def _dropout(builder: Builder, node: Node) -> Value:
    ratio = builder.given(node, 1)
    probability = node.number("ratio", 0.5) if ratio is None else ratio.number("ratio")
    if not 0 <= probability < 1:
        raise ValueError(f"ratio must be at least 0 and below 1, not {probability}")
    return builder.append(node, Dropout(probability), builder.data(node))


def _local_response(builder: Builder, node: Node) -> Value:
    size = node.integer("size", 0)
    source = builder.data(node)
    if not 1 <= size <= source.shape[0] * 2:
        raise ValueError(f"size must be 1 to twice the channels, not {size}")
    return builder.append(node, LocalResponseNormalization(size), source)


OPERATORS: dict[str, Callable[[Builder, Node], Value]] = {
    "Conv": _convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _normalization,
    "Relu": _simple(Activation),
    "Clip": _clip,
    "LeakyRelu": _leaky,
    "MaxPool": _pool(MaxPool),
    "AveragePool": _pool(AveragePool),
    "GlobalAveragePool": _simple(GlobalAveragePool),
    "GlobalMaxPool": _simple(GlobalMaxPool),
    "ReduceMean": _reduce_mean,
    "Add": _element_wise(Add(), multiply=False),
    "Sum": _element_wise(Add(), multiply=False),
    "Mul": _element_wise(Multiply(), multiply=True),
    "Concat": concat,
    "Flatten": reshape,
    "Reshape": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "LRN": _local_response,
    "Dropout": _dropout,
    "Pad": pad,
    "Identity": _same,
    "Cast": _cast,
}
"""What becomes of a node that has data among its inputs, by ONNX operator."""
