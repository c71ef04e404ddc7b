"""The price of batch normalisation: its arithmetic by hand, and the real one in the full suite."""

from dataclasses import asdict

import pytest

from eoq import normalization_price as price
from eoq.cli.price_table import price_lines
from golden.networks import load
from golden.schemes import SCHEMES
from hwmodel.normalization_units import UNITS, ChannelEnergy, Unit, load_units, unit_cost
from hwmodel.step import Step
from hwmodel.toml_reader import Band
from rtl.cell_library import default_liberty, load_library


def exactly(value: float) -> Band:
    return Band(value, value, value)


def unit(name: str, area: float, delay: float, energy: float) -> Unit:
    one = ChannelEnergy(exactly(energy), exactly(0.0))
    both = {"forward": one, "backward": one}
    return Unit(name, name, exactly(area), exactly(delay), both, "made up")


UNITS_OF_TEN = {
    "bn_fp32": unit("bn_fp32", 1000.0, 2.0, 100.0),
    "bn_wageubn": unit("bn_wageubn", 500.0, 2.0, 50.0),
    "bn_range": unit("bn_range", 200.0, 2.0, 20.0),
    "fixup": unit("fixup", 100.0, 1.0, 10.0),
}


def test_equal_throughput_and_equal_area_by_hand() -> None:
    fixup, normal = UNITS_OF_TEN["fixup"], UNITS_OF_TEN["bn_fp32"]
    # Two passes of 4,096 and 10 cycles at 1 ns; five passes and 163 cycles at 2 ns.
    ours, theirs = 8202 / 4096 * 1e-9, (5 * 4096 + 163) / 4096 * 2e-9
    rows = {row["unit"]: row for row in price._equal_throughput(UNITS_OF_TEN)}
    assert rows["fixup"]["units"] == pytest.approx(1e9 * ours)
    assert rows["bn_fp32"]["area_mm2"] == pytest.approx(1e9 * theirs * 1000e-6)
    assert rows["bn_fp32"]["area_mm2_times_fixup"] == pytest.approx(10 * theirs / ours)
    assert rows["bn_fp32"]["power_w"] == pytest.approx(1e9 * 200e-12)
    assert rows["bn_fp32"]["power_w_times_fixup"] == pytest.approx(10)
    rows = {row["unit"]: row for row in price._equal_area(UNITS_OF_TEN)}
    assert (rows["fixup"]["units"], rows["bn_fp32"]["units"]) == (10, 1)
    assert rows["bn_fp32"]["elements_per_s"] == pytest.approx(1 / theirs)
    assert rows["bn_fp32"]["elements_per_s_times_fixup"] == pytest.approx(ours / theirs / 10)
    assert price._seconds(fixup) == pytest.approx(ours)
    assert price._joules(normal) == pytest.approx(200e-12)


def part(delay: float, energy: float, clock: float = 1.0) -> dict:
    return {"delay_ns": delay, "energy_pj": energy, "energy": {"forward": {"clock_pj": clock}}}


PARTS = {
    "pe": part(1.0, 5.0), "fp32_mul": part(3.0, 40.0), "fp32_add": part(2.0, 10.0),
    "fp32_div": part(2.5, 300.0), "quantizer": part(1.0, 7.0),
}  # fmt: skip


def test_the_claim_level_by_level() -> None:
    steps = list(price._steps(UNITS_OF_TEN, PARTS))
    rows = {row["level"]: row for row in price._claim(UNITS_OF_TEN, PARTS, steps)}
    assert (rows["MAC"]["power"], rows["MAC"]["speed"]) == (10, 3)
    assert rows["MAC, latency"]["speed"] == 8 * 3 / 2
    assert rows["element, folded"]["power"] == 5
    assert rows["element, divided"]["power"] == (40 + 10 + 10 + 300) / 10
    assert rows["element, divided"]["speed"] == 30 * 3
    assert rows["element, divided, no gating"]["power"] == (360 + 29 * 3) / 10
    assert rows["element, divided, bare"]["power"] == 360 / 5
    assert rows["element, units, forward"]["power"] == pytest.approx(10)
    verdicts = {level: (row["power_claim"], row["speed_claim"]) for level, row in rows.items()}
    assert verdicts["MAC"] == ("refuted", "refuted")
    assert verdicts["element, divided"] == ("refuted", "reproduced")
    assert verdicts["element, divided, bare"] == ("reproduced", "reproduced")
    assert verdicts["model, resnet18, with products"] == ("refuted", None)
    by_scheme = {row["scheme"]: row for row in steps if row["network"] == "resnet18"}
    assert rows["model, resnet18"]["power"] == by_scheme["fp32-bn"]["energy_j_times_eoq"]
    assert rows["model, resnet18"]["speed"] == by_scheme["fp32-bn"]["seconds_times_eoq"]


def test_a_step_is_its_elements_times_the_units_energy() -> None:
    rows = [row for row in price._steps(UNITS_OF_TEN, PARTS) if row["network"] == "resnet18"]
    fp32 = next(row for row in rows if row["scheme"] == "fp32-bn")
    # FACTS: 2,483,712 normalised elements an image, forward and backward.
    assert fp32["energy_j"] == pytest.approx(2_483_712 * 200e-12)
    assert fp32["mac_j"] == pytest.approx(5_324_206_080 * 50e-12)
    assert fp32["conversion_j"] == 0
    eoq = next(row for row in rows if row["scheme"] == "eoq")
    assert eoq["mac_j"] == pytest.approx(5_324_206_080 * 5e-12)
    assert eoq["conversion_j"] > 0


def test_recorded_units_give_a_step_its_energy() -> None:
    """The file's numbers, element by element."""
    units = load_units()
    network = load("resnet8")
    found = unit_cost(Step(network, SCHEMES["fp32-bn"], 4))
    forward, backward = (units["bn_fp32"].energy[way] for way in ("forward", "backward"))
    wanted = 0.0
    for layer in network:
        if type(layer.operator).__name__ == "Normalization":
            channels, count = layer.shape[0], 4 * layer.shape[1] * layer.shape[2]
            for way in (forward, backward):
                wanted += channels * (count * way.element.nominal + way.channel.nominal)
    assert found.energy_j == pytest.approx(wanted * 1e-12)


@pytest.mark.slow
@pytest.mark.skipif(default_liberty() is None, reason="qflow-tech-osu018 is not installed")
def test_the_recorded_units_are_what_the_command_finds() -> None:
    path = default_liberty()
    assert path is not None
    found = price.normalization_price(load_library(path))
    recorded = load_units()
    assert [row["unit"] for row in found.units] == list(UNITS)
    for row in found.units:
        unit = recorded[row["unit"]]
        assert row["area_um2"] == pytest.approx(unit.area.nominal, rel=1e-3)
        assert row["delay_ns"] == pytest.approx(unit.delay.nominal, rel=1e-3)
        for way, energy in unit.energy.items():
            assert row[f"{way}_element_pj"] == pytest.approx(energy.element.nominal, rel=0.01)
            assert row[f"{way}_channel_pj"] == pytest.approx(energy.channel.nominal, rel=0.01)
            assert abs(row[f"{way}_held_out_error"]) < 0.1
    text = "\n".join(price_lines(found))
    assert all(row["level"] in text for row in found.claim)
    assert asdict(found)["assumptions"]
