"""`Multiplier`: the int8 x int8 product, a module of its own."""

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import In, Out

from rtl.hierarchy import SharedComponent

__all__ = ["Multiplier"]


class Multiplier(SharedComponent):
    """Signed 8 x 8 bit product, combinational.

    A module of its own that synthesis keeps (`keep_hierarchy`): fused with the accumulator's adder,
    Yosys sign-extends every partial product to the accumulator's width, which costs a third more
    area and delay.

    Members
    -------
    a, b:
        Signed 8-bit factors; -128 is allowed.
    o:
        Signed 16-bit product, exact.
    """

    module_name = "eoq_multiplier"
    clocked = False

    a: In(signed(8))
    b: In(signed(8))
    o: Out(signed(16))

    def elaborate(self, platform: object) -> Module:
        """Multiply."""
        m = Module()
        m.d.comb += self.o.eq(self.a * self.b)
        return m
