"""When every word of a program is taken and complete, and how long the program runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.errors import CheckError
from hwmodel.lowering.hazards import UNITS
from hwmodel.lowering.order import Duration
from rtl.config import CoreConfig
from rtl.control_instructions import ControlWord
from rtl.dma_instructions import DmaWord, Store
from rtl.instructions import SEMAPHORE_MAX, Word

__all__ = ["BUS_LATENCY", "ProgramTimes", "program_times"]

BUS_LATENCY = 20
"""Cycles from an address that the memory behind the bus takes to the first beat (our choice)."""


@dataclass(frozen=True)
class ProgramTimes:
    """Times of a program, counted like the register `cycles` of the core.

    Members
    -------
    taken, complete:
        Of every word.
    cycles:
        Of the program.
    held_up:
        By the model: cycles in which the dispatcher stood before the full queue of each of `UNITS`.
    """

    taken: NDArray[np.int64]
    complete: NDArray[np.int64]
    cycles: int
    held_up: tuple[int, ...] = ()

    def duration(self, word: int) -> int:
        """Cycles from the one in which a word is taken to the one in which it is complete."""
        return int(self.complete[word] - self.taken[word]) + 1


def program_times(
    words: Sequence[Word], durations: Sequence[Duration], config: CoreConfig, *,
    latency: int = BUS_LATENCY, limit: int = 1 << 40,
) -> ProgramTimes:  # fmt: skip
    """Replay a program.

    Parameters
    ----------
    words, durations:
        One of each. Durations of the DMA's and the dispatcher's words are not used.
    config:
        Size of the core.
    latency:
        Of the memory behind the bus.
    limit:
        Cycles after which it is given up.

    Raises
    ------
    CheckError
        The program does not end within `limit`, or a semaphore is given too many signals.
    """
    from hwmodel.program_replay import replay

    count = len(words)
    unit = np.array([_unit(word) for word in words], dtype=np.int64)
    moves = [word if isinstance(word, DmaWord) else None for word in words]
    line = config.line_bytes
    taken = np.zeros(count, dtype=np.int64)
    complete = np.zeros(count, dtype=np.int64)
    held_up = np.zeros(len(UNITS), dtype=np.int64)
    cycles = int(
        replay(
            unit,
            np.array([d.next_taken for d in durations], dtype=np.int64),
            np.array([d.complete for d in durations], dtype=np.int64),
            np.array([word.wait for word in words], dtype=np.int64),
            np.array([word.signal for word in words], dtype=np.int64),
            np.array([isinstance(word, Store) for word in words], dtype=np.bool_),
            np.array([w.outside if w else 0 for w in moves], dtype=np.int64),
            np.array([w.bytes // line if w else 0 for w in moves], dtype=np.int64),
            line, latency, limit, taken, complete, held_up,
        )
    )  # fmt: skip
    if cycles == -2:
        raise CheckError(f"a semaphore holds {SEMAPHORE_MAX} signals, and is given more")
    if cycles < 0:
        raise CheckError(f"the program must end within {limit} cycles, and does not")
    return ProgramTimes(taken, complete, cycles, tuple(map(int, held_up)))


def _unit(word: Word) -> int:
    return len(UNITS) if isinstance(word, ControlWord) else UNITS.index(word.unit)
