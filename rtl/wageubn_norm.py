"""`WageubnNorm`: WAGEUBN's batch normalisation in integers, forward and backward.

The arithmetic of `golden.wageubn` (arXiv 1909.02384 and its code) on one grid of 2**-15, with what
hardware must add to it:

    mean      = Q(sum(x)/M, 16)                     normal = Q((x - mean) / deviation, 8)
    deviation = Q(sqrt(variance), 16) + 2**-15      y      = normal * gamma + beta

    dbeta  = sum(e)                                 dx = (e - dbeta/M - normal * dgamma/M)
    dgamma = sum(e * normal)                             * (gamma / deviation)

Our choices: x has as many bits as the mean; the variance is taken about the rounded mean, and its
root rounds half up; the division by the deviation is one reciprocal a channel, of 17 bits behind
its leading one, and a product an element, which is within one step of the quotient's rounding;
x-hat saturates at 12 bits, where the code does not clip; gamma and beta have a ninth bit, without
which gamma could not be 1. The code's backward pass is in floating point: here the two means and
what is left of the error have 7 fraction bits, gamma / deviation has 18 bits, dx 6 fraction bits.

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

ERROR_BITS = 9
"""Of e: 128 is 1, and occurs."""

_RESULT_BITS = NORMAL_BITS + PARAMETER_BITS + 1
_TERM_BITS = 18
_MEAN_BITS = ERROR_BITS + FRACTION_BITS


class WageubnNorm(Component):
    """Normalises one channel after another.

    Parameters
    ----------
    element_bits:
        Signed bits of x, mean and deviation, 8 to 16; their grid is 2**-(element_bits - 1).
    count_bits:
        Bits of the number of elements in a channel, 4 to 32.

    Members
    -------
    i_channel:
        Begins a channel, and is taken at its end: `backward`; `count` M, at least 1; `gamma`,
        `beta` with 7 fraction bits. Backward also the `reciprocal` and `places` forward reported.
    i:
        M elements in each of `PASSES` passes: `x` forward; `error` and `normal` backward.
    o:
        y, 14 fraction bits, exact; or dx in units of the error's last bit, `error_fraction_bits`.
        It cannot wait: whoever wants it slower gives `i` slower.
    o_normal:
        x-hat, 7 fraction bits, forward only; cannot wait either.
    o_report:
        One a channel, before the last pass. Forward: `mean`; `deviation` with its epsilon;
        `reciprocal` and `places`, 1 / deviation = reciprocal * 2**(places + 1 - 2 * element_bits).
        Backward: `dbeta`; `dgamma`, 7 fraction bits.

    A channel takes `forward_cycles(M)` or `backward_cycles(M)` when no stream waits.
    """

    PASSES = 2

    def __init__(self, *, element_bits: int = 16, count_bits: int = 20) -> None:
        if not 8 <= element_bits <= 16:
            raise ValueError(f"element_bits must be 8 to 16, not {element_bits!r}")
        if not 4 <= count_bits <= 32:
            raise ValueError(f"count_bits must be 4 to 32, not {count_bits!r}")
        self._bits, self._count_bits = element_bits, count_bits
        # Of gamma * reciprocal, so that 18 bits hold it.
        self._gain_shift = max(element_bits - 8, 1)
        self.error_fraction_bits = 2 * FRACTION_BITS - self._gain_shift
        # sum(u**2) with u = x + 2**(bits - 1), times 4; or the sum of error times x-hat.
        self._square_bits = count_bits + max(2 * element_bits, ERROR_BITS + NORMAL_BITS)
        self._dividend_bits = self._square_bits + 2
        kept = {"reciprocal": element_bits + 1, "places": range(element_bits)}
        channel = {
            "backward": 1,
            "count": count_bits,
            "gamma": signed(PARAMETER_BITS),
            "beta": signed(PARAMETER_BITS),
            **kept,
        }
        report = kept | {
            "mean": signed(element_bits),
            "deviation": element_bits,
            "dbeta": signed(ERROR_BITS + count_bits),
            "dgamma": signed(ERROR_BITS + NORMAL_BITS + count_bits),
        }
        elements = {
            "x": signed(element_bits),
            "error": signed(ERROR_BITS),
            "normal": signed(NORMAL_BITS),
        }
        super().__init__(
            {
                "i_channel": In(stream.Signature(data.StructLayout(channel))),
                "i": In(stream.Signature(data.StructLayout(elements))),
                "o": Out(stream.Signature(signed(_RESULT_BITS), always_ready=True)),
                "o_normal": Out(stream.Signature(signed(NORMAL_BITS), always_ready=True)),
                "o_report": Out(stream.Signature(data.StructLayout(report))),
            }
        )

    def forward_cycles(self, count: int) -> int:
        """From the cycle in which a channel of `count` elements is offered to the next one's."""
        divide = self._dividend_bits + 2
        root = self._bits + 1
        middle = (divide + 1) + self._bits + divide + root + divide
        return 1 + (count + 2) + middle + 1 + (count + 5)

    def backward_cycles(self, count: int) -> int:
        """As `forward_cycles`."""
        divide = self._dividend_bits + 2
        return 1 + (count + 2) + 2 * (divide + 1) + 3 + 1 + (count + 6)

    def elaborate(self, platform: object) -> Module:
        """Share one multiplier, one divider."""
        m = Module()
        bits = self._bits
        what = self.i_channel.p
        m.submodules.divider = divider = SerialDivider(
            dividend_bits=self._dividend_bits,
            divisor_bits=max(self._count_bits, bits),
            # Four times the variance; or a mean that may be too large.
            quotient_bits=min(max(2 * bits, 2 * _MEAN_BITS), self._dividend_bits),
        )
        m.submodules.square_root = square_root = SerialSquareRoot(root_bits=bits)

        backward = what.backward
        last_pass = Signal()
        index = Signal(self._count_bits)
        step = Signal(range(max(bits, 8)))
        accept = Signal()
        valid = Signal(6)
        is_last = index == what.count - 1
        m.d.comb += accept.eq(self.i.valid & self.i.ready)
        m.d.sync += valid.eq(Cat(accept, valid))
        with m.If(accept):
            m.d.sync += index.eq(Mux(is_last, 0, index + 1))

        # u = x + 2**(bits - 1) is not negative, and the variance does not see the difference.
        total = Signal(signed(max(bits, ERROR_BITS) + self._count_bits + 1), reset_less=True)
        squares = Signal(self._square_bits, reset_less=True)
        mean = Signal(max(bits, _MEAN_BITS), reset_less=True)  # of u, or of the error
        share = Signal(signed(_MEAN_BITS), reset_less=True)  # of x-hat in the error
        deviation = Signal(bits, reset_less=True)
        reciprocal = Signal(bits + 1, reset_less=True)
        gain = Signal(signed(_TERM_BITS), reset_less=True)
        u = Cat(self.i.p.x[:-1], ~self.i.p.x[-1])

        # 1, 2: u and its square; x - mean and its product with the reciprocal; x-hat and its
        # product with the error or with its share.
        width = max(bits + 2, _TERM_BITS)
        gaining = Signal()
        s1_term = Signal(signed(width), reset_less=True)
        s1_factor = Signal(signed(width), reset_less=True)
        with m.If(gaining):
            m.d.sync += [s1_term.eq(what.reciprocal), s1_factor.eq(what.gamma)]
        with m.Elif(backward):
            m.d.sync += [
                s1_term.eq(self.i.p.normal),
                s1_factor.eq(Mux(last_pass, share, self.i.p.error)),
            ]
        with m.Else():
            m.d.sync += [
                s1_term.eq(u - Mux(last_pass, mean[:bits], 0)),
                s1_factor.eq(Mux(last_pass, reciprocal, u)),
            ]
        s2_product = Signal(signed(2 * width), reset_less=True)
        m.d.sync += s2_product.eq(s1_term * s1_factor)

        # 3: x-hat. deviation << places had its leading one at the top, so
        # 1 / deviation = reciprocal * 2**(places - (2 * bits - 1)). One shifter serves x-hat in
        # stage 3 and dx in stage 6.
        places = Signal(range(bits), reset_less=True)
        s5_product = Signal(signed(2 * _TERM_BITS), reset_less=True)
        skipped = bits - FRACTION_BITS - 1
        aligned = rounded_shift(
            m,
            Mux(backward, s5_product, s2_product[skipped:].as_signed()),
            1,
            (bits - 1 - Mux(backward, what.places, places))[: len(places)],
            sticky=~backward & s2_product[:skipped].any(),
        )
        s3_normal = Signal(signed(NORMAL_BITS), reset_less=True)
        m.d.sync += s3_normal.eq(saturate(aligned, NORMAL_BITS))
        # 3, 4: the error without its mean and without x-hat's share.
        s1_error = Signal(signed(ERROR_BITS), reset_less=True)
        s2_error = Signal(signed(ERROR_BITS), reset_less=True)
        s3_centred = Signal(signed(_MEAN_BITS + 1), reset_less=True)
        s3_share = Signal(signed(NORMAL_BITS + _MEAN_BITS - FRACTION_BITS + 1), reset_less=True)
        s4_term = Signal(signed(_TERM_BITS), reset_less=True)
        m.d.sync += [
            s1_error.eq(self.i.p.error),
            s2_error.eq(s1_error),
            s3_centred.eq((s2_error << FRACTION_BITS) - mean[:_MEAN_BITS].as_signed()),
            s3_share.eq(rounded_shift(m, s2_product[: NORMAL_BITS + _MEAN_BITS].as_signed(),
                                      FRACTION_BITS, C(0, 0))),
            s4_term.eq(saturate(s3_centred - s3_share, _TERM_BITS)),
        ]  # fmt: skip
        # 4, 5: scale and shift; or the last factor of dx, a stage later.
        m.d.sync += s5_product.eq(
            Mux(backward, s4_term, s3_normal) * Mux(backward, gain, what.gamma).as_signed()
        )
        result = Signal(signed(_RESULT_BITS), reset_less=True)
        shifted = s5_product + (what.beta << FRACTION_BITS)
        m.d.sync += result.eq(Mux(backward, saturate(aligned, _RESULT_BITS), shifted))
        m.d.comb += [
            self.o.payload.eq(result),
            self.o.valid.eq(last_pass & Mux(backward, valid[5], valid[4])),
            self.o_normal.payload.eq(s3_normal),
            self.o_normal.valid.eq(last_pass & ~backward & valid[2]),
            self.o_report.p.mean.eq(Cat(mean[: bits - 1], ~mean[bits - 1])),
            self.o_report.p.deviation.eq(deviation),
            self.o_report.p.reciprocal.eq(reciprocal),
            self.o_report.p.places.eq(places),
            self.o_report.p.dbeta.eq(total),
            self.o_report.p.dgamma.eq(squares),
        ]

        # Sums of errors are signed: the magnitude is divided, and the sign put back. Of a negative
        # sum the magnitude less one is, which takes no adder; the remainder gets the one back.
        dividend = Signal(self._dividend_bits)
        negative = backward & dividend[-1]
        m.d.comb += divider.i.p.dividend.eq(dividend ^ negative.replicate(self._dividend_bits))
        quotient, remainder = divider.o.p.quotient, divider.o.p.remainder
        rounds_up = Signal(reset_less=True)
        too_large = Signal(reset_less=True)
        magnitude = Signal(max(bits, _MEAN_BITS), reset_less=True)
        limit = (1 << (_MEAN_BITS - 1)) - 1
        m.d.sync += [
            rounds_up.eq(rounded_quotient(quotient, remainder + negative, what.count)),
            magnitude.eq(quotient),
            too_large.eq(quotient[_MEAN_BITS - 1 :].any()),
        ]
        rounded = (magnitude + rounds_up)[: len(magnitude)]
        of_error = Mux(too_large | (rounded > limit), limit, rounded)
        signed_rounded = Mux(negative, -of_error, of_error)

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
                    m.d.sync += total.eq(total + Mux(backward, self.i.p.error, u))
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
                    dividend.eq(Mux(backward, total << FRACTION_BITS, total)),
                    divider.i.p.divisor.eq(what.count),
                ]
                m.d.sync += cross.eq(total + remainder)
                with m.If(divider.o.valid):
                    m.next = "ROUND"
            with m.State("ROUND"):
                m.d.comb += dividend.eq(total << FRACTION_BITS)
                m.d.sync += [
                    mean.eq(Mux(backward, signed_rounded, rounded)),
                    factor.eq(rounded),
                    cross.eq(cross - Mux(rounds_up, what.count, 0)),
                ]
                m.next = "CROSS"
                with m.If(backward):
                    m.next = "SHARE"
            with m.State("SHARE"):
                m.d.comb += [
                    divider.i.valid.eq(1),
                    dividend.eq(squares.as_signed()),
                    divider.i.p.divisor.eq(what.count),
                ]
                with m.If(divider.o.valid):
                    m.next = "ROUND_SHARE"
            with m.State("ROUND_SHARE"):
                m.d.comb += dividend.eq(squares.as_signed())
                m.d.sync += [share.eq(signed_rounded), step.eq(0)]
                m.next = "GAIN"
            with m.State("GAIN"):
                m.d.comb += gaining.eq(step == 0)
                m.d.sync += [
                    step.eq(step + 1),
                    gain.eq(rounded_shift(m, s2_product, self._gain_shift, C(0, 0))),
                ]
                with m.If(step == 2):
                    m.d.sync += step.eq(0)
                    m.next = "REPORT"
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
                    dividend.eq(Cat(C(0, 2), squares)),
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
                    dividend.eq(1 << (2 * bits - 1)),
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
                with m.If(step == Mux(backward, 5, 4)):
                    m.d.comb += self.i_channel.ready.eq(1)
                    m.d.sync += step.eq(0)
                    m.next = "IDLE"
        return m
