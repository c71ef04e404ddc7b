"""`FloatBatchNorm`: batch normalisation in binary32, forward and backward, channel by channel.

What EOQ removes, built as one would build it: two adders, two multipliers, one serial divider and
one serial square root, all busy with one element a cycle. The operations are those of
`golden.float_normalization.BatchNormalizationLayer`, except that the sum over a channel is that of
four interleaved partial sums (the adder's latency) and that 1/M comes from outside:

    mean     = sum(x) * (1/M)                       normal = (x - mean) * inverse
    variance = sum((x - mean)**2) * (1/M)           y      = normal * gamma + beta
    inverse  = 1 / sqrt(variance + epsilon)

    dbeta    = sum(e)                               dx = ((e - dbeta * (1/M)) - normal *
    dgamma   = sum(e * normal)                             (dgamma * (1/M))) * (gamma * inverse)

Nothing is buffered: the channel's elements come once for each pass, in the same order.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.float_adder import FloatAdder
from rtl.float_divider import FloatDivider
from rtl.float_format import BINARY32
from rtl.float_multiplier import FloatMultiplier
from rtl.float_square_root import FloatSquareRoot
from rtl.hierarchy import place

__all__ = ["EPSILON_CODE", "FloatBatchNorm"]

EPSILON_CODE = 0x3727C5AC
"""1e-5 in binary32: `golden.float_normalization.EPSILON`."""

_WIDTH = BINARY32.width
_MINUS_ZERO = C(1 << (_WIDTH - 1), _WIDTH)
"""What leaves every number as it is when added."""
_ONE = C(BINARY32.bias << BINARY32.fraction_bits, _WIDTH)

_LANES = FloatAdder.LATENCY
"""Partial sums that go round in an adder."""

# Steps of a reduction. The last element reaches the accumulating adder within the wait.
_WAIT = 2 * _LANES
_TOTAL = _WAIT + 11
_SCALED = _TOTAL + FloatMultiplier.LATENCY
_ROOT = _SCALED + FloatAdder.LATENCY


def _minus(value: Value) -> Value:
    return Cat(value[:-1], ~value[-1])


class FloatBatchNorm(Component):
    """Normalises one channel after another.

    Parameters
    ----------
    count_bits:
        Bits of the number of elements in a channel, 4 to 32.

    Members
    -------
    i_channel:
        Begins a channel, and is taken at its end: `backward`; `count` M, at least 1;
        `inverse_count` 1/M; `gamma`; `beta` (forward only); `inverse`, what forward reported
        (backward only).
    i:
        Elements, M in each pass: three passes of `x` forward, `normal` ignored; two passes of
        error `x` and `normal` backward.
    o:
        Result of the last pass, y or dx. It cannot wait: whoever wants it slower gives `i` slower.
    o_normal:
        x-hat, forward only, for the backward pass to be given again; cannot wait either.
    o_report:
        One a channel, before the last pass. Forward: `first` mean, `second` variance, `inverse`.
        Backward: `first` dbeta, `second` dgamma.

    A channel takes `forward_cycles(M)` or `backward_cycles(M)` when no stream waits. A pass that
    sums takes element k in phase k modulo 4 only, so there a source that pauses loses up to three
    cycles more; but what the sums are does not depend on it.
    """

    FORWARD_PASSES = 3
    BACKWARD_PASSES = 2

    def __init__(self, *, count_bits: int = 20) -> None:
        if not 4 <= count_bits <= 32:
            raise ValueError(f"count_bits must be 4 to 32, not {count_bits!r}")
        self._count_bits = count_bits
        channel = data.StructLayout(
            {
                "backward": 1,
                "count": count_bits,
                "inverse_count": _WIDTH,
                "gamma": _WIDTH,
                "beta": _WIDTH,
                "inverse": _WIDTH,
            }
        )
        report = data.StructLayout({"first": _WIDTH, "second": _WIDTH, "inverse": _WIDTH})
        super().__init__(
            {
                "i_channel": In(stream.Signature(channel)),
                "i": In(stream.Signature(data.StructLayout({"x": _WIDTH, "normal": _WIDTH}))),
                "o": Out(stream.Signature(_WIDTH, always_ready=True)),
                "o_normal": Out(stream.Signature(_WIDTH, always_ready=True)),
                "o_report": Out(stream.Signature(report)),
            }
        )

    @staticmethod
    def forward_cycles(count: int) -> int:
        """From the cycle in which a channel of `count` elements is offered to the next one's."""
        rounds = -(-count // _LANES) * _LANES
        root = 27 + 29  # square root and quotient
        return 1 + _LANES + rounds + 16 + (rounds + 8 + 20 + root) + 1 + (count + 16)

    @staticmethod
    def backward_cycles(count: int) -> int:
        """As `forward_cycles`."""
        rounds = -(-count // _LANES) * _LANES
        return 1 + _LANES + (rounds + 4 + 12) + 1 + 7 + (count + 12)

    def elaborate(self, platform: object) -> Module:
        """Route two adders and two multipliers according to pass and step."""
        m = Module()
        adder_1 = place(m, platform, "adder_1", FloatAdder)
        adder_2 = place(m, platform, "adder_2", FloatAdder)
        multiplier_1 = place(m, platform, "multiplier_1", FloatMultiplier)
        multiplier_2 = place(m, platform, "multiplier_2", FloatMultiplier)
        m.submodules.divider = divider = FloatDivider()
        m.submodules.square_root = square_root = FloatSquareRoot()

        what = self.i_channel.p
        backward = what.backward
        # Forward: mean, variance, inverse. Backward: the two sums and then the terms they make,
        # and the last factor.
        first = Signal(_WIDTH, reset_less=True)
        second = Signal(_WIDTH, reset_less=True)
        factor = Signal(_WIDTH, reset_less=True)

        squares = Signal()  # the second pass of forward
        summing = Signal()
        aligning = Signal()
        reducing = Signal()
        scaling = Signal()
        last_pass = Signal()
        step = Signal(range(_ROOT + 2))
        phase = Signal(range(_LANES))
        index = Signal(self._count_bits)
        accept = Signal()
        is_last = index == what.count - 1
        m.d.comb += accept.eq(self.i.valid & self.i.ready)
        with m.If(accept):
            m.d.sync += index.eq(index + 1)
        m.d.sync += phase.eq(phase + 1)

        # In a reduction the partial sums come out of the adder one after the other: 0 and 1 are
        # added, 2 and 3, and then the two sums.
        at = {name: Signal(name=f"at_{name}") for name in ("total", "scaled", "root")}
        for name, when in (("total", _TOTAL), ("scaled", _SCALED), ("root", _ROOT)):
            m.d.comb += at[name].eq(reducing & (step == when))
        adding = Signal()
        m.d.comb += adding.eq(reducing & (step >= _WAIT) & (step < _WAIT + _LANES * 3))
        keep = ~(step == _WAIT + 6)
        held_1 = Signal(_WIDTH, reset_less=True)
        held_2 = Signal(_WIDTH, reset_less=True)
        with m.If(keep):
            m.d.sync += [held_1.eq(adder_1.o), held_2.eq(adder_2.o)]
        circulating = Signal()
        m.d.comb += circulating.eq(summing | aligning | (reducing & (step <= _TOTAL)))

        # Adder 1: sum of the error; x - mean, e - dbeta/M; variance + epsilon.
        sums_error = backward & ~last_pass
        x = self.i.p.x
        with m.If(sums_error):
            m.d.comb += [
                adder_1.a.eq(Mux(adding, held_1, Mux(accept, x, _MINUS_ZERO))),
                adder_1.b.eq(Mux(circulating, adder_1.o, _MINUS_ZERO)),
            ]
        with m.Else():
            m.d.comb += [
                adder_1.a.eq(Mux(at["scaled"], multiplier_1.o, x)),
                adder_1.b.eq(Mux(at["scaled"], C(EPSILON_CODE, _WIDTH), _minus(first))),
            ]
        m.d.comb += adder_1.valid.eq(accept)

        # Multiplier 1: squares, x-hat, e * x-hat, x-hat * dgamma/M; and a few a channel.
        with m.If(backward):
            with m.If(scaling):
                m.d.comb += [
                    multiplier_1.a.eq(Mux(step == 0, first, Mux(step == 1, second, what.gamma))),
                    multiplier_1.b.eq(Mux(step == 2, what.inverse, what.inverse_count)),
                ]
            with m.Else():
                m.d.comb += [
                    multiplier_1.a.eq(self.i.p.normal),
                    multiplier_1.b.eq(Mux(last_pass, second, x)),
                ]
        with m.Elif(at["total"]):
            m.d.comb += [multiplier_1.a.eq(adder_2.o), multiplier_1.b.eq(what.inverse_count)]
        with m.Else():
            m.d.comb += [
                multiplier_1.a.eq(adder_1.o),
                multiplier_1.b.eq(Mux(last_pass, factor, adder_1.o)),
            ]
        m.d.comb += multiplier_1.valid.eq(Mux(backward, accept, adder_1.o_valid))

        # Adder 2: the other sums; + beta; - x-hat * dgamma/M.
        direct = ~backward & ~squares
        term = Mux(direct, x, multiplier_1.o)
        has_term = Mux(direct, accept, multiplier_1.o_valid)
        with m.If(last_pass):
            m.d.comb += [
                adder_2.a.eq(Mux(backward, adder_1.o, multiplier_2.o)),
                adder_2.b.eq(Mux(backward, _minus(multiplier_1.o), what.beta)),
            ]
        with m.Else():
            m.d.comb += [
                adder_2.a.eq(Mux(adding, held_2, Mux(has_term, term, _MINUS_ZERO))),
                adder_2.b.eq(Mux(circulating, adder_2.o, _MINUS_ZERO)),
            ]
        m.d.comb += adder_2.valid.eq(Mux(backward, adder_1.o_valid, multiplier_2.o_valid))

        # Multiplier 2: x-hat * gamma; the last factor of dx.
        m.d.comb += [
            multiplier_2.a.eq(Mux(backward, adder_2.o, multiplier_1.o)),
            multiplier_2.b.eq(Mux(backward, factor, what.gamma)),
            multiplier_2.valid.eq(Mux(backward, adder_2.o_valid, multiplier_1.o_valid)),
            self.o.payload.eq(Mux(backward, multiplier_2.o, adder_2.o)),
            self.o.valid.eq(last_pass & Mux(backward, multiplier_2.o_valid, adder_2.o_valid)),
            self.o_normal.payload.eq(multiplier_1.o),
            self.o_normal.valid.eq(last_pass & ~backward & multiplier_1.o_valid),
            self.o_report.p.first.eq(first),
            self.o_report.p.second.eq(second),
            self.o_report.p.inverse.eq(factor),
            square_root.i.payload.eq(adder_1.o),
            square_root.i.valid.eq(at["root"]),
            divider.i.p.a.eq(_ONE),
            divider.i.p.b.eq(square_root.o.payload),
            divider.i.valid.eq(square_root.o.valid),
            square_root.o.ready.eq(divider.i.ready),
            divider.o.ready.eq(1),
        ]

        # The wait before a reduction: elements are this late at the accumulating adder.
        late = Mux(backward, FloatMultiplier.LATENCY, Mux(squares, _WAIT, 0))
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [step.eq(0), squares.eq(0)]
                with m.If(self.i_channel.valid):
                    m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.sync += [step.eq(step + 1), index.eq(0)]
                with m.If(step == _LANES - 1):
                    m.d.sync += phase.eq(0)
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += [
                    summing.eq(1),
                    self.i.ready.eq(phase == index[: len(phase)]),
                ]
                with m.If(accept & is_last):
                    m.d.sync += [step.eq(_WAIT - late), index.eq(0)]
                    m.next = "ALIGN"
                    with m.If(phase == _LANES - 1):
                        m.next = "REDUCE"
            with m.State("ALIGN"):
                m.d.comb += aligning.eq(1)
                with m.If(phase == _LANES - 1):
                    m.next = "REDUCE"
            with m.State("REDUCE"):
                m.d.comb += reducing.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.If(backward & at["total"]):
                    m.d.sync += [first.eq(adder_1.o), second.eq(adder_2.o)]
                    m.next = "REPORT"
                with m.Elif(at["scaled"]):
                    with m.If(squares):
                        m.d.sync += second.eq(multiplier_1.o)
                    with m.Else():
                        m.d.sync += [first.eq(multiplier_1.o), squares.eq(1), phase.eq(0)]
                        m.next = "SUM"
                with m.Elif(at["root"]):
                    m.next = "ROOT"
            with m.State("ROOT"), m.If(divider.o.valid):
                m.d.sync += factor.eq(divider.o.payload)
                m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += self.o_report.valid.eq(1)
                m.d.sync += step.eq(0)
                with m.If(self.o_report.ready):
                    m.next = "LAST"
                    with m.If(backward):
                        m.next = "SCALE"
            with m.State("SCALE"):
                m.d.comb += scaling.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.Switch(step):
                    with m.Case(FloatMultiplier.LATENCY):
                        m.d.sync += first.eq(multiplier_1.o)
                    with m.Case(FloatMultiplier.LATENCY + 1):
                        m.d.sync += second.eq(multiplier_1.o)
                    with m.Case(FloatMultiplier.LATENCY + 2):
                        m.d.sync += [factor.eq(multiplier_1.o), step.eq(0)]
                        m.next = "LAST"
            with m.State("LAST"):
                m.d.comb += [last_pass.eq(1), self.i.ready.eq(1)]
                with m.If(accept & is_last):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.comb += last_pass.eq(1)
                m.d.sync += step.eq(step + 1)
                with m.If(step == Mux(backward, 3, 4) * _LANES - 1):
                    m.d.comb += self.i_channel.ready.eq(1)
                    m.next = "IDLE"
        return m
