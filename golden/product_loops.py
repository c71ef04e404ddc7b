"""Convolution's products in compiled loops: windows gathered and multiplied without Python.

The multiplication is PyTorch's, called by address (`golden.torch_functions`): a thread of the team
needs no interpreter between one block of samples and the next.
`gather` stands here because numba's cache does not see changes in other files' functions.
Nothing but `golden.compiled` imports this file.
"""

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from golden.jit import loop, team_loop

__all__ = ["convolve", "convolve_by_team", "correlate", "correlate_by_team", "gather"]


@intrinsic
def _call(context, address, arguments):
    """Status of the C function at an address, for arguments that are 64-bit integers."""
    signature = types.int32(types.int64, types.UniTuple(types.int64, len(arguments)))

    def generate(context, builder, signature, operands):
        word = ir.IntType(64)
        count = len(signature.args[1])
        values = [builder.extract_value(operands[1], place) for place in range(count)]
        kind = ir.FunctionType(ir.IntType(32), [word] * count).as_pointer()
        return builder.call(builder.inttoptr(operands[0], kind), values)

    return signature, generate


@loop
def _matrix(functions, data, rows, columns, transposed, kind, numbers):
    """Make a matrix in numbers[0]; `transposed`: memory has its columns one after the other.

    A matrix of one row has its own length between rows: PyTorch takes a 1 there for a column's.
    """
    numbers[1] = rows
    numbers[2] = columns
    numbers[3] = 1 if transposed and rows > 1 else columns
    numbers[4] = rows if transposed and rows > 1 else 1
    at = numbers.ctypes.data
    return _call(
        functions[0], (data, 2, at + 8, at + 24, 0, kind, 0, -1, at)
    )  # fmt: skip


@loop
def _multiply(functions, a, b, out):
    """out = a @ b, each (address, rows, columns, transposed): the status, 0 if it was done."""
    numbers = np.empty((3, 5), np.int64)
    status = _matrix(functions, a[0], a[1], a[2], a[3], functions[3], numbers[0])
    status |= _matrix(functions, b[0], b[1], b[2], b[3], functions[3], numbers[1])
    status |= _matrix(functions, out[0], out[1], out[2], False, functions[4], numbers[2])
    if status == 0:
        status |= _call(functions[2], (numbers[2, 0], numbers[0, 0], numbers[1, 0]))
        for place in range(3):
            status |= _call(functions[1], (numbers[place, 0],))
    return status


@loop
def gather(planes, stride, dilation, offset, channels, out):
    """Windows of planes (samples, height, width * channels) as rows; zeros around the planes.

    `out` is (samples, rows, columns, kernel height, kernel width * channels); the first window
    begins at `offset`, which padding makes negative. Both are indexed flat and unsigned: numba
    counts references to slices and looks out for negative indices, which takes ten times longer.
    """
    height, width = planes.shape[1], planes.shape[2] // channels
    _, rows, columns, tall, run = out.shape
    wide = run // channels
    source, target = planes.reshape(-1), out.reshape(-1)
    for n in range(planes.shape[0]):
        for y in range(rows):
            for ky in range(tall):
                row = y * stride[0] + offset[0] + ky * dilation[0]
                inside = row >= 0 and row < height
                for x in range(columns):
                    left = x * stride[1] + offset[1]
                    to = np.uintp((((n * rows + y) * columns + x) * tall + ky) * run)
                    if inside and dilation[1] == 1 and left >= 0 and left + wide <= width:
                        begin = np.uintp(((n * height + row) * width + left) * channels)
                        for j in range(run):
                            target[to + np.uintp(j)] = source[begin + np.uintp(j)]
                        continue
                    for kx in range(wide):
                        column = left + kx * dilation[1]
                        if inside and column >= 0 and column < width:
                            begin = np.uintp(((n * height + row) * width + column) * channels)
                            for c in range(channels):
                                target[to + np.uintp(c)] = source[begin + np.uintp(c)]
                        else:
                            for c in range(channels):
                                target[to + np.uintp(c)] = 0
                        to += np.uintp(channels)


@loop
def _block(planes, windows, moves, first, last, part):
    """Windows of samples `first` to `last`: their address, how many, and the bytes of each."""
    positions = part.shape[1] * part.shape[2]
    each = part[0].size // positions * part.itemsize
    rows = (last - first) * positions
    if not moves:
        return planes.ctypes.data + first * positions * each, rows, each
    stride, dilation, offset = windows[0:2], windows[2:4], windows[4:6]
    gather(planes[first:last], stride, dilation, offset, windows[6], part[: last - first])
    return part.ctypes.data, rows, each


@loop
def convolve(
    begin, end, functions, planes, windows, moves, weights, transposed, block, part, out
):  # fmt: skip
    """Windows of samples `begin` to `end` times weights.

    `windows` are two numbers each of stride, dilation and offset, and the channels of `gather`.
    `part` is (block, y, x, taps tall, run): where so many samples' windows are put, unless they are
    the planes themselves (`moves` is false). `weights` is (k, n), or (n, k) if `transposed`.
    """
    positions, outputs = part.shape[1] * part.shape[2], out.shape[1]
    status = 0
    for first in range(begin, end, block):
        last = min(first + block, end)
        data, rows, each = _block(planes, windows, moves, first, last, part)
        status |= _multiply(
            functions,
            (data, rows, each, False),
            (weights.ctypes.data, each, outputs, transposed),
            (out.ctypes.data + first * positions * outputs * 4, rows, outputs, False),
        )
    return status


@loop
def _worst(status):
    found = 0
    for place in range(status.size):
        found |= status[place]
    return found


@team_loop
def convolve_by_team(
    functions, planes, windows, moves, weights, transposed, block, parts, out
):  # fmt: skip
    """`convolve` in parts, as many as `parts` (parts, block, y, x, tall, run) has."""
    count, samples = parts.shape[0], planes.shape[0]
    status = np.empty(count, np.int32)
    for place in prange(count):
        status[place] = convolve(
            samples * place // count, samples * (place + 1) // count, functions, planes, windows,
            moves, weights, transposed, block, parts[place], out,
        )  # fmt: skip
    return _worst(status)


@loop
def correlate(begin, end, functions, planes, windows, moves, errors, block, part, out):
    """Errors (rows, outputs) times windows, summed over samples' rows: (outputs, k)."""
    positions, outputs = part.shape[1] * part.shape[2], errors.shape[1]
    partial = np.empty_like(out)
    status = 0
    out[:] = 0
    for first in range(begin, end, block):
        last = min(first + block, end)
        data, rows, each = _block(planes, windows, moves, first, last, part)
        status |= _multiply(
            functions,
            (errors.ctypes.data + first * positions * outputs, outputs, rows, True),
            (data, rows, each, False),
            (partial.ctypes.data, outputs, each, False),
        )
        out += partial
    return status


@team_loop
def correlate_by_team(functions, planes, windows, moves, errors, block, parts, out):
    """`correlate` in parts, as many as `parts` has; `out` is (parts, outputs, k)."""
    count, samples = parts.shape[0], planes.shape[0]
    status = np.empty(count, np.int32)
    for place in prange(count):
        status[place] = correlate(
            samples * place // count, samples * (place + 1) // count, functions, planes, windows,
            moves, errors, block, parts[place], out[place],
        )  # fmt: skip
    return _worst(status)
