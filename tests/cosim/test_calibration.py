"""The fits of `cosim.calibration`: counts by hand, known coefficients, real gates held out."""

from pathlib import Path

import numpy as np
import pytest

from cosim import calibration
from cosim.calibration import (
    CHECK_SIZES,
    FIT_SIZES,
    block_area,
    fit_area,
    fit_energy,
    network_energies,
    predicted_area,
    predicted_energy,
)
from cosim.element_energy import changes
from cosim.lane_energy import lane_changes
from cosim.lane_passes import LEAD, quantization_pass, run_passes
from cosim.layer_energy import LayerEnergy
from cosim.operands import Quantization, Step
from cosim.operator_energy import operator
from cosim.workloads import Workload
from golden.errors import InputError
from hwmodel.technology import CHANGES
from rtl.cell_library import load_library

MINI = Path(__file__).parents[1] / "rtl" / "mini.lib"


def test_nothing_is_fitted_and_checked():
    for block, sizes in CHECK_SIZES.items():
        assert not set(sizes) & set(FIT_SIZES[block])
    checked = set(CHECK_SIZES["mac_array"])
    assert any(rows != columns for rows, columns in checked)
    assert all(8 <= side <= 32 for size in checked for side in size)


def test_changes_by_hand():
    inputs = {
        "a_i": np.array([0, 0, 1, 3, -1, -1]),
        "psum_i": np.array([0, 0, 0, -1, 0, 5]),
        "b": np.array([7, 0, 0, 0, 9, 0]),
        # The weight is 7 from cycle 1 and 0 from cycle 4 on.
        "take": np.array([1, 0, 0, 1, 0, 0]),
    }
    workload = Workload("forward", inputs, operations=4, settle=2)
    # Operand bits that change into cycles 2 to 5: 1, 1, 6, 0; of the sum 0, 32, 32, 2.
    assert changes(workload) == {
        "cycle": 4, "operand_bit": 8, "sum_bit": 66, "multiplied_bit": 2,
    }  # fmt: skip


def test_changes_of_a_lane_by_hand():
    tensor = Quantization("l", "forward", np.array([1, 3, -1]), 0)
    run = run_passes([quantization_pass(tensor, 2, slice(0, 3))])
    # From 0 to 1 one bit, to 3 one, to -1 all but two, and back to 0 all.
    assert lane_changes(run) == {
        "cycle": len(run.t) - LEAD,
        "value": 3,
        "value_bit": 1 + 1 + 30 + 32,
    }


def test_known_prices_are_found_and_negative_ones_left_out():
    rng = np.random.default_rng(0)
    prices = dict(zip(CHANGES["element"], (14.0, 0.2, 0.3, 3.0), strict=True))
    layers = []
    for _ in range(12):
        counts = {name: int(rng.integers(100, 1000)) for name in prices}
        energy = sum(prices[name] * count for name, count in counts.items())
        layers.append(LayerEnergy("n", "l", "forward", counts, energy, 100))
    found = fit_energy("element", layers)
    assert found == pytest.approx(prices)
    assert predicted_energy(found, layers[0]) == pytest.approx(layers[0].energy_pj)
    cheaper = [
        LayerEnergy("n", "l", "forward", each.changes,
                    each.energy_pj - each.changes["operand_bit"], 100)
        for each in layers
    ]  # fmt: skip
    assert fit_energy("element", cheaper)["operand_bit"] == 0
    assert min(fit_energy("element", cheaper).values()) == 0


def test_energy_requires_power_tables(tmp_path):
    bare = tmp_path / "bare.lib"
    bare.write_text(MINI.read_text().replace("internal_power", "other_power"))
    with pytest.raises(InputError, match=r"bare\.lib: energy requires internal_power tables"):
        network_energies("lane", "mlp", load_library(bare))


def test_an_operator_is_held_against_its_arithmetic():
    rng = np.random.default_rng(0)
    step = Step({})
    for phase in ("forward", "backward_data"):
        values = rng.integers(-(1 << 20), 1 << 20, 2000)
        step.quantizations.append(Quantization("l", phase, values, 14))
    library = load_library(MINI)
    narrow, wide = operator("add", 8, library, step), operator("add", 16, library, step)
    assert narrow.area_um2 < wide.area_um2
    assert 0 < narrow.energy_pj.low <= narrow.energy_pj.high < wide.energy_pj.high
    product = operator("multiply", 8, library, step)
    assert product.area_um2 > narrow.area_um2


@pytest.mark.slow
def test_small_arrays_fit_others(monkeypatch, tmp_path):
    """Sizes that synthesise in seconds; `eoq validate` holds those up to 32x32."""
    monkeypatch.setenv("EOQ_CACHE", str(tmp_path))
    fit = {"mac_array": ((2, 2), (4, 4), (2, 6), (6, 2), (6, 6))}
    monkeypatch.setattr(calibration, "FIT_SIZES", fit)
    library = load_library(MINI)
    parts = fit_area("mac_array", library)
    for size in ((3, 5), (7, 4)):
        assert predicted_area(parts, size) == pytest.approx(
            block_area("mac_array", size, library), rel=0.03
        )


@pytest.mark.slow
@pytest.mark.parametrize(("part", "last"), [("element", "backward_weight"), ("lane", "update")])
def test_a_network_s_layers_fit_themselves(part, last):
    library = load_library(MINI)
    layers = network_energies(part, "mlp", library)
    assert {each.phase for each in layers} == {"forward", "backward_data", last}
    prices = fit_energy(part, layers)
    for each in layers:
        assert predicted_energy(prices, each) == pytest.approx(each.energy_pj, rel=0.10)
