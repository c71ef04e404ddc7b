"""`MacArray`: a weight-stationary systolic array of int8 processing elements.

In the wave frame an operand that enters in cycle t is at row r, column c in cycle t + r + c. A new
set of weights travels in the same frame, one cycle ahead of the first operand that needs it, so
tiles follow each other without a gap.
"""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from rtl.hierarchy import SharedComponent, place
from rtl.multiplier import Multiplier

__all__ = ["MacArray", "ProcessingElement"]


class ProcessingElement(SharedComponent):
    """One weight, one product and one partial sum a cycle; double-buffered weight.

    No register is reset and only the two weights have an enable: what flows through between valid
    operands is ignored at the array's edge, which costs no gates here.

    Parameters
    ----------
    accumulator_bits:
        Signed bits of a partial sum.

    Members
    -------
    a_i, a_o:
        Operand from the left; the same to the right one cycle later.
    b_i, load:
        Shadow weight, taken while `load` is high.
    swap:
        Makes the shadow weight the weight, from the next cycle on.
    psum_i, psum_o:
        Partial sum from above, due one cycle after `a_i`; psum_o is psum_i + a_i * weight, two
        cycles after that `a_i`. Wraps on overflow (`CoreConfig.largest_reduction`).
    """

    module_name = "eoq_pe"

    def __init__(self, *, accumulator_bits: int) -> None:
        super().__init__(
            {
                "a_i": In(signed(8)),
                "a_o": Out(signed(8)),
                "b_i": In(signed(8)),
                "load": In(1),
                "swap": In(1),
                "psum_i": In(signed(accumulator_bits)),
                "psum_o": Out(signed(accumulator_bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Register operand, weights, product and sum."""
        m = Module()
        operand = Signal(signed(8), reset_less=True)
        shadow = Signal(signed(8), reset_less=True)
        weight = Signal(signed(8), reset_less=True)
        product = Signal(signed(16), reset_less=True)
        psum = Signal.like(self.psum_o, name="psum", reset_less=True)

        multiplier = place(m, platform, "multiplier", Multiplier)
        m.d.comb += [
            multiplier.a.eq(self.a_i),
            multiplier.b.eq(weight),
            self.a_o.eq(operand),
            self.psum_o.eq(psum),
        ]
        m.d.sync += [
            operand.eq(self.a_i),
            product.eq(multiplier.o),
            psum.eq(self.psum_i + product),
        ]
        with m.If(self.load):
            m.d.sync += shadow.eq(self.b_i)
        with m.If(self.swap):
            m.d.sync += weight.eq(shadow)
        return m


class MacArray(Component):
    """R x C processing elements with the operands' skew. Control-free: no valid, no stall.

    The caller keeps these rules. `load` of row r at least r + C - 1 cycles after the `swap` before
    it (the last column takes its old shadow weight then); `swap` after the last `load`; the first
    operands of a set of weights at least one cycle after its `swap`.

    Parameters
    ----------
    rows, columns:
        Size of the array.
    accumulator_bits:
        Signed bits of a partial sum.

    Members
    -------
    a:
        R operands of one row of A.
    b, load:
        C shadow weights, and the one-hot row of the array that takes them.
    swap:
        Starts the wave that makes the shadow weights the weights.
    psum_i:
        Partial sums from above: column c is due c + 1 cycles after `a`.
    psum_o:
        psum_i + a @ weights: column c comes c + R + 1 cycles after `a`.
    """

    def __init__(self, *, rows: int, columns: int, accumulator_bits: int) -> None:
        self._rows = rows
        self._columns = columns
        self._accumulator_bits = accumulator_bits
        sums = data.ArrayLayout(signed(accumulator_bits), columns)
        super().__init__(
            {
                "a": In(data.ArrayLayout(signed(8), rows)),
                "b": In(data.ArrayLayout(signed(8), columns)),
                "load": In(rows),
                "swap": In(1),
                "psum_i": In(sums),
                "psum_o": Out(sums),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Skew the operands and wire the grid."""
        m = Module()

        # PE (r, c) swaps r + c cycles after the wave starts, so one chain serves every diagonal:
        # R + C flip-flops instead of one in each element.
        swaps = [self.swap]
        for k in range(1, self._rows + self._columns - 1):
            late = Signal(name=f"swap_{k}")
            m.d.sync += late.eq(swaps[-1])
            swaps.append(late)

        sums = list(self.psum_i)
        for r in range(self._rows):
            operand = self.a[r]
            for k in range(r):
                late = Signal(signed(8), name=f"a_{r}_{k}", reset_less=True)
                m.d.sync += late.eq(operand)
                operand = late
            for c in range(self._columns):
                pe = place(
                    m,
                    platform,
                    f"pe_{r}_{c}",
                    ProcessingElement,
                    accumulator_bits=self._accumulator_bits,
                )
                m.d.comb += [
                    pe.a_i.eq(operand),
                    pe.b_i.eq(self.b[c]),
                    pe.load.eq(self.load[r]),
                    pe.swap.eq(swaps[r + c]),
                    pe.psum_i.eq(sums[c]),
                ]
                operand = pe.a_o
                sums[c] = pe.psum_o
        for c in range(self._columns):
            m.d.comb += self.psum_o[c].eq(sums[c])
        return m
