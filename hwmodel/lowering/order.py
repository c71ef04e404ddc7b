"""From needs to a program: semaphores, and an order in which no unit's words hold up another's.

The dispatcher deals words out in the program's order and stops at a full queue. So words stand in
the order in which their units would take them if there were no dispatcher.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hwmodel.lowering.emitter import Entry
from hwmodel.lowering.hazards import UNITS, Needs
from rtl.control_instructions import End
from rtl.instructions import SEMAPHORES, Word

__all__ = ["Duration", "Ordered", "order"]


@dataclass(frozen=True)
class Duration:
    """How long a unit is with one acting word, in cycles from the one in which it is taken.

    Parameters
    ----------
    next_taken:
        Until the next word can be taken.
    complete:
        Until its results are visible and it signals.
    """

    next_taken: int
    complete: int


@dataclass(frozen=True)
class Ordered:
    """A program.

    Members
    -------
    words:
        With waits and signals, END last.
    entries:
        Number of the entry that each word belongs to; -1 for END.
    """

    words: list[Word]
    entries: list[int]


def _pair(producer: int, consumer: int) -> int:
    """Number of the semaphore from one unit to another."""
    others = [unit for unit in range(len(UNITS)) if unit != producer]
    number = producer * (len(UNITS) - 1) + others.index(consumer)
    assert number < SEMAPHORES  # noqa: S101 - three units have six pairs
    return number


def _masks(units: Sequence[int], needs: Sequence[Needs]) -> tuple[list[int], list[int]]:
    """Waits and signals of every entry.

    Of the words that a unit waits for, those of one other unit count only if they are later than
    what it has waited for before. Each of them signals once and is waited for once.
    """
    count = len(units)
    waits, signals = [0] * count, [0] * count
    at: list[list[int]] = [[] for _ in UNITS]
    for entry, unit in enumerate(units):
        at[unit].append(entry)
    for consumer in range(len(UNITS)):
        for producer in range(len(UNITS)):
            reached = -1
            for entry in at[consumer] if producer != consumer else ():
                place = needs[entry].before[producer]
                if place > reached:
                    reached = place
                    bit = 1 << _pair(producer, consumer)
                    waits[entry] |= bit
                    signals[at[producer][place]] |= bit
    return waits, signals


def order(
    entries: Sequence[Entry], needs: Sequence[Needs], duration: Callable[[int], Duration]
) -> Ordered:
    """Put semaphores to the words and the words in order.

    Parameters
    ----------
    entries, needs:
        In the order of the computation.
    duration:
        Of an entry by its number.
    """
    units = [UNITS.index(entry.word.unit) for entry in entries]
    waits, signals = _masks(units, needs)
    free = [0] * len(UNITS)
    complete: list[list[int]] = [[] for _ in UNITS]
    starts = []
    for number, (entry, unit, need) in enumerate(zip(entries, units, needs, strict=True)):
        start = free[unit]
        for producer, place in enumerate(need.before):
            if place >= 0:
                start = max(start, complete[producer][place] + 1)
        set_up = len(entry.before)
        taken = max(start, free[unit] + set_up)
        time = duration(number)
        free[unit] = taken + time.next_taken
        # Words of one unit are complete in their order.
        last = complete[unit][-1] if complete[unit] else 0
        complete[unit].append(max(last, taken + time.complete))
        starts.append(taken - set_up)
    words: list[Word] = []
    owners: list[int] = []
    for number in sorted(range(len(entries)), key=lambda k: (starts[k], k)):
        entry = entries[number]
        acting = replace(entry.word, wait=waits[number], signal=signals[number])
        words += [*entry.before, acting]
        owners += [number] * (len(entry.before) + 1)
    return Ordered([*words, End()], [*owners, -1])
