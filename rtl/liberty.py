"""Reads Liberty text (`.lib`, `.lib.gz`) into nested groups; knows the syntax and no meaning.

A reader of our own: the parser that PyPI has is under the GPL and brings a computer algebra system.
The file is somebody else's, so its size and depth are bounded and nothing in it recurses.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from golden.errors import InputError

__all__ = ["SIZE_MAX", "Group", "parse", "read_text"]

SIZE_MAX = 256 << 20
"""Most bytes of a file, unpacked."""

_DEPTH_MAX = 32

_WORD = re.compile(
    r'/\*.*?\*/|//[^\n]*|\\[ \t\r]*\n|[ \t\r\f]+|"(?:[^"\\]|\\.)*"|[{}():;,]|\n'
    r'|[^\s{}():;,"\\]+|.',
    re.DOTALL,
)

_SKIPPED = frozenset({
    # Composite-current-source and noise models: most of a large file, and used by nothing here.
    "output_current_rise", "output_current_fall", "receiver_capacitance",
    "receiver_capacitance1_rise", "receiver_capacitance1_fall", "receiver_capacitance2_rise",
    "receiver_capacitance2_fall", "ccsn_first_stage", "ccsn_last_stage", "dynamic_current",
    "leakage_current", "intrinsic_parasitic", "ocv_sigma_cell_rise", "ocv_sigma_cell_fall",
    "ocv_sigma_rise_transition", "ocv_sigma_fall_transition", "normalized_driver_waveform",
})  # fmt: skip


@dataclass
class Group:
    """`name (args) { ... }`.

    Attributes
    ----------
    name, args:
        As written, without quotes.
    attributes:
        `key : value;` -> text; the last of several wins.
    lists:
        `key (a, b);` -> texts; the last of several wins.
    groups:
        Groups within, in order.
    """

    name: str
    args: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def named(self, name: str) -> list["Group"]:
        """Return the groups within that have this name."""
        return [group for group in self.groups if group.name == name]


def read_text(path: Path) -> str:
    """Return the text of a `.lib` or `.lib.gz`.

    Raises
    ------
    InputError
        If the file is cut short, is no gzip though it is named so, or is larger than `SIZE_MAX`.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(SIZE_MAX + 1)
    if path.suffix == ".gz" or raw[:2] == b"\x1f\x8b":
        unpacker = zlib.decompressobj(wbits=31)
        try:
            raw = unpacker.decompress(raw, SIZE_MAX + 1)
        except zlib.error as error:
            raise InputError(
                f"{path}: required a gzip file, got one that breaks: {error}"
            ) from error
        if not unpacker.eof and len(raw) <= SIZE_MAX:
            raise InputError(f"{path}: required a whole gzip file, got one that is cut short")
    if len(raw) > SIZE_MAX:
        raise InputError(f"{path}: required at most {SIZE_MAX >> 20} MiB of Liberty, got more")
    return raw.decode("utf-8", errors="replace")


def parse(text: str, where: str) -> Group:
    """Return the library group of `text`; `where` names the file in messages.

    Raises
    ------
    InputError
        If it is no Liberty, or ends within a group.
    """
    words = _words(text, where)
    root = Group("")
    stack = [root]
    line = 1
    for word, line in words:
        if word in (";", "\n"):
            continue
        if word == "}":
            if len(stack) == 1:
                raise InputError(f"{where}, line {line}: got a '}}' that closes nothing")
            stack.pop()
            continue
        _statement(word, line, words, stack, where)
    if len(stack) > 1:
        open_group = stack[-1]
        raise InputError(
            f"{where}: the file is cut short: it ends on line {line} within "
            f"{open_group.name} ({', '.join(open_group.args)})"
        )
    libraries = root.named("library")
    if len(libraries) != 1:
        raise InputError(f"{where}: required one library group, got {len(libraries)}")
    return libraries[0]


def _words(text: str, where: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _WORD.finditer(text):
        word = match[0]
        first = word[0]
        if first in " \t\r\f" or (first == "/" and word[1:2] in ("*", "/")) or (
            first == "\\" and word[-1] == "\n"
        ):  # fmt: skip
            pass
        elif first in '"\\' and (len(word) < 2 or word[-1] != first):
            raise InputError(f"{where}, line {line}: the file is cut short within a string")
        else:
            yield word, line
        line += word.count("\n")


def _statement(
    name: str, line: int, words: Iterator[tuple[str, int]], stack: list[Group], where: str
) -> None:
    """Read one attribute, list or group head that begins with `name`."""
    wanted = f"{where}, line {line}: required ':' or '(' behind {name[:40]!r}"
    if name in "{}():,":
        raise InputError(f"{where}, line {line}: required a name, got {name!r}")
    separator = _next(words, skip_newlines=True)
    if separator == ":":
        group = stack[-1]  # the value may end with the group
        group.attributes[name] = _value(words, stack)
        return
    if not separator:
        raise InputError(f"{where}, line {line}: the file is cut short behind {name[:40]!r}")
    if separator != "(":
        raise InputError(f"{wanted}, got {separator[:40]!r}")
    args: list[str] = []
    parts: list[str] = []
    while (word := _next(words, skip_newlines=True)) != ")":
        if word in ("", "{", "}", ";"):
            raise InputError(f"{where}, line {line}: the file is cut short behind {name[:40]!r}")
        if word == ",":
            args.append(" ".join(parts))
            parts = []
        else:
            parts.append(_plain(word))
    if parts:
        args.append(" ".join(parts))
    word = _next(words, skip_newlines=False)
    while word == "\n":  # a brace may stand on the next line; a list ends with its line
        word = _next(words, skip_newlines=False)
        if word not in ("\n", "{"):
            stack[-1].lists[name] = tuple(args)
            if word == "}":
                stack.pop()
            elif word not in ("", ";"):
                _statement(word, line, words, stack, where)
            return
    if word != "{":
        stack[-1].lists[name] = tuple(args)
        if word == "}":
            stack.pop()
        return
    if name in _SKIPPED:
        depth = 1
        while depth and (word := _next(words, skip_newlines=True)):
            depth += (word == "{") - (word == "}")
        if depth:
            stack.append(Group(name, tuple(args)))
        return
    if len(stack) > _DEPTH_MAX:
        raise InputError(f"{where}, line {line}: required at most {_DEPTH_MAX} groups deep")
    inner = Group(name, tuple(args))
    stack[-1].groups.append(inner)
    stack.append(inner)


def _value(words: Iterator[tuple[str, int]], stack: list[Group]) -> str:
    """Rest of a simple attribute: until its semicolon, which some files leave to the line's end."""
    parts: list[str] = []
    for word, _ in words:
        if word == ";" or (word == "\n" and parts):
            break
        if word == "}":
            stack.pop()
            break
        if word != "\n":
            parts.append(_plain(word))
    return " ".join(parts)


def _next(words: Iterator[tuple[str, int]], *, skip_newlines: bool) -> str:
    for word, _ in words:
        if word != "\n" or not skip_newlines:
            return word
    return ""


def _plain(word: str) -> str:
    if word[0] != '"':
        return word
    return re.sub(r"\\[ \t\r]*\n", " ", word[1:-1]).strip()
