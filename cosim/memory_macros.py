"""Areas of memory macros with one read and one write port, for libraries that have none.

OpenRAM's macros for SkyWater's 130 nm process, github.com/VLSIDA/sky130_sram_macros at 965df15: the
Liberty files' `area`, and of 16 KiB the bounding box in its log. They have a read-write and a read
port; the core's memories need a write and a read port. The Liberty files' energies are not used:
for memories of one size they differ by a factor of ten between versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["CHECK_MACROS", "FIT_MACROS", "NODE_NM", "MemoryMacro", "fit_macros", "macro_area"]

NODE_NM = 130


@dataclass(frozen=True)
class MemoryMacro:
    """Words, bits of a word, and um2."""

    words: int
    width: int
    area_um2: float

    @property
    def bits(self) -> int:
        """Of all words."""
        return self.words * self.width


FIT_MACROS = (MemoryMacro(256, 32, 190_712.55), MemoryMacro(4096, 32, 1164.25 * 1212.56))

CHECK_MACROS = (MemoryMacro(512, 32, 284_538.474),)


def fit_macros() -> dict[str, float]:
    """um2 of each macro and of each of its bits (`hwmodel.core_area.MEMORY_PARTS`), at 130 nm."""
    counts = [[1, macro.bits] for macro in FIT_MACROS]
    macro, bit = np.linalg.solve(counts, [macro.area_um2 for macro in FIT_MACROS])
    return {"macro": float(macro), "bit": float(bit)}


def macro_area(prices: Mapping[str, float], bits: int) -> float:
    """Area in um2 of one macro by `fit_macros`'s prices."""
    return prices["macro"] + prices["bit"] * bits
