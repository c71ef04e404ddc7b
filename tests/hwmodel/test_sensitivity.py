"""Sensitivity: by hand where energy is linear in an entry, and as a whole."""

import math

import pytest

import eoq
from golden import zoo
from hwmodel.cost import cost
from hwmodel.hierarchy import Hierarchy
from hwmodel.sensitivity import sensitivity
from hwmodel.step import Row
from hwmodel.technology import load_technology

TABLE = load_technology("horowitz-45nm")


def influences(rows, moved, buffer=1 << 20):
    return {i.entry: i for i in sensitivity(rows, moved, TABLE, Hierarchy(buffer))}


def test_a_multiplication_by_hand():
    found = influences([Row("a", "forward", "mac", "int8", 1000)], {"dram": 0, "buffer": 0})
    one = found["multiply int8"]
    assert one.energy_low_j == pytest.approx(1000 * 0.3e-12)
    assert one.energy_high_j == pytest.approx(1000 * (0.91 + 0.1) * 1e-12)
    assert one.swing_share == pytest.approx((0.91 - 0.2) / 0.3)
    assert one.elasticity == pytest.approx(2 / 3)
    # The sum has no range, but a third of the energy.
    assert found["add int32"].swing_j == 0
    assert found["add int32"].elasticity == pytest.approx(1 / 3)
    assert found["dram"].elasticity == 0


def test_memories_by_hand():
    found = influences([], {"dram": 80, "buffer": 8 * 100})
    assert found["dram"].swing_j == pytest.approx(10 * (2600 - 1300) * 1e-12)
    # The buffer is accessed by the array, and once more by what comes from DRAM.
    assert found["sram 1048576 B"].energy_low_j == pytest.approx((110 * 93.5 + 10 * 1950) * 1e-12)
    assert found["sram 8192 B"].swing_j == 0


@pytest.mark.parametrize("technology", ["horowitz-45nm", "jouppi-7nm"])
@pytest.mark.parametrize("scheme", ["eoq", "fp32-bn"])
def test_elasticities_share_out_the_energy(technology, scheme):
    """Energy is of degree one in the table's energies; a factor counts with what it multiplies."""
    one = cost(zoo.resnet8(), scheme, technology=technology, hierarchy=Hierarchy(1 << 20))
    frame = one.sensitivity
    total = frame.loc[frame["unit"] != "x", "elasticity"].sum()
    assert math.isclose(total, 1, rel_tol=0.01)
    assert frame["swing_j"].abs().is_monotonic_decreasing
    assert (frame["swing_j"] >= -1e-18).all()
    assert set(frame["table"]) == {technology}


def test_one_entry_at_a_time():
    def nominal(table):
        return {entry: band.nominal for entry, (_, band) in table.energy_entries.items()}

    table = nominal(TABLE)
    for entry, value in table.items():
        assert nominal(TABLE.at(entry, 2 * value + 1)) == {**table, entry: 2 * value + 1}


def test_the_table_of_the_api():
    frame = eoq.cost("resnet18", ["eoq", "fp32-bn"]).table("sensitivity")
    assert set(frame["scheme"]) == {"eoq", "fp32-bn"}
    assert frame["entry"].iloc[0] == "dram"
