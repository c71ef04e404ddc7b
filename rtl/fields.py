"""`Field`: a place in an instruction word or a register; what the tables of both are made of.

Pure Python numbers: decoder, assembler and pages use the same.
"""

from dataclasses import dataclass

__all__ = ["Field"]


@dataclass(frozen=True)
class Field:
    """Place of a field in a word: `width` bits from bit `offset`."""

    offset: int
    width: int
    signed: bool = False

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest value that can be encoded."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1

    def insert(self, name: str, value: int) -> int:
        """`value` at its place; TypeError or ValueError that names the field if it does not fit."""
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an integer, not {value!r}")
        low, high = self.limits
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, not {value!r}")
        return (int(value) & ((1 << self.width) - 1)) << self.offset

    def extract(self, word: int) -> int:
        """Value of the field in `word`."""
        value = (word >> self.offset) & ((1 << self.width) - 1)
        return value - (1 << self.width) if value > self.limits[1] else value
