"""Proofs about sums: what a column adds, that no sum within the bound wraps, and saturation."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal, signed
from amaranth.lib.wiring import Component, In

from rtl.config import CoreConfig
from rtl.quantizer import saturate
from rtl.systolic_array import SystolicArray
from tests.rtl.formal import Prover, cycles_behind


class Column(Component):
    """A column of the array beside the exact sum of its products.

    A tile's weights are loaded at any time; `longest` products have been added before at most,
    the column's included.
    """

    def __init__(self, config: CoreConfig, longest: int) -> None:
        bits, operand = config.accumulator_bits, config.activation_bits
        self.config, self.longest = config, longest
        super().__init__(
            {
                "b": In(signed(8)),
                "take": In(1),
                "psum": In(signed(bits)),
                **{f"a_{r}": In(signed(operand)) for r in range(config.rows)},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, rows = self.config, self.config.rows
        unsigned = config.activation_bits == 9
        low, high = (0, 255) if unsigned else (-127, 127)
        m.submodules.dut = dut = SystolicArray(
            rows=rows, columns=1, accumulator_bits=config.accumulator_bits,
            operand_bits=config.activation_bits,
        )  # fmt: skip
        started = Signal()
        m.d.sync += started.eq(1)
        take = self.take | ~started
        m.d.comb += [dut.b[0].eq(self.b), dut.take.eq(take), dut.psum_i[0].eq(self.psum)]
        m.d.comb += Assume((self.b >= -127) & (self.b <= 127))
        # Partial sums so far are of all products but these.
        room = (self.longest - rows) * high * 127
        m.d.comb += Assume((self.psum >= -room) & (self.psum <= room))

        def late(value: Signal, cycles: int, name: str) -> Signal:
            for k in range(cycles):
                stage = Signal.like(value, name=f"{name}_{k}", reset_less=len(value) > 1)
                m.d.sync += stage.eq(value)
                value = stage
            return value

        exact = late(self.psum, 1, "exact")
        takes = take
        for r in range(rows):
            a = getattr(self, f"a_{r}")
            m.d.comb += [Assume((a >= low) & (a <= high)), dut.a[r].eq(a)]
            weight = Signal(signed(8), name=f"weight_{r}", reset_less=True)
            with m.If(takes):
                m.d.sync += weight.eq(self.b)
            product = Signal(signed(18), name=f"product_{r}", reset_less=True)
            m.d.sync += product.eq(a * weight)
            total = Signal(signed(48), name=f"total_{r}", reset_less=True)
            m.d.sync += total.eq(exact + product)
            exact = total
            takes = late(takes, 1, f"take_{r}")
        m.d.comb += Assert(dut.psum_o[0] == exact)
        return m


WIDTHS = {
    f"{bits} bits, operands of {operand}": (bits, operand)
    for bits, operand in [(32, 8), (24, 8), (20, 8), (32, 9), (24, 9)]
}


@pytest.mark.parametrize(
    "rows", [1, 2, pytest.param(3, marks=pytest.mark.slow)], ids="rows {}".format
)
@pytest.mark.parametrize(("bits", "operand"), WIDTHS.values(), ids=WIDTHS)
def test_no_sum_within_the_bound_wraps(rows: int, bits: int, operand: int, prover: Prover) -> None:
    """By induction over a product's tiles: sums of up to `largest_reduction` products are exact."""
    config = CoreConfig(rows=rows, columns=1, accumulator_bits=bits, activation_bits=operand)
    proof = Column(config, config.largest_reduction)
    prover.holds(proof, cycles_behind(2, 2 * rows + 2))


@pytest.mark.parametrize(("bits", "operand"), WIDTHS.values(), ids=WIDTHS)
def test_one_product_more_than_the_bound_can_wrap(bits: int, operand: int, prover: Prover) -> None:
    config = CoreConfig(rows=1, columns=1, accumulator_bits=bits, activation_bits=operand)
    proof = Column(config, config.largest_reduction + 1)
    prover.is_refuted(proof, cycles_behind(2, 4))


class Saturation(Component):
    """`rtl.quantizer.saturate` beside comparisons."""

    def __init__(self, width_in: int, width_out: int, limit: int) -> None:
        self.width_out, self.limit = width_out, limit
        super().__init__({"x": In(signed(width_in))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        limit = self.limit
        clipped = Mux(self.x > limit, limit, Mux(self.x < -limit, -limit, self.x))
        m.d.comb += Assert(saturate(self.x, self.width_out) == clipped)
        return m


# As the core has them: quantisers, sums of lanes, updates, scalars.
SATURATED = {
    f"{width_in} to {width_out} bits": (width_in, width_out)
    for width_in, width_out in [
        (33, 8), (33, 32), (34, 32), (48, 8), (48, 16), (48, 32), (18, 16)
    ]
}  # fmt: skip


@pytest.mark.parametrize(("width_in", "width_out"), SATURATED.values(), ids=SATURATED)
def test_saturation_is_symmetric(width_in: int, width_out: int, prover: Prover) -> None:
    limit = (1 << (width_out - 1)) - 1
    prover.holds(Saturation(width_in, width_out, limit), cycles_behind(1, 0))
    prover.is_refuted(Saturation(width_in, width_out, limit + 1), cycles_behind(1, 0))
