"""Words that the dispatcher runs itself: they have no operands and hold up what follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rtl.fields import Field
from rtl.instructions import Unit, Word

__all__ = ["CONTROL_WORDS", "ControlWord", "End", "Fence", "Nop"]


@dataclass(frozen=True, kw_only=True)
class ControlWord(Word):
    """A word of the dispatcher."""

    unit: ClassVar[Unit] = Unit.CONTROL
    layout: ClassVar[Mapping[str, Field]] = {}


@dataclass(frozen=True, kw_only=True)
class End(ControlWord):
    """Wait until all is done, then stop: the program's last word."""

    op: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class Fence(ControlWord):
    """Wait until all units are idle and their queues empty."""

    op: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class Nop(ControlWord):
    """Only wait and signal."""

    op: ClassVar[int] = 3


CONTROL_WORDS: tuple[type[ControlWord], ...] = (End, Fence, Nop)
