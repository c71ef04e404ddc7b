"""`FloatDivider`: the quotient of two floating-point numbers, rounded to nearest even."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.float_fields import Fields, leading_zeros, round_and_pack, shift_left
from rtl.float_format import BINARY32, FloatFormat
from rtl.serial import SerialControl

__all__ = ["FloatDivider"]


class FloatDivider(Component):
    """a / b, one quotient bit a cycle (restoring, radix 2); `cycles` cycles for any operands.

    Two cycles normalise the significands, through one shifter. A subnormal quotient needs no
    shifter: it gets as many bits fewer, by waiting instead of dividing, and is aligned.

    Parameters
    ----------
    form:
        Format of operands and quotient.

    Members
    -------
    i:
        Operands `a` and `b`.
    o:
        Quotient. Its rounding is logic behind the registers.

    Attributes
    ----------
    cycles:
        From the cycle in which the operands are taken to the first in which the quotient is valid.
    """

    def __init__(self, *, form: FloatFormat = BINARY32) -> None:
        self._form = form
        # Significand, guard bit, and one more should the first bit be zero.
        self._bits = form.precision + 2
        self.cycles = self._bits + 3
        operands = data.StructLayout({"a": form.width, "b": form.width})
        super().__init__(
            {"i": In(stream.Signature(operands)), "o": Out(stream.Signature(form.width))}
        )

    def elaborate(self, platform: object) -> Module:
        """Normalise, divide, round."""
        m = Module()
        form, bits = self._form, self._bits
        precision = form.precision
        control = SerialControl(m, self.i, self.o, bits + 2)
        a, b = Fields(self.i.p.a, form), Fields(self.i.p.b, form)

        # x is the dividend and then the remainder, y the divisor.
        x = Signal(precision + 1, reset_less=True)
        y = Signal(precision, reset_less=True)
        quotient = Signal(bits, reset_less=True)
        exponent = Signal(signed(form.exponent_bits + 2), reset_less=True)
        sign = Signal(reset_less=True)
        is_nan = Signal(reset_less=True)
        is_infinite = Signal(reset_less=True)

        places = leading_zeros(m, x[:precision])
        difference = Signal(precision + 2)
        m.d.comb += difference.eq(x - y)
        digit = ~difference[-1]
        with m.If(control.accept):
            m.d.sync += [
                # x / infinity is zero.
                x.eq(a.significand & ~b.is_infinite.replicate(precision)),
                y.eq(b.significand),
                quotient.eq(0),
                exponent.eq(a.exponent - b.exponent + form.bias),
                sign.eq(a.sign ^ b.sign),
                is_nan.eq(
                    a.is_nan | b.is_nan | (a.is_infinite & b.is_infinite) | (a.is_zero & b.is_zero)
                ),
                is_infinite.eq(a.is_infinite | b.is_zero),
            ]
        with m.Elif(control.left > bits):
            # First the dividend goes through the shifter, then the divisor.
            m.d.sync += [
                x.eq(y),
                y.eq(shift_left(m, x[:precision], places)),
                exponent.eq(exponent + Mux(control.left[0] ^ (bits % 2), places, -places)),
            ]
        with m.Elif(control.left != 0):
            with m.If(exponent < 2):
                m.d.sync += exponent.eq(exponent + 1)
            with m.Else():
                m.d.sync += [
                    x.eq(Cat(0, Mux(digit, difference, x)[:precision])),
                    quotient.eq(Cat(digit, quotient[:-1])),
                ]

        # The first bit is one, or the second, or the quotient is subnormal (or zero).
        first, second = quotient[-1], quotient[-2]
        fraction = Mux(first, quotient[2:-1], quotient[1:-2])
        m.d.comb += self.o.payload.eq(
            round_and_pack(
                m,
                form,
                sign=sign,
                exponent=Mux(first, exponent, Mux(second, exponent - 1, 0))[:-1],
                fraction=fraction,
                guard=Mux(first, quotient[1], quotient[0]),
                sticky=x.any() | (first & quotient[0]),
                is_nan=is_nan,
                is_infinite=is_infinite,
            )
        )
        return m
