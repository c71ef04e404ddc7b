"""`Feeder`: brings vectors from memory into the array's wave, as they are or transposed.

Lane k of a vector stays k cycles, in a triangle of registers of which each holds one lane less of
the vector before. So the lanes that leave in a cycle are lane 0 of the newest vector, lane 1 of the
one before, and so on; that is the skew which a systolic array needs, and direct, lane k goes to row
k. Of a block, lane k of vector r goes to row r, in the same cycle: what leaves goes to the rows in
reversed order. While a block comes in, its vectors 0 to d leave lanes d to 0, for rows 0 to d: the
reversed lanes moved down. Afterwards only the last vectors still leave, for the last rows: the
reversed lanes moved up. A block ends before the next begins to end, so one shifter of each kind
serves all. Blocks and vectors may follow each other in any order.

In a square of registers, which takes R vectors and gives R others, half of the places would wait
for the next block.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
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
    block:
        `i` is the first vector of a block, and the next R - 1 follow without a gap.
    o:
        Lane r of a vector outside blocks r + 1 cycles after it came; lane k of vector r of a block
        r + k + 1 cycles after the block's first vector came.
    """

    def __init__(self, *, rows: int, operand_bits: int = 8) -> None:
        self._rows = rows
        self._bits = operand_bits
        layout = data.ArrayLayout(signed(operand_bits), rows)
        super().__init__({"i": In(layout), "block": In(1), "o": Out(layout)})

    def elaborate(self, platform: object) -> Module:
        """The triangle, two shifters, and each row's choice."""
        m = Module()
        rows, width = self._rows, self._bits
        waiting, leaving = self.i.as_value(), []
        for lane in range(rows):
            leaving.append(waiting[:width])
            if lane < rows - 1:
                name = f"from_lane_{lane + 1}"
                late = Signal((rows - 1 - lane) * width, name=name, reset_less=True)
                m.d.sync += late.eq(waiting[width:])
                waiting = late

        # Vectors of the block that are still to come; as many while there is no block.
        missing = Signal(range(rows), init=rows - 1)
        # Vectors of the last block that have left entirely.
        gone = Signal(range(rows), reset_less=True)
        inside = self.block | (missing != rows - 1)
        complete = inside & (missing == 0)
        coming, going = Signal(rows), Signal(rows)
        came = Signal(rows - 1)
        m.d.comb += coming.eq(Cat(inside, came))
        m.d.sync += [
            came.eq(Mux(complete, 0, coming)),
            going.eq(Mux(complete, (1 << rows) - 2, going << 1)),
            gone.eq(Mux(complete, 1, gone + 1)),
        ]
        with m.If(inside):
            m.d.sync += missing.eq(Mux(complete, rows - 1, missing - 1))

        down, up = _moved(leaving[::-1], missing, -1), _moved(leaving[::-1], gone, 1)
        for r in range(rows):
            row = Signal(signed(width), name=f"row_{r}", reset_less=True)
            m.d.sync += row.eq(Mux(going[r], up[r], Mux(coming[r], down[r], leaving[r])))
            m.d.comb += self.o[r].eq(row)
        return m


def _moved(lanes: list[Value], places: Signal, direction: int) -> list[Value]:
    """`lanes`, each `places` further up or down; what moves in from outside is any lane."""
    for bit in range(len(places)):
        step = direction << bit
        lanes = [
            Mux(places[bit], lanes[k - step], lane) if 0 <= k - step < len(lanes) else lane
            for k, lane in enumerate(lanes)
        ]
    return lanes
