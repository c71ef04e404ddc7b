"""`AddressStream`: addresses of three nested loops, by one register and one adder."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from rtl.adder import select_add
from rtl.vector_instructions import Stride

__all__ = ["AddressStream"]


_BITS = Stride.layout["base"].width


class AddressStream(Component):
    """Steps that say themselves how far they go: to the next position, row, or block.

    Members
    -------
    base, position, row, block:
        Of `rtl.vector_instructions.Stride`.
    start:
        Go to the base.
    step, row_ends, block_ends:
        Go on, and how. Loses to `start`.
    address:
        The present address, 24 bits.
    outside:
        It is below 0 or past 24 bits.
    """

    base: In(_BITS)
    position: In(signed(_BITS))
    row: In(signed(_BITS))
    block: In(signed(_BITS))
    start: In(1)
    step: In(1)
    row_ends: In(1)
    block_ends: In(1)
    address: Out(_BITS)
    outside: Out(1)

    def elaborate(self, platform: object) -> Module:
        """Add."""
        m = Module()
        present = Signal(signed(_BITS + 2), reset_less=True)
        stride = Mux(self.block_ends, self.block, Mux(self.row_ends, self.row, self.position))
        with m.If(self.start):
            m.d.sync += present.eq(self.base)
        with m.Elif(self.step):
            m.d.sync += present.eq(select_add(present, stride))
        m.d.comb += [
            self.address.eq(present),
            self.outside.eq(present[_BITS:].any()),
        ]
        return m
