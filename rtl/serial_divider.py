"""`SerialDivider`: the quotient of two unsigned integers, one bit a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.serial import SerialControl

__all__ = ["SerialDivider"]


class SerialDivider(Component):
    """dividend // divisor and the remainder (restoring, radix 2); `cycles` cycles.

    Parameters
    ----------
    dividend_bits, divisor_bits:
        Widths, 2 and more; the remainder's is the divisor's.
    quotient_bits:
        Low bits of the quotient that are given, 1 to `dividend_bits` (the default).

    Members
    -------
    i:
        `dividend` and `divisor`. Nothing useful comes of a divisor of zero.
    o:
        `quotient` and `remainder`.

    Attributes
    ----------
    cycles:
        From the cycle in which the operands are taken to the first in which the result is valid.
    """

    def __init__(
        self, *, dividend_bits: int, divisor_bits: int, quotient_bits: int | None = None
    ) -> None:
        for name, bits in (("dividend_bits", dividend_bits), ("divisor_bits", divisor_bits)):
            if bits < 2:
                raise ValueError(f"{name} must be at least 2, not {bits!r}")
        given = dividend_bits if quotient_bits is None else quotient_bits
        if not 1 <= given <= dividend_bits:
            raise ValueError(f"quotient_bits must be 1 to {dividend_bits}, not {quotient_bits!r}")
        self.cycles = dividend_bits + 1
        self._bits = dividend_bits
        operands = data.StructLayout({"dividend": dividend_bits, "divisor": divisor_bits})
        result = data.StructLayout({"quotient": given, "remainder": divisor_bits})
        super().__init__({"i": In(stream.Signature(operands)), "o": Out(stream.Signature(result))})

    def elaborate(self, platform: object) -> Module:
        """Shift the dividend out of and the quotient into one register."""
        m = Module()
        control = SerialControl(m, self.i, self.o, self._bits)
        divisor = Signal.like(self.i.p.divisor, reset_less=True)
        quotient = Signal(self._bits, reset_less=True)
        remainder = Signal.like(divisor, reset_less=True)
        longer = Cat(quotient[-1], remainder)
        difference = Signal(len(divisor) + 2)
        m.d.comb += difference.eq(longer - divisor)
        digit = ~difference[-1]
        with m.If(control.accept):
            m.d.sync += [
                divisor.eq(self.i.p.divisor),
                quotient.eq(self.i.p.dividend),
                remainder.eq(0),
            ]
        with m.Elif(control.left != 0):
            m.d.sync += [
                quotient.eq(Cat(digit, quotient[:-1])),
                remainder.eq(Mux(digit, difference, longer)[: len(divisor)]),
            ]
        m.d.comb += [
            self.o.p.quotient.eq(quotient[: len(self.o.p.quotient)]),
            self.o.p.remainder.eq(remainder),
        ]
        return m
