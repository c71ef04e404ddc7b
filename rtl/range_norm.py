"""`RangeNorm`: Range BN in integers, training forward and backward, channel by channel.

The arithmetic of `golden.range_bn` (arXiv 1805.11046) on 8-bit codes, as hardware must round it:

    spread = sum over chunks of (max - min)      scale = 1 / (spread * factor)
    mean   = sum(x) / M                          y     = (x - mean) * (scale * gamma) + beta

    dbeta  = sum(e)                              dx = (e - dbeta/M -+ correlation/spread)
    correlation = sum(e * (x - mean))                 * (scale * gamma)

The last term of dx is there for each chunk's first maximum (-) and first minimum (+) only; it is
golden's, with its constants cancelled. `factor` is 0.175 * (1 + sqrt(pi * ln 4)) / sqrt(2 ln n)
over the number of chunks, n elements in a chunk: a constant of the layer.

Our choices: means and the correlation's share have 4 fraction bits, rounding half to even; scale is
a reciprocal of 8 bits behind its leading one and a power of two; a spread of 0 counts as 1, in
place of an epsilon; results have 8 fraction bits and saturate at 16 bits. Golden puts the scales of
all channels on one grid of 256 steps, which would make every channel wait for the last one.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.float_fields import leading_zeros, shift_left
from rtl.nearest_even import rounded_quotient, rounded_shift
from rtl.quantizer import saturate
from rtl.serial_divider import SerialDivider

__all__ = ["RangeNorm"]

FRACTION_BITS = 4
"""Of the mean and the correlation's share."""

FACTOR_EXPONENT = 15
"""Of `factor`."""

RESULT_FRACTION_BITS = 8
"""Of y and dx."""

PARAMETER_FRACTION_BITS = 7
"""Of gamma and beta: `PARAMETER_BITS` bits, so that gamma can be 1."""

PARAMETER_BITS = 9

SCALE_BITS = 9
"""128 to 256."""

_SPREAD_BITS = 13  # 16 chunks of 255 and more
_FACTOR_BITS = 14
_DENOMINATOR_BITS = _SPREAD_BITS + _FACTOR_BITS
_MEAN_BITS = 8 + FRACTION_BITS
_TERM_BITS = 18
_FACTOR_MIN = 128
_MOST_PLACES = _DENOMINATOR_BITS - _FACTOR_MIN.bit_length()
_RESULT_BITS = 16


class RangeNorm(Component):
    """Normalises one channel after another.

    Parameters
    ----------
    count_bits:
        Bits of the number of elements in a channel, 4 to 32.

    Members
    -------
    i_channel:
        Begins a channel, and is taken at its end: `backward`; `count` M, at least 1; `chunk`, the
        elements of a chunk, a divisor of M, at most 32 chunks; `factor`, 15 fraction bits, 128 to
        16,383; `gamma` and `beta`, 7 fraction bits. Backward also what forward reported.
    i:
        Elements, M in each of `PASSES` passes: codes `x`, and backward the codes `error`.
    i_extremes:
        Backward only: what `o_extremes` gave, in the last pass.
    o:
        y or dx. It cannot wait: whoever wants it slower gives `i` slower.
    o_extremes:
        Forward only: each chunk's `high` and `low`; cannot wait either.
    o_report:
        One a channel, before the last pass. Forward: `mean`, `spread`, `scale`, `places` (scale *
        2**(places - 19) is 1 / (spread * factor)). Backward: `error_sum` and `correlation` (4
        fraction bits).

    A channel takes `forward_cycles(M)` or `backward_cycles(M)` when no stream waits.
    """

    PASSES = 2

    def __init__(self, *, count_bits: int = 20) -> None:
        if not 4 <= count_bits <= 32:
            raise ValueError(f"count_bits must be 4 to 32, not {count_bits!r}")
        self._count_bits = count_bits
        self._sum_bits = 8 + count_bits
        self._correlation_bits = 8 + _MEAN_BITS + 1 + count_bits
        self._dividend_bits = max(
            self._correlation_bits, _DENOMINATOR_BITS + SCALE_BITS, self._sum_bits + FRACTION_BITS
        )
        kept = {
            "mean": signed(_MEAN_BITS),
            "spread": _SPREAD_BITS,
            "scale": SCALE_BITS,
            "places": _MOST_PLACES.bit_length(),
        }
        channel = {
            "backward": 1,
            "count": count_bits,
            "chunk": count_bits,
            "factor": _FACTOR_BITS,
            "gamma": signed(PARAMETER_BITS),
            "beta": signed(PARAMETER_BITS),
            **kept,
        }
        report = kept | {
            "error_sum": signed(self._sum_bits),
            "correlation": signed(self._correlation_bits),
        }
        extremes = data.StructLayout({"high": signed(8), "low": signed(8)})
        elements = data.StructLayout({"x": signed(8), "error": signed(8)})
        super().__init__(
            {
                "i_channel": In(stream.Signature(data.StructLayout(channel))),
                "i": In(stream.Signature(elements)),
                "i_extremes": In(stream.Signature(extremes)),
                "o": Out(stream.Signature(signed(_RESULT_BITS), always_ready=True)),
                "o_extremes": Out(stream.Signature(extremes, always_ready=True)),
                "o_report": Out(stream.Signature(data.StructLayout(report))),
            }
        )

    def forward_cycles(self, count: int) -> int:
        """From the cycle in which a channel of `count` elements is offered to the next one's."""
        divide = self._dividend_bits + 2
        return 1 + (count + 2) + (divide + 1) + 3 + divide + 3 + 1 + (count + 4)

    def backward_cycles(self, count: int) -> int:
        """As `forward_cycles`."""
        divide = self._dividend_bits + 2
        return 1 + (count + 2) + 2 * (divide + 1) + 3 + 1 + (count + 4)

    def elaborate(self, platform: object) -> Module:
        """Share one multiplier, one divider."""
        m = Module()
        what = self.i_channel.p
        backward = what.backward
        x, error = self.i.p.x, self.i.p.error
        m.submodules.divider = divider = SerialDivider(
            dividend_bits=self._dividend_bits,
            divisor_bits=max(self._count_bits, _DENOMINATOR_BITS),
        )

        last_pass = Signal()
        index = Signal(self._count_bits)
        chunk_index = Signal(self._count_bits)
        step = Signal(2)
        accept = Signal()
        valid = Signal(4)
        is_last = index == what.count - 1
        ends_chunk = chunk_index == what.chunk - 1
        m.d.comb += accept.eq(self.i.valid & self.i.ready)
        m.d.sync += valid.eq(Cat(accept, valid))
        with m.If(accept):
            m.d.sync += [
                index.eq(Mux(is_last, 0, index + 1)),
                chunk_index.eq(Mux(ends_chunk, 0, chunk_index + 1)),
            ]

        # Sum, and each chunk's extremes.
        total = Signal(signed(self._sum_bits), reset_less=True)
        correlation = Signal(signed(self._correlation_bits), reset_less=True)
        high = Signal(signed(8), reset_less=True)
        low = Signal(signed(8), reset_less=True)
        closes = Signal()
        spread = Signal(_SPREAD_BITS, reset_less=True)
        summing = Signal()
        m.d.sync += closes.eq(summing & accept & ends_chunk & ~backward)
        with m.If(summing & accept):
            m.d.sync += total.eq(total + Mux(backward, error, x))
        with m.If(accept):
            m.d.sync += [
                high.eq(Mux((chunk_index == 0) | (x > high), x, high)),
                low.eq(Mux((chunk_index == 0) | (x < low), x, low)),
            ]
        with m.If(closes):
            m.d.sync += spread.eq(spread + (high - low).as_unsigned())
        m.d.comb += [
            self.o_extremes.valid.eq(closes),
            self.o_extremes.p.high.eq(high),
            self.o_extremes.p.low.eq(low),
        ]

        mean = Signal(signed(_MEAN_BITS), reset_less=True)
        share = Signal(signed(_TERM_BITS), reset_less=True)
        scale = Signal(SCALE_BITS, reset_less=True)
        places = Signal(range(_MOST_PLACES + 1), reset_less=True)
        gain = Signal(signed(SCALE_BITS + PARAMETER_BITS), reset_less=True)
        denominator = Signal(_DENOMINATOR_BITS, reset_less=True)

        # The first maximum and the first minimum of a chunk take the range's share.
        saw_high, saw_low = Signal(), Signal()
        is_high = backward & (x == self.i_extremes.p.high) & ~saw_high
        is_low = backward & (x == self.i_extremes.p.low) & ~saw_low
        with m.If(accept):
            m.d.sync += [
                saw_high.eq((saw_high | is_high) & ~ends_chunk),
                saw_low.eq((saw_low | is_low) & ~ends_chunk),
            ]
        m.d.comb += self.i_extremes.ready.eq(last_pass & backward & accept & ends_chunk)

        # 1: the centred element, or what else is to be multiplied.
        scaling, gaining = Signal(), Signal()
        centre = Signal(signed(_TERM_BITS + 1))
        with m.If(~last_pass):
            m.d.comb += centre.eq(what.mean)
        with m.Elif(is_high & ~is_low):
            m.d.comb += centre.eq(mean + share)
        with m.Elif(is_low & ~is_high):
            m.d.comb += centre.eq(mean - share)
        with m.Else():
            m.d.comb += centre.eq(mean)
        element = Mux(backward & last_pass, error, x) << FRACTION_BITS
        s1_term = Signal(signed(_TERM_BITS), reset_less=True)
        s1_factor = Signal(signed(SCALE_BITS + PARAMETER_BITS), reset_less=True)
        with m.If(scaling):
            m.d.sync += [s1_term.eq(spread | ~spread.any()), s1_factor.eq(what.factor)]
        with m.Elif(gaining):
            m.d.sync += [
                s1_term.eq(what.gamma),
                s1_factor.eq(Mux(backward, what.scale, scale)),
            ]
        with m.Else():
            m.d.sync += [
                s1_term.eq(saturate(element - centre, _TERM_BITS)),
                s1_factor.eq(Mux(last_pass, gain, error)),
            ]
        # 2: the product.
        s2_product = Signal(signed(len(s1_term) + len(s1_factor)), reset_less=True)
        m.d.sync += s2_product.eq(s1_term * s1_factor)
        with m.If(summing & valid[1]):
            m.d.sync += correlation.eq(correlation + s2_product)
        # 3, 4: to the result's exponent; shift. At `_MOST_PLACES` it goes right by the least.
        least = (
            FRACTION_BITS + PARAMETER_FRACTION_BITS - RESULT_FRACTION_BITS
            + _DENOMINATOR_BITS + SCALE_BITS - 2 - FACTOR_EXPONENT - _MOST_PLACES
        )  # fmt: skip
        right = _MOST_PLACES - Mux(backward, what.places, places)
        s3_scaled = Signal(signed(_RESULT_BITS + 1), reset_less=True)
        s4_result = Signal(signed(_RESULT_BITS), reset_less=True)
        beta = Mux(backward, 0, what.beta << (RESULT_FRACTION_BITS - PARAMETER_FRACTION_BITS))
        m.d.sync += [
            s3_scaled.eq(
                saturate(
                    rounded_shift(m, s2_product, least, right[: len(places)]), _RESULT_BITS + 1
                )
            ),
            s4_result.eq(saturate(s3_scaled + beta, _RESULT_BITS)),
        ]
        m.d.comb += [
            self.o.payload.eq(s4_result),
            self.o.valid.eq(last_pass & valid[3]),
            self.o_report.p.mean.eq(mean),
            self.o_report.p.spread.eq(spread),
            self.o_report.p.scale.eq(scale),
            self.o_report.p.places.eq(places),
            self.o_report.p.error_sum.eq(total),
            self.o_report.p.correlation.eq(correlation),
            divider.o.ready.eq(1),
        ]

        # Signed division: of the magnitude, the sign put back. Of a negative number the magnitude
        # less one is divided, which takes no adder; the remainder gets the one back.
        sharing = Signal()
        dividend = Signal(signed(self._dividend_bits))
        m.d.comb += dividend.eq(Mux(sharing, correlation, total << FRACTION_BITS))
        negative = dividend[-1]
        quotient, remainder = divider.o.p.quotient, divider.o.p.remainder
        divisor = Signal(max(self._count_bits, _SPREAD_BITS))
        m.d.comb += divisor.eq(Mux(sharing, what.spread | ~what.spread.any(), what.count))
        rounds_up = Signal(reset_less=True)
        too_large = Signal(reset_less=True)
        magnitude = Signal(_TERM_BITS - 1, reset_less=True)
        m.d.sync += [
            rounds_up.eq(rounded_quotient(quotient, remainder + negative, divisor)),
            too_large.eq(quotient[_TERM_BITS - 1 :].any()),
            magnitude.eq(quotient),
        ]
        rounded = Signal(signed(_TERM_BITS))
        whole = magnitude + rounds_up
        limited = Mux(too_large | whole[-1], (1 << (_TERM_BITS - 1)) - 1, whole)
        m.d.comb += rounded.eq(Mux(negative, -limited, limited))

        zeros = leading_zeros(m, denominator)
        m.d.comb += [
            divider.i.p.dividend.eq(dividend ^ negative.replicate(self._dividend_bits)),
            divider.i.p.divisor.eq(divisor),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [total.eq(0), correlation.eq(0), spread.eq(0), valid.eq(0)]
                m.d.sync += [index.eq(0), chunk_index.eq(0), step.eq(0)]
                with m.If(self.i_channel.valid):
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += [summing.eq(1), self.i.ready.eq(1)]
                with m.If(accept & is_last):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.comb += summing.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.If(step[0]):
                    m.d.sync += step.eq(0)
                    m.next = "MEAN"
            with m.State("MEAN"):
                m.d.comb += divider.i.valid.eq(1)
                with m.If(divider.o.valid):
                    m.next = "ROUND"
            with m.State("ROUND"):
                m.d.sync += mean.eq(rounded)
                m.next = "SCALE"
                with m.If(backward):
                    m.next = "SHARE"
            with m.State("SHARE"):
                m.d.comb += [sharing.eq(1), divider.i.valid.eq(1)]
                with m.If(divider.o.valid):
                    m.next = "ROUND_SHARE"
            with m.State("ROUND_SHARE"):
                m.d.comb += sharing.eq(1)
                m.d.sync += share.eq(rounded)
                m.next = "GAIN"
            with m.State("SCALE"):
                m.d.comb += scaling.eq(step == 0)
                m.d.sync += [step.eq(step + 1), denominator.eq(s2_product)]
                with m.If(step == 2):
                    m.d.sync += step.eq(0)
                    m.next = "RECIPROCAL"
            with m.State("RECIPROCAL"):
                # One bit more than the scale has, to round by.
                m.d.comb += [
                    divider.i.valid.eq(1),
                    divider.i.p.dividend.eq(1 << (_DENOMINATOR_BITS + SCALE_BITS - 1)),
                    divider.i.p.divisor.eq(shift_left(m, denominator, zeros)),
                ]
                m.d.sync += [scale.eq((quotient + 1) >> 1), places.eq(zeros)]
                with m.If(divider.o.valid):
                    m.next = "GAIN"
            with m.State("GAIN"):
                m.d.comb += gaining.eq(step == 0)
                m.d.sync += [step.eq(step + 1), gain.eq(s2_product)]
                with m.If(step == 2):
                    m.d.sync += [step.eq(0), saw_high.eq(0), saw_low.eq(0)]
                    m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += self.o_report.valid.eq(1)
                with m.If(self.o_report.ready):
                    m.next = "LAST"
            with m.State("LAST"):
                m.d.comb += [
                    last_pass.eq(1),
                    self.i.ready.eq(~backward | self.i_extremes.valid),
                ]
                with m.If(accept & is_last):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += last_pass.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.If(step == 3):
                    m.d.comb += self.i_channel.ready.eq(1)
                    m.next = "IDLE"
        return m
