"""Loops that move numbers from one layout to another: taps of windows, and kernels.

Nothing but `golden.compiled` imports this file: it needs numba, which takes a second.
"""

import numpy as np
from numba import prange

from golden.jit import loop, team_loop

__all__ = [
    "collapse",
    "collapse_by_team",
    "flipped",
    "kernels_last",
    "spread",
    "spread_by_team",
]


@loop
def kernels_last(values, out):
    """(out, in, height, width) to 8 bits, (out, height, width, in)."""
    outputs, inputs, tall, wide = values.shape
    for o in range(outputs):
        for y in range(tall):
            for x in range(wide):
                for i in range(inputs):
                    out[o, y, x, i] = values[o, i, y, x]


@loop
def flipped(weights, rows, columns, out):
    """(out, height, width, in) to (taps, taps, out, in), by the taps' rows and columns."""
    for y in range(rows.size):
        for x in range(columns.size):
            for o in range(weights.shape[0]):
                for i in range(weights.shape[3]):
                    out[y, x, o, i] = weights[o, rows[y], columns[x], i]


@loop
def _inside(left, stride, width, columns):
    """First window whose tap lies in the plane, and the one behind the last; tap 0 is at `left`."""
    begin = min(max((-left + stride - 1) // stride, 0), columns)
    end = min(max((width - 1 - left) // stride + 1, begin), columns)
    return begin, end


@loop
def spread(
    first, last, planes, stride_y, stride_x, dilation_y, dilation_x, offset_y, offset_x, out
):  # fmt: skip
    """`golden.product_loops.gather` with the channels outermost.

    `planes` is (channels, samples, height, width), `first` and `last` are channels; `out` is
    (channels, taps tall, wide, samples, rows, columns).
    """
    _, samples, height, width = planes.shape
    _, tall, wide, _, rows, columns = out.shape
    source, target = planes.reshape(-1), out.reshape(-1)
    for c in range(first, last):
        for ky in range(tall):
            for kx in range(wide):
                left = offset_x + kx * dilation_x
                begin, end = _inside(left, stride_x, width, columns)
                for n in range(samples):
                    for y in range(rows):
                        row = y * stride_y + offset_y + ky * dilation_y
                        at = ((((c * tall + ky) * wide + kx) * samples + n) * rows + y) * columns
                        to = np.uintp(at)
                        if row < 0 or row >= height:
                            for x in range(columns):
                                target[to + np.uintp(x)] = 0
                            continue
                        start = ((c * samples + n) * height + row) * width + left
                        for x in range(begin):
                            target[to + np.uintp(x)] = 0
                        for x in range(begin, end):
                            target[to + np.uintp(x)] = source[np.uintp(start + x * stride_x)]
                        for x in range(end, columns):
                            target[to + np.uintp(x)] = 0


@team_loop
def spread_by_team(parts, channels, *arguments):
    """`spread` in so many parts."""
    for part in prange(parts):
        spread(channels * part // parts, channels * (part + 1) // parts, *arguments)


@loop
def collapse(
    first, last, taps, stride_y, stride_x, dilation_y, dilation_x, offset_y, offset_x, out
):  # fmt: skip
    """Add up every element of what `spread` gives where it was taken from."""
    _, samples, height, width = out.shape
    _, tall, wide, _, rows, columns = taps.shape
    source, target = taps.reshape(-1), out.reshape(-1)
    for c in range(first, last):
        out[c] = 0
        for ky in range(tall):
            for kx in range(wide):
                left = offset_x + kx * dilation_x
                begin, end = _inside(left, stride_x, width, columns)
                for n in range(samples):
                    for y in range(rows):
                        row = y * stride_y + offset_y + ky * dilation_y
                        if row < 0 or row >= height:
                            continue
                        at = ((((c * tall + ky) * wide + kx) * samples + n) * rows + y) * columns
                        start = ((c * samples + n) * height + row) * width + left
                        for x in range(begin, end):
                            to = np.uintp(start + x * stride_x)
                            target[to] += source[np.uintp(at + x)]


@team_loop
def collapse_by_team(parts, channels, *arguments):
    """`collapse` in so many parts."""
    for part in prange(parts):
        collapse(channels * part // parts, channels * (part + 1) // parts, *arguments)
