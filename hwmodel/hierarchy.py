"""Memories between the array and the world outside, the one nearest the array first."""

import math
import re
from dataclasses import dataclass

from golden.errors import InputError
from hwmodel.toml_reader import BYTES, Band

__all__ = ["Hierarchy", "Level", "size_text"]

SIZE_MAX = 1 << 44
"""Most bytes of a memory on chip."""

DRAM_BANDWIDTH = 16.0
"""Bytes a cycle of the default off-chip memory: 64 bits at double data rate and the core's clock.
Our assumption; a hardware file says its own."""

LEVELS_MAX = 8
WORD_MAX = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Level:
    """One memory.

    Parameters
    ----------
    name:
        Names it in tables: letters, digits, '-' and '_'.
    size:
        Bytes. None: off chip, as large as need be.
    word_bits:
        Bits of one access.
    energy:
        Joules of one access. None: what the technology says of a memory of this size.
    bandwidth:
        Bytes a clock cycle between this memory and the next one inside (the array, for the first).
        None: not known.
    """

    name: str
    size: int | None = None
    word_bits: int = 64
    energy: Band | None = None
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no memory has."""
        where = f"memory {str(self.name)[:60]!r}"
        if not isinstance(self.name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", self.name):
            raise InputError(
                f"{where}: a name must be 1 to 32 letters, digits, '-' and '_', not {self.name!r}"
            )
        for key, value, most in (("size", self.size, SIZE_MAX), ("word", self.word_bits, WORD_MAX)):
            if key == "size" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise InputError(
                    f"{where}, {key}: must be a whole number from 1 to {most}, not {value!r}"
                )
        if self.bandwidth is not None and not 0 < self.bandwidth < math.inf:
            raise InputError(
                f"{where}, bandwidth: must be a finite number above 0, not {self.bandwidth!r}"
            )

    def accesses(self, size: int) -> int:
        """Accesses of whole words that move so many bytes."""
        return -(-8 * size // self.word_bits)


@dataclass(frozen=True)
class Hierarchy:
    """The memories of a design.

    Parameters
    ----------
    buffer:
        Bytes of one buffer between the array and DRAM, 1 KiB to 1 GiB: the common case, levels
        "buffer" and "dram". Where `levels` is given, the size of its last memory on chip.
    levels:
        Nearest the array first, growing; the last is off chip and has no size.
    """

    buffer: int = 512 << 10
    levels: tuple[Level, ...] = ()

    def __post_init__(self) -> None:
        """Refuse sizes that no buffer has, and levels that do not grow."""
        if self.levels:
            self._check_levels()
            object.__setattr__(self, "buffer", self.levels[-2].size)
            return
        if not isinstance(self.buffer, int) or not 1 << 10 <= self.buffer <= 1 << 30:
            raise InputError(f"buffer must be 1 KiB to 1 GiB, not {self.buffer!r} B")
        two = (Level(name="buffer", size=self.buffer), Level(name="dram", bandwidth=DRAM_BANDWIDTH))
        object.__setattr__(self, "levels", two)

    def _check_levels(self) -> None:
        names = [level.name for level in self.levels]
        if not 2 <= len(names) <= LEVELS_MAX:
            raise InputError(
                f"memories must be 2 to {LEVELS_MAX}, at least one on chip and one off chip, "
                f"got {len(names)}"
            )
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"memories must have different names, got {double[0]!r} twice")
        before = 0
        for level in self.levels[:-1]:
            if level.size is None:
                raise InputError(
                    f"memory {level.name!r}: requires a size; only the last, off chip, has none"
                )
            if level.size < before:
                raise InputError(
                    f"memory {level.name!r}: must be at least as large as the one nearer the "
                    f"array, {before} B, got {level.size} B"
                )
            before = level.size
        if self.levels[-1].size is not None:
            raise InputError(
                f"memory {names[-1]!r}: the last is off chip and must have no size, "
                f"got {self.levels[-1].size} B"
            )

    @property
    def on_chip(self) -> tuple[Level, ...]:
        """All but the last."""
        return self.levels[:-1]

    @property
    def off_chip(self) -> Level:
        """The last."""
        return self.levels[-1]

    def describe(self) -> str:
        """Every memory with its size, in words."""
        return ", ".join(
            f"{level.name} of {size_text(level.size)}" if level.size else f"{level.name} off chip"
            for level in self.levels
        )


def size_text(size: int) -> str:
    """Return bytes in the largest binary unit that leaves a whole number."""
    for unit, factor in reversed(BYTES.items()):
        if size % factor == 0:
            return f"{size // factor:,} {unit}"
    return f"{size:,} B"
