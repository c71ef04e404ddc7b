"""`Feeder`: brings vectors from memory into the array's wave, as they are or transposed.

One array of R x R operands does both. Row i of it is a shift register that gives the array's row i
its operand. Direct: lane i of every vector goes into the place from which it leaves i cycles later
than lane 0, which is the skew that a systolic array needs. Transposed: row i takes the whole i-th
vector of a block of R when it arrives, i cycles after the first, and gives its lanes one after
another while the next vectors arrive; lane k of all R vectors is then one vector of the array, in
the same skew. Both take one vector and give one every cycle, and have the same latency, so blocks
and vectors may follow each other in any order.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

__all__ = ["Feeder"]


class Feeder(Component):
    """Skew, or transposition and skew.

    Parameters
    ----------
    rows:
        R: lanes of a vector, vectors of a block.
    operand_bits:
        Signed bits of a lane.

    Members
    -------
    i:
        A vector.
    direct:
        `i` is a vector for the array. Low while a block arrives.
    block:
        `i` is the first vector of a block, and the next R - 1 follow without a gap.
    o:
        Lane r of a direct vector r + 1 cycles after it came; lane k of vector r of a block
        r + k + 1 cycles after the block's first vector came. Anything else in other cycles.
    """

    def __init__(self, *, rows: int, operand_bits: int = 8) -> None:
        self._rows = rows
        self._bits = operand_bits
        layout = data.ArrayLayout(signed(operand_bits), rows)
        super().__init__({"i": In(layout), "direct": In(1), "block": In(1), "o": Out(layout)})

    def elaborate(self, platform: object) -> Module:
        """One register a row: the lane that leaves next is its lowest."""
        m = Module()
        width = self._bits
        lanes = self.i.as_value()
        load = self.block
        for r in range(self._rows):
            row = Signal(self._rows * width, name=f"row_{r}", reset_less=True)
            below, here, above = row[width : (r + 1) * width], lanes.word_select(r, width), row
            # The highest place has nothing to shift in and may always load.
            shifted = Cat(below, Mux(self.direct, here, above[(r + 1) * width : (r + 2) * width]))
            rest = Cat(shifted, above[(r + 2) * width :])
            m.d.sync += row.eq(Mux(load, lanes, rest))
            m.d.comb += self.o[r].eq(row[:width].as_signed())
            late = Signal(name=f"load_{r + 1}")
            m.d.sync += late.eq(load)
            load = late
        return m
