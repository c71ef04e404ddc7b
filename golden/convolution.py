"""Integer convolution: its three products, each by blocks of samples whose windows fit a cache."""

import numpy as np
from numpy.typing import NDArray

from golden.acceleration import compiled, scratch
from golden.formats import Integers
from golden.gradients import Learned
from golden.im2col import Windows
from golden.layers import ProductLayer
from golden.matmul import check_reduction, int8_functions, matmul
from golden.network import Convolution
from golden.values import Value, channels_last

__all__ = ["ConvolutionLayer"]

_BLOCK_BYTES = 1 << 19
"""Windows gathered at a time. They are gathered anew for the weight gradient: a cache gives them
faster than memory would give back a matrix of nine times the input."""


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
        values = self.weight.values
        loops = compiled(values.size)
        last = loops.kernels_last(values) if loops else channels_last(values.astype(np.int8))
        return np.split(last, self._operator.groups) if self._operator.groups > 1 else [last]

    def _groups(self, planes: NDArray) -> list[NDArray[np.int8]]:
        """Each group's channels, (samples, height, width, channels/groups)."""
        last = channels_last(planes.astype(np.int8, copy=False))
        if self._operator.groups == 1:
            return [last]
        return [np.ascontiguousarray(g) for g in np.split(last, self._operator.groups, axis=-1)]

    def _forward(self, value: Value) -> Value:
        windows = self._geometry = self._windows(value.integers.shape)
        products = [
            _convolve(planes, windows, weights.reshape(len(weights), -1).T)
            for planes, weights in zip(self._groups(value.integers), self._weights(), strict=True)
        ]
        return self._biased(_joined(products).transpose(0, 3, 1, 2), value.exponent)

    def backward(self, error: Value) -> list[Value]:
        """Error times weights: a convolution of the errors, in phases, with flipped weights."""
        groups = zip(self._groups(error.integers), self._weights(), strict=True)
        products = [self._backward_data(errors, weights) for errors, weights in groups]
        product = _joined(products).transpose(0, 3, 1, 2)
        return [Value(product, error.exponent + self.weight.exponent)]

    def _backward_data(self, errors: NDArray, weights: NDArray) -> NDArray[np.int32]:
        """(samples, height, width, in/groups) of one group."""
        channels = weights.shape[-1]
        phases = self._geometry.phases
        convolved = (
            _convolve(
                errors,
                phase.windows,
                _flipped(weights, phase.taps),
            )
            for phase in phases
        )
        if self._geometry.stride == (1, 1):
            return next(convolved)
        result = np.zeros((len(errors), *self._geometry.size, channels), dtype=np.int32)
        for phase, part in zip(phases, convolved, strict=True):
            result[:, phase.inputs[0], phase.inputs[1]] = part
        return result

    def _weight_product(self, aligned: Integers) -> Integers:
        outputs, _, *kernel = self.weight.values.shape
        pairs = zip(self._groups(aligned), self._groups(self._input.integers), strict=True)
        products = [_correlate(errors, planes, self._geometry) for errors, planes in pairs]
        taps = np.concatenate(products).reshape(outputs, *kernel, -1)
        return np.ascontiguousarray(taps.transpose(0, 3, 1, 2))


def _flipped(weights: NDArray, taps: tuple[NDArray, NDArray]) -> NDArray[np.int8]:
    """One phase's taps of (out, height, width, in): (taps * out, in)."""
    loops = compiled(weights.size)
    if loops:
        picked: NDArray[np.int8] = loops.flipped(weights, *taps)
    else:
        picked = weights[:, taps[0][:, None], taps[1]].transpose(1, 2, 0, 3)
    return np.ascontiguousarray(picked).reshape(-1, weights.shape[-1])


def _convolve(planes: NDArray, windows: Windows, weights: NDArray) -> NDArray[np.int32]:
    """Windows of (samples, height, width, in) times (taps * in, out): (samples, y, x, out)."""
    samples, block = len(planes), _samples(windows, weights.shape[0])
    product = np.empty((windows.rows(samples), weights.shape[1]), dtype=np.int32)
    check_reduction(len(weights))
    loops, functions = compiled(product.size), int8_functions(product.size * len(weights))
    if loops and functions:
        loops.convolve(functions, planes, windows, weights, block, product)
        return product.reshape(samples, *windows.positions, -1)

    for first in range(0, samples, block):
        last = min(first + block, samples)
        rows = windows.rows(last - first), weights.shape[0]
        part = windows.gather(planes[first:last], scratch(rows))
        matmul(part, weights, product[windows.rows(first) : windows.rows(last)])
    return product.reshape(samples, *windows.positions, -1)


def _correlate(errors: NDArray, planes: NDArray, windows: Windows) -> NDArray[np.int32]:
    """Errors (samples, y, x, out) times windows, summed over positions: (out, taps * in)."""
    samples, outputs = len(errors), errors.shape[-1]
    check_reduction(windows.rows(samples))
    columns = windows.kernel[0] * windows.kernel[1] * planes.shape[-1]

    block = _samples(windows, columns)
    loops, functions = compiled(errors.size), int8_functions(errors.size * columns)
    if loops and functions:
        rows = errors.reshape(-1, outputs)
        total: NDArray[np.int32] = loops.correlate(functions, planes, windows, rows, block)
        return total
    total = np.zeros((outputs, columns), dtype=np.int32)
    for first in range(0, samples, block):
        last = min(first + block, samples)
        part = windows.gather(planes[first:last], scratch((windows.rows(last - first), columns)))
        total += matmul(errors[first:last].reshape(-1, outputs).T, part)
    return total


def _samples(windows: Windows, columns: int) -> int:
    """Samples in a block."""
    return max(_BLOCK_BYTES // (windows.rows(1) * columns), 1)


def _joined(groups: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Channels of all groups side by side; one group is not copied."""
    return groups[0] if len(groups) == 1 else np.concatenate(groups, axis=-1)
