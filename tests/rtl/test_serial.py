"""Integer division and square root, one bit a cycle: every operand of small widths."""

import math
from typing import Any

import pytest
from amaranth.sim import Simulator

from rtl.serial_divider import SerialDivider
from rtl.serial_square_root import SerialSquareRoot


def collect(dut: Any, operands: list[Any], give: Any, take: Any) -> list[Any]:
    """Results; each must come after exactly the stated cycles, and wait to be taken."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    results = []

    async def bench(ctx: Any) -> None:
        for k, operand in enumerate(operands):
            give(ctx, operand)
            ctx.set(dut.i.valid, 1)
            assert ctx.get(dut.i.ready)
            await ctx.tick()
            give(ctx, 1)
            for _ in range(dut.cycles - 1):
                assert not ctx.get(dut.o.valid)
                assert not ctx.get(dut.i.ready)
                await ctx.tick()
            for _ in range(k % 3):
                await ctx.tick()
            assert ctx.get(dut.o.valid)
            results.append(take(ctx))
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.o.ready, 1)
            await ctx.tick()
            ctx.set(dut.o.ready, 0)

    simulator.add_testbench(bench)
    simulator.run()
    return results


def test_every_quotient_of_six_bits_by_four() -> None:
    dut = SerialDivider(dividend_bits=6, divisor_bits=4, quotient_bits=6)
    operands = [(a, b) for a in range(64) for b in range(1, 16)]

    def give(ctx: Any, operand: Any) -> None:
        a, b = operand if isinstance(operand, tuple) else (1, 1)
        ctx.set(dut.i.p.dividend, a)
        ctx.set(dut.i.p.divisor, b)

    got = collect(
        dut, operands, give, lambda ctx: (ctx.get(dut.o.p.quotient), ctx.get(dut.o.p.remainder))
    )
    assert got == [divmod(a, b) for a, b in operands]


def test_every_root_of_ten_bits() -> None:
    dut = SerialSquareRoot(root_bits=5)
    got = collect(
        dut,
        list(range(1024)),
        lambda ctx, operand: ctx.set(dut.i.payload, operand),
        lambda ctx: ctx.get(dut.o.payload),
    )
    assert got == [math.isqrt(k) for k in range(1024)]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_widths_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^divisor_bits must be at least 2, not 1$"):
        SerialDivider(dividend_bits=4, divisor_bits=1)
    with pytest.raises(ValueError, match=r"^quotient_bits must be 1 to 4, not 5$"):
        SerialDivider(dividend_bits=4, divisor_bits=4, quotient_bits=5)
    with pytest.raises(ValueError, match=r"^root_bits must be at least 2, not 0$"):
        SerialSquareRoot(root_bits=0)
