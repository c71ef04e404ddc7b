"""`WageubnNorm`: WAGEUBN's batch normalisation in integers, training forward, channel by channel.

The arithmetic of `golden.wageubn` (arXiv 1909.02384 and its code) on one grid of 2**-15, with what
hardware must add to it:

    mean      = Q(sum(x)/M, 16)                     normal = Q((x - mean) / deviation, 8)
    deviation = Q(sqrt(variance), 16) + 2**-15      y      = normal * gamma + beta

Our choices: x has as many bits as the mean; the variance is taken about the rounded mean, and its
root rounds half up; the division by the deviation is one reciprocal a channel, of 17 bits behind
its leading one, and a product an element, which is within one step of the quotient's rounding;
x-hat saturates at 12 bits, where the code does not clip; gamma and beta have a ninth bit, without
which gamma could not be 1.

Sums and sums of squares are exact, so one pass makes mean and variance: sum((x - m)**2) =
sum(x**2) - m * (sum(x) + (sum(x) - M * m)).
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.float_fields import leading_zeros, shift_left
from rtl.nearest_even import rounded_quotient, rounded_shift
from rtl.quantizer import saturate
from rtl.serial_divider import SerialDivider
from rtl.serial_square_root import SerialSquareRoot

__all__ = ["WageubnNorm"]

FRACTION_BITS = 7
"""Of x-hat, gamma and beta: Q(., 8)."""

NORMAL_BITS = 12
"""Of x-hat."""

PARAMETER_BITS = 9
"""Of gamma and beta."""

_RESULT_BITS = NORMAL_BITS + PARAMETER_BITS + 1


class WageubnNorm(Component):
    """Normalises one channel after another.

    Parameters
    ----------
    element_bits:
        Signed bits of x, mean and deviation, 8 to 24; their grid is 2**-(element_bits - 1).
    count_bits:
        Bits of the number of elements in a channel, 4 to 32.

    Members
    -------
    i_channel:
        Begins a channel, and is taken at its end: `count` M, at least 1; `gamma`, `beta` with
        7 fraction bits.
    i:
        Elements `x`, M in each of `PASSES` passes.
    o:
        y, 14 fraction bits, exact. It cannot wait: whoever wants it slower gives `i` slower.
    o_normal:
        x-hat, 7 fraction bits, for the backward pass; cannot wait either.
    o_report:
        One a channel, before the last pass: `mean`, and `deviation` with its epsilon.

    A channel takes `cycles(M)` when no stream waits.
    """

    PASSES = 2

    def __init__(self, *, element_bits: int = 16, count_bits: int = 20) -> None:
        if not 8 <= element_bits <= 24:
            raise ValueError(f"element_bits must be 8 to 24, not {element_bits!r}")
        if not 4 <= count_bits <= 32:
            raise ValueError(f"count_bits must be 4 to 32, not {count_bits!r}")
        self._bits, self._count_bits = element_bits, count_bits
        # sum(u**2) with u = x + 2**(bits - 1), times 4.
        self._dividend_bits = 2 * element_bits + count_bits + 2
        parameter = signed(PARAMETER_BITS)
        channel = {"count": count_bits, "gamma": parameter, "beta": parameter}
        report = {"mean": signed(element_bits), "deviation": element_bits}
        super().__init__(
            {
                "i_channel": In(stream.Signature(data.StructLayout(channel))),
                "i": In(stream.Signature(data.StructLayout({"x": signed(element_bits)}))),
                "o": Out(stream.Signature(signed(_RESULT_BITS), always_ready=True)),
                "o_normal": Out(stream.Signature(signed(NORMAL_BITS), always_ready=True)),
                "o_report": Out(stream.Signature(data.StructLayout(report))),
            }
        )

    def cycles(self, count: int) -> int:
        """From the cycle in which a channel of `count` elements is offered to the next one's."""
        divide = self._dividend_bits + 2
        root = self._bits + 1
        return 1 + (count + 2) + divide + 1 + self._bits + divide + root + divide + 1 + (count + 5)

    def elaborate(self, platform: object) -> Module:
        """Share one multiplier, one divider."""
        m = Module()
        bits = self._bits
        what = self.i_channel.p
        m.submodules.divider = divider = SerialDivider(
            dividend_bits=self._dividend_bits,
            divisor_bits=max(self._count_bits, bits),
            quotient_bits=2 * bits,  # four times the variance
        )
        m.submodules.square_root = square_root = SerialSquareRoot(root_bits=bits)

        last_pass = Signal()
        index = Signal(self._count_bits)
        step = Signal(range(max(bits, 8)))
        accept = Signal()
        valid = Signal(5)
        is_last = index == what.count - 1
        m.d.comb += accept.eq(self.i.valid & self.i.ready)
        m.d.sync += valid.eq(Cat(accept, valid))
        with m.If(accept):
            m.d.sync += index.eq(Mux(is_last, 0, index + 1))

        # u = x + 2**(bits - 1) is not negative, and the variance does not see the difference.
        total = Signal(bits + self._count_bits, reset_less=True)
        squares = Signal(2 * bits + self._count_bits, reset_less=True)
        mean = Signal(bits, reset_less=True)  # of u
        deviation = Signal(bits, reset_less=True)
        reciprocal = Signal(bits + 1, reset_less=True)
        u = Cat(self.i.p.x[:-1], ~self.i.p.x[-1])

        # 1, 2: u and its square; or x - mean and its product with the reciprocal.
        s1_term = Signal(signed(bits + 1), reset_less=True)
        s2_product = Signal(signed(2 * bits + 3), reset_less=True)
        s1_factor = Signal(bits + 1, reset_less=True)
        m.d.sync += [
            s1_term.eq(u - Mux(last_pass, mean, 0)),
            s1_factor.eq(Mux(last_pass, reciprocal, u)),
            s2_product.eq(s1_term * s1_factor),
        ]
        # 3: x-hat. deviation << places had its leading one at the top, so
        # 1 / deviation = reciprocal * 2**(places - (2 * bits - 1)).
        places = Signal(range(bits), reset_less=True)
        normal = rounded_shift(m, s2_product, bits - FRACTION_BITS, bits - 1 - places)
        s3_normal = Signal(signed(NORMAL_BITS), reset_less=True)
        # 4, 5: scale and shift.
        s4_scaled = Signal(signed(NORMAL_BITS + PARAMETER_BITS), reset_less=True)
        s5_result = Signal(signed(_RESULT_BITS), reset_less=True)
        m.d.sync += [
            s3_normal.eq(saturate(normal, NORMAL_BITS)),
            s4_scaled.eq(s3_normal * what.gamma),
            s5_result.eq(s4_scaled + (what.beta << FRACTION_BITS)),
        ]
        m.d.comb += [
            self.o.payload.eq(s5_result),
            self.o.valid.eq(last_pass & valid[4]),
            self.o_normal.payload.eq(s3_normal),
            self.o_normal.valid.eq(last_pass & valid[2]),
            self.o_report.p.mean.eq(Cat(mean[:-1], ~mean[-1])),
            self.o_report.p.deviation.eq(deviation),
        ]

        quotient, remainder = divider.o.p.quotient, divider.o.p.remainder
        up = rounded_quotient(quotient, remainder, what.count)
        rounds_up = Signal(reset_less=True)
        # sum(u) + (sum(u) - M * mean), to be multiplied by the mean, bit by bit.
        cross = Signal(len(squares), reset_less=True)
        factor = Signal(bits, reset_less=True)
        zeros = leading_zeros(m, deviation)
        scaled_deviation = shift_left(m, deviation, zeros)
        m.d.comb += [divider.o.ready.eq(1), square_root.o.ready.eq(1)]
        m.d.comb += square_root.i.payload.eq(quotient)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [index.eq(0), total.eq(0), squares.eq(0), valid.eq(0)]
                with m.If(self.i_channel.valid):
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += step.eq(0)
                with m.If(accept):
                    m.d.sync += total.eq(total + u)
                with m.If(valid[1]):
                    m.d.sync += squares.eq(squares + s2_product)
                with m.If(accept & is_last):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.sync += step.eq(step + 1)
                with m.If(valid[1]):
                    m.d.sync += squares.eq(squares + s2_product)
                with m.If(step[0]):
                    m.d.sync += step.eq(0)
                    m.next = "MEAN"
            with m.State("MEAN"):
                m.d.comb += [
                    divider.i.valid.eq(1),
                    divider.i.p.dividend.eq(total),
                    divider.i.p.divisor.eq(what.count),
                ]
                m.d.sync += [mean.eq(quotient), cross.eq(total + remainder), rounds_up.eq(up)]
                with m.If(divider.o.valid):
                    m.next = "ROUND"
            with m.State("ROUND"):
                m.d.sync += [
                    mean.eq(mean + rounds_up),
                    factor.eq(mean + rounds_up),
                    cross.eq(cross - Mux(rounds_up, what.count, 0)),
                ]
                m.next = "CROSS"
            with m.State("CROSS"):
                m.d.sync += [
                    step.eq(step + 1),
                    cross.eq(cross << 1),
                    factor.eq(factor >> 1),
                ]
                with m.If(factor[0]):
                    m.d.sync += squares.eq(squares - cross)
                with m.If(step == bits - 1):
                    m.d.sync += step.eq(0)
                    m.next = "VARIANCE"
            with m.State("VARIANCE"):
                # Four times the variance: the root then has the half that it rounds by.
                m.d.comb += [
                    divider.i.valid.eq(1),
                    divider.i.p.dividend.eq(Cat(C(0, 2), squares)),
                    divider.i.p.divisor.eq(what.count),
                    square_root.i.valid.eq(divider.o.valid),
                ]
                with m.If(divider.o.valid):
                    m.next = "ROOT"
            with m.State("ROOT"), m.If(square_root.o.valid):
                # + 1: epsilon.
                m.d.sync += deviation.eq(((square_root.o.payload + 1) >> 1) + 1)
                m.next = "RECIPROCAL"
            with m.State("RECIPROCAL"):
                m.d.comb += [
                    divider.i.valid.eq(1),
                    divider.i.p.dividend.eq(1 << (2 * bits - 1)),
                    divider.i.p.divisor.eq(scaled_deviation),
                ]
                m.d.sync += places.eq(zeros)
                with m.If(divider.o.valid):
                    m.d.sync += reciprocal.eq(quotient)
                    m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += self.o_report.valid.eq(1)
                with m.If(self.o_report.ready):
                    m.next = "LAST"
            with m.State("LAST"):
                m.d.comb += [last_pass.eq(1), self.i.ready.eq(1)]
                with m.If(accept & is_last):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += last_pass.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.If(step == 4):
                    m.d.comb += self.i_channel.ready.eq(1)
                    m.d.sync += step.eq(0)
                    m.next = "IDLE"
        return m
