"""A network as a list of typed layers with shapes: what golden trains, hwmodel prices, cosim runs.

Shapes are per sample, without the batch: (channels, height, width) or (features,). A network is
named without its parameters' values: it says what is computed, not what was learned.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from golden.errors import InputError

__all__ = [
    "MAX_DIMENSIONS",
    "MAX_ELEMENTS",
    "Activation",
    "Add",
    "AveragePool",
    "ChannelBias",
    "ChannelMultiplier",
    "ChannelShuffle",
    "Concat",
    "Convolution",
    "Dropout",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Layer",
    "Linear",
    "LocalResponseNormalization",
    "MaxPool",
    "Multiply",
    "Network",
    "Normalization",
    "Operator",
    "Pad",
    "Reshape",
    "ScalarBias",
    "ScalarMultiplier",
    "Shape",
    "Softmax",
    "check_shape",
]

Shape = tuple[int, ...]

MAX_ELEMENTS = 1 << 40
"""A tensor of more elements than this is a mistake in the file, not a network."""

MAX_DIMENSIONS = 8


def check_shape(shape: Shape) -> Shape:
    """Return a shape that a tensor can have. Raises ValueError for any other."""
    elements = 1
    for size in shape[: MAX_DIMENSIONS + 1]:
        elements *= size
        if size < 1 or elements > MAX_ELEMENTS:
            break
    else:
        if 1 <= len(shape) <= MAX_DIMENSIONS:
            return shape
    raise ValueError(
        f"a shape must have 1 to {MAX_DIMENSIONS} dimensions of at least 1 and at most "
        f"{MAX_ELEMENTS} elements, not {shape[: MAX_DIMENSIONS + 1]}"
    )


def _window(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Output length of a sliding window; floor division, as ONNX and PyTorch default to."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


@dataclass(frozen=True)
class Operator:
    """What one layer does. `inputs` is how many tensors it takes; None: one or more."""

    arity: ClassVar[int | None] = 1

    def infer(self, *shapes: Shape) -> Shape:
        """Return the output's shape. Raises ValueError when the inputs' shapes do not fit."""
        return shapes[0]

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Return the shape of each learned tensor, by name."""
        return {}


def _planes(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"input must be (channels, height, width), not {shape}")
    return shape


@dataclass(frozen=True)
class _Window(Operator):
    """A window sliding over two spatial dimensions. `padding` is (top, left, bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    ceil: bool = False

    def __post_init__(self) -> None:
        if min(*self.kernel, *self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            raise ValueError(
                "kernel, stride and dilation must be at least 1 and padding at least 0, not "
                f"{self.kernel}, {self.stride}, {self.dilation} and {self.padding}"
            )

    def positions(self, shape: Shape) -> tuple[int, int]:
        """Output height and width."""
        _, *sizes = _planes(shape)
        result = []
        for axis, size in enumerate(sizes):
            before, after = self.padding[axis], self.padding[axis + 2]
            stride = self.stride[axis]
            length = _window(
                size,
                self.kernel[axis],
                stride,
                before,
                after + (stride - 1) * self.ceil,
                self.dilation[axis],
            )
            # Rounding up must not add a window that starts in the padding behind the input.
            if self.ceil and (length - 1) * stride >= size + before:
                length -= 1
            result.append(length)
        if min(result) < 1:
            raise ValueError(f"window {self.kernel} must fit the padded input, which is {shape}")
        return result[0], result[1]


@dataclass(frozen=True)
class Convolution(_Window):
    """2-D convolution (cross-correlation); weights are (out, in/groups, kernel height, width)."""

    out_channels: int = field(kw_only=True)
    groups: int = field(default=1, kw_only=True)
    bias: bool = field(default=False, kw_only=True)

    def infer(self, *shapes: Shape) -> Shape:
        """Return (out_channels, height, width)."""
        channels = _planes(shapes[0])[0]
        if self.groups < 1 or channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"groups must divide {channels} input and {self.out_channels} output channels, "
                f"not {self.groups}"
            )
        return (self.out_channels, *self.positions(shapes[0]))

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Weight, and bias if there is one."""
        weight = (self.out_channels, shapes[0][0] // self.groups, *self.kernel)
        return {"weight": weight} | ({"bias": (self.out_channels,)} if self.bias else {})


@dataclass(frozen=True)
class Linear(Operator):
    """Fully connected layer over the last dimension; weights are (out, in)."""

    out_features: int
    bias: bool = True

    def infer(self, *shapes: Shape) -> Shape:
        """Replace the last dimension."""
        return (*shapes[0][:-1], self.out_features)

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Weight, and bias if there is one."""
        weight = {"weight": (self.out_features, shapes[0][-1])}
        return weight | ({"bias": (self.out_features,)} if self.bias else {})


@dataclass(frozen=True)
class Normalization(Operator):
    """Per-channel normalisation with scale and shift; the scheme says which, and EOQ removes it."""

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Gamma and beta."""
        return {"gamma": (shapes[0][0],), "beta": (shapes[0][0],)}


@dataclass(frozen=True)
class ScalarBias(Operator):
    """One learned number added to a whole tensor (Fixup)."""

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Return the one bias."""
        return {"bias": (1,)}


@dataclass(frozen=True)
class ScalarMultiplier(Operator):
    """One learned number times a whole tensor (Fixup)."""

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Return the one multiplier."""
        return {"multiplier": (1,)}


@dataclass(frozen=True)
class ChannelBias(Operator):
    """One learned number a channel, added to it."""

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Return the biases."""
        return {"bias": (shapes[0][0],)}


@dataclass(frozen=True)
class ChannelMultiplier(Operator):
    """One learned number a channel, times it."""

    def parameters(self, *shapes: Shape) -> Mapping[str, Shape]:
        """Return the multipliers."""
        return {"multiplier": (shapes[0][0],)}


@dataclass(frozen=True)
class Activation(Operator):
    """Piecewise-linear activation: ReLU, clipped (ReLU6) or leaky."""

    maximum: float | None = None
    slope: float = 0.0


@dataclass(frozen=True)
class _Pool(_Window):
    """A window that looks at each channel by itself."""

    def infer(self, *shapes: Shape) -> Shape:
        """Return (channels, height, width)."""
        return (shapes[0][0], *self.positions(shapes[0]))


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Maximum over a window."""


@dataclass(frozen=True)
class AveragePool(_Pool):
    """Mean over a window; one of a single position with a stride only takes every n-th value."""


@dataclass(frozen=True)
class _GlobalPool(Operator):
    """A pool over the whole plane, which is kept as 1 x 1."""

    def infer(self, *shapes: Shape) -> Shape:
        """Return (channels, 1, 1)."""
        return (_planes(shapes[0])[0], 1, 1)


@dataclass(frozen=True)
class GlobalAveragePool(_GlobalPool):
    """Mean over the plane."""


@dataclass(frozen=True)
class GlobalMaxPool(_GlobalPool):
    """Maximum over the plane."""


@dataclass(frozen=True)
class Add(Operator):
    """Element-wise sum of tensors of one shape: the join of a residual block."""

    arity: ClassVar[int | None] = None

    def infer(self, *shapes: Shape) -> Shape:
        """All shapes must agree."""
        if len(set(shapes)) != 1:
            raise ValueError(f"inputs must have one shape, not {list(shapes)}")
        return shapes[0]


@dataclass(frozen=True)
class Multiply(Operator):
    """Element-wise product of two tensors; a (channels, 1, 1) operand is spread over the plane."""

    arity: ClassVar[int | None] = 2

    def infer(self, *shapes: Shape) -> Shape:
        """Shapes agree, or one is a vector of channels."""
        large, small = sorted(shapes, key=math.prod, reverse=True)
        if large != small and small != (large[0], *(1 for _ in large[1:])):
            raise ValueError(f"inputs must have one shape or be per channel, not {list(shapes)}")
        return large


@dataclass(frozen=True)
class Concat(Operator):
    """Concatenation along one dimension (0: channels)."""

    arity: ClassVar[int | None] = None
    axis: int = 0

    def infer(self, *shapes: Shape) -> Shape:
        """Sum along the axis; the rest must agree."""
        if not 0 <= self.axis < len(shapes[0]):
            raise ValueError(f"axis must be 0 to {len(shapes[0]) - 1}, not {self.axis}")
        rests = {s[: self.axis] + s[self.axis + 1 :] for s in shapes}
        if len(rests) != 1:
            raise ValueError(f"inputs must agree but along axis {self.axis}, not {list(shapes)}")
        total = sum(s[self.axis] for s in shapes)
        return (*shapes[0][: self.axis], total, *shapes[0][self.axis + 1 :])


@dataclass(frozen=True)
class Flatten(Operator):
    """All features in one dimension."""

    def infer(self, *shapes: Shape) -> Shape:
        """Return (features,)."""
        return (math.prod(shapes[0]),)


@dataclass(frozen=True)
class Reshape(Operator):
    """The same elements in another shape."""

    shape: Shape

    def infer(self, *shapes: Shape) -> Shape:
        """Element counts must agree."""
        if math.prod(shapes[0]) != math.prod(self.shape):
            raise ValueError(f"{shapes[0]} must have as many elements as {self.shape}")
        return self.shape


@dataclass(frozen=True)
class ChannelShuffle(Operator):
    """Channels reordered between `groups` (a transpose of two channel dimensions)."""

    groups: int

    def infer(self, *shapes: Shape) -> Shape:
        """Groups must divide the channels."""
        if self.groups < 1 or shapes[0][0] % self.groups:
            raise ValueError(f"groups must divide {shapes[0][0]} channels, not {self.groups}")
        return shapes[0]


@dataclass(frozen=True)
class Pad(Operator):
    """Zeros around the planes and behind the channels: (channels, top, left, bottom, right)."""

    amounts: tuple[int, int, int, int, int]

    def __post_init__(self) -> None:
        if min(self.amounts) < 0:
            raise ValueError(f"amounts must be at least 0, not {self.amounts}")

    def infer(self, *shapes: Shape) -> Shape:
        """Add the amounts."""
        channels, height, width = _planes(shapes[0])
        more, top, left, bottom, right = self.amounts
        return (channels + more, height + top + bottom, width + left + right)


@dataclass(frozen=True)
class Dropout(Operator):
    """Random zeros in training with the given probability."""

    probability: float = 0.5


@dataclass(frozen=True)
class Softmax(Operator):
    """Softmax over one dimension, the last by default; in training it is part of the loss."""

    axis: int = -1


@dataclass(frozen=True)
class LocalResponseNormalization(Operator):
    """AlexNet's normalisation over `size` neighbouring channels."""

    size: int = 5


@dataclass(frozen=True)
class Layer:
    """One operator in its place. `inputs` name earlier layers, or "input"."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape

    @property
    def parameters(self) -> Mapping[str, Shape]:
        """Shape of each learned tensor, by name."""
        return self.operator.parameters(*self.input_shapes)


class Network:
    """Layers in an order in which each comes after its inputs.

    Parameters
    ----------
    name:
        What people call it.
    input_shape:
        One sample: (channels, height, width) or (features,).

    Members
    -------
    layers:
        By name, in order. The last one added is the output.
    """

    def __init__(self, name: str, input_shape: Sequence[int]) -> None:
        self.name = name
        self.input_shape: Shape = self._checked("input", tuple(input_shape))
        self.layers: dict[str, Layer] = {}

    def _checked(self, name: str, shape: Shape) -> Shape:
        try:
            return check_shape(shape)
        except ValueError as error:
            raise InputError(f"network {self.name!r}, layer {name!r}: {error}") from error

    def add(self, name: str, operator: Operator, *inputs: str) -> str:
        """Append a layer and return its name. Without `inputs` it follows the last layer."""
        inputs = inputs or (self.output,)
        where = f"network {self.name!r}, layer {name!r}"
        if name == "input" or name in self.layers:
            raise InputError(f"{where}: a layer's name must be new, and is taken")
        unknown = [i for i in inputs if i != "input" and i not in self.layers]
        if unknown:
            raise InputError(f"{where}: inputs must be earlier layers, not {unknown[0]!r}")
        if operator.arity is not None and len(inputs) != operator.arity:
            raise InputError(f"{where}: requires {operator.arity} input(s), got {len(inputs)}")
        shapes = tuple(self.shape_of(i) for i in inputs)
        try:
            shape = operator.infer(*shapes)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
        for parameter in operator.parameters(*shapes).values():
            self._checked(name, parameter)
        self.layers[name] = Layer(name, operator, inputs, shapes, self._checked(name, shape))
        return name

    def shape_of(self, name: str) -> Shape:
        """Shape of a layer's output, or of the network's "input"."""
        return self.input_shape if name == "input" else self.layers[name].shape

    @property
    def output(self) -> str:
        """Name of the last layer; "input" while there is none."""
        return next(reversed(self.layers), "input")

    def __iter__(self) -> Iterator[Layer]:
        """Iterate over the layers in order."""
        return iter(self.layers.values())

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.layers)

    def consumers(self) -> dict[str, list[str]]:
        """Names of the layers that read each layer's output (and "input")."""
        result: dict[str, list[str]] = {"input": [], **{name: [] for name in self.layers}}
        for layer in self:
            for name in layer.inputs:
                result[name].append(layer.name)
        return result

    @property
    def parameter_count(self) -> int:
        """Learned numbers in all layers."""
        return sum(math.prod(s) for layer in self for s in layer.parameters.values())
