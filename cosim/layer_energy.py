"""A layer's energy from the gates, beside what changed in the block: for energy models.

What changes is counted in operands and results alone, so that the energy of any operands can be
said without gates (`hwmodel.technology.Technology.work`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.formats import Integers

__all__ = ["LayerEnergy", "changed_bits", "kept"]


@dataclass(frozen=True)
class LayerEnergy:
    """One layer's phase in one block.

    Attributes
    ----------
    changes:
        One of `hwmodel.technology.CHANGES` -> how many there were.
    energy_pj:
        Of all of them, from the gates.
    operations:
        Multiply-accumulates, or values of a lane, in that time.
    """

    network: str
    layer: str
    phase: str
    changes: Mapping[str, int]
    energy_pj: float
    operations: int


def changed_bits(values: Integers, width: int) -> NDArray[np.int64]:
    """Bits that differ between each value and the next."""
    differ = (values[1:] ^ values[:-1]) & ((1 << width) - 1)
    return np.bitwise_count(differ.astype(np.uint64)).astype(np.int64)


def kept(wire: Integers, take: Integers) -> NDArray[np.int64]:
    """What a register holds after each cycle in which it may take what the wire shows; 0 before."""
    taken = np.maximum.accumulate(np.where(take, np.arange(len(take)), -1))
    return np.where(taken >= 0, wire[taken], 0)
