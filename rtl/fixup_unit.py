"""`FixupUnit`: Fixup's multiplier and bias in integers, what EOQ has where others normalise.

    forward    o = SAT32(x * m8 + RSH(bias, shift))
    backward   o = e * m8;  sums of e * x and of e

m8 is the multiplier's 8-bit code (`golden.layers.used_multiplier`, which QUANTIZE computes once a
step). All is as `golden.layers.MultiplierLayer` and `golden.layers.add_bias` have it. No
statistics, no division, no root: one pass, and the sums of the backward pass ride along in it.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl import quantizer
from rtl.hierarchy import place
from rtl.multiplier import Multiplier
from rtl.quantizer import round_off, saturate, shift_for_rounding

__all__ = ["FixupUnit"]

_PRODUCT_BITS = 16


class FixupUnit(Component):
    """Scales and shifts one tensor of one sample after another.

    Parameters
    ----------
    count_bits:
        Bits of the number of elements, 4 to 32.

    Members
    -------
    i_channel:
        Begins a tensor, and is taken at its end: `backward`; `count` M, at least 1; `multiplier`
        m8; `bias` and its right `shift` to the product's exponent (forward only).
    i:
        M elements, once: codes `x`; backward the error's codes `x` and the forward pass's `saved`.
    o:
        Results. They cannot wait: whoever wants them slower gives `i` slower.
    o_report:
        One a tensor, at its end: `multiplier` and `bias`, the gradients; nothing useful forward.

    A tensor takes `cycles(M)` when no stream waits.
    """

    PASSES = 1

    def __init__(self, *, count_bits: int = 20) -> None:
        if not 4 <= count_bits <= 32:
            raise ValueError(f"count_bits must be 4 to 32, not {count_bits!r}")
        self._count_bits = count_bits
        channel = {
            "backward": 1,
            "count": count_bits,
            "multiplier": signed(8),
            "bias": signed(16),
            "shift": signed(8),
        }
        report = {
            "multiplier": signed(_PRODUCT_BITS + count_bits),
            "bias": signed(8 + count_bits),
        }
        elements = {"x": signed(8), "saved": signed(8)}
        super().__init__(
            {
                "i_channel": In(stream.Signature(data.StructLayout(channel))),
                "i": In(stream.Signature(data.StructLayout(elements))),
                "o": Out(stream.Signature(signed(32), always_ready=True)),
                "o_report": Out(stream.Signature(data.StructLayout(report))),
            }
        )

    @staticmethod
    def cycles(count: int) -> int:
        """From the cycle in which a tensor of `count` elements is offered to the next one's."""
        return 1 + 1 + count + 2 + 1

    def elaborate(self, platform: object) -> Module:
        """Prepare the two scalars, then one element a cycle."""
        m = Module()
        what = self.i_channel.p
        scale = place(m, platform, "scale", Multiplier)
        correlate = place(m, platform, "correlate", Multiplier)

        factor = Signal(signed(8), reset_less=True)
        # 17 bits limit nothing: -2**15 goes left exactly, too.
        shifted = shift_for_rounding(m, what.bias, what.shift, limit_bits=17)
        offset = Signal(signed(32), reset_less=True)

        index = Signal(self._count_bits)
        accept = Signal()
        valid = Signal(2)
        last = Signal()
        m.d.comb += [
            accept.eq(self.i.valid & self.i.ready),
            scale.a.eq(self.i.p.x),
            scale.b.eq(factor),
            correlate.a.eq(self.i.p.x),
            correlate.b.eq(self.i.p.saved),
        ]
        m.d.sync += valid.eq(accept | valid << 1)

        s1_product = Signal(signed(_PRODUCT_BITS), reset_less=True)
        s1_correlation = Signal(signed(_PRODUCT_BITS), reset_less=True)
        s1_error = Signal(signed(8), reset_less=True)
        s2_result = Signal(signed(32), reset_less=True)
        multiplier_sum = Signal(self.o_report.p.multiplier.shape(), reset_less=True)
        bias_sum = Signal(self.o_report.p.bias.shape(), reset_less=True)
        m.d.sync += [
            s1_product.eq(scale.o),
            s1_correlation.eq(correlate.o),
            s1_error.eq(self.i.p.x),
            s2_result.eq(saturate(s1_product + offset, 32)),
        ]
        with m.If(valid[0]):
            m.d.sync += [
                multiplier_sum.eq(multiplier_sum + s1_correlation),
                bias_sum.eq(bias_sum + s1_error),
            ]
        m.d.comb += [
            self.o.payload.eq(s2_result),
            self.o.valid.eq(valid[1]),
            self.o_report.p.multiplier.eq(multiplier_sum),
            self.o_report.p.bias.eq(bias_sum),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [index.eq(0), multiplier_sum.eq(0), bias_sum.eq(0), last.eq(0)]
                with m.If(self.i_channel.valid):
                    m.next = "PREPARE"
            with m.State("PREPARE"):
                m.d.sync += [
                    factor.eq(what.multiplier),
                    offset.eq(Mux(what.backward, 0, round_off(shifted, quantizer.ROUND_HALF))),
                ]
                m.next = "SCALE"
            with m.State("SCALE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(accept):
                    m.d.sync += index.eq(index + 1)
                with m.If(accept & (index == what.count - 1)):
                    m.next = "FLUSH"
            with m.State("FLUSH"):
                m.d.sync += last.eq(1)
                with m.If(last):
                    m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += self.o_report.valid.eq(1)
                with m.If(self.o_report.ready):
                    m.d.comb += self.i_channel.ready.eq(1)
                    m.next = "IDLE"
        return m
