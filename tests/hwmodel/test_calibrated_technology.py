"""The calibrated table: blocks and elements by hand, and files that are only half calibrated."""

import re
import tomllib
from pathlib import Path

import pytest

import hwmodel
from eoq.technology_text import block_entry, macro_entry, work_entry
from golden import zoo
from golden.errors import InputError
from hwmodel.core_area import BLOCK_PARTS, MEMORY_PARTS, PARTS
from hwmodel.cost import cost
from hwmodel.technology import CHANGES, load_technology
from rtl.config import CoreConfig
from rtl.ip_package import package

FOLDER = Path(hwmodel.__file__).parent / "technologies"


def text(*, elements: int = 4, lanes: int = 3, blocks: int = 3, macros: int = 2) -> str:
    """Horowitz's table, calibrated with the prices 1, 10, 100, ... of what there is."""
    lines = [(FOLDER / "horowitz-45nm.toml").read_text()]
    for part, count in (("element", elements), ("lane", lanes)):
        lines += [work_entry(part, per, 10**k) for k, per in enumerate(CHANGES[part][:count])]
    for name in list(BLOCK_PARTS)[:blocks]:
        lines += [block_entry(name, part, 10**k) for k, part in enumerate(BLOCK_PARTS[name])]
    lines += [macro_entry(per, 10**k) for k, per in enumerate(list(MEMORY_PARTS)[:macros])]
    return "\n".join(lines)


def test_parts_of_a_small_core():
    config = CoreConfig(rows=2, columns=3)
    assert {name: count(config) for name, count in PARTS.items()} == {
        "element": 6, "weight_delay": 3, "operand_delay": 3, "column": 3, "row": 2, "fixed": 1,
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        CoreConfig(rows=3, columns=2),
        CoreConfig(rows=1, columns=5, scratchpad_pages=2, results_pages=4, accumulator_bits=24),
    ],
)
def test_memories_are_those_of_the_verilog(config):
    row = re.compile(r"\| `eoq_(?:scratchpad|results)_bank` \| \d+ \| \d+ \| (\d+) \| (\d+) \|")
    found = row.findall(package(config)["memories.md"])
    assert len(found) == 2
    macros, bits = (sum(map(int, column)) for column in zip(*found, strict=True))
    assert {part: count(config) for part, count in MEMORY_PARTS.items()} == {
        "macro": macros, "bit": bits,
    }  # fmt: skip
    # The others are few.
    every = re.findall(r"\| (\d+) \|$", package(config)["memories.md"], re.MULTILINE)
    assert sum(map(int, every)) - bits < 8 * 3000


def test_prices_times_counts(tmp_path):
    (tmp_path / "mine.toml").write_text(text())
    table = load_technology(tmp_path / "mine.toml")
    config = CoreConfig(rows=2, columns=3)
    assert table.block_area("mac_array", config).nominal == 6 + 30 + 300 + 2_000 + 10_000
    assert table.block_area("vector_unit", config).nominal == 3 + 10
    for part, counts, picojoules in (("element", (4, 3, 2, 1), 1234), ("lane", (3, 2, 1), 123)):
        changes = dict(zip(CHANGES[part], counts, strict=True))
        assert table.work(part, changes).nominal == pytest.approx(picojoules * 1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"elements": 3}, "element: requires the energy per multiplied_bit, got 'none'"),
        ({"lanes": 2}, "lane: requires the energy per value_bit, got 'none'"),
        ({"macros": 1}, "macro: requires the area per bit, got 'none'"),
        ({"blocks": 2}, "block: requires the area of vector_unit, got 'none'"),
        ({"elements": 0}, "file: requires the key element, got 'lane, block, macro'"),
        ({"blocks": 0}, "file: requires the key block, got 'element, lane, macro'"),
    ],
)
def test_half_a_calibration_is_refused(options, said, tmp_path):
    (tmp_path / "mine.toml").write_text(text(**options))
    with pytest.raises(InputError, match=f"{said}$"):
        load_technology(tmp_path / "mine.toml")


def test_other_tables_have_no_blocks():
    table = load_technology("horowitz-45nm")
    assert not table.calibrated
    with pytest.raises(InputError, match=r"^technology 'horowitz-45nm' must be calibrated \(eoq "):
        table.block_area("mac_array", CoreConfig(rows=2, columns=2))
    assert cost(zoo.mlp(), "eoq").totals["core_area_um2"] is None


def test_the_core_s_area_is_priced():
    table = load_technology("osu018")
    said = cost(zoo.mlp(), "eoq", array=(12, 20), technology=table).totals["core_area_um2"]
    config = CoreConfig(rows=12, columns=20)
    assert said == {
        "product_unit": table.block_area("product_unit", config).nominal,
        "vector_unit": table.block_area("vector_unit", config).nominal,
        "memories": table.memory_area(config).nominal,
        "table": "osu018",
    }
    assert said["product_unit"] > table.block_area("mac_array", config).nominal
    assert cost(zoo.mlp(), "fp32-bn", technology=table).totals["core_area_um2"] is None
    assert cost(zoo.mlp(), "eoq", array=(64, 64), technology=table).totals["core_area_um2"] is None


def test_a_mac_is_measured_and_not_a_sum():
    table = load_technology("osu018")
    content = tomllib.loads((FOLDER / "osu018.toml").read_text())
    said = next(entry for entry in content["operation"] if entry["op"] == "mac")
    assert table.area("mac", "int8").nominal == said["area"]["value"]
    assert table.energy("mac", "int8").nominal == pytest.approx(said["energy"]["value"] * 1e-12)
    summed = table.area("multiply", "fp32") + table.area("add", "fp32")
    assert table.area("mac", "fp32") == summed
