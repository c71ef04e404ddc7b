"""`BiasAdder`: adds a 16-bit bias to a 32-bit value at the value's exponent."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from golden.formats import RANDOM_BITS
from rtl import quantizer
from rtl.quantizer import saturate, shift_for_rounding

__all__ = ["BiasAdder"]


class BiasAdder(Component):
    """SAT32(x + RSH(y, shift)), as `golden.layers.add_bias`; latency 1.

    The sum itself follows the register, for the user to register behind what it does next.

    Members
    -------
    x, y, shift:
        Value, bias, and the bias's right shift (left if negative).
    x_late:
        `x` one cycle later.
    o:
        Sum, with `x_late`.
    """

    x: In(signed(32))
    y: In(signed(16))
    shift: In(signed(8))
    x_late: Out(signed(32))
    o: Out(signed(32))

    def elaborate(self, platform: object) -> Module:
        """Shift, register, round and add."""
        m = Module()
        # 17 bits limit nothing: -2**15 goes left exactly, too.
        shifted = shift_for_rounding(m, self.y, self.shift, limit_bits=17)
        s1_x = Signal(signed(32), reset_less=True)
        s1_y = Signal(shifted.shape(), reset_less=True)
        m.d.sync += [s1_x.eq(self.x), s1_y.eq(shifted)]
        # Value, bias and carry in one sum: rounding first would be a second carry chain.
        fraction, whole = s1_y[:RANDOM_BITS], s1_y[RANDOM_BITS:].as_signed()
        carry = (fraction + quantizer.ROUND_HALF)[RANDOM_BITS]
        m.d.comb += [
            self.x_late.eq(s1_x),
            self.o.eq(saturate(s1_x + whole + carry, 32)),
        ]
        return m
