"""Results that long commands gave, kept in `eoq/records`: what a report shows without running them.

`benchmarks/records.py` runs the commands and writes the files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["COMMANDS", "Record", "load_record"]

FOLDER = Path(__file__).parent / "records"

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "synthesis": "eoq synth --array 16x16 --json",
        "normalization_price": "eoq synth --bn --json",
        "validation": "eoq validate --json",
        "training": "eoq train --network resnet8_narrow --data digits --epochs 10 --core 8x8 "
        "--json",
        "verification": "python benchmarks/verification.py",
    }
)
"""Name -> command whose output is kept."""


@dataclass(frozen=True)
class Record:
    """One command's result.

    Attributes
    ----------
    command, date:
        What was run, and when.
    versions:
        Of the tools, by name.
    result:
        What it printed.
    """

    command: str
    date: str
    versions: Mapping[str, str]
    result: Mapping[str, Any]

    @property
    def source(self) -> str:
        """Command and date, as captions name them."""
        return f"{self.command}, {self.date}"


def load_record(name: str) -> Record | None:
    """Return one of `COMMANDS`' results, or None where there is no file of it."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return None
    said = json.loads(path.read_text())
    return Record(said["command"], said["date"], said["versions"], said["result"])
