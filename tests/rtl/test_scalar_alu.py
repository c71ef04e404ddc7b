"""Scalar functions against golden's."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden.formats import bit_length, clamp_exponent, rounding_shift, saturate
from golden.randomness import draw, xorshift32
from rtl.scalar_alu import LATENCY, ScalarAlu
from rtl.vector_instructions import Function

F = Function


def wrapped(value: int) -> int:
    return (value + (1 << 47)) % (1 << 48) - (1 << 47)


def truth(function: int, a: int, b: int, c: int, index: int) -> int:
    """What one function gives."""
    match function:
        case F.ADD:
            return wrapped(a + b)
        case F.SUBTRACT:
            return wrapped(a - b)
        case F.MINIMUM:
            return min(a, b)
        case F.MAXIMUM:
            return max(a, b)
        case F.XOR:
            return a ^ b
        case F.SHIFT | F.SHIFT_RANDOM:
            if b < 0:
                return int(saturate(np.array(a), 33)) << min(-b, 15)
            random = 0x8000 if function == F.SHIFT else int(draw(c & 0xFFFFFFFF, index))
            return int(rounding_shift(np.array(a), b, random))
        case F.SATURATE_8 | F.SATURATE_16 | F.SATURATE_32:
            return int(saturate(np.array(a), {7: 8, 8: 16, 9: 32}[int(function)]))
        case F.BIT_LENGTH:
            return int(bit_length(abs(a)))
        case F.XORSHIFT:
            return xorshift32(a & 0xFFFFFFFF)
        case F.SELECT:
            return b if a == 0 else c
        case _:
            return int(clamp_exponent(a))


@pytest.mark.parametrize("function", list(Function))
def test_a_function(function: Function, corners: Any) -> None:
    rng = np.random.default_rng(int(function))
    a, b, c = corners(rng, (3, 120), 48).tolist()
    if function in (F.SHIFT, F.SHIFT_RANDOM):
        b = np.where(rng.random(120) < 0.8, rng.integers(-18, 66, 120), b).tolist()
    if function in (F.SELECT, F.CLAMP):
        a = np.where(rng.random(120) < 0.8, rng.integers(-70, 70, 120) * (function == F.CLAMP),
                     a).tolist()  # fmt: skip
    index = rng.integers(0, 256, 120).tolist()
    dut = ScalarAlu()
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.function, function)
        for k in range(120):
            for port, value in ((dut.a, a), (dut.b, b), (dut.c, c), (dut.index, index)):
                ctx.set(port, value[k])
            await ctx.tick().repeat(LATENCY)
            want = truth(function, a[k], b[k], c[k], index[k])
            assert ctx.get(dut.o) == want, (hex(a[k]), b[k], hex(c[k]), index[k])

    simulator.add_testbench(bench)
    simulator.run()
