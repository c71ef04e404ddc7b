"""Amaranth layouts of the instruction word and the status record, made from `rtl.isa`."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from rtl import isa

__all__ = ["instruction_layout", "status_layout"]


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
