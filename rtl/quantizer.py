"""`Quantizer`: shift, round, saturate: the hardware of `golden.formats.QuantSpec`.

Half-up and stochastic rounding are one datapath: the 16 bits below the result's LSB plus a constant
or 16 random bits carry into the result. One right shifter serves both directions: a value that
goes left by k is saturated first (which changes no saturated result), put 16 places higher and
shifted right by 16 - k.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from golden.formats import RANDOM_BITS, QuantSpec, Rounding

__all__ = [
    "ROUND_HALF",
    "Quantizer",
    "round_off",
    "saturate",
    "shift_for_rounding",
    "shifter_inputs",
]

ROUND_HALF = 1 << (RANDOM_BITS - 1)
"""What half-up rounding adds below the LSB. Read at elaboration: a test may set a wrong one to show
that the checks notice."""

_LEFT_MAX = 15


def saturate(value: Value, width: int) -> Value:
    """`value`, signed, clipped to +-(2**(width-1) - 1), as `golden.formats.saturate`."""
    if len(value) < width:
        return value.as_signed()
    low, top = value[: width - 1], value[width - 1 :]
    negative = value[-1]
    fits = (top.all() | ~top.any()) & ~(negative & (low == 0))
    edge = Cat(Mux(negative, 1, C((1 << (width - 1)) - 1, width - 1)), negative)
    return Mux(fits, value[:width], edge).as_signed()


def shift_for_rounding(m: Module, value: Value, shift: Value, *, limit_bits: int) -> Value:
    """`value` shifted right by `shift` (left if negative), with 16 bits below the LSB left.

    The parameters are those of `shifter_inputs`.

    Returns
    -------
    Signed value with 16 fraction bits, for `round_off`.
    """
    operand, count = shifter_inputs(m, value, shift, limit_bits=limit_bits)
    return operand >> count


def shifter_inputs(
    m: Module, value: Value, shift: Value, *, limit_bits: int
) -> tuple[Signal, Signal]:
    """What has to be shifted right, and by how much, for a shift in both directions.

    Parameters
    ----------
    m:
        Module that gets the combinational logic.
    value:
        Signed value.
    shift:
        Signed; limits as in `golden.formats.rounding_shift`.
    limit_bits:
        A left shift saturates `value` to this width first: that of the final result.

    """
    bits = len(value)
    limited = saturate(value, limit_bits)
    width = max(bits, len(limited) + RANDOM_BITS) + RANDOM_BITS

    left = shift < 0
    operand = Signal(signed(width), name="shifter_operand")
    m.d.comb += operand.eq(
        Mux(left, limited << (2 * RANDOM_BITS), value.as_signed() << RANDOM_BITS)
    )
    # 16 - k is shift mod 16 for k = 1 to 15. Right of 63 and more nothing but the sign is left.
    count = Signal(6, name="shifter_count")
    with m.If(left):
        m.d.comb += count.eq(Mux(shift < -_LEFT_MAX, RANDOM_BITS - _LEFT_MAX, shift[:4]))
    with m.Else():
        m.d.comb += count.eq(Mux(shift > 63, 63, shift[:6]))
    return operand, count


def round_off(work: Value, random: Value | int) -> Value:
    """Add 16 bits below the LSB of `shift_for_rounding`'s result and drop what is below it."""
    random = C(random, RANDOM_BITS) if isinstance(random, int) else random
    return ((work + random) >> RANDOM_BITS).as_signed()


class Quantizer(Component):
    """SAT(RSH(x, shift)) or SAT(SRSH(x, shift)), bit for bit `QuantSpec.apply`; latency 2.

    Parameters
    ----------
    spec:
        Widths and rounding.
    operand_bits:
        Signed bits that `x` really has, at most `spec.width_in` (the default): a narrower operand
        needs a narrower shifter.

    Members
    -------
    x:
        Operand.
    shift:
        Right shift, signed 8 bits; negative goes left, exactly, by at most 15.
    random:
        16 bits for the operand of the same cycle. Only for stochastic rounding.
    enable:
        Moves the pipeline on by one step.
    o:
        Result of the operand two steps before.
    """

    def __init__(self, *, spec: QuantSpec, operand_bits: int | None = None) -> None:
        self._spec = spec
        bits = spec.width_in if operand_bits is None else operand_bits
        if not 2 <= bits <= spec.width_in:
            raise ValueError(f"operand_bits must be 2 to {spec.width_in}, not {operand_bits!r}")
        members = {
            "x": In(signed(bits)),
            "shift": In(signed(8)),
            "enable": In(1),
            "o": Out(signed(spec.width_out)),
        }
        if spec.rounding is Rounding.STOCHASTIC:
            members["random"] = In(RANDOM_BITS)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Shift in the first stage, round and saturate in the second."""
        m = Module()
        shifted = shift_for_rounding(m, self.x, self.shift, limit_bits=self._spec.width_out)
        s1_work = Signal(shifted.shape(), reset_less=True)
        with m.If(self.enable):
            m.d.sync += s1_work.eq(shifted)
        if self._spec.rounding is Rounding.STOCHASTIC:
            s1_random = Signal(RANDOM_BITS, reset_less=True)
            with m.If(self.enable):
                m.d.sync += s1_random.eq(self.random)
            rounded = round_off(s1_work, s1_random)
        else:
            rounded = round_off(s1_work, ROUND_HALF)
        s2_result = Signal(signed(self._spec.width_out), reset_less=True)
        with m.If(self.enable):
            m.d.sync += s2_result.eq(saturate(rounded, self._spec.width_out))
        m.d.comb += self.o.eq(s2_result)
        return m
