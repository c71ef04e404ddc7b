"""Pages about the instruction words, made from the definitions that assembler and decoder use.

What a field means is read from the docstrings of the words' classes, so it is written down once.
"""

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Mapping, Sequence

from rtl import control_instructions, dma_instructions, matrix_instructions, vector_instructions
from rtl.fields import Field
from rtl.instructions import HEADER, SEMAPHORES, WORD_BITS, Fault, Unit, Word

__all__ = ["markdown_table", "words_markdown"]

_UNITS: Mapping[Unit, tuple[object, Sequence[type[Word]], Sequence[type[enum.IntEnum]]]] = {
    Unit.CONTROL: (control_instructions, control_instructions.CONTROL_WORDS, ()),
    Unit.MATRIX: (matrix_instructions, matrix_instructions.MATRIX_WORDS, ()),
    Unit.VECTOR: (
        vector_instructions,
        vector_instructions.VECTOR_WORDS,
        (
            vector_instructions.Operand,
            vector_instructions.Addend,
            vector_instructions.Rectify,
            vector_instructions.Output,
            vector_instructions.Total,
            vector_instructions.Stream,
            vector_instructions.Function,
        ),
    ),
    Unit.DMA: (dma_instructions, dma_instructions.DMA_WORDS, ()),
}


_HEAD = f"""\
A program is a list of words of {WORD_BITS} bits, 16 bytes each with the lowest first, at a multiple
of 128 bytes. Words are dealt out in their order to three units, each of which runs its own in
order; nothing but semaphores orders one unit after another.
"""


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def words_markdown() -> str:
    """Every word, field, code and fault of the training core's instruction set."""
    parts = [
        f"# Instruction words\n\n{_HEAD}",
        "## Header\n",
        _fields(HEADER, {
            "unit": "who runs the word",
            "op": "what it does",
            "wait": f"mask of {SEMAPHORES} semaphores: the word begins when all of them are above "
                    "zero, and takes one from each",
            "signal": "mask of semaphores that are given one when the word is complete and its "
                      "results are visible",
        }),
        markdown_table(("unit", "name"), [(int(unit), unit.name) for unit in Unit]),
    ]  # fmt: skip
    for unit, (module, words, codes) in _UNITS.items():
        parts += [f"## {unit.name}\n", _plain(inspect.getdoc(module))]
        for kind in words:
            sections = _sections(kind)
            parts += [f"### {int(unit)}.{kind.op} {kind.__name__}\n", sections.pop("")]
            if kind.layout:
                parts.append(_fields(kind.layout, sections))
        for code in codes:
            parts += [f"### Codes of {code.__name__}\n", _plain(inspect.getdoc(code))]
            meanings = _member_docs(code)
            parts.append(
                markdown_table(
                    ("code", "name", "meaning"),
                    [(int(item), item.name, meanings.get(item.name, "")) for item in code],
                )
            )
    faults = _member_docs(Fault)
    parts += [
        "## Faults\n",
        "A fault stops the program and is kept in the registers with the unit that found it.\n",
        markdown_table(
            ("fault", "name", "meaning"),
            [(int(item), item.name, faults.get(item.name, "")) for item in Fault],
        ),
    ]
    return "\n".join(parts)


def _fields(layout: Mapping[str, Field], meanings: Mapping[str, str]) -> str:
    return markdown_table(
        ("field", "bits", "type", "meaning"),
        [
            (
                f"`{name}`",
                f"{field.offset + field.width - 1}:{field.offset}",
                f"{'signed' if field.signed else 'unsigned'} {field.width}",
                meanings.get(name, ""),
            )
            for name, field in layout.items()
        ],
    )


def _plain(text: str | None) -> str:
    """`text` with reStructuredText's code marks as Markdown has them."""
    return (text or "").replace("``", "`") + "\n"


def _sections(kind: type[Word]) -> dict[str, str]:
    """Return what the docstrings of a word and its bases say of each field; "": of the word."""
    result: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if not issubclass(owner, Word) or not owner.__doc__:
            continue
        head, _, tail = inspect.cleandoc(owner.__doc__).partition("\nParameters\n----------\n")
        result[""] = _plain(head.rstrip())
        for names, text in re.findall(r"^(\w[\w, ]*):\n((?:    .*\n?|\n)+)", tail, re.MULTILINE):
            said = " ".join(textwrap.dedent(text).split()).replace("|", "\\|")
            first, *others = names.split(", ")
            result[first] = f"{names}: {said}" if others else said
            result |= dict.fromkeys(others, f"see `{first}`")
    return result


def _member_docs(code: type[enum.IntEnum]) -> dict[str, str]:
    """Return the strings behind an enumeration's members."""
    (body,) = (node for node in ast.parse(textwrap.dedent(inspect.getsource(code))).body)
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"code must be a class, not {code!r}")
    result = {}
    for node, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            said = " ".join(str(after.value.value).split())
            result[node.targets[0].id] = said.replace("|", "\\|")
    return result
