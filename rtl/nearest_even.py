"""Rounding integers to nearest, ties to even: of a quotient, and of a shifted value."""

from amaranth.hdl import Module, Value

from rtl.float_fields import increment, shift_right_sticky

__all__ = ["rounded_quotient", "rounded_shift"]


def rounded_quotient(quotient: Value, remainder: Value, divisor: Value) -> Value:
    """Whether a quotient rounds up."""
    twice = remainder << 1
    return (twice > divisor) | ((twice == divisor) & quotient[0])


def rounded_shift(
    m: Module, value: Value, fixed: int, amount: Value, sticky: Value | int = 0
) -> Value:
    """The signed `value` shifted right by `fixed` (at least 1) + `amount`, rounded.

    `sticky` says that there is more below it.

    Its most positive values, which round up to one bit more, must not occur.
    """
    # One bit below the result's last one, and whether there is more.
    work, lost = shift_right_sticky(m, value[fixed - 1 :].as_signed(), amount)
    up = work[0] & (sticky | lost | value[: fixed - 1].any() | work[1])
    return increment(m, work[1:], up).as_signed()
