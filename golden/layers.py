"""Integer layers: what each operator does to codes and 32-bit results, forward and backward.

A layer says whether it needs 8-bit codes in front of it (products do); the network inserts the
quantisers. Source: our choice (NITI, WAGEUBN and EOQ's abstract for integers throughout; the order
of Fixup's scalars from arXiv 1901.09321).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from golden.acceleration import compiled
from golden.formats import Integers, excess_bits, rounding_shift, saturate
from golden.gradients import Gradient, Learned, align_errors, sum_samples
from golden.matmul import matmul
from golden.values import Value, channels_last_zeros, join, per_sample

__all__ = [
    "BIAS_EXPONENT",
    "MULTIPLIER_EXPONENT",
    "NOTHING",
    "AddLayer",
    "BiasLayer",
    "IntegerLayer",
    "LinearLayer",
    "MultiplierLayer",
    "RectifierLayer",
    "ReshapeLayer",
    "ShortcutLayer",
    "add_bias",
    "used_multiplier",
]

BIAS_EXPONENT = 12
"""Exponent of the 16-bit biases: range +-8."""

MULTIPLIER_EXPONENT = 13
"""Exponent of the 16-bit multipliers: range +-4."""

_MAX32 = (1 << 31) - 1

NOTHING: Integers = np.empty(0, dtype=np.int32)
"""In place of a tensor that is not kept."""

Keys = Callable[[str], int]
"""Random key of one of a layer's tensors, by what it is drawn for."""


def used_multiplier(multiplier: Integers) -> tuple[Integers, int]:
    """8-bit codes of 16-bit multipliers with an exponent of their own, and that exponent.

    Multipliers shrink in training: at a fixed 6 fraction bits they end as 2 or 3.
    """
    shift = int(excess_bits(multiplier))
    return saturate(rounding_shift(multiplier, shift), 8), MULTIPLIER_EXPONENT - shift


def add_bias(value: Value, bias: Integers) -> Value:
    """Add 16-bit biases, brought to each sample's exponent; saturates at the value's width.

    `bias` is (1,) or one a channel: it broadcasts against dimension 1.
    """
    limit = 127 if value.is_codes else _MAX32
    loops = compiled(value.size)
    if loops:
        biased: Value = loops.add_bias(value, bias, BIAS_EXPONENT, limit)
        return biased
    shift = BIAS_EXPONENT - value.exponent
    shaped = bias.reshape(1, -1, *(1 for _ in value.integers.shape[2:]))
    aligned = rounding_shift(shaped, per_sample(shift, value.integers)).astype(np.int64)
    # Clipped before the sum instead of behind it, so that 32 bits hold everything.
    low, high = (np.clip(edge - aligned, -_MAX32, _MAX32) for edge in (-limit, limit))
    total = np.maximum(value.integers, low.astype(np.int32))
    np.minimum(total, high.astype(np.int32), out=total)
    total += aligned.astype(np.int32)
    if value.is_codes:
        total = total.astype(np.int8)
    return Value(total, value.exponent, value.is_codes)


class IntegerLayer(ABC):
    """One layer of a network in integers; keeps from the forward pass what backward needs."""

    needs_codes: ClassVar[bool] = False
    """Its input must be 8-bit codes, and so must the error of its output."""

    passes_error: ClassVar[bool] = False
    """It hands its output's error down as it is: quantised above it, it is quantised below."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def learned(self) -> Mapping[str, Learned]:
        """Learned tensors by name."""
        return {}

    def begin(self, keys: "Keys | None") -> None:  # noqa: B027 - few draw
        """Hear before a forward pass which random keys it has; None in inference."""

    @abstractmethod
    def forward(self, inputs: Sequence[Value]) -> Value:
        """Return the output."""

    @abstractmethod
    def backward(self, error: Value) -> list[Value]:
        """Return the error of each input from the error of the output."""

    def contribution(self, error: Value) -> Value:
        """Return what samples contribute to the gradients: their errors, or sums of them."""
        return error

    def gradients(self, contribution: Value, keys: Keys) -> Mapping[str, Gradient]:
        """Return the gradient of each learned tensor, from the whole batch's contributions."""
        return {}


class ProductLayer(IntegerLayer):
    """A layer that multiplies by a weight matrix, and adds a bias per output if it has one."""

    needs_codes = True

    def __init__(self, name: str, weight: Learned, bias: Learned | None) -> None:
        super().__init__(name)
        self.weight, self.bias = weight, bias
        self.product: Integers = NOTHING
        self.aligned: dict[str, Integers] = {}

    @property
    def learned(self) -> Mapping[str, Learned]:
        """Weight, and bias if there is one."""
        return {"weight": self.weight} | ({"bias": self.bias} if self.bias else {})

    def _biased(self, product: Integers, exponent: NDArray[np.int64]) -> Value:
        self.product = product
        value = Value(product, exponent + self.weight.exponent)
        return value if self.bias is None else add_bias(value, self.bias.values)

    @abstractmethod
    def _weight_product(self, aligned: Integers) -> Integers:
        """Sum over samples (and positions) of error times input, of the weight's shape."""

    def gradients(self, contribution: Value, keys: Keys) -> Mapping[str, Gradient]:
        """Weight gradient over the batch; a bias is the weight of an input that is always one."""
        aligned, common = align_errors(contribution, self._input.exponent, keys("weight.E"))
        self.aligned = {"weight": aligned}
        result = {"weight": Gradient(self._weight_product(aligned), common)}
        if self.bias is not None:
            aligned, common = align_errors(contribution, 0, keys("bias.E"))
            self.aligned["bias"] = aligned
            axes = (0, *range(2, aligned.ndim))
            result["bias"] = Gradient(aligned.sum(axis=axes, dtype=np.int64), common)
        return result

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Keep the input for the weight gradient."""
        (self._input,) = inputs
        return self._forward(self._input)

    @property
    def input(self) -> Value:
        """What the last forward pass multiplied by the weights."""
        return self._input

    @abstractmethod
    def _forward(self, value: Value) -> Value: ...


class LinearLayer(ProductLayer):
    """Fully connected: weights (out, in), inputs (samples, in)."""

    def _forward(self, value: Value) -> Value:
        return self._biased(matmul(value.integers, self.weight.values.T), value.exponent)

    def backward(self, error: Value) -> list[Value]:
        """Error times the weights."""
        product = matmul(error.integers, self.weight.values)
        return [Value(product, error.exponent + self.weight.exponent)]

    def _weight_product(self, aligned: Integers) -> Integers:
        return matmul(aligned.T, self._input.integers)


class BiasLayer(IntegerLayer):
    """Fixup's scalar bias: one number added to a whole tensor, in the tensor's own width."""

    passes_error = True

    def __init__(self, name: str, bias: Learned) -> None:
        super().__init__(name)
        self.bias = bias

    @property
    def learned(self) -> Mapping[str, Learned]:
        """Return the one bias."""
        return {"bias": self.bias}

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Add it."""
        return add_bias(inputs[0], self.bias.values)

    def backward(self, error: Value) -> list[Value]:
        """Pass the error on."""
        return [error]

    def contribution(self, error: Value) -> Value:
        """Sum of each sample's error."""
        return Value(_sums(error.integers), error.exponent)

    def gradients(self, contribution: Value, keys: Keys) -> Mapping[str, Gradient]:
        """Sum over the samples."""
        return {"bias": sum_samples(contribution.integers, contribution.exponent)}


class MultiplierLayer(IntegerLayer):
    """Fixup's scalar multiplier: 8-bit codes times one 8-bit number."""

    needs_codes = True

    def __init__(self, name: str, multiplier: Learned) -> None:
        super().__init__(name)
        self.multiplier = multiplier

    @property
    def learned(self) -> Mapping[str, Learned]:
        """Return the one multiplier."""
        return {"multiplier": self.multiplier}

    def _scaled(self, value: Value) -> Value:
        m8, multiplier_exponent = used_multiplier(self.multiplier.values)
        loops = compiled(value.size) if m8.size == 1 else None
        if loops:
            scaled: Value = loops.scale(value, m8.item(), multiplier_exponent)
            return scaled
        # One number, or one a channel.
        m8 = m8.astype(np.int32).reshape(1, -1, *(1 for _ in value.integers.shape[2:]))
        return Value(value.integers * m8, value.exponent + multiplier_exponent)

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Multiply: 15 bits."""
        (self._input,) = inputs
        return self._scaled(self._input)

    def backward(self, error: Value) -> list[Value]:
        """Multiply the error."""
        return [self._scaled(error)]

    def contribution(self, error: Value) -> Value:
        """Sum of each sample's error times input."""
        loops = compiled(error.integers.size)
        if loops:
            sums = loops.dot(error.integers, self._input.integers)
        else:
            sums = _sums(error.integers.astype(np.int32) * self._input.integers)
        return Value(sums, error.exponent + self._input.exponent)

    def gradients(self, contribution: Value, keys: Keys) -> Mapping[str, Gradient]:
        """Sum over the samples."""
        return {"multiplier": sum_samples(contribution.integers, contribution.exponent)}


def _sums(values: Integers) -> Integers:
    """Sum a sample, (samples,)."""
    loops = compiled(values.size)
    return loops.sums(values) if loops else values.sum(axis=tuple(range(1, values.ndim)))


class RectifierLayer(IntegerLayer):
    """ReLU. One bit an element is kept: whether it was positive."""

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Replace negative values by zero."""
        (value,) = inputs
        loops = compiled(value.size)
        if loops:
            rectified: Value
            rectified, self._mask = loops.rectify(value)
            return rectified
        self._mask = value.integers > 0
        return Value(np.maximum(value.integers, 0), value.exponent, value.is_codes)

    def backward(self, error: Value) -> list[Value]:
        """Only where the input was positive."""
        loops = compiled(error.size)
        if loops:
            return [loops.mask(error, self._mask)]
        return [Value(error.integers * self._mask, error.exponent, error.is_codes)]


class AddLayer(IntegerLayer):
    """The join of a residual block."""

    passes_error = True

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Align and add."""
        self._inputs = len(inputs)
        return join(inputs)

    def backward(self, error: Value) -> list[Value]:
        """Return the same error for each."""
        return [error] * self._inputs


class ReshapeLayer(IntegerLayer):
    """Flatten or reshape: the same elements."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        super().__init__(name)
        self._target = shape

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Reshape."""
        (value,) = inputs
        self._shape = value.integers.shape
        integers = value.integers.reshape(len(value), *self._target)
        return Value(integers, value.exponent, value.is_codes, value.magnitude)

    def backward(self, error: Value) -> list[Value]:
        """Reshape back."""
        integers = error.integers.reshape(self._shape)
        return [Value(integers, error.exponent, error.is_codes, error.magnitude)]


class ShortcutLayer(IntegerLayer):
    """Every n-th pixel, then zero channels and borders: a shortcut without parameters."""

    def __init__(
        self, name: str, stride: tuple[int, int], padding: tuple[int, int, int, int, int]
    ) -> None:
        super().__init__(name)
        self._stride, (channels, *borders) = stride, padding
        self.borders = tuple(borders)
        top, left, bottom, right = borders
        self._padding = ((0, 0), (0, channels), (top, bottom), (left, right))

    @property
    def stride(self) -> tuple[int, int]:
        """Rows and columns from one picked pixel to the next."""
        return self._stride

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Subsample and pad."""
        (value,) = inputs
        self._shape = value.integers.shape
        picked = value.integers[:, :, :: self._stride[0], :: self._stride[1]]
        self._picked = picked.shape
        shape = [size + sum(more) for size, more in zip(picked.shape, self._padding, strict=True)]
        padded = channels_last_zeros(shape, picked.dtype)
        padded[self._inner()] = picked
        return Value(padded, value.exponent, value.is_codes)

    def _inner(self) -> tuple[slice, ...]:
        """Where in the padded output the picked pixels are."""
        return tuple(
            slice(before, before + size)
            for (before, _), size in zip(self._padding, self._picked, strict=True)
        )

    def backward(self, error: Value) -> list[Value]:
        """Cut, and put zeros between."""
        result = channels_last_zeros(self._shape, error.integers.dtype)
        result[:, :, :: self._stride[0], :: self._stride[1]] = error.integers[self._inner()]
        return [Value(result, error.exponent, error.is_codes)]
