"""Figures of memory, traffic, rooflines, ratios, sensitivities and designs."""

import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from reports import Figure, Table
from reports.dots import ratios, tornado
from reports.layers import NAMED, by_layer
from reports.pareto import pareto
from reports.roofline import roofline
from reports.timeline import memory_course

SVG = "{http://www.w3.org/2000/svg}"


def texts(figure: Figure) -> list[str]:
    root = ET.fromstring(figure.svg)  # noqa: S314
    return ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]


def course(moments: int) -> Table:
    half = moments // 2
    frame = pd.DataFrame(
        {
            "scheme": ["eoq"] * moments + ["fp32-bn"] * moments,
            "phase": (["forward"] * half + ["backward"] * (moments - half)) * 2,
            "weights": [100] * (2 * moments),
            "gradients": [0] * half + [7] * (moments - half) + [0] * half + [70] * (moments - half),
        }
    )
    frame["total"] = frame["weights"] + frame["gradients"]
    # One peak, in one moment only.
    frame.loc[moments // 3, ["gradients", "total"]] = 1134, 1234
    units = dict.fromkeys(("weights", "gradients", "total"), "B")
    return Table(key="course", title="C", frame=frame, units=units, exact=True)


@pytest.mark.parametrize("moments", [2, 9, 2000])
def test_the_peak_is_drawn_however_many_moments_there_are(moments: int) -> None:
    kinds = ["weights", "gradients"]
    found = texts(memory_course(course(moments), kinds=kinds, png=False))
    assert "1.23" in found
    assert {"eoq", "fp32-bn", "weights", "gradients"} <= set(found)
    assert found.count("backward →") == 2


@pytest.mark.parametrize(("limit", "drawn"), [(500, True), (10, False), (5000, False)])
def test_a_limit_is_drawn_where_it_can_be_told_from_the_axes(limit: int, drawn: bool) -> None:
    figure = memory_course(
        course(10), kinds=["weights", "gradients"], limit=("buffer", limit), png=False
    )
    assert ("buffer" in texts(figure)) == drawn


def test_the_roof_and_the_slowest_product() -> None:
    frame = pd.DataFrame(
        {
            "scheme": ["eoq", "eoq"],
            "layer": ["fast", "slow"],
            "phase": ["forward", "backward_data"],
            "intensity": [100.0, 1.0],
            "reached": [60.0, 2.0],
        }
    )
    units = {"intensity": "MACs/B", "reached": "MACs/cycle"}
    table = Table(key="r", title="R", frame=frame, units=units, exact=False)
    found = texts(roofline(table, peak=64, bandwidth=4, png=False))
    assert {"peak 64", "4 B a cycle", "slow", "forward"} <= set(found)
    assert "fast" not in found


def test_nothing_is_said_in_words_on_a_logarithmic_scale() -> None:
    frame = pd.DataFrame(
        {
            "network": ["a"] * 4,
            "quantity": ["memory", "memory", "waits", "waits"],
            "scheme": ["eoq", "fp32-bn"] * 2,
            "ratio": [0.25, 1.0, 0.0, 1.0],
        }
    )
    table = Table(key="q", title="Q", frame=frame, units={"ratio": "x"}, exact=False)
    found = texts(ratios(table, png=False))
    assert {"memory", "waits", "eoq: none"} <= set(found)


def test_a_tornado_writes_both_ends() -> None:
    frame = pd.DataFrame(
        {
            "scheme": ["eoq"] * 2,
            "entry": ["dram", "add int8"],
            "energy_low_j": [1.0, 2.0],
            "energy_nominal_j": [2.0, 2.0],
            "energy_high_j": [4.0, 2.0],
        }
    )
    units = dict.fromkeys(frame.columns[2:], "J")
    found = texts(tornado(Table(key="t", title="T", frame=frame, units=units), png=False))
    assert {"dram", "add int8", "1.00", "4.00"} <= set(found)


@pytest.mark.parametrize("layers", [1, 13, NAMED, NAMED + 1, 1500])
def test_layers_are_named_while_there_is_room(layers: int) -> None:
    frame = pd.DataFrame(
        {
            "scheme": ["eoq"] * (2 * layers),
            "layer": [f"layer{i}" for i in range(layers) for _ in "ab"],
            "phase": ["update", "forward"] * layers,
            "bytes": range(2 * layers),
        }
    )
    table = Table(key="l", title="L", frame=frame, units={"bytes": "B"}, exact=False)
    figure = by_layer(table, value="bytes", key="l", title="L", order=["forward"], png=False)
    found = texts(figure)
    assert ("layer0" in found) == (layers <= NAMED)
    # In the order that was asked for, not that of the rows.
    assert found.index("forward") < found.index("update")
    assert len(figure.svg) < 300_000
    assert ("sum of 4 neighbours" in figure.caption) == (layers == 1500)


def test_designs_on_the_front_are_named() -> None:
    frame = pd.DataFrame(
        {
            "array": ["4x4", "8x8", "16x16", "9x9"],
            "cycles": [100, 50, 20, 200],
            "energy_nominal_j": [1.0, 2.0, 3.0, 4.0],
            "area_nominal_um2": [1.0, 2.0, 3.0, 4.0],
            "on_front": [True, True, True, False],
        }
    )
    units = {"cycles": "cycles", "energy_nominal_j": "J", "area_nominal_um2": "um2"}
    found = texts(pareto(Table(key="p", title="P", frame=frame, units=units), png=False))
    assert {"4x4", "8x8", "16x16", "on the front"} <= set(found)
    assert "9x9" not in found
