"""`FloatMultiplier`: the product of two floating-point numbers, rounded to nearest even."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
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

__all__ = ["FloatMultiplier"]


class FloatMultiplier(SharedComponent):
    """a * b; one product a cycle, `LATENCY` cycles later.

    Normalise a subnormal operand; multiply by each half of the other significand; add the two;
    shift a subnormal product down and round. Only one operand is ever normalised: of two subnormal
    ones the product rounds to zero anyway (see `FloatFormat`).

    Parameters
    ----------
    form:
        Format of operands and product.

    Members
    -------
    a, b, valid:
        Operands, and whether they are any.
    o, o_valid:
        Product, and `valid` of its operands; as in `rtl.float_adder.FloatAdder`.
    """

    LATENCY = 4
    module_name = "eoq_fp32_mul"

    def __init__(self, *, form: FloatFormat = BINARY32) -> None:
        self._form = form
        self.module_name = f"eoq_fp{form.width}_mul"  # type: ignore[misc]  # of other widths
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
        precision = form.precision
        # Exponents below 1 are negative numbers here.
        wide = signed(form.exponent_bits + 2)
        a, b = Fields(self.a, form), Fields(self.b, form)

        # 1: x is the operand that may be subnormal, if only one is.
        x_significand = Signal(precision)
        m.d.comb += x_significand.eq(Mux(a.is_subnormal, a.significand, b.significand))
        places = leading_zeros(m, x_significand)
        is_zero = a.is_zero | b.is_zero
        is_infinite = a.is_infinite | b.is_infinite
        s1_x = Signal(precision, reset_less=True)
        s1_y = Signal(precision, reset_less=True)
        s1_exponent = Signal(wide, reset_less=True)
        s1_sign = Signal(reset_less=True)
        s1_nan = Signal(reset_less=True)
        s1_infinite = Signal(reset_less=True)
        m.d.sync += [
            s1_x.eq(shift_left(m, x_significand, places)),
            s1_y.eq(Mux(a.is_subnormal, b.significand, a.significand)),
            s1_exponent.eq(a.exponent + b.exponent - form.bias - places),
            s1_sign.eq(a.sign ^ b.sign),
            s1_nan.eq(a.is_nan | b.is_nan | (is_zero & is_infinite)),
            s1_infinite.eq(is_infinite),
        ]

        # 2: two half products, each fast enough for one stage.
        half = precision // 2
        s2_low = Signal(precision + half, reset_less=True)
        s2_high = Signal(2 * precision - half, reset_less=True)
        s2_zero = Signal(reset_less=True)
        s2_exponent = Signal(wide, reset_less=True)
        s2_sign = Signal(reset_less=True)
        s2_nan = Signal(reset_less=True)
        s2_infinite = Signal(reset_less=True)
        m.d.sync += [
            s2_low.eq(s1_x * s1_y[:half]),
            s2_high.eq(s1_x * s1_y[half:]),
            s2_zero.eq(~s1_x[-1]),
            s2_exponent.eq(s1_exponent),
            s2_sign.eq(s1_sign),
            s2_nan.eq(s1_nan),
            s2_infinite.eq(s1_infinite),
        ]

        # 3: their sum is in [1, 4): one place more or less. Exponent and shift for both cases.
        upper = Signal(2 * precision - half)
        m.d.comb += upper.eq(s2_low[half:] + s2_high)
        product = Cat(s2_low[:half], upper)
        top = product[-1]
        kept = precision + 2
        reach = (kept - 1).bit_length()
        s3_work = Signal(kept, reset_less=True)
        s3_sticky = Signal(reset_less=True)
        s3_exponent = Signal(form.exponent_bits + 1, reset_less=True)
        s3_shift = Signal(reach, reset_less=True)
        s3_sign = Signal(reset_less=True)
        s3_nan = Signal(reset_less=True)
        s3_infinite = Signal(reset_less=True)
        rest = 2 * precision - kept
        # A subnormal product goes down by one minus its exponent.
        down = Signal(wide)
        m.d.comb += down.eq(Mux(top, -s2_exponent, 1 - s2_exponent))
        m.d.sync += [
            s3_work.eq(Mux(top, product[rest:], product[rest - 1 : -1])),
            s3_sticky.eq(product[: rest - 1].any() | (top & product[rest - 1])),
            s3_exponent.eq(Mux(s2_zero | (down > 0), 0, Mux(top, s2_exponent + 1, s2_exponent))),
            s3_shift.eq(Mux(down > 0, Mux(down >> reach, (1 << reach) - 1, down), 0)),
            s3_sign.eq(s2_sign),
            s3_nan.eq(s2_nan),
            s3_infinite.eq(s2_infinite),
        ]

        # 4: down to the subnormal numbers, and round.
        work, lost = shift_right_sticky(m, s3_work, s3_shift, keep=kept - 1)
        s4_result = Signal(form.width, reset_less=True)
        m.d.sync += s4_result.eq(
            round_and_pack(
                m,
                form,
                sign=s3_sign,
                exponent=s3_exponent,
                fraction=work[2:],
                guard=work[1],
                sticky=work[0] | lost | s3_sticky,
                is_nan=s3_nan,
                is_infinite=s3_infinite,
            )
        )
        m.d.comb += self.o.eq(s4_result)
        carry_along(m, self.valid, self.o_valid, self.LATENCY)
        return m
