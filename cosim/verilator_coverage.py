"""Verilator's coverage files: what of a core's lines and signals runs have met.

A line point is a block of statements, or one side of a choice; a toggle point is one bit of a
signal in one direction. Instances of a module count together.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from golden.errors import CheckError

__all__ = ["LinePoint", "TogglePoint", "read_points"]

_HEXADECIMAL = re.compile(r"__0([0-9a-fA-F]{2})")
"""Verilator's way to write a character that is none of an identifier."""

_WORD = 32
"""Bits of a word of a wide signal."""

_TOGGLE = re.compile(r"(.*?)(?:\[(\d+)\])?:(0->1|1->0)")


@dataclass(frozen=True, order=True)
class LinePoint:
    """A block of statements, or a side of a choice.

    Members
    -------
    module:
        Name in the Verilog.
    line, column:
        Where it begins.
    what:
        "block", "if", "cond_then" and so on.
    """

    module: str
    line: int
    column: int
    what: str


@dataclass(frozen=True, order=True)
class TogglePoint:
    """A bit that changes.

    Members
    -------
    module, signal, bit:
        Which.
    edge:
        "0->1" or "1->0".
    """

    module: str
    signal: str
    bit: int
    edge: str


def read_points(files: Iterable[Path]) -> "Counter[LinePoint | TogglePoint]":
    """Return how often each point was met, all files together; they must be of one core.

    Raises CheckError for a file that is not as Verilator writes it.
    """
    texts: Counter[str] = Counter()
    for file in files:
        for line in file.read_text().splitlines():
            if line.startswith("C "):
                text, _, times = line.rpartition(" ")
                texts[text] += int(times)
    result: Counter[LinePoint | TogglePoint] = Counter()
    for text, count in texts.items():
        result[_point(text)] += count
    _part(result)
    return result


def _part(counts: "Counter[LinePoint | TogglePoint]") -> None:
    """Take from each bit of a signal above 64 bits what was counted for the bit 32 places below.

    Verilator 5.052 (`VL_COV_TOGGLE_CHG_ST_W`) goes on to the signal's end with every one of its
    words, so that a bit is counted whenever one that many words below it toggles. Counts that do
    not rise in such steps are of a version that does not, and right as they are.
    """
    toggles = [point for point in counts if isinstance(point, TogglePoint)]
    widths: dict[tuple[str, str], int] = defaultdict(int)
    for point in toggles:
        place = point.module, point.signal
        widths[place] = max(widths[place], point.bit + 1)
    below = {
        point: replace(point, bit=point.bit - _WORD)
        for point in toggles
        if widths[point.module, point.signal] > 2 * _WORD and point.bit >= _WORD
    }
    if all(counts[point] >= counts[lower] for point, lower in below.items()):
        # From the top, so that what is taken away is as it was counted.
        for point in sorted(below, key=lambda point: -point.bit):
            counts[point] -= counts[below[point]]


def _point(text: str) -> LinePoint | TogglePoint:
    fields = dict(part.split("\2", 1) for part in text[3:-1].split("\1")[1:])
    try:
        kind, _, module = fields["page"].partition("/")
        module = _plain(module)
        if kind != "v_toggle":
            return LinePoint(module, int(fields["l"]), int(fields["n"]), fields["o"])
        found = _TOGGLE.fullmatch(fields["o"])
        assert found is not None  # noqa: S101 - the last clause says what is wrong
        return TogglePoint(module, _plain(found[1]), int(found[2] or 0), found[3])
    except (KeyError, ValueError, AssertionError) as error:
        raise CheckError(f"Verilator's coverage must have points, not {text!r}") from error


def _plain(name: str) -> str:
    return _HEXADECIMAL.sub(lambda found: chr(int(found[1], 16)), name)
