"""Which words must be complete before which: hazards between the units.

Words of one unit run in their order. Between units every read waits for the writes before it and
every write for the reads and writes before it, byte by byte. Two rules more keep units from holding
each other up, so that a word takes as long as it takes alone: no two units read the same page of
the scratchpad at a time, or write it; and no two use the same page of the results memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodel.lowering.emitter import Access, Entry, Memory
from rtl.config import CoreConfig
from rtl.instructions import Unit

__all__ = ["UNITS", "Needs", "find_needs"]

UNITS = (Unit.MATRIX, Unit.VECTOR, Unit.DMA)

_CELL = 4
"""Bytes that are told apart: the shortest line. Closer neighbours wait for each other."""


@dataclass(frozen=True)
class Needs:
    """What one acting word waits for.

    Members
    -------
    place:
        The word's place among the acting words of its unit.
    before:
        For each of `UNITS`, the place of the last word that must be complete, -1 if there is none.
    """

    place: int
    before: tuple[int, int, int]


class _Memory:
    """Last reads and writes of every cell and of every page, by unit."""

    def __init__(self, cells: int, pages: int) -> None:
        self.read = np.full((len(UNITS), cells), -1, dtype=np.int32)
        self.written = np.full((len(UNITS), cells), -1, dtype=np.int32)
        self.page_read = np.full((len(UNITS), pages), -1, dtype=np.int32)
        self.page_written = np.full((len(UNITS), pages), -1, dtype=np.int32)

    def before(
        self, cells: slice, pages: slice, *, write: bool, shared_ports: bool
    ) -> NDArray[np.int32]:
        """Places that an access waits for, by unit."""
        found = [self.written[:, cells], self.page_written[:, pages] if write else None]
        if write:
            found.append(self.read[:, cells])
        else:
            found.append(self.page_read[:, pages])
        if shared_ports:
            found += [self.page_read[:, pages], self.page_written[:, pages]]
        return np.max([part.max(axis=1) for part in found if part is not None], axis=0)


def find_needs(entries: Sequence[Entry], config: CoreConfig) -> list[Needs]:
    """Needs of every entry. `entries` are in the order in which one machine would run them."""
    pages = config.scratchpad_pages
    size = config.scratchpad_page_bytes
    scratchpad = _Memory(pages * size // _CELL, pages)
    depth = config.results_page_depth
    results = _Memory(config.results_pages * depth, config.results_pages)
    counts = [0] * len(UNITS)
    needs = []
    for entry in entries:
        unit = UNITS.index(entry.word.unit)
        before = np.full(len(UNITS), -1, dtype=np.int32)
        places = []
        for accesses, write in ((entry.reads, False), (entry.writes, True)):
            for access in accesses:
                if access.memory is Memory.SCRATCHPAD:
                    memory, cells, of = scratchpad, _cells(access, _CELL, pages * size), size
                else:
                    memory, cells, of = results, _cells(access, 1, len(results.read[0])), depth
                own_pages = slice(max(access.begin, 0) // of, (access.end - 1) // of + 1)
                found = memory.before(cells, own_pages, write=write, shared_ports=memory is results)
                before = np.maximum(before, found)
                places.append((memory, cells, own_pages, write))
        place = counts[unit]
        counts[unit] += 1
        before[unit] = -1
        for memory, cells, own_pages, write in places:
            table, page_table = (
                (memory.written, memory.page_written) if write else (memory.read, memory.page_read)
            )
            table[unit, cells] = place
            page_table[unit, own_pages] = place
        needs.append(Needs(place, (int(before[0]), int(before[1]), int(before[2]))))
    return needs


def _cells(access: Access, cell: int, size: int) -> slice:
    begin, end = max(access.begin, 0), min(access.end, size)
    return slice(begin // cell, -(-end // cell))
