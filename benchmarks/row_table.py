"""A table of runs in a CSV file, a dataclass a row: finished rows survive a kill.

A row's class has a property `key`, a tuple that names the run; its fields are strings and numbers.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from golden.files import write_whole

__all__ = ["read", "write"]


def read(path: Path, kind: type) -> dict[tuple, Any]:
    """Rows of the dataclass `kind` by their keys; none where there is no file."""
    if not path.exists():
        return {}
    types = {field.name: field.type for field in fields(kind)}
    with path.open(newline="") as file:
        rows = [
            kind(**{name: types[name](text) for name, text in record.items()})
            for record in csv.DictReader(file)
        ]
    return {row.key: row for row in rows}


def write(path: Path, kind: type, rows: Iterable[Any]) -> None:
    """Write the rows, sorted by key."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in sorted(rows, key=lambda row: row.key))
    write_whole(path, text.getvalue())
