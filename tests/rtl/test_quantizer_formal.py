"""Proof, for every operand, shift and random number, that both quantisers compute `QuantSpec`.

`golden.formats.rounding_shift` and `saturate` are written down again below, line by line in wide
arithmetic; Yosys' SAT solver is asked for inputs on which the hardware differs.
"""

from typing import Any

import pytest
from amaranth.hdl import Assert, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In

from golden.formats import LEFT_SHIFT_MAX, RANDOM_BITS, QuantSpec, Rounding
from rtl import lane_quantizer, quantizer
from rtl.lane_quantizer import LaneQuantizer
from rtl.quantizer import Quantizer
from tests.rtl.formal import Prover, cycles_behind

TWO_REGISTERS = cycles_behind(2, 2)


def golden_result(x: Value, count: Value, random: Value | int, width_out: int) -> Value:
    """`golden.formats.saturate(rounding_shift(x, count, random), width_out)` as logic."""
    right = Mux(count < 0, 0, Mux(count > 63, 63, count))[:6]
    left = Mux(count < -LEFT_SHIFT_MAX, LEFT_SHIFT_MAX, Mux(count < 0, -count, 0))[:4]
    whole = x >> right
    below = Mux(
        right >= RANDOM_BITS, x >> (right - RANDOM_BITS)[:6], x << (RANDOM_BITS - right)[:5]
    )
    fraction = below[:RANDOM_BITS]
    carry = (fraction + random) >> RANDOM_BITS
    rounded = Mux(count > 0, whole + carry, x << left)
    limit = (1 << (width_out - 1)) - 1
    return Mux(rounded > limit, limit, Mux(rounded < -limit, -limit, rounded))


class Proof(Component):
    """The quantiser beside its specification, which is delayed by the quantiser's two registers."""

    x: In(signed(48))
    shift: In(signed(8))
    random: In(RANDOM_BITS)

    def __init__(self, spec: QuantSpec) -> None:
        super().__init__()
        self.spec = spec

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Quantizer(spec=self.spec)
        x = self.x[: self.spec.width_in].as_signed()
        m.d.comb += [dut.x.eq(x), dut.shift.eq(self.shift), dut.enable.eq(1)]
        random: Value | int = 1 << (RANDOM_BITS - 1)
        if self.spec.rounding is Rounding.STOCHASTIC:
            random = self.random
            m.d.comb += dut.random.eq(random)
        one = Signal(signed(self.spec.width_out), reset_less=True)
        two = Signal.like(one, name="two")
        m.d.sync += [one.eq(golden_result(x, self.shift, random, self.spec.width_out)), two.eq(one)]
        m.d.comb += Assert(two == dut.o)
        return m


class LaneProof(Component):
    """The core's quantiser of one lane: right shifts only, the same for operands under way, and the
    random number a cycle behind the operand."""

    t: In(signed(32))
    shift: In(6)
    random: In(RANDOM_BITS)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = LaneQuantizer()
        kept = Signal(signed(32), reset_less=True)
        two = Signal(signed(8), reset_less=True)
        before = Signal(6, reset_less=True)
        m.d.sync += [
            kept.eq(self.t),
            before.eq(self.shift),
            two.eq(golden_result(kept, before, self.random, 8)),
        ]
        m.d.comb += [
            dut.t.eq(self.t),
            dut.shift.eq(self.shift),
            dut.random.eq(self.random),
            Assert(two == dut.o),
        ]
        return m


WIDTHS = {"32 to 8 bits": (32, 8), "16 to 16 bits": (16, 16), "32 to 16 bits": (32, 16)}


@pytest.mark.parametrize("rounding", Rounding, ids=lambda rounding: rounding.value)
@pytest.mark.parametrize(("width_in", "width_out"), WIDTHS.values(), ids=WIDTHS)
def test_the_hardware_is_the_specification(
    width_in: int, width_out: int, rounding: Rounding, prover: Prover
) -> None:
    prover.holds(Proof(QuantSpec(width_in, width_out, rounding)), TWO_REGISTERS)


def test_the_lane_is_the_specification(prover: Prover) -> None:
    prover.holds(LaneProof(), TWO_REGISTERS)


def test_a_lane_that_saturates_late_is_refuted(prover: Prover, monkeypatch: Any) -> None:
    monkeypatch.setattr(lane_quantizer, "_KEPT", lane_quantizer._KEPT - 1)
    prover.is_refuted(LaneProof(), TWO_REGISTERS)


def test_a_wrong_constant_is_refuted(prover: Prover, monkeypatch: Any) -> None:
    monkeypatch.setattr(quantizer, "ROUND_HALF", 0x7FFF)
    prover.is_refuted(Proof(QuantSpec(32, 8)), TWO_REGISTERS)
