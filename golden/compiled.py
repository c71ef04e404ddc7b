"""The compiled loops on whole arrays: what `golden.values`, `layers` and others call when it pays.

Tensors are taken in any order and given back channels last in memory, with their own shape.
Results have the narrowest type that holds them: int8 for codes, int32 for what is not.
"""

import math

import numpy as np
from numpy.typing import NDArray

from golden import layout_loops, loops, product_loops
from golden.acceleration import parts, scratch
from golden.deferred import add_scalar, in_parts, join, mask, quantize, rectify, rows, scale, shaped
from golden.formats import Integers
from golden.im2col import Windows
from golden.jit import form_team
from golden.randomness import weight_index
from golden.torch_functions import Functions
from golden.values import Value

__all__ = [
    "add_bias",
    "align",
    "alignment",
    "collapse",
    "collect",
    "convolve",
    "correlate",
    "dot",
    "flipped",
    "form_team",
    "gather",
    "join",
    "kernels_last",
    "largest",
    "mask",
    "quantize",
    "quantize_gradient",
    "rectify",
    "scale",
    "spread",
    "sums",
    "update",
]

_Wide = NDArray[np.int64]


def _flat(values: NDArray) -> NDArray:
    """(samples, positions, channels), contiguous, of at most 32 bits; a view where it can be."""
    if values.dtype.itemsize > 4:
        values = values.astype(np.int32)
    if values.ndim == 4:
        samples, channels, height, width = values.shape
        last = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        return last.reshape(samples, height * width, channels)
    return np.ascontiguousarray(values).reshape(len(values), 1, -1)


def _each(values: NDArray) -> _Wide:
    """One number a sample, to be filled in."""
    return np.empty(len(values), dtype=np.int64)


def largest(values: Integers) -> _Wide:
    """max|values| a sample."""
    flat = rows(values)
    magnitude = _each(flat)
    loops.largest(flat, magnitude)
    return magnitude


def quantize_gradient(values: Integers, shift: int, key: int) -> Integers:
    """8-bit codes of a whole tensor in its own shape, shifted with stochastic rounding."""
    flat = np.ascontiguousarray(values).reshape(-1)
    codes = np.empty(flat.shape, dtype=np.int8)
    loops.quantize_gradient(flat, _numbers(values), shift, key, codes)
    return codes.reshape(values.shape)


def add_bias(value: Value, bias: Integers, exponent: int, limit: int) -> Value:
    """Values plus biases brought to their exponents, within `limit`."""
    if bias.size == 1:
        return add_scalar(value, bias.item(), exponent)
    flat = _flat(value.integers)
    out = np.empty(flat.shape, dtype=np.int8 if limit <= 127 else np.int32)
    magnitude = _each(flat)
    in_parts(
        loops.add_channels, loops.add_channels_by_team, len(flat), flat.size,
        flat, bias, exponent, value.exponent, limit, out, magnitude,
    )  # fmt: skip
    return Value(shaped(out, value.shape), value.exponent, value.is_codes, magnitude)


def kernels_last(values: Integers) -> NDArray[np.int8]:
    """(out, in, height, width) to (out, height, width, in)."""
    outputs, inputs, *kernel = values.shape
    out = np.empty((outputs, *kernel, inputs), dtype=np.int8)
    layout_loops.kernels_last(values, out)
    return out


def flipped(weights: NDArray, rows: NDArray, columns: NDArray) -> NDArray[np.int8]:
    """(out, height, width, in) to (taps, taps, out, in), by the taps' rows and columns."""
    outputs, _, _, inputs = weights.shape
    out = np.empty((len(rows), len(columns), outputs, inputs), dtype=np.int8)
    layout_loops.flipped(weights, rows, columns, out)
    return out


def alignment(exponent: _Wide, other: Integers | int, magnitude: _Wide) -> tuple[_Wide, int]:
    """Right shifts that bring samples that are not zero to their least exponent; and that."""
    shift = np.empty_like(exponent)
    others = np.atleast_1d(np.asarray(other, dtype=np.int64))
    return shift, loops.alignment(exponent, others, magnitude, shift)


def collect(sums: _Wide, exponent: _Wide) -> tuple[NDArray[np.int64], int]:
    """Total of sums with exponents of their own, shape (1,), and its exponent."""
    total, common = loops.collect(sums, exponent)
    return np.array([total]), common


def align(codes: Integers, shift: _Wide, key: int) -> Integers:
    """Codes shifted right by sample with stochastic rounding."""
    flat = _flat(codes)
    out = np.empty(flat.shape, dtype=np.int8)
    in_parts(loops.align, loops.align_by_team, len(flat), flat.size, flat, shift, key, out)
    return shaped(out, codes.shape)


def sums(values: Integers) -> _Wide:
    """Sum a sample."""
    flat = rows(values)
    out = _each(flat)
    in_parts(loops.sums, loops.sums_by_team, len(flat), flat.size, flat, out)
    return out


def dot(a: Integers, b: Integers) -> _Wide:
    """Sum a sample of products of codes."""
    flat = rows(a)
    out = _each(flat)
    in_parts(loops.dot, loops.dot_by_team, len(flat), flat.size, flat, rows(b), out)
    return out


def update(
    parameter: Integers, momentum: Integers, gradient: Integers, shifts: tuple[int, int, int],
    widths: tuple[int, int], key: int,
) -> tuple[Integers, Integers, Integers]:  # fmt: skip
    """`golden.optimizer.update`: (parameter, momentum, update).

    `shifts` are the momentum's fraction bits, what it hands over of itself, and the decay's bits;
    `widths` are those of the parameter and of the momentum.
    """
    limit, momentum_limit = ((1 << (width - 1)) - 1 for width in widths)
    flat = (
        np.ascontiguousarray(array, dtype=np.int32).reshape(-1)
        for array in (parameter, momentum, gradient)
    )
    new = np.empty((3, parameter.size), dtype=np.int32)
    loops.update(
        *flat, _numbers(parameter), *shifts, limit, momentum_limit, key, new[0], new[1], new[2]
    )
    p, v, u = new.reshape(3, *parameter.shape)
    return p, v, u


def _numbers(parameter: Integers) -> NDArray[np.int32]:
    """Numbers of a learned tensor's elements, in the order of its shape."""
    return weight_index(parameter.shape).reshape(-1)


def _bytes(planes: NDArray, rows: NDArray) -> tuple[NDArray, NDArray, int]:
    """What `gather` moves: planes (samples, height, width * channels), rows of runs, channels.

    Bytes are moved eight at a time where they come so.
    """
    samples, height, width, channels = planes.shape
    if channels % 8 == 0:
        channels //= 8
        planes, rows = planes.view(np.int64), rows.view(np.int64)
    return (
        planes.reshape(samples, height, width * channels),
        rows.reshape(*rows.shape[:4], -1),
        channels,
    )


def gather(
    planes: NDArray, rows: NDArray, stride: tuple[int, int], dilation: tuple[int, int],
    offset: tuple[int, int],
) -> None:  # fmt: skip
    """Fill (samples, y, x, taps, taps, channels) from (samples, height, width, channels)."""
    source, target, channels = _bytes(planes, rows)
    product_loops.gather(source, stride, dilation, offset, channels, target)


def convolve(
    functions: Functions, planes: NDArray, windows: Windows, weights: NDArray, block: int,
    out: NDArray[np.int32],
) -> None:  # fmt: skip
    """Windows of planes (samples, height, width, in) times weights (k, n), into (rows, n).

    The windows of `block` samples at a time are gathered.
    """
    source, where, room = _room(planes, windows, block)
    transposed = not weights.flags.c_contiguous
    moves, factors = not windows.is_identity, weights.T if transposed else weights
    block = room.shape[1]
    if len(room) == 1:
        status = product_loops.convolve(
            0, len(planes), functions, source, where, moves, factors, transposed, block, room[0],
            out,
        )  # fmt: skip
    else:
        status = product_loops.convolve_by_team(
            functions, source, where, moves, factors, transposed, block, room, out
        )
    _check(status)


def correlate(
    functions: Functions, planes: NDArray, windows: Windows, errors: NDArray, block: int
) -> NDArray[np.int32]:
    """Errors (rows, n) times windows, summed over the rows: (n, k)."""
    source, where, room = _room(planes, windows, block)
    moves, block = not windows.is_identity, room.shape[1]
    columns = math.prod(windows.kernel) * planes.shape[-1]
    out = np.empty((len(room), errors.shape[1], columns), dtype=np.int32)
    if len(room) == 1:
        status = product_loops.correlate(
            0, len(planes), functions, source, where, moves, errors, block, room[0], out[0]
        )
    else:
        status = product_loops.correlate_by_team(
            functions, source, where, moves, errors, block, room, out
        )
    _check(status)
    return sum(out[1:], start=out[0])


def _room(
    planes: NDArray, windows: Windows, block: int
) -> tuple[NDArray, tuple[int, ...], NDArray]:
    """What `product_loops` reads, where, and room for the windows of a block in each part."""
    samples, each = len(planes), windows.rows(1) * math.prod(windows.kernel) * planes.shape[-1]
    count = parts(samples, samples * each)
    block = min(block, -(-samples // count))
    room = scratch((count * block, *windows.positions, *windows.kernel, planes.shape[-1]))
    source, target, channels = _bytes(planes, room)
    where = (*windows.stride, *windows.dilation, *windows.offset, channels)
    return source, where, target.reshape(count, block, *target.shape[1:])


def _check(status: int) -> None:
    if status:
        raise RuntimeError("PyTorch's int8 product failed")


def spread(
    planes: NDArray, taps: NDArray, stride: tuple[int, int], dilation: tuple[int, int],
    offset: tuple[int, int],
) -> None:  # fmt: skip
    """Fill (channels, tall, wide, samples, y, x) from (channels, samples, height, width)."""
    in_parts(
        layout_loops.spread, layout_loops.spread_by_team, len(taps), taps.size,
        np.ascontiguousarray(planes), *stride, *dilation, *offset, taps,
    )  # fmt: skip


def collapse(
    taps: NDArray, planes: NDArray, stride: tuple[int, int], dilation: tuple[int, int],
    offset: tuple[int, int],
) -> None:  # fmt: skip
    """Fill (channels, samples, height, width) from (channels, tall, wide, samples, y, x)."""
    in_parts(
        layout_loops.collapse, layout_loops.collapse_by_team, len(taps), taps.size,
        np.ascontiguousarray(taps), *stride, *dilation, *offset, planes,
    )  # fmt: skip
