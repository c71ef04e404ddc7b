"""Words of the vector unit that a piece of work takes, and their cycles for any number of lanes.

What passes and losses take depends on the lanes, so they are kept by size; every other word takes
the same on any core. The forms are those of `hwmodel.vector_cycles`.
"""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwmodel import vector_cycles
from rtl.vector_instructions import MASK_BEATS

__all__ = ["Lanes", "PassSize", "VectorWork"]


class PassSize(NamedTuple):
    """Size of a pass (`hwmodel.vector_cycles.pass_`)."""

    positions: int
    channels: int
    masks: bool = False
    same_page: bool = False


class Lanes:
    """Numbers of lanes, and what words take with each of them.

    Parameters
    ----------
    lanes:
        One dimension.
    """

    def __init__(self, lanes: NDArray[np.int64]) -> None:
        self.lanes = lanes
        self._levels = np.ceil(np.log2(lanes)).astype(np.int64)
        self._known: dict[PassSize, NDArray[np.int64]] = {}

    def blocks(self, channels: int) -> NDArray[np.int64]:
        """Blocks of C."""
        return -(-channels // self.lanes)

    def pass_cycles(self, size: PassSize) -> NDArray[np.int64]:
        """Cycles of a pass, as `vector_cycles.pass_` has them."""
        found = self._known.get(size)
        if found is None:
            beats = size.positions * self.blocks(size.channels)
            found = beats * (1 + size.same_page) + self._levels + vector_cycles.PASS_STEPS
            if size.masks:
                found = found + -(-beats // MASK_BEATS)
            self._known[size] = found
        return found

    def loss_cycles(self, classes: int) -> NDArray[np.int64]:
        """Cycles of a loss, as `vector_cycles.loss` has them."""
        return 4 * classes + 2 * self.blocks(classes) + vector_cycles.LOSS_STEPS


class VectorWork:
    """Words, as they are added.

    Members
    -------
    passes, losses:
        How many of each size: positions and channels; classes.
    elements:
        Counts of element operations that the core has no words for, taken as C a cycle.
    words, other:
        All other words, and their cycles.
    """

    __slots__ = ("elements", "losses", "other", "passes", "words")

    def __init__(self) -> None:
        self.passes: Counter[PassSize] = Counter()
        self.losses: Counter[int] = Counter()
        self.elements: list[int] = []
        self.words = self.other = 0

    def run(self, size: PassSize, streams: int) -> None:
        """Add a pass, and words that set `streams` of its streams or its loops."""
        self.passes[size] += 1
        self._add(streams, vector_cycles.set_up())

    def scalar(self, words: int = 1, count: int = 1) -> None:
        """Add words of arithmetic with `count` repetitions each."""
        self._add(words, vector_cycles.scalar(count))

    def load(self, size: int = 1, count: int = 1, words: int = 1) -> None:
        """Add words that load `count` scalars of `size` bytes."""
        self._add(words, vector_cycles.transfer(size, count))

    def store(self, size: int = 1, count: int = 1, words: int = 1) -> None:
        """Add words that store as many."""
        self._add(words, vector_cycles.transfer(size, count, store=True))

    def loss(self, classes: int) -> None:
        """Add the loss of a sample, and its two streams."""
        self.losses[classes] += 1
        self._add(2, vector_cycles.set_up())

    def _add(self, words: int, cycles: int) -> None:
        self.words += words
        self.other += words * cycles

    def add(self, work: "VectorWork") -> None:
        """Add all of another's."""
        self.passes += work.passes
        self.losses += work.losses
        self.elements += work.elements
        self.words += work.words
        self.other += work.other

    def cycles(self, lanes: Lanes) -> Any:
        """Cycles of everything: an integer where no word depends on the lanes, else an array."""
        total: Any = self.other
        for size, times in self.passes.items():
            total = total + times * lanes.pass_cycles(size)
        for classes, times in self.losses.items():
            total = total + times * lanes.loss_cycles(classes)
        for count in self.elements:
            total = total + lanes.blocks(count)
        return total
