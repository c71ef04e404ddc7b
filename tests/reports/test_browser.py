"""The report as a reader sees it: opened from a file in Chromium."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports import Report, write


@pytest.fixture(scope="module")
def report_page(
    sample_report: Callable[..., Report], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write(sample_report(), tmp_path_factory.mktemp("report"))


@pytest.fixture
def open_page(browse: Callable[..., Any], report_page: Path) -> Callable[..., Any]:
    """Open the report; whatever the browser complains about fails the test."""
    return lambda **options: browse(report_page, **options)


def column(page: Any, table: str, index: int) -> list[str]:
    cells = page.locator(f"#table-{table} tbody tr:visible td:nth-child({index + 1})")
    return list(cells.evaluate_all("cells => cells.map(c => c.dataset.value ?? c.textContent)"))


def test_first_screen(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 1280, "height": 800})
    assert page.title().startswith("Training step of resnet18")
    for selector in (".badge", "#summary ul", ".highlights", ".legend"):
        box = page.locator(selector).bounding_box()
        assert box["y"] + box["height"] <= 800, selector
    assert page.locator(".badge").inner_text() == "PASS"
    page.locator("nav a", has_text="Layer by layer").click()
    assert page.url.endswith("#section-layers")


def test_every_figure_is_drawn(open_page: Callable[..., Any]) -> None:
    page = open_page()
    boxes = [drawing.bounding_box() for drawing in page.locator("figure svg").all()]
    assert len(boxes) == 7
    assert all(box["width"] > 300 and box["height"] > 80 for box in boxes)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_tables_sort_by_mouse_and_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page()
    header = page.locator("#table-energy th", has_text="nominal")
    button = header.locator("button")
    original = column(page, "energy", 3)
    numbers = sorted(map(float, original))

    button.click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in column(page, "energy", 3)] == numbers
    button.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, "energy", 3)] == numbers[::-1]
    button.press("Space")
    assert header.get_attribute("aria-sort") == "none"
    assert column(page, "energy", 3) == original

    page.locator("#table-energy th", has_text="scheme").locator("button").click()
    names = column(page, "energy", 1)
    assert names == sorted(names)
    assert page.locator("#table-energy th[aria-sort=ascending]").count() == 1


def test_missing_values_sort_last_both_ways(open_page: Callable[..., Any]) -> None:
    page = open_page()
    button = page.locator("#table-blocks th", has_text="energy against PE").locator("button")
    for expected in (["1.0", "12.4", ""], ["12.4", "1.0", ""]):
        button.click()
        assert column(page, "blocks", 5) == expected


def test_long_tables_unfold_sort_as_a_whole_and_filter(open_page: Callable[..., Any]) -> None:
    page = open_page()
    box = page.locator("#table-layers")
    assert len(column(page, "layers", 0)) == 15
    assert box.locator(".count").inner_text() == "15 of 64 rows shown"
    box.locator("th", has_text="count").locator("button").click()
    # The smallest come from the folded part.
    assert column(page, "layers", 4)[:4] == ["0", "512000", "512000", "512000"]
    box.locator("button.all").click()
    assert len(column(page, "layers", 0)) == 64
    assert box.locator("button.all").get_attribute("aria-expanded") == "true"
    box.locator("input").fill("DOWNSAMPLE")
    assert len(column(page, "layers", 0)) == 9
    assert box.locator(".count").inner_text() == "9 of 9 matching rows shown"


def test_page_and_csv_hold_the_same_numbers(
    open_page: Callable[..., Any], report_page: Path
) -> None:
    page = open_page()
    for table in ("macs", "energy", "normalization", "blocks"):
        with (report_page.parent / "tables" / f"{table}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        for index, _ in enumerate(header):
            assert column(page, table, index) == [
                row[index] or _empty(page, table, index) for row in rows
            ]
    forward = page.locator("#table-macs tbody tr").first.locator("td").nth(2)
    assert forward.inner_text() == "1,814,073,344"


def _empty(page: Any, table: str, index: int) -> str:
    numeric = page.locator(f"#table-{table} th").nth(index).get_attribute("class") == "n"
    return "" if numeric else "–"  # noqa: RUF001


def test_names_from_foreign_files_are_text(open_page: Callable[..., Any]) -> None:
    page = open_page()
    assert page.locator("script").count() == 1
    page.locator("#table-layers button.all").click()
    last = page.locator("#table-layers tbody tr").last.locator("td").first.inner_text()
    assert last.startswith("<script>document.title='owned'</script> $\\frac$")
    assert page.locator("svg text", has_text="<script>").count() == 1
    assert "owned" not in page.title()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_page_is_never_wider_than_the_screen(open_page: Callable[..., Any], width: int) -> None:
    page = open_page(viewport={"width": width, "height": 844})
    for button in page.locator("button.all").all():
        button.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width == 390:
        # Wide tables scroll inside their own box.
        box = page.locator("#table-normalization .scroll")
        assert box.evaluate("e => e.scrollWidth > e.clientWidth")


def test_dark_page_has_light_letters_in_its_figures(open_page: Callable[..., Any]) -> None:
    def lightness(scheme: str) -> int:
        page = open_page(color_scheme=scheme)
        text = page.locator("figure svg text").first
        colour = text.evaluate("e => getComputedStyle(e).fill")
        return sum(int(part) for part in colour.strip("rgb()").split(","))

    assert lightness("light") < 200
    assert lightness("dark") > 600


def test_print_folds_tables_and_hides_controls(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.emulate_media(media="print")
    assert not page.locator("button.all").first.is_visible()
    assert not page.locator(".filter").first.is_visible()
    assert len(column(page, "layers", 0)) == 15
