"""`FloatAdder`: the sum of two floating-point numbers, IEEE 754 rounding to nearest even."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from rtl.float_fields import (
    Fields,
    carry_along,
    leading_zeros,
    round_and_pack,
    shift_left,
    shift_right_sticky,
)
from rtl.float_format import BINARY32, FloatFormat
from rtl.hierarchy import SharedComponent

__all__ = ["FloatAdder"]

_EXTRA = 3
"""Bits kept below the significand: guard, round, sticky."""


class FloatAdder(SharedComponent):
    """a + b; one sum a cycle, `LATENCY` cycles later; a - b is a sum with b's sign turned.

    One path for near and far operands: compare and swap; align and add; find the leading one and
    shift it up; round. Subnormal numbers, infinities and NaNs take the same time.

    Parameters
    ----------
    form:
        Format of operands and sum.

    Members
    -------
    a, b, valid:
        Operands, and whether they are any.
    o, o_valid:
        Sum, and `valid` of its operands. Nothing here has a reset: `valid` must have been low for
        `LATENCY` cycles before `o_valid` is to be believed.
    """

    LATENCY = 4
    module_name = "eoq_fp32_add"

    def __init__(self, *, form: FloatFormat = BINARY32) -> None:
        self._form = form
        self.module_name = f"eoq_fp{form.width}_add"  # type: ignore[misc]  # of other widths
        super().__init__(
            {
                "a": In(form.width),
                "b": In(form.width),
                "valid": In(1),
                "o": Out(form.width),
                "o_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Chain the four stages."""
        m = Module()
        form = self._form
        precision, exponents = form.precision, form.exponent_bits
        width = precision + _EXTRA + 1  # of the sum, carry included
        a, b = Fields(self.a, form), Fields(self.b, form)

        # 1: the larger magnitude first.
        swap = Signal()
        m.d.comb += swap.eq(b.magnitude > a.magnitude)
        minus = a.sign ^ b.sign
        s1_large = Signal(precision, reset_less=True)
        s1_small = Signal(precision, reset_less=True)
        s1_exponent = Signal(exponents, reset_less=True)
        s1_distance = Signal(exponents, reset_less=True)
        s1_minus = Signal(reset_less=True)
        s1_sign = Signal(reset_less=True)
        s1_nan = Signal(reset_less=True)
        s1_infinite = Signal(reset_less=True)
        m.d.sync += [
            s1_large.eq(Mux(swap, b.significand, a.significand)),
            s1_small.eq(Mux(swap, a.significand, b.significand)),
            s1_exponent.eq(Mux(swap, b.exponent, a.exponent)),
            # Both differences beside the comparison, not one behind it.
            s1_distance.eq(Mux(swap, b.exponent - a.exponent, a.exponent - b.exponent)),
            s1_minus.eq(minus),
            # x - x is +0.
            s1_sign.eq(Mux(minus & (a.magnitude == b.magnitude), 0, Mux(swap, b.sign, a.sign))),
            s1_nan.eq(a.is_nan | b.is_nan | (a.is_infinite & b.is_infinite & minus)),
            s1_infinite.eq(a.is_infinite | b.is_infinite),
        ]

        # 2: align the smaller one; what leaves at the bottom is kept as one sticky bit; add.
        reach = (precision + _EXTRA - 1).bit_length()
        aligned, lost = shift_right_sticky(m, Cat(C(0, 2), s1_small), s1_distance[:reach])
        gone = s1_distance[reach:].any()
        small = Signal(width - 1)
        m.d.comb += small.eq(Mux(gone, s1_small.any(), Cat(lost, aligned)))
        s2_sum = Signal(width, reset_less=True)
        s2_carried = Signal(exponents, reset_less=True)
        s2_sign = Signal(reset_less=True)
        s2_nan = Signal(reset_less=True)
        s2_infinite = Signal(reset_less=True)
        # Two's complement in the same adder. The larger one comes first, so nothing borrows, and
        # the carry of a subtraction says nothing.
        total = Cat(C(0, _EXTRA), s1_large) + (small ^ s1_minus.replicate(width - 1)) + s1_minus
        m.d.sync += [
            s2_sum.eq(Cat(total[: width - 1], total[width - 1] & ~s1_minus)),
            # The exponent if the sum has its carry: of the top bit.
            s2_carried.eq(s1_exponent + 1),
            s2_sign.eq(s1_sign),
            s2_nan.eq(s1_nan),
            s2_infinite.eq(s1_infinite),
        ]

        # 3: shift the leading one to the top, but not so far that the exponent falls below 1: a
        # one is put where it would.
        bound = Signal(width - 2)
        for exponent in range(2, min(width, 1 << exponents)):
            m.d.comb += bound[width - exponent - 1].eq(s2_carried == exponent)
        places = leading_zeros(m, s2_sum | Cat(0, bound))
        normal = Signal(width)
        m.d.comb += normal.eq(shift_left(m, s2_sum, places))
        s3_normal = Signal(precision, reset_less=True)
        s3_sticky = Signal(reset_less=True)
        s3_exponent = Signal(exponents, reset_less=True)
        s3_sign = Signal(reset_less=True)
        s3_nan = Signal(reset_less=True)
        s3_infinite = Signal(reset_less=True)
        m.d.sync += [
            s3_normal.eq(normal[_EXTRA:-1]),
            s3_sticky.eq(normal[:_EXTRA].any()),
            s3_exponent.eq(Mux(normal[-1], s2_carried - places, 0)),
            s3_sign.eq(s2_sign),
            s3_nan.eq(s2_nan),
            s3_infinite.eq(s2_infinite),
        ]

        # 4: round.
        s4_result = Signal(form.width, reset_less=True)
        m.d.sync += s4_result.eq(
            round_and_pack(
                m,
                form,
                sign=s3_sign,
                exponent=s3_exponent,
                fraction=s3_normal[1:],
                guard=s3_normal[0],
                sticky=s3_sticky,
                is_nan=s3_nan,
                is_infinite=s3_infinite,
            )
        )
        m.d.comb += self.o.eq(s4_result)
        carry_along(m, self.valid, self.o_valid, self.LATENCY)
        return m
