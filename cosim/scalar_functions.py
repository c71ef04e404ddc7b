"""Functions of the vector unit's scalars, on Python's integers."""

import numpy as np

from golden.formats import clamp_exponent as clamp
from golden.formats import rounding_shift, saturate
from golden.randomness import draw, xorshift32
from rtl.vector_instructions import Function

__all__ = ["scalar_function"]

_SATURATIONS = {
    Function.SATURATE_8: 8,
    Function.SATURATE_16: 16,
    Function.SATURATE_32: 32,
}


def scalar_function(function: Function, a: int, b: int, c: int, repetition: int) -> int:
    """What a scalar word makes of its operands; its `repetition`-th time, for random bits."""
    match function:
        case Function.ADD:
            return a + b
        case Function.SUBTRACT:
            return a - b
        case Function.MINIMUM:
            return min(a, b)
        case Function.MAXIMUM:
            return max(a, b)
        case Function.XOR:
            return a ^ b
        case Function.SHIFT:
            return _shifted(a, b, None)
        case Function.SHIFT_RANDOM:
            return _shifted(a, b, int(draw(c & 0xFFFFFFFF, np.array([repetition]))[0]))
        case Function.BIT_LENGTH:
            return abs(a).bit_length()
        case Function.XORSHIFT:
            return xorshift32(a & 0xFFFFFFFF)
        case Function.SELECT:
            return b if a == 0 else c
        case Function.CLAMP:
            return int(clamp(a))
    width = _SATURATIONS[function]
    return int(saturate(np.array(a), width))


def _shifted(a: int, b: int, random: int | None) -> int:
    # A left shift is of what 33 bits hold.
    if b < 0:
        a = int(saturate(np.array(a), 33))
    return int(rounding_shift(np.array(a), b, None if random is None else np.array(random)))
