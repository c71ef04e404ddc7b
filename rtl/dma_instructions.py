"""Words of the DMA unit: whole lines between the scratchpad and the outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rtl.fields import Field
from rtl.instructions import Unit, Word, payload

__all__ = ["DMA_WORDS", "DmaWord", "Load", "Store"]


@dataclass(frozen=True, kw_only=True)
class DmaWord(Word):
    """A word of the DMA unit.

    Parameters
    ----------
    outside:
        Byte address on the bus, below 2**40.
    scratchpad:
        Byte address in the scratchpad, below 2**24.
    bytes:
        1 to 2**24 - 1. All three are multiples of a line (`CoreConfig.line_bytes`).
    """

    unit: ClassVar[Unit] = Unit.DMA
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("outside", 40), ("scratchpad", 24), ("bytes", 24)
    )

    outside: int
    scratchpad: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Load(DmaWord):
    """From outside into the scratchpad."""

    op: ClassVar[int] = 1


@dataclass(frozen=True, kw_only=True)
class Store(DmaWord):
    """From the scratchpad to the outside."""

    op: ClassVar[int] = 2


DMA_WORDS: tuple[type[DmaWord], ...] = (Load, Store)
