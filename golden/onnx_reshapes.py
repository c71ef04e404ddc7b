"""ONNX nodes that move values without arithmetic: reshapes, transposes, joins and pads."""

from golden.network import ChannelShuffle, Concat, Flatten, Pad, Reshape, Shape
from golden.onnx_builder import Builder, Shuffle, Value, planes
from golden.onnx_constants import Constant, axis_of, permutation, reshaped
from golden.onnx_graph import Node, quoted

__all__ = ["concat", "pad", "reshape", "sample_axis", "transpose"]


def sample_axis(axis: int, shape: Shape) -> int:
    """Return the axis of a sample that an axis of (batch, *shape) is."""
    axis = axis_of(axis, len(shape) + 1)
    if axis == 0:
        raise ValueError("axis must not be 0, the batch")
    return axis - 1


def concat(builder: Builder, node: Node) -> Value:
    """Handle Concat."""
    sources = [builder.data(node, i) for i in range(len(node.inputs))]
    if not sources:
        raise ValueError("requires at least one input")
    axis = sample_axis(node.integer("axis", 1), sources[0].shape)
    return builder.append(node, Concat(axis), *sources)


def reshape(builder: Builder, node: Node) -> Value:
    """Handle Reshape, Flatten, Squeeze and Unsqueeze; the second Reshape ends a shuffle."""
    value = builder.values.get(node.inputs[0]) if node.inputs else None
    source = value if isinstance(value, Shuffle) else builder.data(node)
    axes = node.integers("axes") or ()
    if node.op in ("Squeeze", "Unsqueeze") and builder.given(node, 1) is not None:
        axes = builder.constant(node, 1).integers("axes")
    rank = 1 + len(source.shape) + (len(axes) if node.op == "Unsqueeze" else 0)
    if any(axis_of(a, rank) == 0 for a in axes):
        raise ValueError("axes must not contain 0, the batch")
    operands: list[Constant | None] = [None]
    operands += (builder.given(node, i) for i in range(1, len(node.inputs)))
    full = reshaped(node, (builder.batch, *source.shape), operands)
    if len(full) < 2 or full[0] != builder.batch:
        raise ValueError(f"dimension 0 must stay the batch, {builder.batch}; the result is {full}")
    shape = full[1:]
    if isinstance(source, Shuffle):
        if shape != source.source.shape:
            raise ValueError(
                f"a channel shuffle must end in the shape it began with, {source.source.shape}, "
                f"not {shape}"
            )
        return builder.append(node, ChannelShuffle(source.groups), source.source)
    if shape == source.shape:
        return source
    return builder.append(node, Flatten() if len(shape) == 1 else Reshape(shape), source)


def transpose(builder: Builder, node: Node) -> Value:
    """Handle Transpose: of nothing but ones, or of groups and channels after a Reshape."""
    source = builder.data(node)
    order = permutation(node, len(source.shape) + 1)
    if order[0] != 0:
        raise ValueError(f"perm must leave dimension 0, the batch, in place, not {list(order)}")
    axes = [a - 1 for a in order[1:]]
    shape = tuple(source.shape[a] for a in axes)
    moved = [a for a in axes if source.shape[a] > 1]
    if moved == sorted(moved):
        return source if shape == source.shape else builder.append(node, Reshape(shape), source)
    before = builder.layers.get(source.layer)
    if axes == [1, 0, *range(2, len(axes))] and before and isinstance(before.operator, Reshape):
        origin = before.inputs[0]
        groups = source.shape[0]
        if builder.only_use(node, 0) and origin.shape[0] == groups * source.shape[1]:
            return Shuffle(origin, groups, shape)
    raise ValueError(
        "must be part of a channel shuffle (Reshape, Transpose of groups and channels, Reshape); "
        f"perm is {list(order)}"
    )


def pad(builder: Builder, node: Node) -> Value:
    """Handle Pad with zeros, around the planes and behind the channels."""
    source = builder.data(node)
    planes(source.shape)
    if node.text("mode", "constant") != "constant":
        raise ValueError(f"mode must be constant, not {quoted(node.text('mode', ''))}")
    value = builder.given(node, 2)
    if (node.number("value", 0.0) if value is None else value.number("the value")) != 0:
        raise ValueError("the value must be 0")
    pads = node.integers("pads")
    pads = builder.constant(node, 1).integers("pads") if pads is None else pads
    chosen = builder.given(node, 3)
    axes = (0, 1, 2, 3) if chosen is None else chosen.integers("axes")
    axes = tuple(axis_of(a, 4) for a in axes)
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        raise ValueError(f"pads must have {2 * len(axes)} entries for axes {list(axes)}")
    before, after = [0] * 4, [0] * 4
    for index, axis in enumerate(axes):
        before[axis], after[axis] = pads[index], pads[index + len(axes)]
    if before[0] or after[0] or before[1]:
        raise ValueError("must not pad the batch nor before the first channel")
    amounts = (after[1], before[2], before[3], after[2], after[3])
    return builder.append(node, Pad(amounts), source) if any(amounts) else source
