"""`Stage`: a piece of a step that all samples go through, in both units one after the other."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from golden.network import Layer
from hwmodel.stages.values import Codes, Grid, Scaled, Sums, Wide, Words, grid_of
from hwmodel.stages.vector import Lanes, PassSize, VectorWork

__all__ = ["Deferred", "Stage", "Update", "conversion", "evaluate", "rewriting"]

_PART_BEATS = 256
"""Beats of a pass of an update that is put between two samples (`hwmodel.lowering.learn`)."""


@dataclass
class Stage:
    """A piece of a step.

    Members
    -------
    layer, phase:
        What it is for.
    sample, ahead, once:
        The vector unit's work: of each sample; of it in front of the first word that needs a
        product's result, in cycles; in front of all samples.
    made:
        What the array makes, for each sample or for the batch at once.
    reads, makes:
        Codes that are read, by the array or by passes, and those that are made.
    later:
        Between samples the vector unit does a part of what was deferred.
    deferred:
        What is to be done later, in parts. A stage without work for a sample is a weight gradient.
    """

    layer: str
    phase: str
    sample: VectorWork = field(default_factory=VectorWork)
    ahead: int = 0
    once: VectorWork = field(default_factory=VectorWork)
    made: tuple[Words, ...] = ()
    reads: tuple[str, ...] = ()
    makes: str = ""
    later: bool = False
    deferred: "tuple[Deferred, ...]" = ()

    @property
    def streamed(self) -> tuple[str, ...]:
        """Codes that the array reads."""
        return tuple(words.name for words in self.made)

    def read(self, wide: Wide) -> None:
        """Read what a value is made of, and let the array make its words."""
        for term in wide.terms:
            self.reads += (term.name if isinstance(term, Words) else term.codes.name,)
            if isinstance(term, Words) and term.products:
                self.made += (term,)


class Deferred(NamedTuple):
    """Work that the array does not wait for.

    Parameters
    ----------
    layer:
        Whose parameters.
    work:
        All of it, or one of its parts if `update`.
    gradient:
        It reads a weight gradient from the results memory.
    update:
        It is cut into parts.
    """

    layer: str
    work: VectorWork
    gradient: bool = False
    update: "Update | None" = None

    def parts(self, lanes: Lanes) -> tuple[Any, Any]:
        """Number of parts, and the cycles of all of them."""
        if self.update is None:
            return 1, self.work.cycles(lanes)
        count = self.update.parts(lanes)
        # Beats do not depend on the cuts, all else is done once a part.
        whole = self.work.cycles(lanes)
        cut = VectorWork()
        for size, times in self.work.passes.items():
            for _ in range(times):
                cut.run(PassSize(0, size.channels), 0)
        return count, whole + (count - 1) * (cut.cycles(lanes) + self.work.other)


class Update(NamedTuple):
    """Rows of weights in an outer and an inner loop, and their outputs."""

    outer: int
    inner: int
    outputs: int

    def parts(self, lanes: Lanes) -> Any:
        """Parts that it is cut into, by outer rows where there are several."""
        blocks = lanes.blocks(self.outputs)
        if self.outer > 1:
            step = (_PART_BEATS // (self.inner * blocks)).clip(1)
            return -(-self.outer // step)
        return -(-self.inner // (_PART_BEATS // blocks).clip(1))


def evaluate(work: VectorWork, wide: Wide, grid: Grid, *, summed: bool = False) -> int:
    """Add one sample's exponents; returns the cycles in front of the first use of its words."""
    ahead = None
    for place, term in enumerate(wide.terms):
        if isinstance(term, Scaled):
            work.load(count=2)
            work.scalar(2 * term.factor)
            continue
        if isinstance(term, Sums):
            for element in range(term.passes):
                work.run(PassSize(*term.grid), 2 if element else 3)
        work.load()
        work.scalar()
        first = summed and place == 0
        if isinstance(term, Words) and (len(wide.terms) > 1 or first):
            ahead = work.other if ahead is None else ahead
            work.run(PassSize(*grid), 1)
        if first:
            work.scalar()
    for term in wide.terms[1:]:
        # The finest exponent at which no operand outgrows its room, and both shifts. The room of
        # codes is known; that of words depends on what was measured.
        work.scalar(6 + sum(3 if isinstance(t, Scaled) else 6 for t in (wide.terms[0], term)))
    for _ in wide.terms[2:]:
        work.run(PassSize(*grid), 2)
    work.scalar(2 * wide.biases + wide.channel)
    return work.other if ahead is None else ahead


def conversion(
    layer: Layer, wide: Wide, *, makes: str, summed: bool = False, codes_summed: bool = False,
    later: bool = False,
) -> Stage:  # fmt: skip
    """Quantisation of a value: a measuring pass and a writing one a sample.

    Parameters
    ----------
    layer, wide:
        Whose output or error it is, and what it is.
    makes:
        Name of the codes.
    summed, codes_summed:
        The first term's words, or the codes, are summed for a bias's gradient.
    later:
        Whether deferred work is done between samples.
    """
    stage = Stage(layer.name, "quantization", makes=makes, later=later)
    grid = grid_of(layer.shape)
    work = stage.sample
    stage.ahead = evaluate(work, wide, grid, summed=summed)
    streams = len(wide.terms) + 2 * wide.channel
    size = PassSize(*grid, wide.masked, wide.channel)
    work.run(size, streams + wide.masked)
    work.scalar(3 + codes_summed)
    work.store(count=2)
    work.run(size._replace(masks=wide.masked or wide.rectified), 1 + wide.rectified)
    stage.read(wide)
    return stage


def rewriting(
    name: str, phase: str, grid: Grid, source: Codes, *, makes: str, biased: bool = False,
    masks: bool = False, summed: bool = False,
) -> Stage:  # fmt: skip
    """One pass a sample that makes codes of codes."""
    stage = Stage(name, phase, makes=makes, reads=(source.name,))
    work = stage.sample
    work.load(count=2)
    work.scalar(2 * biased + summed)
    work.run(PassSize(*grid, masks), 2 + masks)
    work.store(count=2)
    return stage
