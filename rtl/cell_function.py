"""Liberty's Boolean expressions: `(A B)' + !C ^ D`, read once, evaluated or written as Verilog.

Precedence as in the Liberty reference: inversion (`!` before, `'` behind), then `^`, then AND
(`*`, `&` or nothing at all), then OR (`+`, `|`).
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from golden.errors import InputError

__all__ = ["Function", "parse_function"]

_WORD = re.compile(r"\s*([!'^*&+|()]|[A-Za-z_][\w\[\].]*|[01](?!\w))|\s+$")
_LENGTH_MAX = 4096


@dataclass(frozen=True)
class Function:
    """One Boolean function.

    Attributes
    ----------
    verilog:
        Verilog expression of the inputs.
    inputs:
        Their names, in the order of first use.
    evaluate:
        Value, 0 or 1, for inputs by name; arrays of 0 and 1 work too.
    """

    verilog: str
    inputs: tuple[str, ...]
    evaluate: Callable[[Mapping[str, int]], int]

    def table(self, order: Sequence[str] | None = None) -> tuple[int, ...]:
        """Values for all inputs, the first name the most significant bit."""
        names = self.inputs if order is None else tuple(order)
        rows = itertools.product((0, 1), repeat=len(names))
        return tuple(self.evaluate(dict(zip(names, row, strict=True))) for row in rows)


def parse_function(text: str, where: str) -> Function:
    """Return the function that `text` says; `where` names the pin in messages.

    Raises
    ------
    InputError
        If it is no expression.
    """
    words = _split(text, where)
    names = dict.fromkeys(word for word in words if word[0].isalpha() or word[0] == "_")
    verilog = _Reader(words, text, where).whole()
    # Only names, 0, 1 and ~ & ^ | ( ) are left: the same text is Python.
    aliases = {name: f"v[{number}]" for number, name in enumerate(names)}
    python = re.sub(r"1'b([01])|([A-Za-z_][\w\[\].]*)", lambda m: m[1] or aliases[m[2]], verilog)
    code = compile(python, "<Liberty function>", "eval")
    ordered = tuple(names)

    def evaluate(values: Mapping[str, int]) -> int:
        # `code` is built from the five operators and list indices alone.
        return eval(code, {"__builtins__": {}}, {"v": [values[n] for n in ordered]}) & 1  # noqa: S307

    return Function(verilog, ordered, evaluate)


def _split(text: str, where: str) -> list[str]:
    if len(text) > _LENGTH_MAX:
        raise InputError(f"{where}: required a function of at most {_LENGTH_MAX} characters")
    words, position = [], 0
    while position < len(text):
        match = _WORD.match(text, position)
        if not match:
            raise InputError(f"{where}: required a Boolean function, got {text[:60]!r}")
        if match[1]:
            words.append(match[1])
        position = match.end()
    if not words:
        raise InputError(f"{where}: required a Boolean function, got an empty one")
    if max(itertools.accumulate((t == "(") - (t == ")") for t in words)) > 50:
        raise InputError(f"{where}: required a function at most 50 brackets deep")
    return words


class _Reader:
    """Recursive descent; the brackets' depth is bounded before."""

    def __init__(self, words: list[str], text: str, where: str) -> None:
        self._words, self._text, self._where = words, text, where
        self._at = 0

    def whole(self) -> str:
        result = self._or()
        if self._at < len(self._words):
            raise self._error()
        return result

    def _error(self) -> InputError:
        return InputError(f"{self._where}: required a Boolean function, got {self._text[:60]!r}")

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _take(self) -> str:
        self._at += 1
        return self._words[self._at - 1]

    def _or(self) -> str:
        parts = [self._and()]
        while self._peek() in ("+", "|"):
            self._take()
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"

    def _and(self) -> str:
        parts = [self._xor()]
        while (word := self._peek()) and word not in "+|)":
            if word in "*&":
                self._take()
            parts.append(self._xor())
        return parts[0] if len(parts) == 1 else f"({' & '.join(parts)})"

    def _xor(self) -> str:
        parts = [self._inverted()]
        while self._peek() == "^":
            self._take()
            parts.append(self._inverted())
        return parts[0] if len(parts) == 1 else f"({' ^ '.join(parts)})"

    def _inverted(self) -> str:
        inversions = 0
        while self._peek() == "!":
            self._take()
            inversions += 1
        word = self._peek()
        if word == "(":
            self._take()
            inner = self._or()
            if self._peek() != ")":
                raise self._error()
            self._take()
        elif word and (word[0].isalnum() or word[0] == "_"):
            name = self._take()
            inner = f"1'b{name}" if name in "01" else name
        else:
            raise self._error()
        while self._peek() == "'":
            self._take()
            inversions += 1
        return f"~{inner}" if inversions % 2 else inner
