"""Technology files: the numbers of the tables, interpolation, and bad input."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwmodel
from golden.errors import InputError
from hwmodel.technology import BUILT_IN, Band, load_technology

FOLDER = Path(hwmodel.__file__).parent / "technologies"


def test_every_file_is_named_and_readable():
    assert sorted(path.stem for path in FOLDER.glob("*.toml")) == sorted(BUILT_IN)
    for name in BUILT_IN:
        technology = load_technology(name)
        assert technology.name == name
        assert technology.notes


def pico(band):
    return tuple(round(1e12 * value, 6) for value in band)


def test_numbers_of_horowitz():
    table = load_technology("horowitz-45nm")
    assert pico(table.energy("add", "int8")) == (0.03, 0.03, 0.03)
    assert pico(table.energy("multiply", "int8")) == (0.2, 0.2, 0.91)
    assert pico(table.energy("mac", "int8")) == (0.3, 0.3, 1.01)
    assert pico(table.energy("mac", "fp32")) == (4.6, 4.6, 4.6)
    assert table.area("mac", "int8") == Band(419, 419, 419)
    assert table.area("mac", "fp32") == Band(11884, 11884, 11884)
    assert pico(table.dram.times(8)) == (1300, 1950, 2600)
    assert pico(table.sram(8 << 10).times(8)) == (6.1, 10, 10)


def test_numbers_of_jouppi():
    table = load_technology("jouppi-7nm")
    assert pico(table.energy("mac", "int8"))[1] == 0.1
    assert pico(table.energy("mac", "fp32"))[1] == 1.69
    assert not table.has_area


def test_widths_between_are_interpolated():
    table = load_technology("horowitz-45nm")
    eight, sixteen, wide = (
        table.energy("multiply", f"int{width}").nominal for width in (8, 16, 32)
    )
    # Log-linear: 16 bits lie half way between 8 and 32.
    assert sixteen == pytest.approx((eight * wide) ** 0.5)
    assert table.energy("multiply", "int8xint32").nominal == pytest.approx(sixteen)
    assert table.energy("add", "int16").nominal == pytest.approx(0.05e-12)
    between = table.sram(100 << 10).nominal * 8e12
    assert 20 < between < 100
    assert table.sram(4 << 20).nominal * 8e12 > 100


@settings(max_examples=30)
@given(st.integers(1 << 10, 1 << 30), st.integers(1 << 10, 1 << 30))
def test_larger_memories_cost_more(one, other):
    table = load_technology("horowitz-45nm")
    small, large = (table.sram(size) for size in sorted((one, other)))
    for a, b in zip(small, large, strict=True):
        assert a <= b * (1 + 1e-12)


def test_every_operation_of_every_format_has_a_band():
    for name in BUILT_IN:
        table = load_technology(name)
        for op in ("mac", "add", "multiply", "shift", "compare", "lookup", "random", "div", "sqrt"):
            for number_format in ("int8", "int16", "int24", "int32", "fp32"):
                band = table.energy(op, number_format)
                assert 0 < band.low <= band.nominal <= band.high


def edited(tmp_path, change):
    content = tomllib.loads((FOLDER / "horowitz-45nm.toml").read_text())
    change(content)
    path = tmp_path / "own.toml"
    path.write_text(as_toml(content))
    return path


def as_toml(value, top=True):
    if isinstance(value, dict):
        if top:
            return "".join(f"{key} = {as_toml(inner, False)}\n" for key, inner in value.items())
        inner = ", ".join(f"{key} = {as_toml(one, False)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(one, False) for one in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, str) else repr(value)


def test_a_users_own_file(tmp_path):
    def change(content):
        content["name"] = "own"
        content["operation"][0]["energy"]["value"] = 7.0

    table = load_technology(edited(tmp_path, change))
    assert table.name == "own"
    assert pico(table.energy("add", "int8")) == (7, 7, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(colour="red"), r"file: keys must be of .*, got 'colour'"),
        (lambda c: c.pop("title"), r"file: requires the key title"),
        (lambda c: c["operation"][0]["energy"].update(unit="J"), r"operation\[0\]\.energy\.unit"),
        (lambda c: c["operation"][0]["energy"].update(value=-1), r"finite number of at least 0"),
        (lambda c: c["operation"][0]["energy"].update(value=float("nan")), r"finite number"),
        (lambda c: c["operation"][0]["energy"].update(value=float("inf")), r"finite number"),
        (lambda c: c["operation"][0]["energy"].update(value="1"), r"finite number"),
        (lambda c: c["operation"][0]["energy"].update(value=True), r"finite number"),
        (lambda c: c["operation"][0]["energy"].update(low=9), r"low <= value <= high"),
        (lambda c: c["operation"][0]["energy"].pop("source"), r"requires the key source"),
        (lambda c: c["operation"][0]["energy"].update(certainty="sure"), r"certainty: must be one"),
        (lambda c: c["operation"][0].update(op="divide"), r"operation\[0\]\.op: must be one of"),
        (lambda c: c["operation"][0].update(format="int7"), r"format: must be one of"),
        (lambda c: c["memory"][0]["capacity"].update(unit="KB"), r"capacity\.unit: must be one of"),
        (lambda c: c["memory"][0].pop("capacity"), r"memory\[0\]\.capacity: requires a table"),
        (lambda c: c.update(memory=[]), r"memory: requires sram and dram"),
        (lambda c: c.update(operation={}), r"operation: must be a list of tables"),
        (lambda c: c.update(operation=[]), r"operation: requires energy of add in int"),
        (lambda c: c["relative"].pop(0), r"relative: requires energy of shift"),
        (lambda c: c.update(sources="me"), r"sources: requires a table"),
    ],
)
def test_bad_files_are_refused_in_one_line_that_names_the_key(tmp_path, change, message):
    path = edited(tmp_path, change)
    with pytest.raises(InputError, match=message) as error:
        load_technology(path)
    assert "\n" not in str(error.value)
    assert "own.toml" in str(error.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"^technology must be one of horowitz-45nm, .* not 'x'$"):
        load_technology("x")
    with pytest.raises(InputError, match=r"must be readable TOML: No such file"):
        load_technology(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"name = \xff")
    with pytest.raises(InputError, match=r"must be readable TOML"):
        load_technology(broken)


def test_eyeriss_is_four_words_of_its_ratios_at_the_anchor():
    table = load_technology("eyeriss-relative")
    horowitz = load_technology("horowitz-45nm")
    mac = horowitz.energy("mac", "int16").nominal
    for price, ratio in (
        (table.sram(512), 1), (table.sram(108 << 10), 6), (table.dram, 200),
    ):  # fmt: skip
        # A word of 16 bits is two bytes.
        assert 2 * price.nominal == pytest.approx(ratio * mac, rel=0.01)
    assert table.energy("mac", "int8") == horowitz.energy("mac", "int8")
    assert not table.has_area
