"""Tables: a data frame with what a reader must know about it, and its CSV file."""

import csv
import io
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.files import write_files
from reports.text import NumberFormat, is_missing, is_number, number_format, plain_text

__all__ = [
    "MARKS",
    "Table",
    "check_key",
    "columns_csv",
    "csv_text",
    "mark",
    "raw_text",
    "write_csv",
]

MARKS: Mapping[bool | None, str] = {True: "exact", False: "estimated", None: "recorded"}

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def mark(exact: bool | None) -> str:
    """Return the word for a claim: "exact", "estimated", or "recorded" for neither."""
    return MARKS[exact]


def check_key(key: str, what: str) -> None:
    """Raise ValueError unless `key` can be a file name and an HTML id."""
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"{what} key must be 1 to 64 of a-z, 0-9, '-' and '_', starting with a letter "
            f"or a digit, not {key!r}"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """A table of a report. Only columns are shown; the index of the frame must carry no data.

    Parameters
    ----------
    key:
        Names the CSV file and the place in the page; unique in a report.
    title:
        What the rows are.
    frame:
        One row a fact. Copied, so that later changes do not reach the report.
    caption:
        Conventions, the name of the energy table, whatever makes a number mean one thing.
    units:
        Unit of every numeric column; "" for a number without one, such as a seed. SI base units
        ("B", "J", "s", "W", "Hz") get a prefix where the numbers are not exact.
    exact:
        True: counted, right to the unit. False: estimated by a model. None: recorded, such as a
        measured duration or a seed. One value for all numeric columns, or one by column.
    labels:
        Header text by column; otherwise the column's name with spaces.
    first_rows:
        Rows shown before "show all".
    """

    key: str
    title: str
    frame: pd.DataFrame
    caption: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    exact: bool | Mapping[str, bool | None] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    first_rows: int = 15

    def __post_init__(self) -> None:
        """Check that the columns are named, distinct, and the numeric ones have a unit."""
        check_key(self.key, "table")
        if not isinstance(self.frame, pd.DataFrame):
            raise TypeError(
                f"table {self.key!r}: frame must be a pandas DataFrame, not {self.frame!r}"
            )
        columns = list(self.frame.columns)
        if not all(isinstance(column, str) for column in columns):
            raise ValueError(f"table {self.key!r}: column names must be text, not {columns!r}")
        if len(set(columns)) != len(columns):
            raise ValueError(f"table {self.key!r}: column names must be distinct, not {columns!r}")
        if any(name is not None for name in self.frame.index.names):
            raise ValueError(
                f"table {self.key!r}: the index {list(self.frame.index.names)!r} would not be "
                "shown; make it a column with reset_index()"
            )
        if self.first_rows < 1:
            raise ValueError(
                f"table {self.key!r}: first_rows must be at least 1, not {self.first_rows}"
            )
        claims = self.exact if isinstance(self.exact, Mapping) else {}
        for what, mapping in (("units", self.units), ("exact", claims), ("labels", self.labels)):
            if unknown := sorted(set(mapping) - set(columns)):
                raise ValueError(
                    f"table {self.key!r}: {what} names no column of the frame: {unknown!r}"
                )
        object.__setattr__(self, "frame", self.frame.reset_index(drop=True).copy())
        for column in self.numeric_columns:
            if column not in self.units:
                raise ValueError(
                    f"table {self.key!r}: numeric column {column!r} needs a unit "
                    '("" if it has none)'
                )

    @property
    def columns(self) -> list[str]:
        """The column names, in order."""
        return [str(column) for column in self.frame.columns]

    @property
    def numeric_columns(self) -> list[str]:
        """The columns that hold numbers (and perhaps missing values), and at least one number."""
        return [column for column in self.columns if self._is_numeric(column)]

    def _is_numeric(self, column: str) -> bool:
        values = self.frame[column]
        if pd.api.types.is_bool_dtype(values.dtype):
            return False
        if pd.api.types.is_numeric_dtype(values.dtype):
            return True
        present = [value for value in values if not is_missing(value)]
        # A column without any value is what its unit says it is.
        return column in self.units if not present else all(map(is_number, present))

    def label(self, column: str) -> str:
        """Return the header text of `column`."""
        return plain_text(self.labels.get(column, column.replace("_", " ")))

    def is_exact(self, column: str) -> bool | None:
        """Return the claim made for `column`."""
        return self.exact.get(column) if isinstance(self.exact, Mapping) else self.exact

    def claims(self) -> list[bool | None]:
        """Return the distinct claims of the numeric columns, in the order of MARKS."""
        present = {self.is_exact(column) for column in self.numeric_columns}
        if not present and not isinstance(self.exact, Mapping):
            present = {self.exact}
        return [claim for claim in MARKS if claim in present]

    def claim(self, columns: Sequence[str]) -> bool | None:
        """Return the weakest claim among `columns`: estimated, then recorded, then exact."""
        claims = {self.is_exact(column) for column in columns}
        if False in claims:
            return False
        return None if None in claims else True

    def number_format(self, column: str) -> NumberFormat:
        """Return how the numbers of `column` are written."""
        return number_format(self.frame[column], self.units[column], self.is_exact(column))

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as plain Python values for JSON: the same numbers as the CSV file."""
        return [
            dict(zip(self.columns, map(_plain_value, row), strict=True))
            for row in zip(*(self.frame[column] for column in self.columns), strict=True)
        ]


def _plain_value(value: Any) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    return plain_text(value)


def raw_text(value: Any) -> str:
    """Return `value` as it stands in the CSV file: full precision, empty for a missing value."""
    plain = _plain_value(value)
    if plain is None:
        return ""
    return repr(plain) if isinstance(plain, float) else str(plain)


def _cell_text(value: Any) -> str:
    text = raw_text(value)
    # A spreadsheet runs a text that starts like a formula, and layer names come from foreign files.
    if not is_number(value) and text.startswith(("=", "+", "-", "@")):
        return f"'{text}"
    return text


def _csv_lines(header: Sequence[str], columns: Sequence[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_cell_text(name) for name in header])
    writer.writerows([_cell_text(value) for value in row] for row in zip(*columns, strict=True))
    return buffer.getvalue()


def csv_text(table: Table) -> str:
    """Return the CSV file of `table`: the frame's columns, numbers in base units, all digits."""
    return _csv_lines(table.columns, [list(table.frame[column]) for column in table.columns])


def columns_csv(tables: Sequence[Table]) -> str:
    """Return a CSV that lists every column of `tables` with its label, unit and claim."""
    rows = [
        (
            table.key,
            column,
            table.label(column),
            table.units.get(column, ""),
            mark(table.is_exact(column)) if column in table.numeric_columns else "",
        )
        for table in tables
        for column in table.columns
    ]
    header = ("table", "column", "label", "unit", "claim")
    return _csv_lines(header, list(zip(*rows, strict=True)) if rows else [[] for _ in header])


def write_csv(table: Table, path: Path | str) -> None:
    """Write the CSV file of `table`, whole or not at all."""
    path = Path(path)
    write_files(path.parent, {path.name: csv_text(table).encode()})
