"""A design from a TOML file: what it says, and one line for what cannot be."""

import pytest

from golden import zoo
from golden.errors import InputError
from hwmodel.cost import cost
from hwmodel.hardware import Hardware, load_hardware
from hwmodel.hierarchy import Hierarchy, Level

EDGE = """
name = "edge"

[array]
rows = 8
columns = 16
lanes = 32
frequency = { value = 500, unit = "MHz" }

[[memory]]
name = "scratchpad"
size = { value = 32, unit = "KiB" }
word = { value = 128, unit = "bit" }
bandwidth = { value = 64, unit = "B/cycle" }

[[memory]]
name = "buffer"
size = { value = 0.5, unit = "MiB" }
word = { value = 16, unit = "B" }

[[memory]]
name = "dram"
word = { value = 64, unit = "bit" }
energy = { value = 1300, high = 2600, unit = "pJ", source = "data sheet", certainty = "read" }
bandwidth = { value = 16, unit = "B/cycle" }
"""


def load(tmp_path, text):
    path = tmp_path / "edge.toml"
    path.write_text(text)
    return load_hardware(path)


def test_a_file_says_everything_in_base_units(tmp_path):
    found = load(tmp_path, EDGE)
    assert found.array == (8, 16)
    assert (found.name, found.lanes, found.frequency) == ("edge", 32, 5e8)
    scratchpad, buffer, dram = found.hierarchy.levels
    assert (scratchpad.size, scratchpad.word_bits, scratchpad.bandwidth) == (32768, 128, 64)
    assert (buffer.size, buffer.word_bits, buffer.bandwidth) == (1 << 19, 128, None)
    assert dram.size is None
    assert dram.energy == pytest.approx((1.3e-9, 1.3e-9, 2.6e-9))
    assert found.hierarchy.buffer == 1 << 19


def test_the_file_prices_as_the_object_does(tmp_path):
    one = cost(zoo.mlp(), "eoq", 4, hardware=load(tmp_path, EDGE))
    values = one.as_dict()
    assert list(values["traffic_bytes"]) == ["dram", "buffer", "scratchpad"]
    # 64-bit words: 8 bytes an access.
    dram = values["traffic_bytes"]["dram"]
    assert dram["accesses"] == -(-dram["modelled"] // 8)
    part = {p.part: p for p in one.energy_parts}["dram"]
    assert part.nominal == pytest.approx(dram["accesses"] * 1.3e-9)
    assert part.high == pytest.approx(dram["accesses"] * 2.6e-9)
    # A memory inside is accessed for what it hands on and for what fills it.
    moved = one.moved
    sram = one.technology.sram(32768).nominal
    inside = {p.part: p for p in one.energy_parts}["scratchpad"]
    assert inside.nominal == pytest.approx(sram * (moved["scratchpad"] + moved["buffer"]))
    assert values["time_s"]["arithmetic"] == one.cycles / 5e8
    assert values["time_s"]["dram"] == -(-dram["modelled"] // 16) / 5e8
    assert values["time_s"]["buffer"] is None
    assert values["time_s"]["step"] == max(t for t in values["time_s"].values() if t is not None)


def test_the_default_design_is_that_of_array_and_buffer():
    plain = cost(zoo.resnet8(), "eoq", 2, (8, 8), hierarchy=Hierarchy(1 << 16)).as_dict()
    levels = (Level(name="buffer", size=1 << 16), Level(name="dram", bandwidth=16.0))
    design = Hardware(rows=8, columns=8, hierarchy=Hierarchy(levels=levels))
    assert cost(zoo.resnet8(), "eoq", 2, hardware=design).as_dict() == plain
    assert plain["time_s"]["step"] is None


def replaced(old, new):
    assert old in EDGE
    return EDGE.replace(old, new, 1)


BAD = {
    replaced('name = "edge"', 'name = "edge"\nspeed = 1'): "file: keys must be of array, memory, n",
    replaced("rows = 8", "rows = 0"): "array.rows: must be a whole number from 1 to 4096, got '0'",
    replaced("rows = 8", "rows = -8"): "array.rows",
    replaced("rows = 8", "rows = 8.0"): "array.rows",
    replaced("rows = 8", "rows = true"): "array.rows",
    replaced("rows = 8", "height = 8"): "array: keys must be of columns, frequency, lanes, rows",
    replaced("columns = 16", ""): "array: requires the key columns",
    replaced("lanes = 32", "lanes = 0"): "array.lanes",
    replaced('"MHz"', '"mhz"'): "array.frequency.unit: must be one of Hz, kHz, MHz, GHz",
    replaced("value = 500", "value = nan"): "frequency.value: must be a finite number above 0",
    replaced("value = 500", "value = inf"): "frequency.value",
    replaced("value = 500", "value = 0"): "frequency.value",
    replaced("value = 500", "value = -1"): "frequency.value",
    replaced("value = 500", "value = 5000000"): "frequency must be above 0 and at most",
    replaced('"KiB"', '"KB"'): "memory[0].size.unit: must be one of B, KiB, MiB, GiB, got 'KB'",
    replaced("value = 32,", "value = 0,"): "memory[0].size.value: must be a finite number above 0",
    replaced("value = 32,", "value = -32,"): "memory[0].size.value",
    replaced("value = 32,", "value = nan,"): "memory[0].size.value",
    replaced("value = 32,", "value = '32',"): "memory[0].size.value",
    replaced("value = 32,", f"value = 1{'0' * 5000},"): "TOML: a number of thousands",
    replaced("value = 32,", "value = 1e18,"): "memory[0].size: must be whole and at most",
    replaced("value = 32,", "value = 0.0001,"): "memory[0].size: must be whole",
    replaced("value = 32,", "value = 1024,"): "'buffer': must be at least as large as the one",
    replaced("value = 128,", "value = 0,"): "memory[0].word.value",
    replaced("value = 64, unit = \"B/cycle\"", "value = 0, unit = \"B/cycle\""): "bandwidth.value",
    replaced('"B/cycle"', '"GB/s"'): "memory[0].bandwidth.unit: must be one of B/cycle",
    replaced("size = { value = 32, unit = \"KiB\" }", ""): "'scratchpad': requires a size; only",
    replaced('name = "scratchpad"', 'name = "dram"'): "memories must have different names",
    replaced('name = "scratchpad"', 'name = "<b>"'): "a name must be 1 to 32 letters",
    replaced('certainty = "read"', 'certainty = "sure"'): "energy.certainty: must be one of read",
    replaced('unit = "pJ"', 'unit = "nJ"'): "memory[2].energy.unit: must be one of pJ",
    replaced('value = 1300', 'value = 5000'): "must have low <= value <= high",
    replaced('value = 1300', 'value = -1'): "memory[2].energy.value",
    'name = "x"\nmemory = []\n[array]\nrows = 1\ncolumns = 1': "memory: requires 2 to 8",
    'name = "x"\nmemory = 3\n[array]\nrows = 1\ncolumns = 1': "must be a list of tables",
    "name = ": "must be readable TOML",
    "": "file: requires the key name",
    "a = " + "[" * 5000: "must be readable TOML",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_files_are_refused_in_one_line(tmp_path, text):
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith("hardware '")
    assert BAD[text] in message
    assert len(message.splitlines()) == 1
    assert len(message) < 600


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("a.toml", "b.toml"):
        with pytest.raises(InputError, match="must be readable TOML"):
            load_hardware(tmp_path / name)
