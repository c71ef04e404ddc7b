"""Amaranth layouts of instruction words and status records, made from their field tables."""

from amaranth.hdl import Value, signed, unsigned
from amaranth.lib import data

from rtl import instructions, isa

__all__ = ["fields_layout", "header_layout", "instruction_layout", "payload_of", "status_layout"]


def _layout(size: int, fields: dict[str, isa.Field]) -> data.FlexibleLayout:
    return data.FlexibleLayout(
        size,
        {
            name: data.Field((signed if field.signed else unsigned)(field.width), field.offset)
            for name, field in fields.items()
        },
    )


def instruction_layout() -> data.FlexibleLayout:
    """Return the 128-bit instruction word of `rtl.isa.INSTRUCTION_FIELDS`."""
    return _layout(isa.INSTRUCTION_BITS, isa.INSTRUCTION_FIELDS)


def status_layout() -> data.FlexibleLayout:
    """Return the 64-bit status record of `rtl.isa.STATUS_FIELDS`."""
    return _layout(isa.STATUS_BITS, isa.STATUS_FIELDS)


def header_layout() -> data.FlexibleLayout:
    """Return the header of a 128-bit word of `rtl.instructions`."""
    return _layout(instructions.WORD_BITS, instructions.HEADER)


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
