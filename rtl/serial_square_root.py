"""`SerialSquareRoot`: the integer square root of an unsigned integer, one bit a cycle."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

from rtl.serial import SerialControl

__all__ = ["SerialSquareRoot"]


class SerialSquareRoot(Component):
    """The largest root with root**2 <= radicand (restoring, radix 2); `cycles` cycles.

    Parameters
    ----------
    root_bits:
        Bits of the root, 2 and more; the radicand has twice as many.

    Members
    -------
    i:
        Radicand.
    o:
        Root.

    Attributes
    ----------
    cycles:
        From the cycle in which the radicand is taken to the first in which the root is valid.
    """

    def __init__(self, *, root_bits: int) -> None:
        if root_bits < 2:
            raise ValueError(f"root_bits must be at least 2, not {root_bits!r}")
        self.cycles = root_bits + 1
        self._bits = root_bits
        super().__init__(
            {"i": In(stream.Signature(2 * root_bits)), "o": Out(stream.Signature(root_bits))}
        )

    def elaborate(self, platform: object) -> Module:
        """Two bits of the radicand make one of the root."""
        m = Module()
        bits = self._bits
        control = SerialControl(m, self.i, self.o, bits)
        radicand = Signal(2 * bits, reset_less=True)
        remainder = Signal(bits + 1, reset_less=True)
        root = Signal(bits, reset_less=True)
        longer = Cat(radicand[-2:], remainder)
        difference = Signal(bits + 4)
        m.d.comb += difference.eq(longer - Cat(C(1, 2), root))
        digit = ~difference[-1]
        with m.If(control.accept):
            m.d.sync += [radicand.eq(self.i.payload), remainder.eq(0), root.eq(0)]
        with m.Elif(control.left != 0):
            m.d.sync += [
                radicand.eq(Cat(C(0, 2), radicand[:-2])),
                remainder.eq(Mux(digit, difference, longer)[: bits + 1]),
                root.eq(Cat(digit, root[:-1])),
            ]
        m.d.comb += self.o.payload.eq(root)
        return m
