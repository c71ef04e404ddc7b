"""Product of two tensors in integers: 8-bit codes times 8-bit codes, as a gate has it."""

from collections.abc import Sequence

import numpy as np

from golden.formats import Integers, saturate
from golden.layers import IntegerLayer
from golden.values import Value

__all__ = ["MultiplyLayer"]


class MultiplyLayer(IntegerLayer):
    """Element-wise product; a (channels, 1, 1) operand is spread over the plane.

    Products have 15 bits. The error of an operand that was spread is summed over the plane: within
    32 bits for 133,144 positions (`golden.matmul.MAX_REDUCTION`), saturated beyond. Source: our
    choice.
    """

    needs_codes = True

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Multiply; the exponents add."""
        self._inputs = left, right = tuple(inputs)
        product = left.integers.astype(np.int32) * right.integers
        return Value(product, left.exponent + right.exponent)

    def backward(self, error: Value) -> list[Value]:
        """Each operand's: the error times the other."""
        left, right = self._inputs
        wide = error.integers.astype(np.int32)
        return [
            Value(_gathered(wide * other.integers, own.integers), error.exponent + other.exponent)
            for own, other in ((left, right), (right, left))
        ]


def _gathered(products: Integers, like: Integers) -> Integers:
    """Sum over the dimensions that `like` was spread along."""
    axes = tuple(axis for axis, size in enumerate(like.shape) if size < products.shape[axis])
    if not axes:
        return products
    return saturate(products.sum(axis=axes, keepdims=True, dtype=np.int64), 32).astype(np.int32)
