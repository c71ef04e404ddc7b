"""Energy by layer and phase: its parts are the whole."""

import pytest

from golden import zoo
from golden.schemes import SCHEMES
from hwmodel.cost import cost
from hwmodel.hardware import load_hardware
from tests.hwmodel.test_hardware import EDGE


@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_and_phases_add_up_to_the_step(scheme):
    one = cost(zoo.resnet8(), scheme, 2)
    arithmetic = sum(p.nominal for p in one.energy_parts if p.part not in ("dram", "buffer"))
    for part, expected in (
        ("arithmetic", arithmetic),
        *((p.part, p.nominal) for p in one.energy_parts if p.part in ("dram", "buffer")),
    ):
        found = sum(e.nominal for e in one.layer_energy_list if e.part == part)
        assert found == pytest.approx(expected, rel=1e-9)
    for end in ("low", "high"):
        total = sum(getattr(e, end) for e in one.layer_energy_list)
        assert total == pytest.approx(one.as_dict()["energy_j"][end], rel=1e-9)


def test_words_of_a_file_make_a_difference_of_less_than_one_access_a_memory(tmp_path):
    path = tmp_path / "edge.toml"
    path.write_text(EDGE)
    one = cost(zoo.resnet8(), "eoq", hardware=load_hardware(path))
    total = sum(e.nominal for e in one.layer_energy_list)
    whole = one.as_dict()["energy_j"]["nominal"]
    assert 0 <= whole - total <= 1.3e-9


def test_a_linear_layer_by_hand():
    one = cost(zoo.mlp(), "fp32-bn")
    found = {(e.layer, e.phase, e.part): e.nominal for e in one.layer_energy_list}
    moved = sum(
        t.modelled for t in one.transfers
        if (t.layer, t.phase, t.level) == ("fc2", "forward", "dram")
    )  # fmt: skip
    assert found["fc2", "forward", "dram"] == pytest.approx(moved / 8 * 1950e-12)
