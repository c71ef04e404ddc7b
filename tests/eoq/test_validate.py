"""`eoq validate`: rows, bounds, what is skipped, and the exit status."""

import json
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

import eoq.validation.published
import eoq.validation.rtl
import eoq.validation.synthesis
from cosim.instrumented import SHIFTED
from eoq.cli import main
from eoq.validation import run
from eoq.validation.check import Check, skipped
from golden.errors import InputError
from rtl import yosys


def check(**changed: float | None) -> Check:
    values = {"model": 102.9, "reference": 100.0, "bound": 0.03} | changed
    return Check(group="g", what="w", unit="um2", source="s", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, "pass"),
        ({"model": 97.1}, "pass"),
        ({"model": 103.1}, "FAIL"),
        ({"model": 96.9}, "FAIL"),
        ({"model": 100.0, "bound": 0}, "pass"),
        ({"model": 100.0001, "bound": 0}, "FAIL"),
        ({"model": 0, "reference": 0, "bound": 0}, "pass"),
        ({"model": 1, "reference": 0, "bound": 0.5}, "FAIL"),
        ({"model": None}, "skipped"),
    ],
)
def test_a_row_leaves_its_bound(changed: dict[str, float | None], status: str) -> None:
    row = check(**changed)
    assert row.status == status
    json.dumps(row.as_dict(), allow_nan=False)


def validate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["eoq", "validate", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0), capsys.readouterr().out


def test_published_figures_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = validate(monkeypatch, capsys, "--group", "published", "--json")
    said = json.loads(out)
    assert (status, said["passed"]) == (0, True)
    assert {row["status"] for row in said["rows"]} == {"pass"}
    keys = ["group", "what", "model", "reference", "unit", "error", "bound", "status", "source"]
    assert set(keys) <= set(said["rows"][0])
    forward = next(row for row in said["rows"] if row["what"] == "resnet18: forward MACs")
    assert forward["model"] == forward["reference"] == 1_814_073_344
    assert forward["bound"] == 0


def test_a_row_out_of_its_bound_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One MAC more than ResNet-18 has."""
    counts = {"resnet18": {"forward": 1_814_073_345}}
    monkeypatch.setattr(eoq.validation.published, "_COUNTS", MappingProxyType(counts))
    status, out = validate(monkeypatch, capsys, "--group", "published")
    assert status == 1
    (line,) = (line for line in out.splitlines() if "resnet18: forward MACs" in line)
    assert "FAIL" in line
    assert out.splitlines()[-1].startswith("FAIL  ")
    assert ", 1 not, 0 skipped" in out.splitlines()[-1]


def test_a_ledger_that_is_off_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """golden seems to shift each joined element twice."""
    twice = SHIFTED["quantize_gradient"]
    monkeypatch.setitem(SHIFTED, "quantize_gradient", lambda *a, **o: 2 * twice(*a, **o))
    status, out = validate(monkeypatch, capsys, "--group", "golden", "--json")
    failed = [row for row in json.loads(out)["rows"] if row["status"] == "FAIL"]
    assert status == 1
    assert {row["what"].partition(": ")[2] for row in failed} == {"shifts of conversions"}


def test_rows_without_a_tool_are_skipped_and_not_passed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(simulator: str) -> str:
        raise InputError(f"required {simulator}, got none, install with: apt-get install it")

    monkeypatch.setattr(eoq.validation.rtl, "require", missing)
    monkeypatch.setattr(eoq.validation.synthesis, "default_liberty", lambda: None)
    status, out = validate(monkeypatch, capsys, "--group", "rtl", "--group", "synthesis", "--json")
    rows = json.loads(out)["rows"]
    assert status == 0
    assert {row["status"] for row in rows} == {"skipped"}
    assert all("install with: " in row["note"] for row in rows)
    assert rows[-1]["note"].endswith("apt-get install qflow-tech-osu018")


def test_synthesis_without_pyosys_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise InputError("required the Python package pyosys for synthesis, got none")

    monkeypatch.setattr(yosys, "version", missing)
    monkeypatch.setattr(eoq.validation.synthesis, "default_liberty", lambda: Path("any.lib"))
    (row,) = eoq.validation.synthesis.synthesis_checks()
    assert row.status == "skipped"
    assert "pyosys" in row.note


def test_the_printed_table_says_what_was_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [check(), skipped("g", "area", "required a library, got none, install with: x")]
    monkeypatch.setattr(run, "GROUPS", MappingProxyType({"published": lambda _: iter(rows)}))
    status, out = validate(monkeypatch, capsys, "--group", "published")
    assert status == 0
    assert out.splitlines()[-2] == "area  skipped: required a library, got none, install with: x"
    assert out.splitlines()[-1] == "PASS  1 rows within their bounds, 0 not, 1 skipped"


@pytest.mark.slow
def test_all_rows_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = validate(monkeypatch, capsys, "--json")
    rows = json.loads(out)["rows"]
    assert [row for row in rows if row["status"] != "pass"] == []
    assert status == 0
    for group in ("RTL", "golden", "synthesis", "published"):
        assert any(group in row["group"] for row in rows)
