"""`FloatSquareRoot`: the square root of a floating-point number, rounded to nearest even."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

from rtl.float_fields import Fields, leading_zeros, round_and_pack, shift_left
from rtl.float_format import BINARY32, FloatFormat
from rtl.serial import SerialControl

__all__ = ["FloatSquareRoot"]


class FloatSquareRoot(Component):
    """One bit of the root a cycle (restoring, radix 2); `cycles` cycles for any operand.

    Root of -0 is -0; of anything else below zero, NaN. A root is never subnormal.

    Parameters
    ----------
    form:
        Format of operand and root.

    Members
    -------
    i:
        Operand.
    o:
        Root. Its rounding is logic behind the registers.

    Attributes
    ----------
    cycles:
        From the cycle in which the operand is taken to the first in which the root is valid.
    """

    def __init__(self, *, form: FloatFormat = BINARY32) -> None:
        self._form = form
        self._bits = form.precision + 1  # significand and guard bit
        self.cycles = self._bits + 2
        super().__init__(
            {"i": In(stream.Signature(form.width)), "o": Out(stream.Signature(form.width))}
        )

    def elaborate(self, platform: object) -> Module:
        """Normalise, take the root, round."""
        m = Module()
        form, bits = self._form, self._bits
        precision = form.precision
        control = SerialControl(m, self.i, self.o, bits + 1)
        a = Fields(self.i.payload, form)

        # Two bits of the radicand a cycle, from the top: in [1, 4), two bits before the point.
        radicand = Signal(precision + 1, reset_less=True)
        remainder = Signal(bits + 1, reset_less=True)
        root = Signal(bits, reset_less=True)
        exponent = Signal(signed(form.exponent_bits + 2), reset_less=True)
        sign = Signal(reset_less=True)
        is_nan = Signal(reset_less=True)
        is_infinite = Signal(reset_less=True)

        significand = radicand[:precision]
        places = leading_zeros(m, significand)
        normal = shift_left(m, significand, places)
        # The bias is odd, so an odd field is an even exponent.
        is_even = exponent[0] ^ places[0]
        difference = Signal(bits + 4)
        longer = Cat(radicand[-2:], remainder)
        m.d.comb += difference.eq(longer - Cat(C(1, 2), root))
        digit = ~difference[-1]
        with m.If(control.accept):
            m.d.sync += [
                radicand.eq(a.significand),
                remainder.eq(0),
                root.eq(0),
                exponent.eq(a.exponent),
                sign.eq(a.sign),
                is_nan.eq(a.is_nan | (a.sign & ~a.is_zero)),
                is_infinite.eq(a.is_infinite),
            ]
        with m.Elif(control.left > bits):
            m.d.sync += [
                radicand.eq(Mux(is_even, normal, Cat(0, normal))),
                exponent.eq(exponent - places),
            ]
        with m.Elif(control.left != 0):
            m.d.sync += [
                radicand.eq(Cat(C(0, 2), radicand[:-2])),
                remainder.eq(Mux(digit, difference, longer)),
                root.eq(Cat(digit, root[:-1])),
            ]

        # Only zero has no leading one.
        m.d.comb += self.o.payload.eq(
            round_and_pack(
                m,
                form,
                sign=sign,
                exponent=Mux(root[-1], (exponent + form.bias) >> 1, 0)[: form.exponent_bits],
                fraction=root[1:-1],
                guard=root[0],
                sticky=remainder.any(),
                is_nan=is_nan,
                is_infinite=is_infinite,
            )
        )
        return m
