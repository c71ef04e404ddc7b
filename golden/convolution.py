"""Integer convolution: its three products, each one exact matrix product a group."""

import numpy as np
from numpy.typing import NDArray

from golden.formats import Integers
from golden.gradients import Learned
from golden.im2col import Windows
from golden.layers import ProductLayer
from golden.matmul import matmul
from golden.network import Convolution
from golden.values import Value, channels_last

__all__ = ["ConvolutionLayer"]


class ConvolutionLayer(ProductLayer):
    """2-D convolution: weights (out, in/groups, height, width), inputs (samples, in, h, w)."""

    def __init__(
        self, name: str, operator: Convolution, weight: Learned, bias: Learned | None
    ) -> None:
        super().__init__(name, weight, bias)
        self._operator = operator

    def _windows(self, shape: tuple[int, ...]) -> Windows:
        o = self._operator
        top, left, _, _ = o.padding
        _, channels, height, width = shape
        positions = o.positions((channels, height, width))
        return Windows(o.kernel, o.stride, o.dilation, (-top, -left), (height, width), positions)

    def _weights(self) -> list[NDArray[np.int8]]:
        """Each group's weights, (out/groups, height, width, in/groups)."""
        last = channels_last(self.weight.values.astype(np.int8))
        return np.split(last, self._operator.groups)

    def _groups(self, planes: NDArray) -> list[NDArray[np.int8]]:
        """Each group's channels, (samples, height, width, channels/groups)."""
        last = channels_last(planes.astype(np.int8, copy=False))
        if self._operator.groups == 1:
            return [last]
        return [np.ascontiguousarray(g) for g in np.split(last, self._operator.groups, axis=-1)]

    def _forward(self, value: Value) -> Value:
        shape = value.integers.shape
        self._geometry = self._windows(shape)
        self._patches = [self._geometry.gather(group) for group in self._groups(value.integers)]
        pairs = zip(self._patches, self._weights(), strict=True)
        product = _joined([matmul(rows, w.reshape(len(w), -1).T) for rows, w in pairs])
        outputs = product.reshape(shape[0], *self._geometry.positions, -1)
        return self._biased(outputs.transpose(0, 3, 1, 2), value.exponent)

    def backward(self, error: Value) -> list[Value]:
        """Error times weights: a convolution with flipped weights, or taps added where they were.

        The second where there is a stride; the first would mostly multiply by zeros there.
        """
        samples = len(error)
        groups = zip(self._groups(error.integers), self._weights(), strict=True)
        if self._operator.stride == (1, 1):
            windows = self._geometry.flipped()
            products = [
                matmul(windows.gather(errors), _flipped(weights)) for errors, weights in groups
            ]
        else:
            products = [
                self._geometry.scatter(
                    matmul(errors.reshape(-1, errors.shape[-1]), weights.reshape(len(weights), -1)),
                    samples,
                ).reshape(-1, weights.shape[-1])
                for errors, weights in groups
            ]
        inputs = _joined(products).reshape(samples, *self._geometry.size, -1)
        self.back_product = inputs.transpose(0, 3, 1, 2)
        return [Value(self.back_product, error.exponent + self.weight.exponent)]

    def _weight_product(self, aligned: Integers) -> Integers:
        outputs, _, *kernel = self.weight.values.shape
        pairs = zip(self._groups(aligned), self._patches, strict=True)
        products = [matmul(e.reshape(-1, e.shape[-1]).T, rows) for e, rows in pairs]
        taps = np.concatenate(products).reshape(outputs, *kernel, -1)
        return np.ascontiguousarray(taps.transpose(0, 3, 1, 2))


def _flipped(weights: NDArray) -> NDArray:
    """(out, height, width, in) to (taps in reversed order * out, in)."""
    backwards = weights[:, ::-1, ::-1].transpose(1, 2, 0, 3)
    return np.ascontiguousarray(backwards).reshape(-1, weights.shape[-1])


def _joined(groups: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Channels of all groups side by side; one group is not copied."""
    return groups[0] if len(groups) == 1 else np.concatenate(groups, axis=1)
