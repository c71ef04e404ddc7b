"""The roofline: no product is above its roof, and what limits is what takes longer."""

import pytest

from golden import zoo
from golden.schemes import SCHEMES
from hwmodel.cost import cost
from hwmodel.hierarchy import Hierarchy, Level
from hwmodel.products import matrix_products
from hwmodel.roofline import roofline
from hwmodel.systolic import forward_cycles
from hwmodel.traffic import Transfer


def test_by_hand():
    transfers = [
        Transfer("a", "forward", "A", "dram", 10, 100),
        Transfer("a", "forward", "A", "buffer", 10, 9999),
        Transfer("a", "update", "W", "dram", 10, 9999),
        Transfer("b", "forward", "A", "dram", 10, 10),
    ]
    macs = {("a", "forward"): 1000, ("b", "forward"): 1000, ("c", "forward"): 5}
    a, b = roofline(macs, dict.fromkeys(macs, 50), transfers, "dram", 1.0, (4, 8))
    # a: 10 MACs a byte, 100 cycles to move, 50 to make: memory.
    assert (a.intensity, a.attainable, a.reached, a.bound) == (10, 10, 10, "memory")
    assert (b.intensity, b.attainable, b.reached, b.bound) == (100, 32, 20, "arithmetic")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_is_above_its_roof(scheme):
    one = cost(zoo.resnet18(), scheme, 2)
    points = one.roofline_list
    assert sum(p.macs for p in points) == one.macs["total"]
    for p in points:
        assert p.reached <= p.attainable * (1 + 1e-12)
    if scheme != "eoq":
        total = sum(p.cycles for p in points if p.phase == "forward")
        assert total == forward_cycles(one.step, *one.array)["weight-stationary"]
        assert {p.layer for p in points} == {p.layer for p in matrix_products(one.step)}


def test_without_a_bandwidth_there_is_no_roof():
    levels = (Level(name="buffer", size=1 << 16), Level(name="dram"))
    assert cost(zoo.mlp(), hierarchy=Hierarchy(levels=levels)).roofline_list == []
