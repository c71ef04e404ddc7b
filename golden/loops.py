"""Compiled loops over samples: what `golden.formats`, `values` and `randomness` specify in NumPy.

Each loop does one operation on arrays of shape (samples, elements), or (samples, positions,
channels) where it needs to know; results are written into arrays that the caller made. A loop over
samples `first` to `last` has a second one beside it that splits them over threads. Integers are
kept in 32 bits by casts, because numba computes in 64 otherwise. Nothing but `golden.compiled` and
`golden.deferred` import this file: it needs numba, which takes a second.
"""

import numpy as np
from numba import prange

from golden.formats import EXPONENT_MAX, EXPONENT_MIN, LEFT_SHIFT_MAX
from golden.jit import loop, team_loop
from golden.randomness import MAX_INDEX, ROUND_KEY_BITS

__all__ = [
    "add_channels",
    "add_channels_by_team",
    "align",
    "align_by_team",
    "alignment",
    "apply",
    "apply_by_team",
    "collect",
    "dot",
    "dot_by_team",
    "largest",
    "quantize_gradient",
    "sums",
    "sums_by_team",
    "update",
]

_INDEX_MASK = np.uint32(MAX_INDEX - 1)


@loop
def _largest(values):
    """max|values| of one sample."""
    high = np.int32(0)
    low = np.int32(0)
    for i in range(values.shape[0]):
        value = np.int32(values[i])
        high = max(high, value)
        low = min(low, value)
    return max(np.int64(high), -np.int64(low))


@loop
def _half_up(value, shift):
    """One rounding shift in 64 bits; a negative shift shifts left."""
    if shift <= 0:
        return value << min(-shift, LEFT_SHIFT_MAX)
    return ((value >> min(shift - 1, 63)) + 1) >> 1


@loop
def _draw(key, index):
    """`golden.randomness.draw`."""
    i = np.uint32(index) & _INDEX_MASK
    mixed = i ^ np.uint32(key & 0xFFFF)
    a = np.uint8(mixed)
    b = np.uint8(mixed >> np.uint32(8))
    round_key = np.uint8(key >> ROUND_KEY_BITS[0]) ^ np.uint8(i >> np.uint32(16))
    a = np.uint8(np.uint8((a >> np.uint8(2)) | np.uint8(a << np.uint8(6))) + b) ^ round_key
    b = np.uint8(np.uint8(b << np.uint8(3)) | np.uint8(b >> np.uint8(5))) ^ a
    for position in ROUND_KEY_BITS[1:]:
        round_key = np.uint8(key >> position)
        a = np.uint8(np.uint8((a >> np.uint8(2)) | np.uint8(a << np.uint8(6))) + b) ^ round_key
        b = np.uint8(np.uint8(b << np.uint8(3)) | np.uint8(b >> np.uint8(5))) ^ a
    return np.int32((np.int32(b) << np.int32(8)) | np.int32(a))


@loop
def _stochastic(value, shift, random):
    """Right shift by 1 or more of a value of at most 16 bits, with 16 random bits."""
    right = np.int32(min(shift, 31))
    below = np.int32(value >> np.int32(max(right - 16, 0))) << np.int32(max(16 - right, 0))
    carry = np.int32(np.int32(np.int32(below) & np.int32(0xFFFF)) + random) >> np.int32(16)
    return np.int32(np.int32(value >> right) + np.int32(carry))


@loop
def _clip(value, limit):
    return min(max(value, -limit), limit)


@loop
def largest(values, magnitude):
    """max|values| a sample."""
    for n in range(values.shape[0]):
        magnitude[n] = _largest(values[n])


@loop
def quantize_gradient(values, index, shift, key, codes):
    """`golden.gradients.quantize_gradient` on a vector of up to 48 bits, numbered by `index`."""
    for i in range(values.size):
        value = np.int64(values[i])
        rounded = value
        if shift:
            right = min(shift, 63)
            below = ((value >> max(right - 16, 0)) << max(16 - right, 0)) & 0xFFFF
            rounded = (value >> right) + ((below + _draw(key, index[i])) >> 16)
        codes[i] = _clip(rounded, 127)


@loop
def add_channels(first, last, values, bias, bias_exponent, exponent, limit, out, magnitude):
    """`golden.layers.add_bias` with one bias a channel."""
    channels = values.shape[2]
    aligned = np.empty(channels, np.int32)
    low = np.empty(channels, np.int32)
    high = np.empty(channels, np.int32)
    for n in range(first, last):
        for c in range(channels):
            wide = _half_up(np.int64(bias[c]), bias_exponent - exponent[n])
            # Clipped before the sum instead of behind it, so that 32 bits hold everything.
            low[c] = _clip(-limit - wide, 0x7FFFFFFF)
            high[c] = _clip(limit - wide, 0x7FFFFFFF)
            aligned[c] = wide
        top = np.int32(0)
        bottom = np.int32(0)
        for p in range(values.shape[1]):
            for c in range(channels):
                total = np.int32(min(max(np.int32(values[n, p, c]), low[c]), high[c]) + aligned[c])
                top = max(top, total)
                bottom = min(bottom, total)
                out[n, p, c] = total
        magnitude[n] = max(np.int64(top), -np.int64(bottom))


@team_loop
def add_channels_by_team(parts, samples, *arguments):
    """`add_channels` in so many parts."""
    for part in prange(parts):
        add_channels(samples * part // parts, samples * (part + 1) // parts, *arguments)


@loop
def _bit_length(magnitude):
    bits = 0
    while magnitude >> bits:
        bits += 1
    return bits


@loop
def _common(a, b, magnitude_a, magnitude_b, room):
    """Exponent of a join from the operands'."""
    top_a = _bit_length(magnitude_a)
    top_b = _bit_length(magnitude_b)
    common = max(a if top_a else EXPONENT_MIN, b if top_b else EXPONENT_MIN)
    if top_a:
        common = min(common, a + min(LEFT_SHIFT_MAX, room - top_a))
    if top_b:
        common = min(common, b + min(LEFT_SHIFT_MAX, room - top_b))
    return common


@loop
def _load(values, factor, row):
    for i in range(row.size):
        row[i] = np.int32(np.int32(values[i]) * factor)


@loop
def _shift(row, shift):
    """Round half up in place; left shifts fit 30 bits, as the caller has arranged."""
    if shift > 0:
        begin = np.int32(min(shift - 1, 31))
        right = np.int32(min(shift, 31))
        for i in range(row.size):
            row[i] = np.int32(row[i] >> right) + np.int32(np.int32(row[i] >> begin) & np.int32(1))
    elif shift < 0:
        left = np.int32(min(-shift, LEFT_SHIFT_MAX))
        for i in range(row.size):
            row[i] = np.int32(row[i] << left)


@loop
def _join(row, other, shift):
    """Add what is shifted on its way; operands of 30 bits, which rounding may take to 2**30."""
    left = np.int32(min(max(-shift, 0), LEFT_SHIFT_MAX))
    right = np.int32(min(max(shift, 0), 31))
    begin = np.int32(min(max(shift - 1, 0), 31))
    end = np.int32(min(max(shift, 0), 1))
    top = np.int32(1 << 30)
    limit = np.int32(0x7FFFFFFF)
    for i in range(row.size):
        x = row[i]
        y = np.int32(other[i])
        y = np.int32(np.int32(y >> right) + np.int32(np.int32(y >> begin) & end))
        y = np.int32(y << left)
        total = np.int32(x + y)
        # The one sum that does not fit.
        total = limit if np.int32(min(x, y)) == top else total
        row[i] = max(total, np.int32(-limit))


@loop
def _bias(row, bias, shift, limit):
    wide = _half_up(np.int64(bias), shift)
    # Clipped before the sum instead of behind it, so that 32 bits hold everything.
    low = np.int32(_clip(-limit - wide, 0x7FFFFFFF))
    high = np.int32(_clip(limit - wide, 0x7FFFFFFF))
    aligned = np.int32(wide)
    for i in range(row.size):
        row[i] = np.int32(min(max(row[i], low), high) + aligned)


@loop
def _rectify(row, positive):
    for i in range(row.size):
        positive[i] = row[i] > 0
        row[i] = max(row[i], np.int32(0))


@loop
def _mask(row, positive):
    for i in range(row.size):
        row[i] = np.int32(row[i] * np.int32(positive[i]))


@loop
def _extremes(row):
    high = np.int32(0)
    low = np.int32(0)
    for i in range(row.size):
        high = max(high, row[i])
        low = min(low, row[i])
    return high, low


@loop
def _narrow(value, begin, end):
    """Round half up to 8 bits: a shift right by begin + end."""
    rounded = np.int32(np.int32(np.int32(value >> begin) + end) >> end)
    return _clip(rounded, np.int32(127))


@loop
def apply(
    first, last, a, b, positive, exponent_a, exponent_b, magnitude_a, magnitude_b, known_a, known_b,
    factor, factor_exponent, joins, room, biases, bias, bias_exponent, limit, masks, rectifies,
    quantizes, zero_exponent, out, new_exponent, magnitude,
):  # fmt: skip
    """`golden.deferred`: one pass over each sample, which stays in the cache meanwhile.

    In this order, as far as asked for: `a` times a factor; joined with `b` (`golden.values.join`;
    `room`: bits that an aligned operand may have; `magnitude_a` holds max|a| if that is known, and
    `magnitude_b` max|b|); plus a bias within `limit`; ReLU, which fills in `positive`, or
    `positive` as a mask; to 8 bits.
    """
    row = np.empty(a.shape[1], np.int32)
    for n in range(first, last):
        exponent = exponent_a[n] + factor_exponent
        _load(a[n], np.int32(factor), row)
        if joins:
            top = (magnitude_a[n] if known_a else _largest(a[n])) * abs(factor)
            other_top = magnitude_b[n] if known_b else _largest(b[n])
            common = _common(exponent, exponent_b[n], top, other_top, room)
            _shift(row, exponent - common)
            _join(row, b[n], exponent_b[n] - common)
            exponent = common
        if biases:
            _bias(row, bias, bias_exponent - exponent, limit)
        if rectifies:
            _rectify(row, positive[n])
        elif masks:
            _mask(row, positive[n])
        high, low = _extremes(row)
        largest = max(np.int64(high), -np.int64(low))
        magnitude[n] = largest
        new_exponent[n] = exponent
        to = out[n]
        if quantizes:
            excess = max(_bit_length(largest) - 7, 0)
            new = exponent - excess if largest else zero_exponent
            new_exponent[n] = min(max(new, EXPONENT_MIN), EXPONENT_MAX)
            begin = np.int32(max(excess - 1, 0))
            end = np.int32(min(excess, 1))
            for i in range(row.size):
                to[i] = _narrow(row[i], begin, end)
            # Rounding keeps the order.
            magnitude[n] = max(_narrow(high, begin, end), -_narrow(low, begin, end))
        else:
            for i in range(row.size):
                to[i] = row[i]


@team_loop
def apply_by_team(parts, samples, *arguments):
    """`apply` in so many parts."""
    for part in prange(parts):
        apply(samples * part // parts, samples * (part + 1) // parts, *arguments)


@loop
def alignment(exponent, other, magnitude, shift):
    """`golden.gradients.align_errors`: fill in the right shifts; return the common exponent."""
    common = np.int64(0)
    live = False
    for n in range(exponent.size):
        total = exponent[n] + other[n if other.size > 1 else 0]
        if magnitude[n] > 0 and (not live or total < common):
            common = total
            live = True
    for n in range(exponent.size):
        total = exponent[n] + other[n if other.size > 1 else 0]
        shift[n] = total - common if magnitude[n] > 0 else 0
    return common


@loop
def collect(sums, exponent):
    """`golden.gradients.sum_samples` of scalars: the total and its exponent."""
    common = np.int64(0)
    live = False
    for n in range(sums.size):
        if sums[n] != 0 and (not live or exponent[n] < common):
            common = exponent[n]
            live = True
    total = np.int64(0)
    for n in range(sums.size):
        if sums[n] != 0:
            total += _half_up(sums[n], exponent[n] - common)
    return total, common


@loop
def _align(codes, shift, key, index, out):
    """Codes whose numbers, from `index` on, differ in their low 16 bits only: 16 bits do it all."""
    low = np.uint16(key)
    byte = np.uint16(0xFF)
    first = np.uint16(np.uint16((key >> ROUND_KEY_BITS[0]) & 0xFF) ^ np.uint16(index >> 16))
    right = np.int16(min(shift, 15))
    above = np.int16(min(max(shift - 16, 0), 15))
    left = np.uint16(max(16 - shift, 0))
    for i in range(codes.shape[0]):
        mixed = np.uint16(np.uint16(np.uint16(index) + np.uint16(i)) ^ low)
        a = np.uint16(mixed & byte)
        b = np.uint16(mixed >> np.uint16(8))
        for number, position in enumerate(ROUND_KEY_BITS):
            round_key = np.uint16(key >> position) & byte if number else first
            turned = np.uint16(np.uint16(a >> np.uint16(2)) | np.uint16(a << np.uint16(6)))
            a = np.uint16(np.uint16(np.uint16(turned + b) & byte) ^ round_key)
            turned = np.uint16(np.uint16(b << np.uint16(3)) | np.uint16(b >> np.uint16(5)))
            b = np.uint16(np.uint16(turned & byte) ^ a)
        value = np.int16(codes[i])
        below = np.uint16(np.uint16(np.int16(value >> above)) << left)
        total = np.uint16(below + np.uint16(np.uint16(b << np.uint16(8)) | a))
        # The sum wrapped where it carries.
        out[i] = np.int16(np.int16(value >> right) + np.int16(total < below))


@loop
def align(first, last, codes, shift, key, out):
    """Right shifts of 0 and more with stochastic rounding; draws numbered as in memory."""
    size = codes.shape[1] * codes.shape[2]
    for n in range(first, last):
        if shift[n] == 0:
            out[n] = codes[n]
            continue
        sample = codes[n].reshape(-1)
        result = out[n].reshape(-1)
        begin = 0
        while begin < size:
            index = (n * size + begin) & (MAX_INDEX - 1)
            end = min(size, begin + 0x10000 - (index & 0xFFFF))
            _align(sample[begin:end], min(shift[n], 31), key, index, result[begin:end])
            begin = end


@team_loop
def align_by_team(parts, samples, *arguments):
    """`align` in so many parts."""
    for part in prange(parts):
        align(samples * part // parts, samples * (part + 1) // parts, *arguments)


@loop
def sums(first, last, values, out):
    """Sum a sample."""
    for n in range(first, last):
        total = np.int64(0)
        for i in range(values.shape[1]):
            total += np.int64(values[n, i])
        out[n] = total


@team_loop
def sums_by_team(parts, samples, *arguments):
    """`sums` in so many parts."""
    for part in prange(parts):
        sums(samples * part // parts, samples * (part + 1) // parts, *arguments)


@loop
def dot(first, last, a, b, out):
    """Sum a sample of products of 8-bit codes."""
    for n in range(first, last):
        total = np.int64(0)
        for i in range(a.shape[1]):
            total += np.int64(np.int32(np.int32(a[n, i]) * np.int32(b[n, i])))
        out[n] = total


@team_loop
def dot_by_team(parts, samples, *arguments):
    """`dot` in so many parts."""
    for part in prange(parts):
        dot(samples * part // parts, samples * (part + 1) // parts, *arguments)


@loop
def update(
    parameter, momentum, gradient, index, applied, handed, decay, limit, momentum_limit, key,
    new_parameter, new_momentum, step,
):  # fmt: skip
    """`golden.optimizer.update` on vectors, numbered by `index`."""
    for i in range(parameter.size):
        random = _draw(key, index[i])
        g = np.int64(gradient[i])
        if decay:
            g = _clip(g + _stochastic(np.int32(parameter[i]), decay, random), momentum_limit)
        v = _clip(np.int64(momentum[i]) + g, momentum_limit)
        u = _clip(_stochastic(np.int32(v), applied + handed, random), limit)
        step[i] = u
        new_momentum[i] = _clip(np.int64(v) - (np.int64(u) << applied), momentum_limit)
        new_parameter[i] = _clip(np.int64(parameter[i]) - u, limit)
