"""Normalisation's unit: its cycles are those of the RTL's closed forms, which simulation holds."""

import pytest

from golden import zoo
from golden.schemes import SCHEMES
from hwmodel.cost import cost
from hwmodel.normalization_units import UNITS, load_units, unit_cost, unit_cycles
from hwmodel.step import Step
from rtl.fixup_unit import FixupUnit
from rtl.float_batch_norm import FloatBatchNorm
from rtl.range_norm import RangeNorm
from rtl.wageubn_norm import WageubnNorm

COUNTS = [1, 2, 3, 4, 5, 49, 64, 3136, 100_000]


@pytest.mark.parametrize("count", COUNTS)
def test_cycles_are_those_of_the_rtl(count):
    assert unit_cycles("fixup", count) == FixupUnit.cycles(count)
    assert unit_cycles("fixup", count, backward=True) == FixupUnit.cycles(count)
    assert unit_cycles("bn_fp32", count) == FloatBatchNorm.forward_cycles(count)
    assert unit_cycles("bn_fp32", count, backward=True) == FloatBatchNorm.backward_cycles(count)
    assert unit_cycles("bn_wageubn", count) == WageubnNorm().forward_cycles(count)
    assert unit_cycles("bn_wageubn", count, backward=True) == WageubnNorm().backward_cycles(count)
    assert unit_cycles("bn_range", count) == RangeNorm().forward_cycles(count)
    assert unit_cycles("bn_range", count, backward=True) == RangeNorm().backward_cycles(count)


def test_every_unit_has_an_area_and_a_clock():
    units = load_units()
    assert set(units) == set(UNITS)
    assert units["bn_fp32"].area.nominal > 5 * units["fixup"].area.nominal


def test_a_step_by_hand():
    network = zoo.resnet8()
    found = unit_cost(Step(network, SCHEMES["fp32-bn"], 2))
    expected = sum(
        layer.shape[0] * FloatBatchNorm.forward_cycles(2 * layer.shape[1] * layer.shape[2])
        for layer in network
        if type(layer.operator).__name__ == "Normalization"
    )
    assert found.forward_cycles == expected
    cycles = found.forward_cycles + found.backward_cycles
    assert found.seconds == pytest.approx(cycles * found.delay_ns * 1e-9)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_is_the_fourth_currency(scheme):
    values = cost(zoo.resnet18(), scheme).as_dict()["normalization"]["unit"]
    assert values["area_um2"] > 0
    assert values["table"] == "osu018"
    assert values["backward_cycles"] > 0
