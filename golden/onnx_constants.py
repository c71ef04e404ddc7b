"""Values an ONNX graph has without its data: weights, of which only the shape matters, and shapes.

Weights are initializers, or come out of generating nodes. Shapes are short lists of integers that
some exporters compute by nodes (Shape, Gather, Concat, ...): those few operators are followed here
in bounded integer arithmetic. No other value is ever computed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from golden.network import MAX_ELEMENTS, Shape
from golden.onnx_graph import Node, quoted, shape_of_type, static

__all__ = [
    "Constant",
    "axis_of",
    "constant_of_input",
    "constant_of_tensor",
    "evaluate",
    "permutation",
    "reshaped",
    "shape_values",
]

MAX_CONTENT = 64
"""A shape, or a scalar, is shorter than this; of anything longer only the shape is kept."""

Content = tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True)
class Constant:
    """A value that does not depend on the data; `content` is there if short and known."""

    shape: Shape
    content: Content | None = None

    def __post_init__(self) -> None:
        elements = 1
        for size in self.shape:
            elements *= size
            if size < 0 or elements > MAX_ELEMENTS:
                raise ValueError(
                    "a tensor must have dimensions of at least 0 and at most "
                    f"{MAX_ELEMENTS} elements, not {quoted(self.shape)[1:-1]}"
                )
        if any(abs(v) > 1 << 63 for v in self.content or () if isinstance(v, int)):
            raise ValueError("a shape's arithmetic must stay within 64 bits")

    def integers(self, what: str) -> tuple[int, ...]:
        """Return the content, of which only a shape's arithmetic makes sense."""
        if self.content is None or not all(isinstance(v, int) for v in self.content):
            raise ValueError(f"{what} must be constant integers in the file, and are not")
        return tuple(int(v) for v in self.content)

    def number(self, what: str) -> float:
        """Return the only element."""
        if self.content is None or len(self.content) != 1:
            raise ValueError(f"{what} must be one constant number in the file, and is not")
        return float(self.content[0])


_READABLE = {
    onnx.TensorProto.INT64,
    onnx.TensorProto.INT32,
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
}


def constant_of_tensor(tensor: Any) -> Constant:
    """Return a tensor's shape, and its elements if they are few."""
    shape = tuple(tensor.dims)
    result = Constant(shape)
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    if math.prod(shape) > MAX_CONTENT or external or tensor.data_type not in _READABLE:
        return result
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError):
        # Stripped of its data; whoever needs the content says so.
        return result
    return Constant(shape, tuple(array.ravel().tolist()))


def constant_of_input(info: Any, name: str) -> Constant:
    """Return the weight that a graph input stands for."""
    where = f"weight {quoted(name)}, a graph input"
    shape = static(shape_of_type(info))
    if shape is None:
        raise ValueError(f"{where}, must have a static shape")
    try:
        return Constant(shape)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _resolve(total: int, target: Sequence[int], known: Shape, allow_zero: bool) -> Shape:
    """Return Reshape's result: 0 copies a dimension of `known`, one -1 takes what is left."""
    result = [
        known[i] if size == 0 and not allow_zero and i < len(known) else size
        for i, size in enumerate(target)
    ]
    if result.count(-1) > 1 or any(size < -1 for size in result):
        raise ValueError(f"shape must have at most one -1 and no other negative, not {result}")
    rest = math.prod(size for size in result if size != -1)
    if -1 in result and rest:
        result[result.index(-1)] = total // rest
    if -1 in result or math.prod(result) != total:
        raise ValueError(f"shape {list(target)} must have the input's {total} elements")
    return tuple(result)


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis must be {-rank} to {rank - 1}, not {axis}")
    return axis % rank


def _axes(node: Node, inputs: Sequence[Constant]) -> tuple[int, ...] | None:
    """Return the axes of Squeeze and Unsqueeze: an attribute once, an input since version 13."""
    axes = node.integers("axes")
    if axes is None and len(inputs) > 1:
        axes = inputs[1].integers("axes")
    return axes


def reshaped(node: Node, shape: Shape, inputs: Sequence[Constant | None]) -> Shape:
    """Return the shape after Reshape, Flatten, Squeeze or Unsqueeze.

    `shape` is the first operand's, and `inputs` are all operands, None where one is data.
    """
    given = [i or Constant(()) for i in inputs]
    if node.op == "Flatten":
        axis = node.integer("axis", 1)
        axis = axis if axis == len(shape) else axis_of(axis, len(shape))
        return math.prod(shape[:axis]), math.prod(shape[axis:])
    if node.op == "Reshape":
        if len(given) != 2:
            raise ValueError(f"requires 2 inputs, not {len(given)}")
        target = given[1].integers("the shape")
        return _resolve(math.prod(shape), target, shape, node.integer("allowzero", 0) != 0)
    axes = _axes(node, given)
    if node.op == "Squeeze":
        if axes is None:
            axes = tuple(i for i, size in enumerate(shape) if size == 1)
        dropped = {axis_of(a, len(shape)) for a in axes}
        if any(shape[a] != 1 for a in dropped):
            raise ValueError(f"axes {list(axes)} must be of size 1 in {shape}")
        return tuple(size for i, size in enumerate(shape) if i not in dropped)
    if axes is None:
        raise ValueError("requires axes")
    rank = len(shape) + len(axes)
    added = {axis_of(a, rank) for a in axes}
    if len(added) != len(axes):
        raise ValueError(f"axes must differ, and are {list(axes)}")
    rest = iter(shape)
    return tuple(1 if i in added else next(rest) for i in range(rank))


def _constant_node(node: Node) -> Constant:
    for name, kind, slot in (
        ("value_int", "INT", "i"),
        ("value_float", "FLOAT", "f"),
        ("value_ints", "INTS", "ints"),
        ("value_floats", "FLOATS", "floats"),
    ):
        found = node.attribute(name, kind)
        if found is not None:
            value = getattr(found, slot)
            if not kind.endswith("S"):
                return Constant((), (value,))
            return Constant((len(value),), tuple(value) if len(value) <= MAX_CONTENT else None)
    found = node.attribute("value", "TENSOR")
    if found is None:
        raise ValueError("requires a dense value, and has none")
    return constant_of_tensor(found.t)


def _filled(node: Node, inputs: Sequence[Constant]) -> Constant:
    shape = inputs[0].integers("the shape")
    found = node.attribute("value", "TENSOR")
    value = (0.0,) if found is None else constant_of_tensor(found.t).content
    result = Constant(shape)
    elements = math.prod(shape)
    short = value is not None and len(value) == 1 and elements <= MAX_CONTENT
    return Constant(shape, value * elements) if value is not None and short else result


def _random(node: Node, inputs: Sequence[Constant]) -> Constant:
    shape = node.integers("shape")
    if shape is None:
        raise ValueError("requires a shape, and has none")
    return Constant(shape)


def _same(node: Node, inputs: Sequence[Constant]) -> Constant:
    return inputs[0]


def _cast(node: Node, inputs: Sequence[Constant]) -> Constant:
    content = inputs[0].content
    if content is None:
        return inputs[0]
    if node.integer("to", 0) in (onnx.TensorProto.INT64, onnx.TensorProto.INT32):
        if not all(math.isfinite(v) for v in content):
            raise ValueError("an integer must be cast from a finite number")
        return Constant(inputs[0].shape, tuple(int(v) for v in content))
    return Constant(inputs[0].shape, tuple(float(v) for v in content))


def _reshape(node: Node, inputs: Sequence[Constant]) -> Constant:
    return Constant(reshaped(node, inputs[0].shape, inputs), inputs[0].content)


def _transpose(node: Node, inputs: Sequence[Constant]) -> Constant:
    shape = inputs[0].shape
    order = permutation(node, len(shape))
    content = inputs[0].content if len(shape) < 2 else None
    return Constant(tuple(shape[i] for i in order), content)


def permutation(node: Node, rank: int) -> tuple[int, ...]:
    """Return Transpose's order of dimensions; without one they are reversed."""
    order = node.integers("perm")
    if order is None:
        return tuple(reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise ValueError(f"perm must order {rank} dimensions, not {list(order)}")
    return order


def shape_values(node: Node, shape: Shape) -> Constant:
    """Return what the Shape operator gives, start and end included."""
    values = shape[slice(node.integer("start", 0), node.integer("end", len(shape)))]
    return Constant((len(values),), values)


def _shape(node: Node, inputs: Sequence[Constant]) -> Constant:
    return shape_values(node, inputs[0].shape)


def _vector(node: Node, values: Sequence[int]) -> Constant:
    if len(values) > MAX_CONTENT:
        raise ValueError(f"a shape must have at most {MAX_CONTENT} entries")
    return Constant((len(values),), tuple(values))


def _gather(node: Node, inputs: Sequence[Constant]) -> Constant:
    values, indices = inputs[0].integers("values"), inputs[1].integers("indices")
    if len(inputs[0].shape) != 1 or len(inputs[1].shape) > 1:
        raise ValueError("requires a list of values and at most a list of indices")
    picked = tuple(values[axis_of(i, len(values))] for i in indices)
    return Constant(inputs[1].shape, picked)


def _slice(node: Node, inputs: Sequence[Constant]) -> Constant:
    values = inputs[0].integers("values")
    if len(inputs[0].shape) != 1:
        raise ValueError("requires a list of values")
    parts = [node.integers("starts"), node.integers("ends"), node.integers("axes"), None]
    for index, given in enumerate(inputs[1:5]):
        parts[index] = given.integers("starts, ends, axes and steps")
    starts, ends, axes, steps = parts
    if starts is None or ends is None or len(starts) != 1 or len(ends) != 1:
        raise ValueError("requires one start and one end")
    if (axes or (0,)) not in ((0,), (-1,)):
        raise ValueError(f"axes must be [0], not {list(axes or ())}")
    step = steps[0] if steps else 1
    if step == 0:
        raise ValueError("steps must not be 0")
    return _vector(node, values[slice(starts[0], ends[0], step)])


def _concat(node: Node, inputs: Sequence[Constant]) -> Constant:
    if any(len(i.shape) != 1 for i in inputs):
        raise ValueError("requires lists")
    if sum(i.shape[0] for i in inputs) > MAX_CONTENT:
        return Constant((sum(i.shape[0] for i in inputs),))
    return _vector(node, [v for i in inputs for v in i.integers("values")])


def _arithmetic(function: Callable[[int, int], int]) -> Callable[..., Constant]:
    def apply(node: Node, inputs: Sequence[Constant]) -> Constant:
        if len(inputs) != 2:
            raise ValueError(f"requires 2 inputs, not {len(inputs)}")
        left, right = (i.integers("operands") for i in inputs)
        count = max(len(left), len(right))
        if {len(left), len(right)} - {1, count} or len(inputs[0].shape + inputs[1].shape) > 2:
            raise ValueError("requires lists of one length, or a number")
        left, right = (v * count if len(v) == 1 else v for v in (left, right))
        shape = max(inputs[0].shape, inputs[1].shape, key=len)
        return Constant(shape, tuple(map(function, left, right)))

    return apply


def _quotient(left: int, right: int) -> int:
    if right == 0:
        raise ValueError("must not divide by 0")
    return abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)


_EVALUATE: dict[str, tuple[int, Callable[[Node, Sequence[Constant]], Constant]]] = {
    # By operator: the fewest inputs, and what it gives.
    "ConstantOfShape": (1, _filled),
    "RandomNormal": (0, _random),
    "RandomUniform": (0, _random),
    "RandomNormalLike": (1, _same),
    "RandomUniformLike": (1, _same),
    "Identity": (1, _same),
    "Cast": (1, _cast),
    "Reshape": (2, _reshape),
    "Flatten": (1, _reshape),
    "Squeeze": (1, _reshape),
    "Unsqueeze": (1, _reshape),
    "Transpose": (1, _transpose),
    "Shape": (1, _shape),
    "Gather": (2, _gather),
    "Slice": (1, _slice),
    "Concat": (1, _concat),
    "Add": (2, _arithmetic(lambda a, b: a + b)),
    "Sub": (2, _arithmetic(lambda a, b: a - b)),
    "Mul": (2, _arithmetic(lambda a, b: a * b)),
    "Div": (2, _arithmetic(_quotient)),
}


# What Slice takes for axes and steps where their place is left empty.
_SLICE_DEFAULTS = {3: Constant((1,), (0,)), 4: Constant((1,), (1,))}


def evaluate(node: Node, inputs: Sequence[Constant | None]) -> Constant:
    """Return the output of a node whose inputs are all constant; None where one is left empty."""
    if node.op == "Constant":
        return _constant_node(node)
    if node.op not in _EVALUATE:
        raise ValueError("must depend on the graph's data input, or make or reshape a weight")
    if node.op == "Slice":
        inputs = [_SLICE_DEFAULTS.get(i) if c is None else c for i, c in enumerate(inputs)]
    fewest, function = _EVALUATE[node.op]
    given = [i for i in inputs if i is not None]
    if len(given) < len(inputs) or len(given) < fewest:
        raise ValueError(f"requires at least {fewest} input(s) and none left empty")
    return function(node, given)
