"""Integer convolution: its three products, on im2col views."""

import numpy as np

from golden.formats import Integers
from golden.gradients import Learned
from golden.layers import ProductLayer
from golden.matmul import matmul
from golden.network import Convolution
from golden.values import Value

__all__ = ["ConvolutionLayer"]


class ConvolutionLayer(ProductLayer):
    """2-D convolution: weights (out, in/groups, height, width), inputs (samples, in, h, w)."""

    def __init__(
        self, name: str, operator: Convolution, weight: Learned, bias: Learned | None
    ) -> None:
        super().__init__(name, weight, bias)
        self._operator = operator

    def _columns(self, codes: Integers) -> Integers:
        """Patches of the padded input: (groups, samples * positions, in/groups * taps)."""
        o = self._operator
        top, left, bottom, right = o.padding
        padded = np.pad(codes, ((0, 0), (0, 0), (top, bottom), (left, right)))
        self._padded = padded.shape
        # float32 is what the product is computed in; 8-bit codes are exact in it.
        padded = padded.astype(np.float32)
        reach = tuple((k - 1) * d + 1 for k, d in zip(o.kernel, o.dilation, strict=True))
        windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
        windows = windows[:, :, :: o.stride[0], :: o.stride[1], :: o.dilation[0], :: o.dilation[1]]
        n, channels, height, width = windows.shape[:4]
        self._positions = (n, height, width)
        grouped = windows.reshape(n, o.groups, channels // o.groups, height, width, *o.kernel)
        return grouped.transpose(1, 0, 3, 4, 2, 5, 6).reshape(o.groups, n * height * width, -1)

    def _matrices(self) -> Integers:
        """Weights as (groups, out/groups, in/groups * taps)."""
        o = self._operator
        return self.weight.values.reshape(o.groups, o.out_channels // o.groups, -1)

    def _forward(self, value: Value) -> Value:
        self._patches = self._columns(value.integers)
        products = np.stack(
            [matmul(p, w.T) for p, w in zip(self._patches, self._matrices(), strict=True)]
        )
        n, height, width = self._positions
        # (groups, positions, out/groups) to (samples, out, height, width).
        grouped = products.reshape(len(products), n, height, width, -1)
        images = grouped.transpose(1, 0, 4, 2, 3).reshape(n, -1, height, width)
        return self._biased(images, value.exponent)

    def _rows(self, error: Integers) -> Integers:
        """Errors as (groups, samples * positions, out/groups)."""
        n, _, height, width = error.shape
        grouped = error.reshape(n, self._operator.groups, -1, height, width)
        return grouped.transpose(1, 0, 3, 4, 2).reshape(len(grouped[0]), n * height * width, -1)

    def backward(self, error: Value) -> list[Value]:
        """Error times weights, each tap added where it came from (transposed convolution)."""
        o = self._operator
        rows = self._rows(error.integers)
        taps = np.stack([matmul(r, w) for r, w in zip(rows, self._matrices(), strict=True)])
        n, height, width = self._positions
        taps = taps.reshape(o.groups, n, height, width, -1, *o.kernel)
        result = np.zeros(self._padded, dtype=np.int64)
        grouped = result.reshape(n, o.groups, -1, *self._padded[2:])
        for y in range(o.kernel[0]):
            for x in range(o.kernel[1]):
                vertical = slice(y * o.dilation[0], None, o.stride[0])
                horizontal = slice(x * o.dilation[1], None, o.stride[1])
                place = grouped[:, :, :, vertical, horizontal][..., :height, :width]
                place += taps[..., y, x].transpose(1, 0, 4, 2, 3)
        top, left, bottom, right = o.padding
        inside = result[:, :, top : self._padded[2] - bottom, left : self._padded[3] - right]
        self.back_product = inside
        return [Value(inside, error.exponent + self.weight.exponent)]

    def _weight_product(self, aligned: Integers) -> Integers:
        rows = self._rows(aligned)
        products = [matmul(r.T, p) for r, p in zip(rows, self._patches, strict=True)]
        return np.stack(products).reshape(self.weight.values.shape)
