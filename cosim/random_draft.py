"""`Draft`: a random program that is being written, word by word, with what every word has to do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from cosim.core_run import splitmix
from cosim.machine import Machine
from cosim.random_words import SET_UP, draw_word
from cosim.step_check import checksums
from rtl.config import CoreConfig
from rtl.control_instructions import Fence, Nop
from rtl.instructions import SEMAPHORES, Unit, Word
from rtl.matrix_instructions import Multiply
from rtl.vector_instructions import SCALAR_BITS, SCALARS, Function, Scalar

__all__ = ["DATA", "SCALARS_KEPT", "Draft"]

_T = TypeVar("_T")

DATA = 1 << 18
"""Bytes outside that programs load and store."""
SCALARS_KEPT = 16
"""Scalars with the next number are free for the settings of a pass."""


class _Machine(Machine):
    """A machine that adds up what goes into its scalars, as the observer does."""

    scalar_sum: int = 0

    def _put(self, number: int, value: int) -> None:
        super()._put(number, value)
        if number := number % SCALARS:
            half = np.array([2 * number, 2 * number + 1], np.uint64)
            stored = self.scalars[number] % (1 << SCALAR_BITS)
            parts = np.array([stored & 0xFFFFFFFF, stored >> 32], np.uint64)
            self.scalar_sum += int(splitmix(half, parts).sum(dtype=np.uint64))


class Draft:
    """Programs for one core, one after the other, and a machine that runs them word by word.

    Parameters
    ----------
    config:
        Size of the core.
    seed:
        What everything random is drawn from.

    Members
    -------
    rng, machine, outside:
        Source of randomness; the machine; its memory outside before any program.
    words, expected:
        The present program and, of each of its words, checksums of what it writes: bytes of the
        scratchpad, words of results, bytes outside, scalars.
    free:
        Words that work do not wait for each other.
    taken:
        Numbers of scalars that `put` does not set again.
    pages, page, line:
        Pages of the scratchpad, and bytes of each and of a line.
    """

    def __init__(self, config: CoreConfig, seed: int) -> None:
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.outside = self.rng.integers(0, 256, DATA, dtype=np.uint8)
        self.machine = _Machine(config, self.outside.copy())
        self.words: list[Word] = []
        self.expected: list[tuple[int, ...]] = []
        self.last: int | None = None
        self.free = False
        self._share()
        self.taken: set[int] = set()
        self.pages = config.scratchpad_pages
        self.page = config.scratchpad_page_bytes
        self.line = config.line_bytes

    def begin(self) -> None:
        """Begin a program."""
        self.words, self.expected, self.last = [], [], None
        self._share()

    def _share(self) -> None:
        """Give each unit two semaphores of its own that its words may wait for."""
        order = self.rng.permutation(SEMAPHORES)
        self.semaphores = {
            unit: [1 << int(k) for k in order[2 * j : 2 * j + 2]] for j, unit in enumerate(Unit)
        }

    def number(self, low: int, high: int) -> int:
        """Draw low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def one_of(self, choices: Sequence[_T]) -> _T:
        """Draw one of several."""
        return choices[self.number(0, len(choices) - 1)]

    def set_up(self, word: Word) -> None:
        """Add a word that only sets something up, or that everything waits for."""
        self.words.append(word)
        self.machine.scalar_sum = 0
        sums = checksums(word, self.machine.execute(word), self.config.columns)
        self.expected.append((*sums, self.machine.scalar_sum % (1 << 64)))

    def run(self, word: Word) -> None:
        """Add a word that works. It waits for the one before, by semaphores, if units differ."""
        before = None if self.last is None or self.free else self.words[self.last]
        if before is not None and (before.unit != word.unit or isinstance(word, Multiply)):
            # Every unit has its own, so that none takes what another one was given.
            mask = sum(self.semaphores[word.unit][: self.number(1, 2)])
            assert self.last is not None  # noqa: S101 - the word before has a place
            self.words[self.last] = replace(before, signal=mask)
            word = replace(word, wait=mask)
        if self.free and self.number(0, 1):
            word = self.given(word)
        self.last = len(self.words)
        self.set_up(word)

    def noise(self) -> None:
        """Set up something that nothing uses: before a word runs, all that it needs is set."""
        self.set_up(draw_word(self.rng, self.one_of(SET_UP), self.config))

    def given(self, word: Word) -> Word:
        """Let a word wait for what it is given at once, most likely long before its turn."""
        mask = sum(self.semaphores[word.unit][: self.number(1, 2)])
        self.set_up(Nop(signal=mask))
        return replace(word, wait=mask)

    def fence(self) -> None:
        """Wait for everything."""
        self.set_up(self.given(Fence()))
        self.last = None

    def put(self, value: int) -> int:
        """Set a random scalar; return its number."""
        number = self.number(SCALARS_KEPT, 255)
        while number in self.taken:
            number = self.number(SCALARS_KEPT, 255)
        self.taken.add(number)
        self.run(draw_word(self.rng, Scalar, self.config, function=Function.ADD, d=number, a=0,
                           count=1, immediate=1, value=value))  # fmt: skip
        return number
