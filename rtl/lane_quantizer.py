"""`LaneQuantizer`: SAT8(RSH(t, s)) or SAT8(SRSH(t, s)) for s >= 0, in two steps.

The same numbers as `golden.formats.QuantSpec.apply`, for half of `rtl.quantizer.Quantizer`'s area:
there are no left shifts, and only the result's own bits and the 16 below them pass through the
shifter. What leaves at its top is compared with the sign on the way: that is where saturation is
noticed.
"""

from amaranth.hdl import C, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from golden.formats import RANDOM_BITS
from rtl.hierarchy import SharedComponent

__all__ = ["LaneQuantizer"]

_BITS = 8
_KEPT = _BITS + RANDOM_BITS
_SHIFT_BITS = 6


class LaneQuantizer(SharedComponent):
    """One lane; no control, nothing ever waits.

    Members
    -------
    t:
        Operand, 32 bits.
    shift:
        Right shift, 0 to 63; constant while operands are under way.
    random:
        16 bits, one cycle behind the operand. The constant `rtl.quantizer.ROUND_HALF` rounds half
        up.
    o:
        Result, two cycles behind the operand.
    """

    module_name = "eoq_lane_quantizer"

    t: In(signed(32))
    shift: In(_SHIFT_BITS)
    random: In(RANDOM_BITS)
    o: Out(signed(_BITS))

    def elaborate(self, platform: object) -> Module:
        """Shift; then add below the LSB and saturate."""
        m = Module()

        # Every level drops what no later one can need.
        sign = self.t[-1]
        work: Value = Cat(C(0, RANDOM_BITS), self.t)
        past: Value = Const(0)
        for k in reversed(range(_SHIFT_BITS)):
            width = min(len(work), _KEPT + (1 << k) - 1)
            dropped = work[width:] ^ sign.replicate(len(work) - width)
            past = past | (~self.shift[k] & dropped.any())
            down = Cat(work[1 << k :], sign.replicate(1 << k))[:width]
            # Named, because Amaranth writes an expression out wherever it is used.
            level = Signal(width, name=f"shifted_{k}")
            m.d.comb += level.eq(Mux(self.shift[k], down, work[:width]))
            work = level
        s1_work = Signal(_KEPT, reset_less=True)
        s1_sign = Signal(reset_less=True)
        s1_past = Signal(reset_less=True)
        m.d.sync += [
            s1_work.eq(work),
            s1_sign.eq(sign),
            s1_past.eq(past | (work[-1] != sign)),
        ]

        # Rounding carries upwards only, so what is outside keeps the sign that it had.
        value = Signal(_BITS + 1)
        m.d.comb += value.eq((Cat(s1_work, s1_sign) + self.random)[RANDOM_BITS:])
        low, top = value[: _BITS - 1], value[_BITS - 1 :]
        fits = ~top.any() | (top.all() & low.any())
        s2_o = Signal(signed(_BITS), reset_less=True)
        edge = Cat(1, (~s1_sign).replicate(_BITS - 2), s1_sign)
        m.d.sync += s2_o.eq(Mux(fits & ~s1_past, value[:_BITS], edge).as_signed())
        m.d.comb += self.o.eq(s2_o)
        return m
