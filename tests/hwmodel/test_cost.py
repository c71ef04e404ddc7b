"""`cost()` as a whole: its keys, tables and bands."""

import json
import math

import pytest

from golden import zoo
from golden.errors import InputError
from golden.network import Linear, LocalResponseNormalization, Network
from golden.schemes import SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.cost import cost
from hwmodel.hierarchy import Hierarchy

KEYS = {
    "network", "scheme", "batch", "parameters", "macs", "ops", "normalization",
    "memory_peak_bytes", "traffic_bytes", "cycles", "utilization", "energy_j", "area_um2",
    "assumptions",
}  # fmt: skip


@pytest.fixture(scope="module", params=list(SCHEMES))
def resnet18(request):
    return cost(zoo.resnet18(), request.param)


def test_keys_and_strict_json(resnet18):
    values = resnet18.as_dict()
    assert values.keys() >= KEYS
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["macs"].keys() == {"forward", "backward_data", "backward_weight", "total"}
    assert values["normalization"].keys() >= {"sqrt", "div", "element_passes", "bytes"}
    kinds = {"total", "weights", "momentum", "activations", "gradients"}
    assert values["memory_peak_bytes"].keys() >= kinds
    assert values["traffic_bytes"]["dram"].keys() == {"compulsory", "modelled", "accesses"}
    for estimate in ("energy_j", "area_um2"):
        assert list(values[estimate]) == ["low", "nominal", "high", "table"]
        low, nominal, high, table = values[estimate].values()
        assert low <= nominal <= high
        assert table == "horowitz-45nm"
    assert values["ops"][0].keys() == {"layer", "phase", "op", "format", "count"}


def test_headline_numbers(resnet18):
    values = resnet18.as_dict()
    assert values["macs"]["forward"] == values["macs"]["backward_weight"] == 1_814_073_344
    assert values["macs"]["backward_data"] == 1_696_059_392
    roots, divisions = values["normalization"]["sqrt"], values["normalization"]["div"]
    assert (roots, divisions) == {
        "eoq": (0, 0),
        "wageubn": (4800, 4800),
        "range-bn": (0, 4800),
        "fp32-bn": (4800, 4800),
    }[values["scheme"]]
    if values["scheme"] == "fp32-bn":
        assert values["parameters"] == 11_689_512


def test_parts_add_up(resnet18):
    values = resnet18.as_dict()
    memory = values["memory_peak_bytes"]
    assert memory["total"] == sum(memory.values()) - memory["total"]
    assert math.isclose(resnet18.energy["nominal"].sum(), values["energy_j"]["nominal"])
    assert math.isclose(resnet18.area["high"].sum(), values["area_um2"]["high"])
    assert resnet18.memory["total"].max() == memory["total"]
    by_level = resnet18.traffic.groupby("level")["modelled"].sum()
    assert by_level["dram"] == values["traffic_bytes"]["dram"]["modelled"]
    assert resnet18.ops["count"].sum() == sum(row["count"] for row in values["ops"])
    assert resnet18.passes["bytes"].sum() == values["normalization"]["bytes"]


def test_tables_carry_what_they_are_about(resnet18):
    for name in ("ops", "passes", "memory", "traffic", "energy", "area"):
        frame = getattr(resnet18, name)
        assert list(frame.columns[:3]) == ["network", "scheme", "batch"]
        assert set(frame["scheme"]) == {resnet18.step.scheme.name}
    assert set(resnet18.energy["table"]) == {"horowitz-45nm"}
    assert set(resnet18.energy["unit"]) == {"J"}


def test_only_our_core_has_cycles(resnet18):
    values = resnet18.as_dict()
    said = " ".join(values["assumptions"])
    if values["scheme"] == "eoq":
        assert values["cycles"] > 0
        assert 0 < values["utilization"] <= 1
        # Units work side by side: none is at work for longer than the step.
        of_unit = resnet18.instructions.groupby("unit")["cycles"].sum()
        assert 0 < of_unit.max() < values["cycles"] < of_unit.sum() + 8 * resnet18.parameters
    else:
        assert values["cycles"] is values["utilization"] is None
        assert "no core for this scheme" in said


def test_counts_do_not_depend_on_the_array_nor_on_the_technology():
    small = cost(zoo.mlp(), "eoq", 4, (2, 3), "jouppi-7nm").as_dict()
    large = cost(zoo.mlp(), "eoq", 4, (32, 32)).as_dict()
    for key in ("macs", "ops", "normalization", "memory_peak_bytes"):
        assert small[key] == large[key]
    assert small["cycles"] > large["cycles"]
    assert small["area_um2"] == {
        "low": None, "nominal": None, "high": None, "table": "jouppi-7nm",
    }  # fmt: skip


def test_an_array_that_is_larger_than_the_core():
    values = cost(zoo.mlp(), "eoq", array=(128, 128)).as_dict()
    assert values["cycles"] is None
    assert any("rows must be 1 to 32" in text for text in values["assumptions"])


def test_conventions_come_with_the_result():
    conventions = Conventions(padding=False, division="per-element")
    values = cost(zoo.mlp(), "fp32-bn", conventions=conventions).as_dict()
    assert values["conventions"] == conventions.as_dict()
    assert values["normalization"]["div"] == 32


def test_normalization_of_other_kinds_is_said():
    network = Network("lrn", (8, 4, 4))
    network.add("lrn", LocalResponseNormalization())
    network.add("fc", Linear(2))
    texts = cost(network, "fp32-bn").assumptions
    assert "local response normalisation counted as normalisation" in texts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"array": (0, 4)}, r"^array must have 1 to 4096 rows and columns, not 0x4$"),
        ({"array": (4,)}, r"^array must be two whole numbers"),
        ({"array": "4x4"}, r"^array must be two whole numbers"),
        ({"scheme": "none"}, r"^scheme must be one of"),
        ({"technology": "none"}, r"^technology must be one of"),
        ({"batch": 0}, r"^batch must be"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InputError, match=message):
        cost(zoo.mlp(), **options)


def test_energy_follows_the_buffer():
    small, large = (
        cost(zoo.resnet8(), "eoq", hierarchy=Hierarchy(size)).as_dict() for size in (4096, 1 << 24)
    )
    assert small["traffic_bytes"]["dram"]["modelled"] > large["traffic_bytes"]["dram"]["modelled"]
