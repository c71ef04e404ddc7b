"""Amaranth layouts of instruction words, made from their field tables."""

from amaranth.hdl import Value, signed, unsigned
from amaranth.lib import data

from rtl import instructions

__all__ = ["fields_layout", "header_layout", "payload_of"]


def header_layout() -> data.FlexibleLayout:
    """Return the header of a 128-bit word of `rtl.instructions`."""
    return data.FlexibleLayout(
        instructions.WORD_BITS,
        {
            name: data.Field((signed if field.signed else unsigned)(field.width), field.offset)
            for name, field in instructions.HEADER.items()
        },
    )


def fields_layout(kind: type[instructions.Word]) -> data.StructLayout:
    """Return the fields of one kind of word, as registers keep them."""
    return data.StructLayout(
        {
            name: (signed if field.signed else unsigned)(field.width)
            for name, field in kind.layout.items()
        }
    )


def payload_of(kind: type[instructions.Word], word: Value) -> data.View:
    """Those fields of a 128-bit `word`: they are adjacent, in the same order."""
    size = sum(field.width for field in kind.layout.values())
    first = next(iter(kind.layout.values())).offset
    return data.View(fields_layout(kind), word[first : first + size])
