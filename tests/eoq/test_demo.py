"""The main job, as a user runs it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from eoq.cli.demo import demo
from rtl import quantizer

pytestmark = pytest.mark.slow


def eoq(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eoq", *arguments], cwd=cwd, text=True, capture_output=True
    )


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and standard output of `eoq demo`."""
    folder = tmp_path_factory.mktemp("demo")
    done = eoq("demo", "-o", "report", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "report", done.stdout


def test_demo_passes_with_the_promised_numbers(demo_run: tuple[Path, str]) -> None:
    report, output = demo_run
    lines = output.splitlines()
    assert lines[0] == f"report  {Path('report/index.html')}"
    assert lines[1].startswith("PASS")
    assert len(lines) == 11
    assert sum("0 mismatches" in line for line in lines) == 2

    normalization = pd.read_csv(report / "tables/normalization.csv").set_index(
        ["network", "scheme"]
    )
    assert normalization.loc[("resnet18", "fp32-bn"), ["sqrt", "div"]].tolist() == [4800, 4800]
    assert normalization.loc[("resnet18", "eoq"), ["sqrt", "div"]].tolist() == [0, 0]
    instructions = pd.read_csv(report / "tables/instructions.csv")
    assert set(instructions.simulator) == {"verilator", "icarus"}
    assert (instructions.cycles_rtl == instructions.cycles_model).all()
    assert list((report / "figures").glob("*.svg"))
    assert (report / "rtl/eoq_core.v").stat().st_size > 100_000


def test_the_demos_report_opens_in_a_browser(
    demo_run: tuple[Path, str], browse: Callable[..., Any]
) -> None:
    page = browse(demo_run[0] / "index.html")
    assert page.get_by_text("PASS", exact=True).first.is_visible()
    cell = page.locator("#table-normalization tbody tr").first.locator("td").nth(1)
    assert cell.text_content() == "eoq"


def test_demo_fails_when_the_rtl_rounds_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizer, "ROUND_HALF", quantizer.ROUND_HALF - 1)
    # A cache of its own: simulations are found there by the sources, which are as they were.
    monkeypatch.setenv("EOQ_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(demo, ["-o", str(tmp_path / "report")])
    assert done.exit_code == 1
    assert "FAIL    eoq demo" in done.output
    assert re.search(
        r"step 0, word \d+ \(.*\): wrote something else; .*: expected .*, got ", done.output
    )
    assert "FAIL" in (tmp_path / "report/index.html").read_text()


def test_report_of_several_networks(tmp_path: Path) -> None:
    done = eoq("report", "resnet18", "mlp", "--batch", "4", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # The page says the whole command, options included: it is how a reader checks the numbers.
    assert "eoq report resnet18 mlp --batch 4 -o out" in (tmp_path / "out/index.html").read_text()
    macs = pd.read_csv(tmp_path / "out/tables/macs.csv")
    counts = macs[macs.network == "resnet18"].set_index("phase")["count"]
    assert counts["forward"] == 4 * 1_814_073_344
    assert counts["backward_data"] == 4 * 1_696_059_392


def test_cosim_prints_the_promised_keys(tmp_path: Path) -> None:
    done = eoq("cosim", "--sim", "icarus", "--batch", "1", "--seed", "4", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["passed"] is True
    assert result["mismatches"] == 0
    assert result["cycles_rtl"] == result["cycles_model"]
    assert result["seed"] == 4
    assert result["simulator"] == "icarus"
    assert {"instructions", "mac_utilization", "sim_cycles_per_second", "simulator_version"} <= set(
        result
    )
