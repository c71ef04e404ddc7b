"""`Multiplier`: the int8 x int8 product, a module of its own."""

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out

from rtl.hierarchy import SharedComponent

__all__ = ["Multiplier"]


class Multiplier(SharedComponent):
    """Signed product of an operand and an int8 weight, combinational.

    A module of its own that synthesis keeps (`keep_hierarchy`): fused with the accumulator's adder,
    Yosys sign-extends every partial product to the accumulator's width, which costs a third more
    area and delay.

    Parameters
    ----------
    operand_bits:
        Signed bits of the one factor; the other has 8.

    Members
    -------
    a, b:
        Signed factors of `operand_bits` and 8 bits; the most negative ones are allowed.
    o:
        Signed product of `operand_bits` + 8 bits, exact.
    """

    module_name = "eoq_multiplier"
    clocked = False

    def __init__(self, *, operand_bits: int = 8) -> None:
        super().__init__(
            {
                "a": In(signed(operand_bits)),
                "b": In(signed(8)),
                "o": Out(signed(operand_bits + 8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Multiply."""
        m = Module()
        m.d.comb += self.o.eq(self.a * self.b)
        return m
