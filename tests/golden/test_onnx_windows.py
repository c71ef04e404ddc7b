"""Windows of any size against ONNX's shape inference, and without it against a count by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from onnx import helper

from golden.errors import InputError
from golden.network import AveragePool, Convolution, MaxPool, Network
from golden.onnx_import import import_onnx

Write = Callable[..., Path]
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
kernels = st.tuples(st.integers(1, 7), st.integers(1, 7))
steps = st.tuples(st.integers(1, 5), st.integers(1, 5))
pads = st.tuples(*[st.integers(0, 4)] * 4)


def inferred(path: Path) -> list[int]:
    """Return ONNX's shape of the output."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True)
    return [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]


def check(
    write_onnx: Write,
    node: Any,
    size: tuple[int, int],
    weights: dict[str, Any],
    *,
    room: tuple[int, int],
    reach: tuple[int, int],
) -> None:
    """Both must give one shape, where the window has room; ONNX looks at that less closely."""
    # Since version 22 ONNX and PyTorch agree about rounding up.
    path = write_onnx([node], {"x": (1, 4, *size)}, weights, opset=22)
    if any(r > available for r, available in zip(reach, room, strict=True)):
        with pytest.raises(InputError, match=r"window .* must fit the padded input"):
            import_onnx(path)
        return
    network = import_onnx(path)
    assert [1, *network.shape_of(network.output)] == inferred(path)


def reach_of(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


def padded(size: tuple[int, int], pad: tuple[int, ...]) -> tuple[int, int]:
    return size[0] + pad[0] + pad[2], size[1] + pad[1] + pad[3]


@settings(max_examples=150, deadline=None)
@given(size=sizes, kernel=kernels, stride=steps, pad=pads, dilation=steps,
       groups=st.sampled_from([1, 2, 4]))  # fmt: skip
def test_convolutions(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, ...],
    dilation: tuple[int, int],
    groups: int,
    write_onnx: Write,
) -> None:
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], strides=stride, pads=pad, dilations=dilation, group=groups
    )
    check(
        write_onnx, node, size, {"w": (8, 4 // groups, *kernel)},
        room=padded(size, pad), reach=reach_of(kernel, dilation),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(size=sizes, kernel=kernels, stride=steps, pad=pads, dilation=steps,
       ceil=st.booleans(), op=st.sampled_from(["MaxPool", "AveragePool"]))  # fmt: skip
@example(size=(5, 5), kernel=(1, 1), stride=(2, 4), pad=(0, 0, 0, 0), dilation=(1, 1), ceil=True,
         op="MaxPool")  # fmt: skip
@example(size=(4, 4), kernel=(2, 2), stride=(3, 3), pad=(1, 1, 1, 1), dilation=(1, 1), ceil=True,
         op="AveragePool")  # fmt: skip
def test_pools(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, ...],
    dilation: tuple[int, int],
    ceil: bool,
    op: str,
    write_onnx: Write,
) -> None:
    node = helper.make_node(
        op, ["x"], ["y"], kernel_shape=kernel, strides=stride, pads=pad, dilations=dilation,
        ceil_mode=int(ceil),
    )  # fmt: skip
    # Rounding up, even the first window may stick out by less than a stride.
    height, width = padded(size, pad)
    room = (height + (stride[0] - 1) * ceil, width + (stride[1] - 1) * ceil)
    check(write_onnx, node, size, {}, room=room, reach=reach_of(kernel, dilation))


@settings(max_examples=100, deadline=None)
@given(size=sizes, kernel=kernels, stride=steps, dilation=steps,
       mode=st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]),
       op=st.sampled_from(["Conv", "MaxPool", "AveragePool"]))  # fmt: skip
def test_automatic_padding(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    mode: str,
    op: str,
    write_onnx: Write,
) -> None:
    options = {"strides": stride, "dilations": dilation, "auto_pad": mode, "kernel_shape": kernel}
    inputs = ["x", "w"] if op == "Conv" else ["x"]
    weights = {"w": (8, 4, *kernel)} if op == "Conv" else {}
    node = helper.make_node(op, inputs, ["y"], **options)
    room = size if mode == "VALID" else (1 << 30, 1 << 30)
    check(write_onnx, node, size, weights, room=room, reach=reach_of(kernel, dilation))


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 30), kernel=st.integers(1, 7), stride=st.integers(1, 5),
       before=st.integers(0, 4), after=st.integers(0, 4), dilation=st.integers(1, 3),
       ceil=st.booleans())  # fmt: skip
def test_positions_are_those_a_loop_visits(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, ceil: bool
) -> None:
    reach = dilation * (kernel - 1) + 1
    assume(reach <= size + before + after)
    starts = [
        s for s in range(0, size + before + after, stride) if s + reach <= size + before + after
    ]
    if ceil:
        # One more window may stick out behind, if it starts on the input or the padding before it.
        assume(after < reach)
        following = starts[-1] + stride
        sticks_out = starts[-1] + reach < size + before + after
        starts += [following] if sticks_out and following < size + before else []
    network = Network("n", (1, size, 3))
    pool = MaxPool((kernel, 1), (stride, 1), (before, 0, after, 0), (dilation, 1), ceil)
    assert network.shape_of(network.add("p", pool)) == (1, len(starts), 3)
    assert AveragePool.infer(pool, (1, size, 3)) == (1, len(starts), 3)
    if not ceil:
        options = ((kernel, 1), (stride, 1), (before, 0, after, 0), (dilation, 1))
        convolution = Convolution(*options, out_channels=2)
        assert network.shape_of(network.add("c", convolution, "input")) == (2, len(starts), 3)
