"""What a Liberty file means: units, tables, registers, and what it lacks."""

import re
from pathlib import Path

import pytest

from golden.errors import InputError
from rtl.cell_library import default_liberty, load_library

MINI = Path(__file__).with_name("mini.lib")


def changed(tmp_path: Path, *pairs: tuple[str, str]) -> Path:
    text = MINI.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "changed.lib"
    path.write_text(text)
    return path


def test_cells_pins_and_registers() -> None:
    library = load_library(MINI)
    assert (library.name, library.voltage, len(library.cells)) == ("mini", 2.0, 8)
    assert library.nand2.name == "NAND2"
    assert [cell.name for cell in library.flip_flops] == ["DFF", "DFFR"]
    # Without a mean, the average over the states.
    assert library.cells["DFF"].leakage_nw == 7.0
    assert library.cells["DFF"].pins["CK"].is_clock
    register = library.cells["DFFR"].register
    assert register is not None
    assert (register.state, register.inverted, register.both) == ("IQ", "IQN", "L")
    assert register.clock.table() == (1, 0)
    assert register.clear is not None
    assert register.clear.table() == (1, 0)
    assert library.cells["LATCH"].register is not None
    assert library.lacking == ()


def test_tables_are_bilinear_and_clamped() -> None:
    library = load_library(MINI)
    tables = {edge: t for _, edge, t in library.cells["INV"].pins["Y"].energy}
    assert tables["rise"].at(load=0.01, slew=0.1) == 0.010
    assert tables["rise"].at(load=0.05, slew=0.5) == 0.022
    assert tables["rise"].at(load=0.03, slew=0.3) == pytest.approx(0.016)
    assert tables["rise"].at(load=0.02, slew=0.2) == pytest.approx(0.0130)
    assert tables["rise"].at(load=9.0, slew=0.0) == 0.012
    assert tables["rise"].at(load=0.0, slew=9.0) == 0.020
    clock = {edge: t for _, edge, t in library.cells["DFF"].pins["CK"].energy}
    assert clock["fall"].at(load=9.0, slew=0.2) == pytest.approx(0.055)


def test_units_are_the_file_s(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ('capacitive_load_unit(1.0000000000, "pf")', "capacitive_load_unit (10, ff)"),
        ('time_unit : "1ns"', 'time_unit : "10ps"'),
        ('leakage_power_unit : "1nW"', 'leakage_power_unit : "1uW"'),
    )
    pin = load_library(path).cells["INV"].pins
    assert pin["A"].capacitance == pytest.approx(0.0001)
    # Energy: 10 fF x 1 V x 1 V; the table's axes shrink with load and time.
    energy = pin["Y"].energy[0][2]
    assert energy.at(load=0.0001, slew=0.001) == pytest.approx(0.010 * 0.01)
    assert energy.at(load=0.0005, slew=0.005) == pytest.approx(0.022 * 0.01)
    assert load_library(path).cells["INV"].leakage_nw == pytest.approx(1000)


def test_another_operating_condition_is_the_voltage(tmp_path: Path) -> None:
    path = changed(tmp_path, ("temperature : 25.0; voltage : 2.0", "voltage : 1.1"))
    assert load_library(path).voltage == 1.1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nom_voltage : 2.0;", "", "required a nominal voltage (nom_voltage), got none"),
        ('"1ns"', '"1 second"', "required a unit in S like 1ns, got '1 second'"),
        ("area : 20.0; ", "", "cell NAND2: required an area, got none"),
        ("area : 20.0;", "area : big;", "cell NAND2: area must be a number, not 'big'"),
        ("area : 20.0;", "area : nan;", "cell NAND2: area must be a number, not 'nan'"),
        ('"0.0600, 0.0600, 0.0600"); }\n        fall', '"0.0600"); }\n        fall',
         "cell DFF, pin Q, rise_power: required 3 x 3 values, got 7"),
        ('"!(A&B)"', '"!(A&"', "cell NAND2, pin Y: required a Boolean function, got '!(A&'"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_one_line(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    pairs = [(old, new)]
    if old.startswith("nom_voltage"):
        pairs.append(('"typical";\n', '"none";\n'))
    path = changed(tmp_path, *pairs)
    with pytest.raises(InputError) as refused:
        load_library(path)
    assert str(refused.value).replace(f"{path}, ", "").replace(f"{path}: ", "") == message


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("internal_power", "other_power"), ("leakage_power ()", "other ()"),
        ("cell_leakage_power", "other_leakage"), ("_transition (", "_other ("),
    )  # fmt: skip
    library = load_library(path)
    assert library.lacking == ("internal_power tables", "leakage", "transition tables")
    no_nand = changed(tmp_path, ("!(A&B)", "A&B"))
    with pytest.raises(InputError, match=r"required a two-input NAND, the unit of gate equiv"):
        _ = load_library(no_nand).nand2


def test_cells_whose_functions_are_of_nothing_are_named(tmp_path: Path) -> None:
    assert load_library(MINI).undefined_words == ""
    library = load_library(changed(tmp_path, ('ff ("IQ", "IQ_N")', 'flop ("IQ", "IQ_N")')))
    assert list(library.undefined) == ["DFF"]
    assert library.undefined["DFF"][0] == "IQ"
    assert "outputs of DFF are functions of IQ" in library.undefined_words
    many = load_library(changed(tmp_path, ('function : "', 'function : "Z+')))
    assert len(many.undefined) > 5
    assert re.match(
        r"outputs of (\w+, ){3}\w+ and \d+ more are functions of Z, which no pin",
        many.undefined_words,
    )


@pytest.mark.skipif(default_liberty() is None, reason="qflow-tech-osu018 is not installed")
def test_debian_s_library() -> None:
    path = default_liberty()
    assert path is not None
    library = load_library(path)
    assert (library.nand2.name, library.nand2.area, library.voltage) == ("NAND2X1", 24.0, 1.8)
    assert [cell.name for cell in library.flip_flops] == ["DFFNEGX1", "DFFPOSX1", "DFFSR"]
    assert library.lacking == ()
