"""`ScalarAlu`: arithmetic on the vector unit's scalars, one result at a time."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from golden.formats import EXPONENT_MAX, EXPONENT_MIN, RANDOM_BITS
from rtl import quantizer
from rtl.quantizer import saturate, shift_for_rounding
from rtl.random import RandomDraw
from rtl.vector_instructions import SCALAR_BITS, Function

__all__ = ["LATENCY", "ScalarAlu", "bit_length"]

LATENCY = 4
"""Cycles from operands that stay to the result."""


def bit_length(m: Module, value: Value) -> Value:
    """Position of an unsigned value's leading one plus one; 0 for 0."""
    result = Signal(range(len(value) + 1), name="bit_length")
    for bit in range(len(value)):
        with m.If(value[bit]):
            m.d.comb += result.eq(bit + 1)
    return result


class ScalarAlu(Component):
    """All functions at once, each cut into steps; the last one chooses.

    Members
    -------
    function:
        `rtl.vector_instructions.Function`.
    a, b, c:
        Operands; they and `function` stay for `LATENCY` cycles.
    index:
        Random index of a SHIFT_RANDOM.
    o:
        Result.
    """

    function: In(5)
    a: In(signed(SCALAR_BITS))
    b: In(signed(SCALAR_BITS))
    c: In(signed(SCALAR_BITS))
    index: In(8)
    o: Out(signed(SCALAR_BITS))

    def elaborate(self, platform: object) -> Module:
        """Compute in three steps."""
        m = Module()
        a, b, c = self.a, self.b, self.c
        value = signed(SCALAR_BITS)

        def keep(what: Value, name: str) -> Signal:
            register = Signal(Value.cast(what).shape(), name=name, reset_less=True)
            m.d.sync += register.eq(what)
            return register

        # Sums and comparisons share an adder: a - b tells which is less.
        minus = self.function != Function.ADD
        s1_sum = keep((a + Mux(minus, ~b, b) + minus)[:SCALAR_BITS].as_signed(), "s1_sum")
        s1_differ = keep(a[-1] ^ b[-1], "s1_differ")
        less = Mux(s1_differ, a[-1], s1_sum[-1])

        # Shifts: shift, add below the LSB, carry on.
        limited = Mux(b > 63, 63, Mux(b < -16, -16, b[:7].as_signed()))
        s1_shift = keep(limited.as_signed(), "s1_shift")
        m.submodules.draw = draw = RandomDraw()
        m.d.comb += [
            draw.key.eq(c),
            draw.index.eq(self.index),
            draw.take.eq(1),
        ]
        s2_work = keep(shift_for_rounding(m, a, s1_shift, limit_bits=33), "s2_work")
        random = Mux(self.function == Function.SHIFT_RANDOM, draw.o, quantizer.ROUND_HALF)
        s2_random = keep(random, "s2_random")
        s3_carry = keep((s2_work[:RANDOM_BITS] + s2_random)[RANDOM_BITS], "s3_carry")
        shifted = (s2_work[RANDOM_BITS:].as_signed() + s3_carry)[:SCALAR_BITS].as_signed()

        s1_magnitude = keep(Mux(a[-1], -a, a)[:SCALAR_BITS], "s1_magnitude")
        low = a[:32]
        low = low ^ (low << 13)[:32]
        low = low ^ (low >> 17)
        low = low ^ (low << 5)[:32]

        chosen = Signal(value)
        with m.Switch(self.function):
            with m.Case(Function.ADD, Function.SUBTRACT):
                m.d.comb += chosen.eq(s1_sum)
            with m.Case(Function.MINIMUM):
                m.d.comb += chosen.eq(Mux(less, a, b))
            with m.Case(Function.MAXIMUM):
                m.d.comb += chosen.eq(Mux(less, b, a))
            with m.Case(Function.XOR):
                m.d.comb += chosen.eq(a ^ b)
            with m.Case(Function.SHIFT, Function.SHIFT_RANDOM):
                m.d.comb += chosen.eq(shifted)
            for function, width in (
                (Function.SATURATE_8, 8),
                (Function.SATURATE_16, 16),
                (Function.SATURATE_32, 32),
            ):
                with m.Case(function):
                    m.d.comb += chosen.eq(saturate(a, width))
            with m.Case(Function.BIT_LENGTH):
                m.d.comb += chosen.eq(bit_length(m, s1_magnitude))
            with m.Case(Function.XORSHIFT):
                m.d.comb += chosen.eq(Cat(low))
            with m.Case(Function.SELECT):
                m.d.comb += chosen.eq(Mux(a == 0, b, c))
            with m.Case(Function.CLAMP):
                m.d.comb += chosen.eq(
                    Mux(a < EXPONENT_MIN, EXPONENT_MIN, Mux(a > EXPONENT_MAX, EXPONENT_MAX, a))
                )
        m.d.comb += self.o.eq(keep(chosen, "s4_o"))
        return m
