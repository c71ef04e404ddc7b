"""Instructions of the training core: 128-bit words, one definition for assembler and decoder.

Every word has a header: the unit that executes it, what that unit does, and the semaphores it waits
for and signals. The rest belongs to the unit; each unit's words are in a file of their own. Fields
have fixed places, so decoding is wires. Our choice throughout.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from rtl.fields import Field

__all__ = [
    "HEADER",
    "PAYLOAD_BITS",
    "PROGRAM_ALIGNMENT",
    "SEMAPHORES",
    "SEMAPHORE_MAX",
    "WORD_BITS",
    "Fault",
    "Unit",
    "Word",
    "payload",
]

WORD_BITS = 128

PROGRAM_ALIGNMENT = 128
"""Bytes: a program's address is a multiple of it. It is fetched by bursts of as many bytes, none of
which then crosses 4,096 bytes."""

SEMAPHORES = 8
"""Counting semaphores, the only order between units."""

SEMAPHORE_MAX = 63
"""Signals that a semaphore holds."""

HEADER = {
    "unit": Field(0, 3),
    "op": Field(3, 5),
    "wait": Field(8, SEMAPHORES),
    "signal": Field(16, SEMAPHORES),
}
"""`wait` and `signal` have one bit a semaphore: those to be taken before, and given after."""

_PAYLOAD = 24

PAYLOAD_BITS = WORD_BITS - _PAYLOAD


class Unit(enum.IntEnum):
    """Who executes a word. 0 is nobody, so that an all-zero word is caught."""

    CONTROL = 1
    MATRIX = 2
    VECTOR = 3
    DMA = 4


class Fault(enum.IntEnum):
    """Why a unit stopped."""

    NONE = 0
    OP = 1
    """No such operation."""
    FIELD = 2
    """A field is outside its range."""
    ADDRESS = 3
    """An access outside a memory."""
    CONFLICT = 4
    """Two operands of one product in the same page at once, or results of the vector unit for a
    page that the matrix unit works on."""
    ALIGNMENT = 5
    """A transfer that is not of whole lines."""
    BUS = 6
    """The bus answered with an error."""
    SEMAPHORE = 7
    """A semaphore was given more signals than it holds."""
    DEADLOCK = 8
    """Nothing runs, and what waits waits for a signal that nobody can give."""
    NO_END = 9
    """The program was over without its END."""
    ABORTED = 10
    """Software asked for it."""
    UNIT = 11
    """A word for a unit that there is not."""


def payload(*names: tuple[str, int] | tuple[str, int, bool]) -> dict[str, Field]:
    """Fields (name, width[, signed]) one after another behind the header.

    Raises ValueError if they do not fit the word.
    """
    result: dict[str, Field] = {}
    offset = _PAYLOAD
    for name, width, *signed in names:
        result[name] = Field(offset, width, *signed)
        offset += width
    if offset > WORD_BITS:
        raise ValueError(f"fields must fit {PAYLOAD_BITS} bits, not {offset - _PAYLOAD}")
    return result


@dataclass(frozen=True, kw_only=True)
class Word:
    """One instruction; every operation is a subclass with a field for each of its `layout`.

    Attributes
    ----------
    unit, op:
        Of the header.
    layout:
        Where the word's own fields are.

    Parameters
    ----------
    wait, signal:
        Masks of semaphores.
    """

    unit: ClassVar[Unit]
    op: ClassVar[int]
    layout: ClassVar[Mapping[str, Field]]

    wait: int = 0
    signal: int = 0

    def pack(self) -> int:
        """128 bits. TypeError or ValueError names a field that cannot be encoded."""
        values = {"unit": int(self.unit), "op": self.op}
        values |= {field.name: getattr(self, field.name) for field in fields(self)}
        table = HEADER | dict(self.layout)
        return sum(table[name].insert(name, int(value)) for name, value in values.items())

    @classmethod
    def unpack(cls, word: int) -> "Word":
        """Return the instruction that 128 bits encode; ValueError if they are no such word."""
        header = {name: field.extract(word) for name, field in HEADER.items()}
        if (header["unit"], header["op"]) != (cls.unit, cls.op):
            raise ValueError(
                f"unit and op must be {int(cls.unit)} and {cls.op}, "
                f"not {header['unit']} and {header['op']}"
            )
        own = {name: field.extract(word) for name, field in cls.layout.items()}
        return cls(wait=header["wait"], signal=header["signal"], **own)
