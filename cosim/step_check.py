"""Holds a training step on the core against golden, the machine and the cost model.

golden says what every tensor is, `cosim.machine` what every word writes, `hwmodel.program_cycles`
when. A word that writes anything else, or at another time, is named.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cosim.core_run import ProgramRun, splitmix
from cosim.machine import Machine, Writes
from cosim.tensor_check import Difference, compare
from golden.training import Trace
from hwmodel.lowering.program import StepProgram
from hwmodel.program_cycles import ProgramTimes
from rtl.dma_instructions import Store
from rtl.instructions import Fault, Unit, Word

__all__ = [
    "Checksums",
    "StepReference",
    "WordDifference",
    "check_trace",
    "measured_times",
    "reference",
]

Checksums = tuple[int, int, int]
"""Of scratchpad bytes, results words, and bytes outside (`cosim.core_run.TRACE`)."""


@dataclass(frozen=True)
class StepReference:
    """What one step has to do.

    Members
    -------
    checksums:
        Of every word but END.
    tensors, elements:
        Compared with golden.
    differences:
        Between the program, run word by word, and golden: none, or the program is wrong.
    """

    checksums: list[Checksums]
    tensors: int
    elements: int
    differences: list[Difference] = field(default_factory=list)


@dataclass(frozen=True)
class WordDifference:
    """A word that did not do what it should.

    Parameters
    ----------
    number:
        Its place in the program.
    unit, place:
        Its unit, and its place among that unit's words.
    what:
        "fault", "bits" or "cycles".
    text:
        In words.
    """

    number: int
    unit: Unit
    place: int
    what: str
    text: str


def checksums(word: Word, written: Writes, lanes: int) -> Checksums:
    """What the observer has for a word that writes this."""
    data = written.bytes.astype(np.int64)
    bytes_ = _sum(splitmix(written.addresses.astype(np.uint64), data.astype(np.uint64)))
    results = 0
    if len(written.words):
        address = 32 * written.words[:, None] + np.arange(lanes)
        results = _sum(splitmix(address.astype(np.uint64), written.sums.astype(np.uint64)))
    return (0, results, bytes_) if isinstance(word, Store) else (bytes_, results, 0)


def _sum(mixed: NDArray[np.uint64]) -> int:
    return int(mixed.sum(dtype=np.uint64))


def reference(program: StepProgram, machine: Machine, trace: Trace) -> StepReference:
    """Run a program word by word and compare every tensor that it makes with golden's.

    Parameters
    ----------
    program:
        Of the step.
    machine:
        With the memory outside as it is before the step; runs the step.
    trace:
        golden's, of the same step.
    """
    lowered, lanes = program.lowered, program.lowered.config.columns
    sums: list[Checksums] = []
    differences = []
    tensors = elements = 0
    for number, word in enumerate(program.words[:-1]):
        sums.append(checksums(word, machine.execute(word), lanes))
        entry = program.entry(number)
        for produced in entry.produced if entry else ():
            difference = compare(
                produced, lowered.parameters, trace, machine.memory, machine.results
            )
            tensors += 1
            elements += int(np.prod(produced.shape))
            if difference is not None:
                differences.append(difference)
    return StepReference(sums, tensors, elements, differences)


def measured_times(program: StepProgram, run: ProgramRun) -> ProgramTimes:
    """When a simulation took and completed each word; -1 where it never did."""
    count = len(program.words)
    taken, complete = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    units = np.array([int(word.unit) for word in program.words])
    for unit in Unit:
        records = run.trace[run.trace["unit"] == int(unit)]
        numbers = np.flatnonzero(units == int(unit))[: len(records)]
        taken[numbers] = records["taken"][: len(numbers)]
        complete[numbers] = records["complete"][: len(numbers)]
    return ProgramTimes(taken, complete, run.cycles)


def check_trace(
    program: StepProgram, expected: StepReference, run: ProgramRun, times: ProgramTimes | None
) -> list[WordDifference]:
    """Words whose writes or times in a simulation are not the expected ones, in program order.

    Parameters
    ----------
    program, expected:
        The step.
    run:
        Its simulation, with a trace.
    times:
        The model's; None where stalls make cycles differ.
    """

    def where(number: int) -> str:
        label = program.lowered.entries[program.owners[number]].label
        return f"word {number} ({type(program.words[number]).__name__}, {label})"

    by_unit = {int(unit): run.trace[run.trace["unit"] == int(unit)] for unit in Unit}
    places = dict.fromkeys(by_unit, 0)
    found: list[WordDifference] = []
    last = len(program.words) - 1
    if run.fault != Fault.NONE:
        number = min(run.fault_index, last - 1)
        faulty = Unit(run.fault_unit) if run.fault_unit else Unit.CONTROL
        text = f"{where(number)}: the {faulty.name} unit stops with fault {run.fault.name}"
        found.append(WordDifference(number, faulty, 0, "fault", text))
    for number, (word, sums) in enumerate(zip(program.words[:-1], expected.checksums, strict=True)):
        unit = int(word.unit)
        place = places[unit]
        places[unit] += 1

        def add(
            what: str, text: str, number: int = number, word: Word = word, place: int = place
        ) -> None:
            found.append(
                WordDifference(number, Unit(word.unit), place, what, f"{where(number)}: {text}")
            )

        if place >= len(by_unit[unit]):
            add("bits", "was never run")
            continue
        record = by_unit[unit][place]
        got = tuple(int(record[name]) for name in ("scratchpad", "results", "outside"))
        if got != sums:
            add("bits", "wrote something else")
        if times is None:
            continue
        measured = int(record["taken"]), int(record["complete"])
        predicted = int(times.taken[number]), int(times.complete[number])
        if measured != predicted:
            add(
                "cycles",
                f"taken and complete in cycles {measured[0]} and {measured[1]}, "
                f"the model says {predicted[0]} and {predicted[1]}",
            )
    if times is not None and run.cycles != times.cycles:
        text = f"word {last} (End): after {run.cycles} cycles, the model says {times.cycles}"
        found.append(WordDifference(last, Unit.CONTROL, 0, "cycles", text))
    return found
