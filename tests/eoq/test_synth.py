"""`eoq synth`, as a user runs it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cosim import tools
from eoq.synthesis import synthesis_table
from golden.errors import InputError
from rtl.cell_library import load_library
from rtl.config import CoreConfig
from tests.rtl.test_synthesis import without

MINI = Path(__file__).parents[1] / "rtl" / "mini.lib"


def eoq(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eoq", "synth", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EOQ_CACHE", str(tmp_path / "cache"))


def test_a_user_s_own_library_in_json(tmp_path: Path) -> None:
    packed = tmp_path / "mine.lib.gz"
    packed.write_bytes(gzip.compress(MINI.read_bytes()))
    command = ("--liberty", "mine.lib.gz", "--block", "multiplier", "--json")
    done = eoq(*command, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["liberty"] == "mine.lib.gz"
    (block,) = result["blocks"]
    assert set(block) >= {"block", "area_um2", "nand2", "delay_ns", "energy_pj", "method"}
    assert block["block"] == "multiplier"
    assert block["nand2"] == round(block["area_um2"] / 20, 1)
    assert eoq(*command, folder=tmp_path).stdout == done.stdout


def test_the_table_names_the_method(tmp_path: Path) -> None:
    done = eoq("--liberty", str(MINI), "--block", "multiplier", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{MINI} at 2 V, 4x4 array"
    assert lines[2].startswith("multiplier ")
    assert lines[-1].startswith("method: pyosys ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--block", "pee"), "eoq: --block must be one of multiplier, pe, "),
        (("--liberty", "none.lib"), "eoq: Invalid value for '--liberty': File 'none.lib' does not"),
        (("--liberty", "cut.lib"), "eoq: cut.lib, line 54: the file is cut short within a string"),
        (("--block", "multiplier", "--recipe", "best"), "eoq: recipe must be one of stock, "),
        (("--bn", "--block", "pe"), "eoq: --bn must stand without --block, --no-energy and --del"),
        (("--bn", "--liberty", "bare.lib"), "eoq: bare.lib: the price of normalisation requires "),
        (("--calibrate",), "eoq: --calibrate requires -o FILE.toml and none of --block, --bn, "),
        (
            ("--calibrate", "-o", "t.toml", "--liberty", "bare.lib"),
            "eoq: bare.lib: energy requires internal_power tables, got none; eoq synth says area ",
        ),
        (
            ("--block", "pe", "--liberty", "logic.lib"),
            "eoq: logic.lib: block pe requires cells for ",
        ),
        (
            ("--block", "pe", "--liberty", "flops.lib"),
            "eoq: flops.lib: block pe requires cells for ",
        ),
        (("--array", "32x2", "--accumulator-bits", "18"), "eoq: accumulator_bits must be at least"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "cut.lib").write_text(MINI.read_text()[:3000])
    (tmp_path / "bare.lib").write_text(MINI.read_text().replace("internal_power", "other_power"))
    (tmp_path / "logic.lib").write_text(without("DFF", without("DFFR", MINI.read_text())))
    (tmp_path / "flops.lib").write_text(MINI.read_text().replace("    ff (", "    flop ("))
    done = eoq(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_the_blocks_are_listed(tmp_path: Path) -> None:
    done = eoq("--block", "list", folder=tmp_path)
    names = {"pe", "mac_array", "quantizer", "update_unit", "vector_unit", "core"}
    assert names <= set(done.stdout.split())


@pytest.mark.slow
def test_energy_by_phase(tmp_path: Path) -> None:
    command = ("--liberty", str(MINI), "--block", "pe", "--network", "mlp", "--json")
    done = eoq(*command, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (block,) = json.loads(done.stdout)["blocks"]
    assert list(block["energy"]) == ["forward", "backward_data", "backward_weight", "noise"]
    real = [e["energy_pj"] for phase, e in block["energy"].items() if phase != "noise"]
    assert block["energy_pj"] == pytest.approx(sum(real) / 3, abs=0.001)
    assert max(real) < block["energy"]["noise"]["energy_pj"]
    assert "toggles x Liberty, no wires, operands of mlp on digits" in block["method"]
    assert eoq(*command, folder=tmp_path).stdout == done.stdout


def test_cells_that_no_tool_can_use_are_a_note(tmp_path: Path) -> None:
    text = MINI.read_text().replace("    ff (", "    flop (")
    (tmp_path / "flops.lib").write_text(text)
    command = ("--liberty", "flops.lib", "--block", "multiplier", "--no-energy", "--json")
    done = eoq(*command, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["blocks"][0]["area_um2"] > 0
    (note,) = result["notes"]
    assert note.startswith("flops.lib: cells left out: outputs of DFF, DFFR are functions of IQ")


def test_what_energy_lacks_is_a_note(tmp_path: Path) -> None:
    """Area and delay are still said."""
    bare = tmp_path / "bare.lib"
    bare.write_text(MINI.read_text().replace("internal_power", "other_power"))
    done = eoq("--liberty", "bare.lib", "--block", "pe", "--json", folder=tmp_path)
    result = json.loads(done.stdout)
    assert result["blocks"][0]["energy_pj"] is None
    assert result["blocks"][0]["area_um2"] > 0
    assert result["notes"] == [
        "no energy: bare.lib lacks internal_power tables; area and delay do not need them"
    ]


def test_a_library_at_another_voltage_says_so(tmp_path: Path) -> None:
    """The nominal one is read, not assumed; area is that of the same cells."""
    slow = MINI.read_text().replace("voltage : 2.0", "voltage : 1.62")
    (tmp_path / "slow.lib").write_text(slow)
    areas = []
    for name, voltage in ((str(MINI), 2.0), ("slow.lib", 1.62)):
        command = ("--liberty", name, "--block", "multiplier", "--json")
        result = json.loads(eoq(*command, folder=tmp_path).stdout)
        assert result["voltage_v"] == voltage
        areas.append(result["blocks"][0]["area_um2"])
    assert areas[0] == areas[1]


def test_only_delays_need_icarus(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> None:
        raise InputError(f"required {name}, got none")

    monkeypatch.setattr(tools, "find", find)
    config = CoreConfig(rows=2, columns=2)
    for delays in (False, True):
        rows, notes = synthesis_table(
            ["pe"], config, load_library(MINI), recipe="stock", operands=("mlp", "digits"),
            delays=delays,
        )  # fmt: skip
        assert (rows[0]["energy_pj"] is None) is delays
        assert notes == ["no energy: required iverilog, got none"] * delays
    _, notes = synthesis_table(["pe"], config, None, recipe="stock", operands=("mlp", "digits"))
    assert notes == ["no energy: there is no library"]
