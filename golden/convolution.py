"""Integer convolution: its three products, each one exact matrix product."""

import numpy as np
from numpy.typing import NDArray

from golden.formats import Integers
from golden.gradients import Learned
from golden.layers import ProductLayer
from golden.matmul import EXACT_REDUCTION, matmul
from golden.network import Convolution
from golden.patches import Patches
from golden.values import Value

__all__ = ["ConvolutionLayer"]


class ConvolutionLayer(ProductLayer):
    """2-D convolution: weights (out, in/groups, height, width), inputs (samples, in, h, w)."""

    def __init__(
        self, name: str, operator: Convolution, weight: Learned, bias: Learned | None
    ) -> None:
        super().__init__(name, weight, bias)
        self._operator = operator

    def _matrices(self) -> NDArray[np.float32]:
        """Weights as (groups, out/groups, in/groups * taps), in the type that products take."""
        o = self._operator
        shape = (o.groups, o.out_channels // o.groups, -1)
        return self.weight.values.reshape(shape).astype(np.float32)

    def _forward(self, value: Value) -> Value:
        self._geometry = Patches(self._operator, *value.integers.shape)
        # float32 is what products are computed in; 8-bit codes are exact in it.
        self._patches = self._geometry.gather(value.integers, np.float32)
        pairs = zip(self._matrices(), self._patches, strict=True)
        product = _joined([matmul(weights, patches) for weights, patches in pairs])
        return self._biased(self._geometry.planes(product), value.exponent)

    def backward(self, error: Value) -> list[Value]:
        """Error times weights, each tap added where it came from (transposed convolution)."""
        rows = self._geometry.rows(error.integers, np.float32)
        weights = self._matrices()
        o = self._operator
        # One element gets at most so many products, and float32 holds their sum exactly; then the
        # taps can be added before they become integers.
        if o.out_channels // o.groups * o.kernel[0] * o.kernel[1] <= EXACT_REDUCTION:
            taps = np.matmul(weights.transpose(0, 2, 1), rows)
        else:
            taps = np.stack([matmul(w.T, r) for w, r in zip(weights, rows, strict=True)])
        self.back_product = self._geometry.scatter(taps).astype(np.int32)
        return [Value(self.back_product, error.exponent + self.weight.exponent)]

    def _weight_product(self, aligned: Integers) -> Integers:
        rows = self._geometry.rows(aligned, np.float32)
        pairs = zip(rows, self._patches, strict=True)
        return _joined([matmul(r, p.T) for r, p in pairs]).reshape(self.weight.values.shape)


def _joined(groups: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """One group is not copied."""
    return groups[0] if len(groups) == 1 else np.stack(groups)
