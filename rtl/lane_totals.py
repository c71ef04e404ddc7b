"""`LaneTotals`: the largest magnitude and the sum over a pass."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from rtl.adder import select_add
from rtl.vector_instructions import SCALAR_BITS

__all__ = ["LaneTotals", "latency"]

_OPERAND_BITS = 32
_LOW = SCALAR_BITS // 2


def latency(columns: int) -> int:
    """Cycles from a beat until `sum` has it: one for the choice, one a level of the tree, two."""
    return 3 + (columns - 1).bit_length()


class LaneTotals(Component):
    """An OR of what is as long as the magnitudes, and a tree of adders with a sum behind it.

    Parameters
    ----------
    columns:
        Lanes.

    Members
    -------
    clear:
        Begin.
    magnitude:
        Lanes' `magnitude`; 0 where nothing counts.
    t, t_valid, o, o_valid, sum_o:
        What is summed: t in some cycles, or o in some.
    largest:
        Of as many bits as the largest magnitude, two cycles after it.
    sum:
        `latency` cycles after the beat. Wraps at 48 bits.
    """

    def __init__(self, *, columns: int) -> None:
        self._columns = columns
        super().__init__(
            {
                "clear": In(1),
                "magnitude": In(data.ArrayLayout(_OPERAND_BITS, columns)),
                "t": In(data.ArrayLayout(signed(_OPERAND_BITS), columns)),
                "o": In(data.ArrayLayout(signed(8), columns)),
                "t_valid": In(1),
                "o_valid": In(1),
                "sum_o": In(1),
                "largest": Out(_OPERAND_BITS),
                "sum": Out(signed(SCALAR_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Reduce."""
        m = Module()
        union: Value = self.magnitude[0]
        for lane in range(1, self._columns):
            union = union | self.magnitude[lane]
        m.d.sync += self.largest.eq(Mux(self.clear, 0, self.largest | union))

        valid = Signal()
        m.d.sync += valid.eq(Mux(self.sum_o, self.o_valid, self.t_valid))
        terms: list[Value] = []
        for lane in range(self._columns):
            term = Signal(signed(_OPERAND_BITS), name=f"term_{lane}", reset_less=True)
            m.d.sync += term.eq(Mux(self.sum_o, self.o[lane], self.t[lane]))
            terms.append(term)
        level = 0
        while len(terms) > 1:
            level += 1
            later = Signal(name=f"valid_{level}")
            m.d.sync += later.eq(valid)
            valid = later
            sums: list[Value] = []
            for k in range(0, len(terms), 2):
                pair = terms[k : k + 2]
                total = Signal(signed(_OPERAND_BITS + level), name=f"sum_{level}_{k}",
                               reset_less=True)  # fmt: skip
                m.d.sync += total.eq(select_add(*pair) if len(pair) == 2 else pair[0])
                sums.append(total)
            terms = sums

        # In two halves, so that no carry goes further than 24 bits in a cycle.
        low, high = Signal(_LOW), Signal(signed(_LOW))
        carry, late = Signal(), Signal(signed(_LOW))
        total = Signal(terms[0].shape())
        m.d.comb += total.eq(Mux(valid, terms[0], 0))
        with m.If(self.clear):
            m.d.sync += [low.eq(0), high.eq(0), carry.eq(0), late.eq(0)]
        with m.Else():
            m.d.sync += [
                Cat(low, carry).eq(low + total[:_LOW]),
                late.eq(total[_LOW:].as_signed()),
                high.eq(high + late + carry),
            ]
        m.d.comb += self.sum.eq(Cat(low, high))
        return m
