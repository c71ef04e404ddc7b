"""The report: its parts, and the folder of files they become."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from reports.drawing import Figure
from reports.files import write_files
from reports.palette import DARK, css_variable
from reports.svg import inline_svg
from reports.tables import MARKS, Table, check_key, columns_csv, csv_text, mark, raw_text
from reports.text import MISSING, is_missing, number_format, plain_text, unit_text

__all__ = ["Highlight", "Report", "Section", "render", "write"]

# A browser sorts this many rows at once in well under a second; the CSV file has all of them.
PAGE_ROWS = 5000

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Highlight:
    """A number for the first screen: what it is, how much, and how sure (see `Table.exact`)."""

    label: str
    value: float | int | str
    unit: str = ""
    exact: bool | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A chapter of the report: paragraphs of plain text, then its figures, then its tables, then
    its parts, which have none of their own."""

    key: str
    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    parts: Sequence["Section"] = ()

    def __post_init__(self) -> None:
        """Check the key, and that the paragraphs are a list and not one string."""
        check_key(self.key, "section")
        if isinstance(self.text, str):
            raise TypeError(
                f"section {self.key!r}: text must be a list of paragraphs, not one string"
            )
        if any(part.parts for part in self.parts):
            raise ValueError(f"section {self.key!r}: parts must have no parts of their own")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything on the page. The same report always gives the same bytes.

    Parameters
    ----------
    title, command, date:
        What it is, the command that made it, and when, as text.
    verdict:
        The outcome of the checks in the report, or None when nothing was checked.
    summary:
        The findings, a sentence each, for the first screen.
    highlights:
        The few numbers to remember, for the first screen.
    sections:
        The chapters.
    versions:
        Tool to version.
    """

    title: str
    command: str
    date: str
    verdict: Literal["PASS", "FAIL"] | None = None
    summary: Sequence[str] = ()
    highlights: Sequence[Highlight] = ()
    sections: Sequence[Section] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the verdict, and that keys are distinct: they are ids and file names."""
        if self.verdict not in ("PASS", "FAIL", None):
            raise ValueError(f"verdict must be 'PASS', 'FAIL' or None, not {self.verdict!r}")
        if isinstance(self.summary, str):
            raise TypeError("summary must be a list of sentences, not one string")
        for what, keys in (
            ("section", [section.key for section in self._all]),
            ("table", [table.key for table in self.tables]),
            ("figure", [figure.key for figure in self.figures]),
        ):
            if double := sorted({key for key in keys if keys.count(key) > 1}):
                raise ValueError(
                    f"{what} keys must be distinct in a report; used twice: {double!r}"
                )
        if "columns" in (table.key for table in self.tables):
            raise ValueError("table key 'columns' is taken by the list of all columns")

    @property
    def _all(self) -> list[Section]:
        return [one for section in self.sections for one in (section, *section.parts)]

    @property
    def tables(self) -> list[Table]:
        """All tables, in order."""
        return [table for section in self._all for table in section.tables]

    @property
    def figures(self) -> list[Figure]:
        """All figures, in order."""
        return [figure for section in self._all for figure in section.figures]


def write(report: Report, directory: Path | str) -> Path:
    """Write index.html, tables/*.csv and figures/*.svg and *.png; return the path of the page.

    Raises
    ------
    OSError
        The folder cannot be written. Nothing half-written stays behind.
    """
    contents = {f"tables/{table.key}.csv": csv_text(table).encode() for table in report.tables}
    contents["tables/columns.csv"] = columns_csv(report.tables).encode()
    for figure in report.figures:
        contents[f"figures/{figure.key}.svg"] = figure.svg.encode()
        if figure.png is not None:
            contents[f"figures/{figure.key}.png"] = figure.png
    contents["index.html"] = render(report).encode()
    write_files(Path(directory), contents)
    return Path(directory) / "index.html"


def render(report: Report) -> str:
    """Return the page: one HTML document that needs no other file and no network."""
    # jinja2 is loaded here so that a command that only prints numbers does not pay for it.
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.finalize = _printable
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The summary is the first chapter.
    sections = [
        _section(str(index), section) for index, section in enumerate(report.sections, start=2)
    ]
    return environment.get_template("page.html.j2").render(
        report=report,
        sections=sections,
        highlights=[_highlight(highlight) for highlight in report.highlights],
        claims=sorted(
            {claim for table in report.tables for claim in table.claims()}, key=_claim_order
        ),
        numbers={
            f"table-{table['key']}": table["number"]
            for section in sections
            for one in (section, *section["parts"])
            for table in one["tables"]
        },
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=f"sha256-{digest}",
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        colours=Markup(_colour_css()),  # noqa: S704 - our own
    )


def _printable(value: Any) -> Any:
    """Make what the template prints legal text; trusted markup passes as it is."""
    return value if hasattr(value, "__html__") else plain_text(value)


def _claim_order(claim: bool | None) -> int:
    return list(MARKS).index(claim)


def _colour_css() -> str:
    light = "".join(f"{css_variable(colour)}:{colour};" for colour in DARK)
    dark = "".join(f"{css_variable(colour)}:{other};" for colour, other in DARK.items())
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def _highlight(highlight: Highlight) -> dict[str, str]:
    if isinstance(highlight.value, str):
        value, unit = highlight.value, unit_text(highlight.unit)
    else:
        form = number_format([highlight.value], highlight.unit, highlight.exact)
        value, unit = form.write(highlight.value), form.unit
    return {
        "label": highlight.label,
        "value": value,
        "unit": unit,
        "mark": mark(highlight.exact),
        "note": highlight.note,
    }


def _section(number: str, section: Section) -> dict[str, Any]:
    return {
        "key": section.key,
        "number": number,
        "title": section.title,
        "text": section.text,
        "figures": [
            _figure(f"{number}-{place}", figure) for place, figure in enumerate(section.figures, 1)
        ],
        "tables": [
            _table(f"{number}-{place}", table) for place, table in enumerate(section.tables, 1)
        ],
        "parts": [
            _section(f"{number}.{place}", part) for place, part in enumerate(section.parts, 1)
        ],
    }


def _figure(number: str, figure: Figure) -> dict[str, Any]:
    from markupsafe import Markup

    label = plain_text(f"{figure.title}. {figure.caption}".strip())
    svg = inline_svg(figure.svg, f"figure-{figure.key}", label)
    return {
        "number": number,
        "figure": figure,
        "mark": mark(figure.exact),
        # Written anew from its parsed elements, so every name in it is escaped.
        "svg": Markup(svg),  # noqa: S704
    }


def _table(number: str, table: Table) -> dict[str, Any]:
    numeric = set(table.numeric_columns)
    claims = table.claims()
    columns: list[dict[str, Any]] = []
    cells: list[list[tuple[str, str | None]]] = []
    shown = table.frame.head(PAGE_ROWS)
    for column in table.columns:
        values = shown[column]
        if column in numeric:
            form = table.number_format(column)
            unit = form.unit
            cells.append([(form.write(value), raw_text(value)) for value in values])
        else:
            unit = ""
            cells.append([(_word(value), None) for value in values])
        columns.append(
            {
                "label": table.label(column),
                "numeric": column in numeric,
                "unit": unit,
                "mark": mark(table.is_exact(column))
                if column in numeric and len(claims) > 1
                else "",
            }
        )
    return {
        "key": table.key,
        "number": number,
        "title": table.title,
        "caption": table.caption,
        "columns": columns,
        "marks": [mark(claim) for claim in claims],
        "rows": list(zip(*cells, strict=True)),
        "first": table.first_rows,
        "total": len(table.frame),
        "shown": len(shown),
    }


def _word(value: Any) -> str:
    if is_missing(value):
        return MISSING
    text = raw_text(value)
    return {"True": "yes", "False": "no"}.get(text, text) if not isinstance(value, str) else text
