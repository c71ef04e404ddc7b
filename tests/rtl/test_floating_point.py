"""Add, multiply, divide and square root against exact arithmetic and the machine's own floats.

A small format is tested for every pair of operands. Its truth shares nothing with the hardware: the
exact result is a quotient of two integers, and the nearest number of the format is looked up in the
list of all its numbers.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from cosim.float_check import check_random, check_vectors
from rtl.float_adder import FloatAdder
from rtl.float_divider import FloatDivider
from rtl.float_format import BINARY32, FloatFormat
from rtl.float_multiplier import FloatMultiplier
from rtl.float_square_root import FloatSquareRoot
from rtl.verilog import convert

Codes = NDArray[np.int64]


class Exact:
    """Exact results in a small format, rounded by searching the list of its numbers."""

    def __init__(self, form: FloatFormat) -> None:
        self.form = form
        codes = np.arange(form.infinity + 1)
        field, fraction = codes >> form.fraction_bits, codes & ((1 << form.fraction_bits) - 1)
        hidden = (field > 0).astype(np.int64) << form.fraction_bits
        # In units of the smallest subnormal number. Infinity stands for the number after the last.
        self.numbers = (fraction + hidden) << np.maximum(field - 1, 0)
        # One in these units.
        self.one = int(self.numbers[form.bias << form.fraction_bits])

    def split(self, codes: Codes) -> tuple[Codes, Codes, Codes, Codes]:
        """Sign, magnitude in units, infinite, NaN."""
        magnitude = codes & ((1 << (self.form.width - 1)) - 1)
        infinite, nan = magnitude == self.form.infinity, magnitude > self.form.infinity
        units = np.where(
            infinite | nan, 0, self.numbers[np.minimum(magnitude, len(self.numbers) - 1)]
        )
        return codes >> (self.form.width - 1), units, infinite, nan

    def nearest(self, above: Callable[[Codes], Codes], found: Codes, sign: Codes) -> Codes:
        """Encode: `found` is the last number not above the result, `above(twice)` whether twice the
        result is more (1), as much (0) or less (-1) than `twice`."""
        found = np.minimum(found, len(self.numbers) - 2)
        side = above(self.numbers[found] + self.numbers[found + 1])
        code = found + ((side > 0) | ((side == 0) & (found % 2 == 1)))
        return code | sign << (self.form.width - 1)

    def quotient(self, numerator: Codes, denominator: Codes, sign: Codes) -> Codes:
        found = np.searchsorted(self.numbers, numerator // denominator, side="right") - 1
        return self.nearest(lambda t: np.sign(2 * numerator - t * denominator), found, sign)

    def root(self, square: Codes) -> Codes:
        """`square` in squared units."""
        found = np.searchsorted(self.numbers**2, square, side="right") - 1
        return self.nearest(lambda t: np.sign(4 * square - t**2), found, np.zeros_like(square))

    def special(self, result: Codes, sign: Codes, infinite: Codes, nan: Codes) -> Codes:
        infinity = self.form.infinity | sign << (self.form.width - 1)
        return np.where(nan, self.form.quiet_nan, np.where(infinite, infinity, result))

    def add(self, a: Codes, b: Codes) -> Codes:
        (sa, ua, ia, na), (sb, ub, ib, nb) = self.split(a), self.split(b)
        total = np.where(sa, -ua, ua) + np.where(sb, -ub, ub)
        sign = np.where(total == 0, sa & sb, total < 0).astype(np.int64)
        result = self.quotient(np.abs(total), np.ones_like(total), sign)
        return self.special(result, np.where(ia, sa, sb), ia | ib, na | nb | (ia & ib & (sa != sb)))

    def multiply(self, a: Codes, b: Codes) -> Codes:
        (sa, ua, ia, na), (sb, ub, ib, nb) = self.split(a), self.split(b)
        # Far beyond infinity, where 64 bits would not do, is infinity, too.
        far = ua.astype(float) * ub.astype(float) > 2.0**60
        product = np.where(far, 1 << 60, ua * ub)
        result = self.quotient(product, np.full_like(ua, self.one), sa ^ sb)
        zero_a, zero_b = (ua == 0) & ~ia, (ub == 0) & ~ib
        return self.special(result, sa ^ sb, ia | ib, na | nb | (ia & zero_b) | (ib & zero_a))

    def divide(self, a: Codes, b: Codes) -> Codes:
        (sa, ua, ia, na), (sb, ub, ib, nb) = self.split(a), self.split(b)
        result = self.quotient(ua * self.one, np.maximum(ub, 1), sa ^ sb)
        result = np.where(ib, (sa ^ sb) << (self.form.width - 1), result)
        zero_a, zero_b = (ua == 0) & ~ia & ~na, (ub == 0) & ~ib & ~nb
        return self.special(result, sa ^ sb, ia | zero_b, na | nb | (ia & ib) | (zero_a & zero_b))

    def square_root(self, a: Codes) -> Codes:
        sign, units, infinite, nan = self.split(a)
        result = self.root(units * self.one) | sign << (self.form.width - 1)
        negative = (sign == 1) & ((units > 0) | infinite)
        return self.special(result, sign, infinite, nan | negative)


SMALL = FloatFormat(exponent_bits=4, fraction_bits=2)
MEDIUM = FloatFormat(exponent_bits=5, fraction_bits=3)
TRUTHS = {"add": "add", "mul": "multiply", "div": "divide"}


def pairs(form: FloatFormat) -> dict[str, Codes]:
    a, b = np.meshgrid(np.arange(1 << form.width), np.arange(1 << form.width))
    return {"a": a.ravel(), "b": b.ravel()}


@pytest.mark.parametrize(("unit", "truth"), [(FloatAdder, "add"), (FloatMultiplier, "multiply")])
def test_pairs_of_a_small_format(unit: Any, truth: str, pipeline: Any) -> None:
    """Every seventh; Verilator does every one below."""
    inputs = {name: codes[::7] for name, codes in pairs(SMALL).items()}
    got = pipeline(unit(form=SMALL), inputs, "o", unit.LATENCY)
    np.testing.assert_array_equal(got, getattr(Exact(SMALL), truth)(inputs["a"], inputs["b"]))


def serially(dut: Any, operands: list[tuple[int, ...]]) -> tuple[list[int], set[int]]:
    """Results of a serial unit, and the cycles that they took."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    results, cycles = [], set()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for operand in operands:
            if len(operand) == 1:
                ctx.set(dut.i.payload, operand[0])
            else:
                ctx.set(dut.i.p.a, operand[0])
                ctx.set(dut.i.p.b, operand[1])
            assert ctx.get(dut.i.ready)
            taken = 0
            await ctx.tick()
            while not ctx.get(dut.o.valid):
                taken += 1
                await ctx.tick()
            results.append(ctx.get(dut.o.payload))
            cycles.add(taken + 1)
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return results, cycles


def test_every_root_of_two_small_formats() -> None:
    for form in (SMALL, MEDIUM):
        unit = FloatSquareRoot(form=form)
        codes = np.arange(1 << form.width)
        got, cycles = serially(unit, [(int(code),) for code in codes])
        np.testing.assert_array_equal(got, Exact(form).square_root(codes))
        assert cycles == {unit.cycles}


def test_quotients_of_a_small_format() -> None:
    """A sample; Verilator divides every pair below."""
    unit = FloatDivider(form=SMALL)
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 1 << SMALL.width, (2, 800))
    got, cycles = serially(unit, list(zip(a.tolist(), b.tolist(), strict=True)))
    np.testing.assert_array_equal(got, Exact(SMALL).divide(a, b))
    assert cycles == {unit.cycles}


CORNERS = np.array(
    [
        *(0, 1, 0x007FFFFF, 0x00800000, 0x00FFFFFF, 0x33800000, 0x3F7FFFFF, 0x3F800000),
        *(0x3F800001, 0x3FFFFFFF, 0x40000000, 0x4B800000, 0x7F000000, 0x7F7FFFFF),
        *(0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF),
    ]
)


def binary32_operands(seed: int, count: int) -> tuple[Codes, Codes]:
    """Corners, each with each and both signs; uniform bits; close exponents."""
    rng = np.random.default_rng(seed)
    signed = np.concatenate([CORNERS, CORNERS | 1 << 31])
    a, b = (grid.ravel() for grid in np.meshgrid(signed, signed))
    any_a, any_b = rng.integers(0, 1 << 32, (2, count))
    near = (any_a + rng.integers(-(1 << 25), 1 << 25, count)) & 0xFFFFFFFF
    near ^= rng.integers(0, 2, count) << 31
    return np.concatenate([a, any_a, any_a]), np.concatenate([b, any_b, near])


def numpy_says(operation: Any, *codes: Codes) -> Codes:
    with np.errstate(all="ignore"):
        result = operation(*(c.astype(np.uint32).view(np.float32) for c in codes))
    bits = result.view(np.uint32).astype(np.int64)
    return np.where(np.isnan(result), BINARY32.quiet_nan, bits)


@pytest.mark.parametrize(
    ("unit", "operation"), [(FloatAdder, np.add), (FloatMultiplier, np.multiply)]
)
def test_binary32_is_the_machines(unit: Any, operation: Any, pipeline: Any) -> None:
    a, b = binary32_operands(5, 200)
    got = pipeline(unit(), {"a": a, "b": b}, "o", unit.LATENCY)
    np.testing.assert_array_equal(got, numpy_says(operation, a, b))


def test_serial_binary32_is_the_machines() -> None:
    a, b = binary32_operands(6, 40)
    pick = np.random.default_rng(6).permutation(len(a))[:100]
    a, b = a[pick], b[pick]
    got, cycles = serially(FloatDivider(), list(zip(a.tolist(), b.tolist(), strict=True)))
    np.testing.assert_array_equal(got, numpy_says(np.divide, a, b))
    assert cycles == {29}
    a = np.concatenate([CORNERS, CORNERS | 1 << 31, a[:30] & 0x7FFFFFFF])
    got, cycles = serially(FloatSquareRoot(), [(int(code),) for code in a])
    np.testing.assert_array_equal(got, numpy_says(np.sqrt, a))
    assert cycles == {27}


@pytest.mark.slow
@pytest.mark.parametrize("operation", TRUTHS)
def test_every_pair_of_a_medium_format(operation: str, tmp_path: Path) -> None:
    a, b = pairs(MEDIUM).values()
    expected = getattr(Exact(MEDIUM), TRUTHS[operation])(a, b)
    done = check_vectors(operation, MEDIUM, a, b, expected, tmp_path)
    assert (done.vectors, done.mismatches) == (1 << 18, 0), done.first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "count"),
    [("add", 3_000_000), ("mul", 3_000_000), ("div", 300_000), ("sqrt", 300_000)],
)
def test_millions_of_vectors(operation: str, count: int) -> None:
    done = check_random(operation, count, seed=1)
    assert (done.vectors, done.mismatches) == (210**2 + count, 0), done.first


@pytest.mark.slow
def test_a_wrong_rounding_is_noticed() -> None:
    """Ties away from zero instead of to even: one gate."""
    text = convert(FloatAdder(), "eoq_fp32_add")
    right = re.search(r"^  assign round_up = (.*);$", text, re.MULTILINE)
    assert right
    broken = text.replace(right[0], "  assign round_up = s3_normal[0];")
    done = check_random("add", 10_000, seed=1, text=broken)
    assert done.mismatches
    assert done.first.startswith("wrong result: a ")


def test_the_exact_arithmetic_agrees_with_numpys_half_precision() -> None:
    """The truth itself: sums in binary16 are small enough for it, and NumPy has them."""
    form = FloatFormat(exponent_bits=5, fraction_bits=10)
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 1 << 16, (2, 20_000))
    b[:9000] = (a[:9000] + rng.integers(-3000, 3000, 9000)) & 0xFFFF
    with np.errstate(all="ignore"):
        result = a.astype(np.uint16).view(np.float16) + b.astype(np.uint16).view(np.float16)
    bits = np.where(np.isnan(result), form.quiet_nan, result.view(np.uint16).astype(np.int64))
    np.testing.assert_array_equal(Exact(form).add(a, b), bits)


@pytest.mark.parametrize(
    ("exponent_bits", "fraction_bits", "message"),
    [
        (3, 2, "exponent_bits must be 4 to 11, not 3"),
        (12, 23, "exponent_bits must be 4 to 11, not 12"),
        (4, 6, "fraction_bits must be 2 to 5 for 4 exponent bits, not 6"),
        (8, 1, "fraction_bits must be 2 to 52 for 8 exponent bits, not 1"),
    ],
)
def test_formats_that_cannot_be(exponent_bits: int, fraction_bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        FloatFormat(exponent_bits, fraction_bits)
    with pytest.raises(TypeError, match=r"^fraction_bits must be an integer, not '23'$"):
        FloatFormat(8, "23")  # type: ignore[arg-type]
