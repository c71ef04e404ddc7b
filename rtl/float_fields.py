"""The two ends of every floating-point data path: operands taken apart, results rounded and packed.

Between them a number is sign, exponent and significand with its hidden bit: value =
significand * 2**(exponent - bias - fraction_bits). A subnormal operand has exponent 1 and no hidden
bit, so that it needs no case of its own.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value

from rtl.float_format import FloatFormat

__all__ = [
    "Fields",
    "carry_along",
    "increment",
    "leading_zeros",
    "round_and_pack",
    "shift_left",
    "shift_right_sticky",
]


class Fields:
    """An encoded number taken apart.

    Members
    -------
    sign, exponent, significand:
        As in the module's text.
    is_subnormal:
        The exponent field is zero: a subnormal number or a zero.
    is_zero, is_infinite, is_nan:
        What else it is.
    magnitude:
        All bits but the sign: in the order of the magnitudes.
    """

    def __init__(self, value: Value, form: FloatFormat) -> None:
        fraction = value[: form.fraction_bits]
        field = value[form.fraction_bits : -1]
        no_fraction = ~fraction.any()
        self.sign = value[-1]
        self.magnitude = value[:-1]
        self.is_subnormal = ~field.any()
        self.is_zero = self.is_subnormal & no_fraction
        self.is_infinite = field.all() & no_fraction
        self.is_nan = field.all() & ~no_fraction
        self.exponent = Cat(field[0] | self.is_subnormal, field[1:])
        self.significand = Cat(fraction, ~self.is_subnormal)


def shift_left(m: Module, value: Value, amount: Value) -> Value:
    """`value` shifted left within its own width."""
    width = len(value)
    for k, bit in enumerate(amount):
        step = Signal(width, name=f"left_{1 << k}")
        m.d.comb += step.eq(Mux(bit, Cat(C(0, min(1 << k, width)), value)[:width], value))
        value = step
    return value


def shift_right_sticky(
    m: Module, value: Value, amount: Value, *, keep: int | None = None
) -> tuple[Value, Value]:
    """`value` shifted right, its lowest `keep` bits if given; whether a one left at the bottom.

    A signed value fills up with its sign, and the result is to be read as signed.
    """
    width = len(value)
    fill = value[-1] if value.shape().signed else C(0, 1)
    sticky: Value = C(0, 1)
    for k, bit in enumerate(amount):
        is_last = k == len(amount) - 1
        step = Signal(keep if keep and is_last else width, name=f"right_{1 << k}")
        lost = Signal(name=f"lost_{1 << k}")
        m.d.comb += [
            step.eq(Mux(bit, Cat(value[1 << k :], fill.replicate(min(1 << k, width))), value)),
            lost.eq(sticky | (bit & value[: 1 << k].any())),
        ]
        value, sticky = step, lost
    return value, sticky


def leading_zeros(m: Module, value: Value) -> Value:
    """Zeros above the leading one of `value`; for zero, some number not smaller than that of one.

    A tree: two groups of bits make one.
    """
    size = 1 << (len(value) - 1).bit_length()

    def count(bits: Value) -> tuple[Value, Value]:
        if len(bits) == 1:
            return bits, Cat()
        half = len(bits) // 2
        (found_high, high), (found_low, low) = count(bits[half:]), count(bits[:half])
        found = Signal(name=f"found_{len(bits)}")
        places = Signal(len(high) + 1, name=f"places_{len(bits)}")
        m.d.comb += [
            found.eq(found_high | found_low),
            places.eq(Cat(Mux(found_high, high, low), ~found_high)),
        ]
        return found, places

    return count(Cat(C(0, size - len(value)), value))[1]


def increment(m: Module, value: Value, up: Value) -> Value:
    """`value` + `up`, without the carry; `up` may come late.

    A prefix tree says for every bit whether all below it are ones. Written as +, one bit would
    ripple through all of them.
    """
    ones: list[Value] = list(value[:-1])
    reach = 1
    while reach < len(ones):
        step = Signal(len(ones) - reach, name=f"ones_{reach}")
        m.d.comb += step.eq(Cat(high & low for high, low in zip(ones[reach:], ones, strict=False)))
        ones[reach:] = step
        reach *= 2
    return value ^ (Cat(1, *ones) & up.replicate(len(value)))


def carry_along(m: Module, valid: Value, o_valid: Value, cycles: int) -> None:
    """`o_valid` is `valid`, `cycles` later, without a reset."""
    for step in range(1, cycles + 1):
        late = Signal(name=f"s{step}_valid", reset_less=True)
        m.d.sync += late.eq(valid)
        valid = late
    m.d.comb += o_valid.eq(valid)


def round_and_pack(
    m: Module,
    form: FloatFormat,
    *,
    sign: Value,
    exponent: Value,
    fraction: Value,
    guard: Value,
    sticky: Value,
    is_nan: Value,
    is_infinite: Value,
) -> Value:
    """Round to nearest, ties to even, and encode.

    Exponent and fraction are one number, so that a carry out of the one goes into the other: from
    a subnormal number to the first normal one, from the last number to infinity.

    Parameters
    ----------
    m:
        Module that gets the combinational logic.
    form:
        Format of the result.
    sign, exponent, fraction:
        Sign; exponent field, 0 for a subnormal number, and as long as it likes at the top;
        significand without its hidden bit.
    guard, sticky:
        The first dropped bit; whether a later one is set.
    is_nan, is_infinite:
        The result is one whatever the rest says; NaN wins.
    """
    up = Signal(name="round_up")
    m.d.comb += up.eq(guard & (sticky | fraction[0]))
    rounded = increment(m, Cat(fraction, exponent[: form.exponent_bits]), up)
    # The carry reaches infinity with a fraction of zero; what is above infinity was above before.
    over = is_infinite | (exponent >= form.top_exponent)
    magnitude = Mux(over, C(form.infinity, form.width - 1), rounded)
    return Mux(is_nan, C(form.quiet_nan, form.width), Cat(magnitude, sign))
