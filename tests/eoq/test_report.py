"""`eoq report` from the shell, and its page in Chromium."""

import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

import eoq
from eoq.records import load_record
from tests.hwmodel.test_hardware import EDGE

pytestmark = pytest.mark.slow

FIGURES = {
    "scheme-comparison",
    "macs-by-phase",
    "normalization-cost",
    "memory-by-kind",
    "memory-course-1",
    "memory-course-2",
    "traffic-dram",
    "traffic-by-layer-1",
    "traffic-by-layer-2",
    "roofline-1",
    "roofline-2",
    "energy-band",
    "energy-parts",
    "sensitivity",
    "energy-by-layer-1",
    "energy-by-layer-2",
    "pareto",
    "macs-by-layer-1",
    "macs-by-layer-2",
    "learned-in-rtl",
}
"""Of a report of two networks."""

RECORDED = {"learned-in-rtl"}
"""Drawn from results that are kept, whose batch is not the report's."""

CHAPTERS = [
    "1Summary", "2Costs", "3Hardware", "4Verification", "5Synthesis", "6Validation",
    "7Assumptions and conventions",
]  # fmt: skip


def report(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eoq", "report", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    done = report("resnet8", "mlp", "--batch", "2", "-o", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    return path


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_and_table_is_a_file_too(folder: Path) -> None:
    assert {path.stem for path in (folder / "figures").glob("*.svg")} == FIGURES
    assert {path.stem for path in (folder / "figures").glob("*.png")} == FIGURES


def test_csv_files_carry_the_numbers_of_the_api(folder: Path) -> None:
    costs = eoq.cost("resnet8", batch=2)
    for row in rows(folder, "energy")[:4]:
        values = costs[row["scheme"]].as_dict()
        for end in ("low", "nominal", "high"):
            assert float(row[end]) == values["energy_j"][end]
    for row in rows(folder, "traffic")[:8]:
        sizes = costs[row["scheme"]].traffic_bytes[row["level"]]
        assert {key: int(row[key]) for key in sizes} == sizes
    peaks = {cost.step.scheme.name: cost.memory_peak["total"] for cost in costs}
    course: dict[str, int] = {}
    for row in rows(folder, "memory-course-1"):
        course[row["scheme"]] = max(course.get(row["scheme"], 0), int(row["total"]))
    assert course == peaks
    by_layer = rows(folder, "energy-by-layer-1")
    for scheme in ("eoq", "fp32-bn"):
        total = sum(float(row["nominal"]) for row in by_layer if row["scheme"] == scheme)
        assert total == pytest.approx(costs[scheme].as_dict()["energy_j"]["nominal"])


def test_the_page_in_a_browser(folder: Path, browse: Callable[..., Any]) -> None:
    page = browse(folder / "index.html", viewport={"width": 1280, "height": 900})
    for key in FIGURES:
        box = page.locator(f"#figure-{key} svg").bounding_box()
        assert box["width"] > 300, key
        assert box["height"] > 80, key
        caption = page.locator(f"#figure-{key} p.caption").inner_text()
        assert ("atch 16" if key in RECORDED else "atch 2") in caption, key
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    # Every table sorts by every column of numbers.
    for table in page.locator(".table").all():
        for header in table.locator("th.n").all():
            place = header.evaluate("e => e.cellIndex + 1")
            header.locator("button").click()
            values = table.locator(f"tbody td:nth-child({place})").evaluate_all(
                "cells => cells.map(c => c.dataset.value)"
            )
            numbers = [float(value) for value in values if value != ""]
            assert numbers == sorted(numbers)
            assert "" not in values[: len(numbers)]


def test_the_chapters_in_a_browser(folder: Path, browse: Callable[..., Any]) -> None:
    """All seven, with the figures of the recorded results, read back."""
    page = browse(folder / "index.html", viewport={"width": 1280, "height": 900})
    heads = page.locator("main h2").all_inner_texts()
    assert heads[:-1] == CHAPTERS
    assert "PASS" not in page.locator("header").inner_text()

    recorded = load_record("validation")
    assert recorded is not None
    rows = list(recorded.result["rows"])
    lines = page.locator("[id^=table-validation-] tbody tr").all()
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        texts = line.locator("td").all_text_contents()
        assert texts[0] == row["what"]
        assert (texts[-2] == "PASS") == (row["status"] == "pass")
        cells = line.locator("td.n")
        shown = [cells.nth(k).get_attribute("data-value") for k in (0, 1)]
        assert [float(value) for value in shown] == [row["model"], row["reference"]]

    verification = load_record("verification")
    assert verification is not None
    hits = page.locator("#table-bins tbody td:nth-child(2)").evaluate_all(
        "cells => cells.map(c => Number(c.dataset.value))"
    )
    assert hits == list(verification.result["list"]["bins"].values())
    proofs = page.locator("#table-proofs tbody tr").all_text_contents()
    assert len(proofs) == len(verification.result["proofs"])
    for shown, proof in zip(proofs, verification.result["proofs"], strict=True):
        assert proof["name"] in shown
        assert proof["reach"] in shown
        assert ("PASS" in shown) == (proof["outcome"] == "passed")

    price = load_record("normalization_price")
    assert price is not None
    areas = page.locator("#table-bn-units tbody td:nth-child(2)").evaluate_all(
        "cells => cells.map(c => Number(c.dataset.value))"
    )
    assert areas == [unit["area_um2"] for unit in price.result["units"]]
    curve = page.locator("#table-learned-in-rtl tbody td:nth-child(2)").evaluate_all(
        "cells => cells.map(c => Number(c.dataset.value))"
    )
    training = load_record("training")
    assert training is not None
    assert curve == pytest.approx([100 * x for x in training.result["validation_curve"]])


def test_the_first_screen_says_what_wins_and_how_sure(
    folder: Path, browse: Callable[..., Any]
) -> None:
    page = browse(folder / "index.html", viewport={"width": 1280, "height": 900})
    box = page.locator("#summary").bounding_box()
    assert box["y"] + box["height"] <= 900
    shown = page.locator("#summary").inner_text()
    costs = eoq.cost("resnet8", batch=2)
    ratio = costs["fp32-bn"].memory_peak["total"] / costs["eoq"].memory_peak["total"]
    assert "Peak memory, fp32-bn over eoq" in shown
    assert f"{ratio:.3g}" in shown
    assert "How sure: " in shown


def test_two_runs_differ_in_date_alone(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "report"
    done = report("resnet8", "mlp", "--batch", "2", "-o", str(again))
    assert (done.returncode, done.stderr) == (0, "")
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in files:
        one, other = ((where / name).read_bytes() for where in (folder, again))
        if name.name == "index.html":
            one, other = (
                re.sub(rb"20\d\d-\d\d-\d\d \d\d:\d\d UTC|-o \S+</code>", b"", text)
                for text in (one, other)
            )
        assert one == other, name


def test_memory_of_two_large_networks(tmp_path: Path) -> None:
    # Not `ru_maxrss`, which begins with that of the process that started this one.
    program = (
        "import re, sys\nfrom pathlib import Path\nfrom eoq.cli import main\n"
        f"sys.argv = ['eoq', 'report', 'resnet18', 'resnet50', '-o', {str(tmp_path / 'out')!r}]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) <= 200 << 10


@pytest.mark.parametrize("width", [360, 768])
def test_no_sideways_scrolling(folder: Path, browse: Callable[..., Any], width: int) -> None:
    page = browse(folder / "index.html", viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_design_from_a_file_names_its_memories(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(EDGE)
    done = report("mlp", "--hardware", str(tmp_path / "edge.toml"), "-o", str(tmp_path / "out"))
    assert done.returncode == 0
    levels = [row["level"] for row in rows(tmp_path / "out", "traffic")]
    assert levels[:3] == ["dram", "buffer", "scratchpad"]
    assert "scratchpad of 32 KiB" in (tmp_path / "out" / "index.html").read_text()


def test_names_of_a_hostile_file_are_text(tmp_path: Path, browse: Callable[..., Any]) -> None:
    name = "<script>document.title='owned'</script>../../x"
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], name=name, pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["y"], name="../" + name),
    ]
    x, w, y = (
        helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape)
        for tensor, shape in (("x", [1, 2, 8, 8]), ("w", [4, 2, 3, 3]), ("y", [1, 4, 8, 8]))
    )
    model = helper.make_model(helper.make_graph(nodes, name, [x, w], [y]))
    (tmp_path / "hostile.onnx").write_bytes(model.SerializeToString())
    done = report(str(tmp_path / "hostile.onnx"), "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.onnx", "out"]
    page = browse(tmp_path / "out" / "index.html")
    assert page.locator("script").count() == 1
    assert "owned" not in page.title()
