"""`compile_step`: a training step of a network as a program for a core, with its times."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from golden.reductions import reductions
from golden.training import Model, learning_rate_shift
from hwmodel.lowering.durations import durations
from hwmodel.lowering.emitter import Entry
from hwmodel.lowering.hazards import find_needs
from hwmodel.lowering.order import Duration, order
from hwmodel.lowering.step import Lowered, lower
from hwmodel.program_cycles import BUS_LATENCY, ProgramTimes, program_times
from rtl.config import CoreConfig
from rtl.instructions import Word

__all__ = ["StepProgram", "compile_step"]

_AT_ONCE = Duration(1, 0)


@dataclass(frozen=True)
class StepProgram:
    """A step as words, END last.

    Members
    -------
    lowered:
        Memory layout, and entries in the order of the computation.
    words:
        The program.
    owners:
        Entry that each word belongs to, -1 for END.
    """

    lowered: Lowered
    words: list[Word]
    owners: list[int]

    def entry(self, word: int) -> Entry | None:
        """Entry whose acting word is the one with that number; None for all other words."""
        owner = self.owners[word]
        last = owner >= 0 and (word + 1 == len(self.owners) or self.owners[word + 1] != owner)
        return self.lowered.entries[owner] if last else None

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """(number of the word, entry) of every acting word, in the program's order."""
        for number in range(len(self.words)):
            entry = self.entry(number)
            if entry is not None:
                yield number, entry

    @cached_property
    def durations(self) -> list[Duration]:
        """Of every word, from the one in which it is taken."""
        acting = durations(self.lowered.entries, self.lowered.config)
        return [
            acting[owner] if self.entry(number) is not None else _AT_ONCE
            for number, owner in enumerate(self.owners)
        ]

    def times(self, latency: int = BUS_LATENCY) -> ProgramTimes:
        """When each word is taken and complete, with a memory of that latency behind the bus."""
        return program_times(self.words, self.durations, self.lowered.config, latency=latency)

    @cached_property
    def macs(self) -> int:
        """Multiplications of the step's products, by `golden.reductions`."""
        return product_macs(self.lowered.model, self.lowered.samples)


def product_macs(model: Model, samples: int) -> int:
    """Multiplications of all three products of a step, without those of padding's zeros left out:
    what an array has to do for each output."""
    total = 0
    for layer in model.network:
        sums = reductions(layer)
        if sums:
            outputs = 1
            for size in layer.shape:
                outputs *= size
            products = 3 if model.learning.intersection(layer.inputs) else 2
            total += products * outputs * sums["forward"]
    return total * samples


def compile_step(
    model: Model, config: CoreConfig, samples: int, *, k: int | None = None, halvings: int = 0
) -> StepProgram:
    """Compile one training step.

    Parameters
    ----------
    model:
        Of the EOQ scheme (`golden.initialization.build`).
    config:
        Size of the core.
    samples:
        Of the batch.
    k, halvings:
        Learning rate in shifts; by default what the batch size asks for.

    Raises
    ------
    InputError
        One line: what the core has no operation or no memory for.
    """
    k = learning_rate_shift(samples) if k is None else k
    lowered = lower(model, config, samples, k, halvings)
    needs = find_needs(lowered.entries, config)
    times = durations(lowered.entries, config)
    ordered = order(lowered.entries, needs, times.__getitem__)
    return StepProgram(lowered, ordered.words, ordered.entries)
