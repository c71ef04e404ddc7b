"""The page and its folder: escaped, self-contained, reproducible, whole or absent."""

import html
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports import Highlight, Report, Section, Table, write
from reports.page import PAGE_ROWS, render

Builder = Callable[..., Report]


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def one_table(frame: pd.DataFrame, **fields: object) -> Report:
    table = Table(key="t", title="T", frame=frame, **fields)  # type: ignore[arg-type]
    return Report(
        title="R", command="c", date="d", sections=[Section(key="s", title="S", tables=[table])]
    )


def test_folder(sample_report: Builder, tmp_path: Path) -> None:
    report = sample_report()
    page = write(report, tmp_path / "new" / "report")
    assert page == tmp_path / "new" / "report" / "index.html"
    expected = {"index.html", "tables/columns.csv"}
    expected |= {f"tables/{table.key}.csv" for table in report.tables}
    expected |= {
        f"figures/{figure.key}.{end}" for figure in report.figures for end in ("svg", "png")
    }
    assert set(files(page.parent)) == expected
    for target in re.findall(r'href="((?:tables|figures)/[^"]+)"', page.read_text()):
        assert target in expected


def test_two_runs_give_the_same_bytes(sample_report: Builder, tmp_path: Path) -> None:
    one = write(sample_report(), tmp_path / "one").parent
    other = write(sample_report(), tmp_path / "other").parent
    write(sample_report(), tmp_path / "other")
    assert files(one) == files(other)


def test_page_asks_for_nothing_outside_itself(sample_report: Builder) -> None:
    page = render(sample_report())
    assert "default-src 'none'" in page
    loading = re.findall(r'(?:src|srcset|action|data)="[^"]*"|@import|url\((?!#)[^)]*\)', page)
    assert loading == []
    # Names of XML vocabularies are the only addresses.
    addresses = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


HOSTILE = "</script></style><script>x</script><img src=x onerror=x>\"'&"


def test_everything_foreign_is_escaped() -> None:
    frame = pd.DataFrame({HOSTILE: [HOSTILE, "b"], "n": [1, 2]})
    table = Table(
        key="t",
        title=HOSTILE,
        frame=frame,
        caption=HOSTILE,
        units={"n": HOSTILE},
        labels={"n": HOSTILE},
        first_rows=1,
    )
    page = render(
        Report(
            title=HOSTILE,
            command=HOSTILE,
            date=HOSTILE,
            summary=[HOSTILE],
            highlights=[Highlight(HOSTILE, HOSTILE, HOSTILE, None, HOSTILE)],
            sections=[Section(key="s", title=HOSTILE, text=[HOSTILE], tables=[table])],
            versions={HOSTILE: HOSTILE},
        )
    )
    assert page.count("<script>") == 1
    assert page.count("</style>") == 1
    assert "<img" not in page
    assert html.unescape(page).count(HOSTILE) >= 15


def test_exact_in_full_estimates_rounded_marks_and_units() -> None:
    frame = pd.DataFrame({"macs": [1_814_073_344], "energy": [0.00411234], "seed": [None]})
    page = render(
        one_table(
            frame.astype({"seed": "Int64"}),
            units={"macs": "MACs", "energy": "J", "seed": ""},
            exact={"macs": True, "energy": False},
        )
    )
    assert '<td class="n" data-value="1814073344">1,814,073,344</td>' in page
    assert '<td class="n" data-value="0.00411234">4.11</td>' in page
    assert '<td class="n" data-value="">–</td>' in page  # noqa: RUF001
    assert '<span class="sign exact" title="exact"></span>MACs</span>' in page
    assert '<span class="sign estimated" title="estimated"></span>mJ</span>' in page
    assert '<span class="sign recorded" title="recorded"></span>no unit</span>' in page


def test_long_tables_fold_and_very_long_ones_stay_in_the_csv_file(tmp_path: Path) -> None:
    rows = PAGE_ROWS + 7
    page = write(one_table(pd.DataFrame({"n": range(rows)}), units={"n": ""}), tmp_path)
    text = page.read_text()
    assert text.count("<tr>") + text.count('<tr class="more">') == PAGE_ROWS + 1
    assert text.count('<tr class="more">') == PAGE_ROWS - 15
    assert f"first {PAGE_ROWS:,} of {rows:,} rows" in text
    assert len((tmp_path / "tables" / "t.csv").read_text().splitlines()) == rows + 1


def test_empty_parts() -> None:
    page = render(one_table(pd.DataFrame(columns=["a", "n"]), units={"n": "B"}))
    assert "no rows" in page
    assert "NOT CHECKED" in page
    assert "<main>" in render(Report(title="R", command="c", date="d", verdict="FAIL"))


@pytest.mark.parametrize("obstacle", ["report", "tables", "figures"])
def test_unwritable_folder_leaves_nothing(
    sample_report: Builder, tmp_path: Path, obstacle: str
) -> None:
    # A file where a folder has to be stops every user, root included.
    target = tmp_path / "report"
    if obstacle == "report":
        target.write_text("a file")
    else:
        target.mkdir()
        (target / obstacle).write_text("a file")
    before = files(tmp_path)
    with pytest.raises(OSError, match="report"):
        write(sample_report(), target)
    assert files(tmp_path) == before
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_dir()) == (
        [] if obstacle == "report" else ["report"]
    )


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_half_way_leaves_the_old_report(
    sample_report: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    write(sample_report(title="old"), tmp_path)
    before = files(tmp_path)
    opened = Path.open

    def full_disk(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if path.name.startswith(".index.html"):
            raise error
        return opened(path, mode, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full_disk)
    with pytest.raises(type(error)):
        write(sample_report(title="new"), tmp_path)
    monkeypatch.undo()
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"verdict": "MAYBE"}, ValueError, "verdict must be 'PASS', 'FAIL' or None, not 'MAYBE'"),
        ({"summary": "one string"}, TypeError, "summary must be a list"),
        (
            {"sections": [Section(key="s", title="a"), Section(key="s", title="b")]},
            ValueError,
            r"section keys must be distinct .*\['s'\]",
        ),
    ],
)
def test_report_refuses(
    sample_report: Builder, change: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        sample_report(**change)


def test_the_name_of_the_list_of_columns_is_taken() -> None:
    table = Table(key="columns", title="T", frame=pd.DataFrame({"a": ["x"]}))
    with pytest.raises(ValueError, match="table key 'columns' is taken"):
        Report(
            title="R", command="c", date="d", sections=[Section(key="s", title="S", tables=[table])]
        )


def test_section_text_is_a_list() -> None:
    with pytest.raises(TypeError, match="section 's': text must be a list of paragraphs"):
        Section(key="s", title="S", text="one string")
