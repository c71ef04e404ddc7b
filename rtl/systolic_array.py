"""`SystolicArray`: weight-stationary processing elements that need no second set of weights.

In the wave frame what enters in cycle t is at row r, column c in cycle t + r + c. A tile's weights
travel in that frame too, a row a cycle: the weights of row r enter r cycles after those of row 0,
so the column's wire shows them exactly when the wave gets to row r, one cycle ahead of the first
operand that needs them. Tiles follow each other without a gap, loading is hidden for every tile of
at least R operands, and no element has shadow weights.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from rtl.hierarchy import SharedComponent, place
from rtl.multiplier import Multiplier

__all__ = ["ProcessingElement", "SystolicArray"]


class ProcessingElement(SharedComponent):
    """One weight, one product and one partial sum a cycle.

    No register is reset and only the weight has an enable: what flows through between valid
    operands is ignored at the array's edge, which costs no gates here.

    Parameters
    ----------
    operand_bits:
        Signed bits of the moving operand; the weight has 8.
    accumulator_bits:
        Signed bits of a partial sum.

    Members
    -------
    a_i, a_o:
        Operand from the left; the same to the right one cycle later.
    b, take:
        The column's wire; it becomes the weight, from the next cycle on, while `take` is high.
    psum_i, psum_o:
        Partial sum from above, due one cycle after `a_i`; psum_o is psum_i + a_i * weight + half
        the product's range, two cycles after that `a_i`. Wraps on overflow
        (`CoreConfig.largest_reduction`).
    """

    module_name = "eoq_pe"

    def __init__(self, *, accumulator_bits: int, operand_bits: int = 8) -> None:
        self._operand_bits = operand_bits
        super().__init__(
            {
                "a_i": In(signed(operand_bits)),
                "a_o": Out(signed(operand_bits)),
                "b": In(signed(8)),
                "take": In(1),
                "psum_i": In(signed(accumulator_bits)),
                "psum_o": Out(signed(accumulator_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Register operand, weight, product and sum."""
        m = Module()
        operand = Signal(signed(self._operand_bits), reset_less=True)
        weight = Signal(signed(8), reset_less=True)
        psum = Signal.like(self.psum_o, name="psum", reset_less=True)

        multiplier = place(m, platform, "multiplier", Multiplier, operand_bits=self._operand_bits)
        split = min(len(multiplier.o), len(psum))
        product = Signal(len(multiplier.o), reset_less=True)
        low = Signal(split + 1)
        high = self.psum_i[split:]
        m.d.comb += [
            multiplier.a.eq(self.a_i),
            multiplier.b.eq(weight),
            low.eq(self.psum_i[:split] + product),
            self.a_o.eq(operand),
            self.psum_o.eq(psum),
        ]
        m.d.sync += [
            operand.eq(self.a_i),
            product.eq(Cat(multiplier.o[:-1], ~multiplier.o[-1])),
            # The upper half and its successor are made while the lower half is added.
            psum.eq(Cat(low[:split], Mux(low[split], high + 1, high))),
        ]
        with m.If(self.take):
            m.d.sync += weight.eq(self.b)
        return m


class SystolicArray(Component):
    """R x C processing elements. Control-free: no valid, no stall.

    Parameters
    ----------
    rows, columns:
        Size of the array.
    accumulator_bits, operand_bits:
        As in `ProcessingElement`.

    Members
    -------
    a:
        One operand a row, skewed: row r's is due r cycles after row 0's.
    b:
        One row of weights: row r's, r cycles after `take`.
    take:
        Starts the wave of a tile: with its first row of weights on `b`, at the earliest R cycles
        after the wave before it, and one cycle before the tile's first operand on `a`.
    psum_i:
        Partial sums from above: column c's is due c cycles after row 0 of `a`.
    psum_o:
        psum_i + a @ weights: column c's comes c + R + 1 cycles after row 0 of `a`.
    """

    def __init__(
        self, *, rows: int, columns: int, accumulator_bits: int, operand_bits: int = 8
    ) -> None:
        self._rows = rows
        self._columns = columns
        self._accumulator_bits = accumulator_bits
        self._operand_bits = operand_bits
        self._element = {"accumulator_bits": accumulator_bits, "operand_bits": operand_bits}
        sums = data.ArrayLayout(signed(accumulator_bits), columns)
        super().__init__(
            {
                "a": In(data.ArrayLayout(signed(operand_bits), rows)),
                "b": In(data.ArrayLayout(signed(8), columns)),
                "take": In(1),
                "psum_i": In(sums),
                "psum_o": Out(sums),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Wire the grid and skew the weights."""
        m = Module()

        # PE (r, c) takes its weight r + c cycles after the wave starts, so one chain serves every
        # diagonal: R + C flip-flops instead of one in each element.
        takes = [self.take]
        for k in range(1, self._rows + self._columns - 1):
            late = Signal(name=f"take_{k}")
            m.d.sync += late.eq(takes[-1])
            takes.append(late)

        operands = list(self.a)
        excess = self._rows << (self._operand_bits + 7)
        for c in range(self._columns):
            weight = self.b[c]
            if c:
                late_b = Signal(8 * c, name=f"b_{c}", reset_less=True)
                m.d.sync += late_b.eq(Cat(weight, late_b))
                weight = late_b[-8:].as_signed()
            psum = Signal(signed(self._accumulator_bits), name=f"psum_{c}", reset_less=True)
            m.d.sync += psum.eq(self.psum_i[c] - excess)
            for r in range(self._rows):
                pe = place(m, platform, f"pe_{r}_{c}", ProcessingElement, **self._element)
                m.d.comb += [
                    pe.a_i.eq(operands[r]),
                    pe.b.eq(weight),
                    pe.take.eq(takes[r + c]),
                    pe.psum_i.eq(psum),
                ]
                operands[r], psum = pe.a_o, pe.psum_o
            m.d.comb += self.psum_o[c].eq(psum)
        return m
