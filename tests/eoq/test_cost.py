"""`eoq cost` from the shell, and `eoq.cost` from Python."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

import eoq
from cosim.core_fit import fit_core
from golden.initialization import build
from golden.networks import load
from golden.schemes import EOQ
from hwmodel.lowering.program import compile_step

HEAVY = {"amaranth", "cocotb", "matplotlib", "numba", "onnx", "sklearn", "pandas", "scipy", "torch"}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "eoq", "cost", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_json_has_one_object_a_scheme():
    done = run("resnet18", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    values = json.loads(done.stdout)
    assert [one["scheme"] for one in values] == ["eoq", "wageubn", "range-bn", "fp32-bn"]
    for one in values:
        assert one["macs"]["total"] == 5_324_206_080


def test_schemes_are_chosen_in_their_order():
    done = run("mlp", "--scheme", "fp32-bn", "--scheme", "eoq", "--batch", "4", "--json")
    values = json.loads(done.stdout)
    assert [(one["scheme"], one["batch"]) for one in values] == [("fp32-bn", 4), ("eoq", 4)]


def test_people_see_numbers_with_units_conventions_and_the_tables_name():
    done = run("resnet18")
    assert done.returncode == 0
    for text in (
        "1,814,073,344", "4,800", "79.48 MB", "mJ", "mm2", "Horowitz, 45 nm", "Conventions:",
        "padding=True", "horowitz-45nm", "0.65 %",
    ):  # fmt: skip
        assert text in done.stdout
    assert "..." not in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    "table",
    [
        "summary",
        "ops",
        "passes",
        "memory",
        "traffic",
        "tiling",
        "energy",
        "layer_energy",
        "roofline",
        "sensitivity",
        "area",
        "instructions",
    ],
)
def test_every_table_as_csv(table):
    done = run("resnet8", "--csv", "--table", table)
    assert done.returncode == 0
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert rows
    assert {row["network"] for row in rows} == {"resnet8"}
    assert None not in rows[0]


def test_csv_and_json_carry_the_same_numbers():
    (values,) = json.loads(run("resnet8", "--scheme", "eoq", "--json").stdout)
    (row,) = csv.DictReader(io.StringIO(run("resnet8", "--scheme", "eoq", "--csv").stdout))
    assert int(row["macs.total"]) == values["macs"]["total"]
    assert int(row["cycles"]) == values["cycles"]
    assert float(row["energy_j.nominal"]) == values["energy_j"]["nominal"]
    assert row["energy_j.table"] == values["energy_j"]["table"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "network must be one of"),
        (["missing.onnx"], "missing.onnx"),
        (["mlp", "--scheme", "best"], "scheme must be one of"),
        (["mlp", "--array", "0x4"], "--array must be RxC"),
        (["mlp", "--array", "4"], "--array must be RxC"),
        (["mlp", "--array", "4097x4"], "rows and columns from 1 to 4096 each"),
        (["mlp", "--batch", "0"], "batch must be a whole number"),
        (["mlp", "--batch", "x"], "--batch"),
        (["mlp", "--technology", "5nm"], "technology must be one of"),
        (["mlp", "--buffer", "big"], "--buffer must be bytes"),
        (["mlp", "--buffer", "12"], "buffer must be 1 KiB"),
        (["mlp", "--division", "never"], "--division"),
        (["mlp", "--json", "--csv"], "only one of --json and --csv"),
        (["mlp", "--hardware", "none.toml"], "none.toml"),
        (["mlp", "--hardware", "none.toml", "--array", "4x4"], "only one of --hardware and --arr"),
        (["mlp", "--hardware", "none.toml", "--buffer", "4K"], "only one of --hardware and --buf"),
        ([], "NETWORK"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_nothing_heavy_is_imported():
    code = (
        "import sys; sys.argv = ['eoq', 'cost', 'resnet18', '--json']\n"
        "from eoq.cli import main\n"
        "main()\n"
        "print(' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY.intersection(done.stderr.split())


def test_arrays_beyond_the_core_have_a_price_but_no_cycles():
    done = run("mlp", "--scheme", "eoq", "--array", "4096x128", "--json")
    (values,) = json.loads(done.stdout)
    assert values["array"] == [4096, 128]
    assert values["cycles"] is None
    assert values["area_um2"]["nominal"] > 0
    assert any("rows must be 1 to 32" in text for text in values["assumptions"])


def test_help_has_examples():
    done = run("--help")
    assert done.returncode == 0
    assert "eoq cost resnet18" in done.stdout


def test_one_line_of_python():
    costs = eoq.cost("resnet18")
    assert costs["eoq"].normalization["div"] == 0
    assert costs["fp32-bn"].normalization["div"] == 4800
    assert [cost.step.scheme.name for cost in costs] == ["eoq", "wageubn", "range-bn", "fp32-bn"]
    assert len(costs[1:3]) == 2
    frame = costs.summary
    assert frame["macs.total"].tolist() == [5_324_206_080] * 4
    assert set(costs.ops["scheme"]) == set(frame["scheme"])
    assert eoq.cost("mlp", "eoq", batch=2)[0].step.batch == 2
    with pytest.raises(ValueError, match="table must be one of"):
        costs.table("nothing")


def test_the_package_says_what_it_has():
    assert "cost" in dir(eoq)
    with pytest.raises(AttributeError, match="price"):
        _ = eoq.price


def test_a_design_from_a_file(tmp_path):
    path = tmp_path / "edge.toml"
    page = (Path(__file__).parents[2] / "docs/hardware.md").read_text()
    path.write_text(page.split("```toml\n")[1].split("```")[0])
    done = run("resnet8", "--hardware", str(path), "--scheme", "eoq", "--json")
    (values,) = json.loads(done.stdout)
    assert values["hardware"]["name"] == "edge"
    assert list(values["traffic_bytes"]) == ["dram", "buffer", "scratchpad"]
    assert values["time_s"]["step"] >= values["time_s"]["arithmetic"] == values["cycles"] / 5e8
    table = run("resnet8", "--hardware", str(path), "--scheme", "eoq", "--csv", "--table", "tiling")
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert {row["level"] for row in rows} == {"dram", "buffer"}
    people = run("resnet8", "--hardware", str(path))
    assert "scratchpad" in people.stdout
    assert "ms" in people.stdout


def test_exact_cycles_are_those_of_the_core_s_program():
    done = run("mlp", "--batch", "4", "--array", "4x4", "--exact-cycles", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    ours, *others = json.loads(done.stdout)
    assert all("exact_cycles" not in one for one in others)
    exact = ours["exact_cycles"]
    # `eoq cosim --network mlp --array 4x4 --batch 4` counts the same on the RTL.
    model = build(EOQ.rewrite(load("mlp")), seed=0)
    program = compile_step(model, fit_core(model, (4, 4), 4), 4)
    assert exact["cycles"] == program.times().cycles
    assert exact["words"] == len(program.words)
    assert ours["cycles"] == pytest.approx(exact["cycles"], rel=0.05)
    shown = run("mlp", "--batch", "4", "--array", "4x4", "--scheme", "eoq", "--exact-cycles")
    assert f"takes {exact['cycles']:,} cycles" in " ".join(shown.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet50"], "--exact-cycles requires a network whose weights and momentum fit 16777216"),
        (["mlp", "--csv"], "--exact-cycles requires --json or the printed table, not --csv"),
        (["mlp", "--scheme", "wageubn"], "--exact-cycles requires the scheme eoq"),
        (["mobilenetv2"], "layer 'block1.depthwise.conv': the core convolves with groups 1 and"),
    ],
)
def test_what_has_no_exact_cycles_is_one_line(arguments, message):
    done = run(*arguments, "--exact-cycles")
    assert done.returncode == 2
    assert done.stderr.startswith(f"eoq: {message}")
    assert done.stderr.count("\n") == 1
