"""`ScalarAlu`: arithmetic on the vector unit's scalars, one result at a time."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from golden.formats import EXPONENT_MAX, EXPONENT_MIN, RANDOM_BITS
from rtl import quantizer
from rtl.adder import unsigned_add
from rtl.quantizer import saturate, shifter_inputs
from rtl.random import RandomDraw
from rtl.vector_instructions import SCALAR_BITS, Function

__all__ = ["LATENCY", "ScalarAlu", "bit_length"]

LATENCY = 4
"""Cycles from operands that stay to the result."""


_HALF = SCALAR_BITS // 2
_GROUP = SCALAR_BITS // 4


def bit_length(m: Module, value: Value) -> Value:
    """Position of an unsigned value's leading one plus one; 0 for 0."""
    if len(value) == 1:
        return value
    half = 1 << (len(value) - 1).bit_length() - 1
    low = bit_length(m, value[:half])
    high = Signal(len(low), name="high_length")
    length = Signal(len(low) + 1, name="length")
    m.d.comb += [
        high.eq(bit_length(m, value[half:])),
        # half + high: high is half at most, and then both together are a power of two.
        length.eq(Mux(value[half:].any(), Cat(high[:-1], ~high[-1], high[-1]), low)),
    ]
    return length


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

        # Sums and comparisons share an adder: a - b tells which is less. One half a step.
        minus = Signal()
        m.d.comb += minus.eq(self.function != Function.ADD)
        other = b ^ minus.replicate(SCALAR_BITS)
        s1_low = keep(unsigned_add(a[:_HALF], other[:_HALF], minus), "s1_low")
        s2_high = keep(unsigned_add(a[_HALF:], other[_HALF:], s1_low[-1])[:_HALF], "s2_high")
        total = Cat(s1_low[:_HALF], s2_high).as_signed()
        less = Mux(a[-1] ^ b[-1], a[-1], s2_high[-1])

        # Shifts: shift, add below the LSB, carry on.
        limited = Mux(b > 63, 63, Mux(b < -16, -16, b[:7].as_signed()))
        operand, count = shifter_inputs(m, a, limited.as_signed(), limit_bits=33)
        s1_operand = keep(operand, "s1_operand")
        s1_count = keep(count, "s1_count")
        m.submodules.draw = draw = RandomDraw()
        m.d.comb += [
            draw.key.eq(c),
            draw.index.eq(self.index),
            draw.take.eq(1),
        ]
        s2_work = keep((s1_operand >> s1_count)[: RANDOM_BITS + SCALAR_BITS], "s2_work")
        random = Mux(self.function == Function.SHIFT_RANDOM, draw.o, quantizer.ROUND_HALF)
        s2_random = keep(random, "s2_random")
        s3_carry = keep((s2_work[:RANDOM_BITS] + s2_random)[RANDOM_BITS], "s3_carry")
        # While the carry is made, so is how far it would go.
        groups = [s2_work[start : start + _GROUP]
                  for start in range(RANDOM_BITS, RANDOM_BITS + SCALAR_BITS, _GROUP)]  # fmt: skip
        s3_passes = [keep(Cat(groups[:k]).all(), f"s3_passes_{k}") for k in range(len(groups))]
        shifted = Cat(
            (group + (s3_carry & passes))[:_GROUP]
            for group, passes in zip(groups, s3_passes, strict=True)
        ).as_signed()

        negative = a[-1]
        size = a ^ negative.replicate(SCALAR_BITS)
        s1_size = keep(unsigned_add(size[:_HALF], C(0, _HALF), negative), "s1_size")
        s2_size = keep(unsigned_add(size[_HALF:], C(0, _HALF), s1_size[-1])[:_HALF], "s2_size")
        s3_length = keep(bit_length(m, Cat(s1_size[:_HALF], s2_size)), "s3_length")
        low = a[:32]
        low = low ^ (low << 13)[:32]
        low = low ^ (low >> 17)
        low = low ^ (low << 5)[:32]

        chosen = Signal(value)
        with m.Switch(self.function):
            with m.Case(Function.ADD, Function.SUBTRACT):
                m.d.comb += chosen.eq(total)
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
                m.d.comb += chosen.eq(s3_length)
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
