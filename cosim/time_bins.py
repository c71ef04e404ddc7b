"""Bins that the times of a simulated program decide (`cosim.functional_bins`)."""

from collections import Counter
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cosim.core_run import ProgramRun
from cosim.functional_bins import Hits
from hwmodel.lowering.hazards import UNITS
from hwmodel.lowering.program import StepProgram
from hwmodel.program_cycles import ProgramTimes
from rtl.instructions import Unit

__all__ = ["time_bins"]

_UNITS = {Unit.MATRIX: "matrix unit", Unit.VECTOR: "vector unit", Unit.DMA: "DMA"}


def time_bins(
    program: StepProgram, predicted: ProgramTimes, measured: ProgramTimes, run: ProgramRun
) -> Hits:
    """Count what the trace of one program proves.

    Parameters
    ----------
    program:
        What ran.
    predicted, measured:
        Its words' times by the model, and in the simulation, where they are the same.
    run:
        For its counters.
    """
    units = np.array([int(word.unit) for word in program.words])
    numbers = {unit: np.flatnonzero(units == int(unit)) for unit in _UNITS}
    hits: Hits = Counter()
    for unit, name in _UNITS.items():
        hits[f"{name} waits for a semaphore"] += _waits(program, measured, numbers[unit])
        hits[f"{name}'s queue is full"] += predicted.held_up[UNITS.index(unit)]
    hits["operands in one page"] += run.counters["vector_waiting"]
    matrix = numbers[Unit.MATRIX]
    taken, complete = measured.taken[matrix], measured.complete[matrix]
    products = complete > taken
    hits["products overlap"] += int((taken[products][1:] < complete[products][:-1]).sum())
    hits["all units at once"] += _at_once(measured, list(numbers.values()))
    return +hits


def _waits(program: StepProgram, times: ProgramTimes, numbers: NDArray[np.int64]) -> int:
    """Words that were taken in the cycle behind the one of a signal they wait for, while their
    unit was free."""
    found = 0
    signals: dict[int, set[int]] = {}
    for number, word in enumerate(program.words):
        for bit in range(8):
            if word.signal >> bit & 1:
                signals.setdefault(bit, set()).add(int(times.complete[number]))
    for before, number in pairwise(numbers):
        wait = program.words[number].wait
        free = int(times.taken[before]) + program.durations[before].next_taken
        taken = int(times.taken[number])
        if wait and taken > free:
            found += any(wait >> bit & 1 and taken - 1 in signals.get(bit, ()) for bit in range(8))
    return found


def _at_once(times: ProgramTimes, units: list[NDArray[np.int64]]) -> int:
    """Cycles in which every unit is at work."""
    busy = np.ones(times.cycles + 1, dtype=np.bool_)
    for numbers in units:
        steps = np.zeros(times.cycles + 1, dtype=np.int64)
        np.add.at(steps, times.taken[numbers], 1)
        np.add.at(steps, times.complete[numbers], -1)
        busy &= np.cumsum(steps) > 0
    return int(busy.sum())
