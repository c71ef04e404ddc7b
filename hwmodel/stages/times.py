"""How long a step's stages take together: an estimate of what overlaps and what does not.

Each unit does its words in order, and so each stage is two rows of work, n samples long. A stage's
first and last sample are followed through both units:

    the array's product of the first sample begins when the array is free, its operand and weights
    are there, and a page of results is; of the last one when the others are made and its operand
    is there;
    the vector unit's work on a sample begins when it is free and the product is complete;
    products go on as long as a page is free: two samples ahead of the vector unit.

Between samples of the backward pass the vector unit does parts of what was deferred (roundings of
weight gradients, updates), in order, one a sample; a weight gradient that needs the page of one
that is not rounded yet has parts done until it is. What is left is done at the end, and then
everything that is learned is stored. Of conflicts about pages only those are in it that always are:
both units read the same codes. The dispatcher's queue is not.
"""

import functools
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel import vector_cycles
from hwmodel.product_cycles import Arrays
from hwmodel.stages.stage import Deferred, Stage
from hwmodel.stages.transfers import Moves, moves
from hwmodel.stages.vector import Lanes
from hwmodel.step import Step

__all__ = ["StageTimes", "stage_times"]

_BEGIN = vector_cycles.scalar() + vector_cycles.transfer(4)
"""Words in front of everything: the random state."""

_CLOSE = vector_cycles.scalar() + vector_cycles.transfer(4, store=True)
"""And behind it."""

_HAND_OVER = 2
"""Cycles from a word's completion to the word of another unit that waited for it."""

_SET_UP = 6
"""Words that set a product's geometry."""

_SET_UP_PHASE = 3
"""Of them, those that differ from one phase of a stride to the next."""

_END = 5
"""Cycles of END, from the last store's completion on."""


@dataclass
class _Queued:
    """Deferred work: parts left, cycles of one part, and whether it reads a gradient."""

    left: Any
    each: Any
    gradient: bool


class _Later:
    """Deferred work, first in, first out."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._queue: deque[_Queued] = deque()
        self._gradients: list[_Queued] = []

    def put(self, deferred: Deferred) -> None:
        count, cycles = deferred.parts(self._lanes)
        left = np.broadcast_to(np.asarray(count, dtype=np.int64), self._lanes.lanes.shape)
        queued = _Queued(left, cycles / count, deferred.gradient)
        self._queue.append(queued)
        if deferred.gradient:
            self._gradients.append(queued)

    def do(self, parts: Any) -> tuple[Any, Any]:
        """Take at most so many parts: how many there were, and their cycles."""
        done: Any = 0
        cycles: Any = 0
        for queued in self._queue:
            some = np.minimum(queued.left, parts - done)
            queued.left = queued.left - some
            done = done + some
            cycles = cycles + some * queued.each
            if np.all(done >= parts):
                break
        while self._queue and not np.any(self._queue[0].left):
            self._queue.popleft()
        return done, cycles

    def free_page(self) -> Any:
        """Cycles of what must be done before one more weight gradient has a page."""
        if len(self._gradients) < 2:
            return 0
        oldest = self._gradients.pop(0)
        if not np.any(oldest.left):
            return 0
        before: Any = 0
        for queued in self._queue:
            before = before + queued.left
            if queued is oldest:
                break
        # Where it has been read already nothing is to be done.
        return self.do(np.where(oldest.left > 0, before, 0))[1]

    def rest(self) -> Any:
        """Cycles of all that is left."""
        return self.do(np.iinfo(np.int64).max)[1]


@dataclass(frozen=True)
class StageTimes:
    """Cycles of a step on each of many arrays.

    Members
    -------
    cycles:
        Of the step.
    matrix, vector:
        Cycles that each unit is at work.
    lines:
        That the DMA moves.
    """

    cycles: NDArray[np.int64]
    matrix: NDArray[np.int64]
    vector: NDArray[np.int64]
    lines: NDArray[np.int64]


class _Clock:
    """When each unit is free, and when codes are there."""

    def __init__(self, step: Step, arrays: Arrays, lanes: NDArray[np.int64]) -> None:
        # The vector unit's work depends on the lanes only, of which there are few numbers.
        few, self._of = np.unique(lanes, return_inverse=True)
        self.lanes = Lanes(few)
        self.samples, self._arrays = step.batch, arrays
        self._moves: Moves = moves(step, arrays)
        self._codes = {"input": (self._moves.inputs, self._moves.inputs)}
        nothing = np.zeros(len(arrays.rows))
        self.matrix: Any = nothing
        self.vector: Any = self._moves.tables + _BEGIN
        self._matrix_busy: Any = nothing
        self._vector_busy: Any = nothing + (_BEGIN + _CLOSE)
        self._page: Any = nothing
        self._last: Any = nothing
        self._gradient: Any = nothing
        self._later = _Later(self.lanes)
        self._streamed: dict[str, Any] = {}
        self._passed: dict[str, Any] = {}

    def _spread(self, cycles: Any) -> Any:
        """From one number a column count to one an array."""
        return cycles[self._of] if isinstance(cycles, np.ndarray) else cycles

    def _ready(self, stage: Stage) -> tuple[Any, Any]:
        first: Any = 0
        last: Any = 0
        for name in stage.reads:
            begin, end = self._codes.get(name, (0, 0))
            first, last = np.maximum(first, begin), np.maximum(last, end)
        return first, last

    def _read_by_array(self, stage: Stage) -> Any:
        """When the vector unit has done what it does with codes that the array is to read."""
        ends = [self._passed[name] for name in stage.streamed if name in self._passed]
        return functools.reduce(np.maximum, ends, 0)

    def _read_by_passes(self, stage: Stage) -> Any:
        """When the array has read codes that passes are to read."""
        names = set(stage.reads).difference(stage.streamed)
        ends = [self._streamed[name] for name in names if name in self._streamed]
        return functools.reduce(np.maximum, ends, 0)

    def _note(self, stage: Stage) -> None:
        for name in stage.reads:
            if name in stage.streamed:
                self._streamed[name] = self.matrix
            else:
                self._passed[name] = self.vector

    def _products(self, stage: Stage) -> tuple[Any, Any, bool]:
        """Cycles of one sample's products (or the batch's), their drain, and which it is."""
        n = self.samples
        found = [product for words in stage.made for product in words.products]
        whole = all(product.times < n or not product.vectors for product in found)
        cycles: Any = 0
        for product in found:
            times = product.times if whole else product.times / n
            cycles = cycles + times * product.cycles(self._arrays)
        if len(found) > 1:
            cycles = cycles + _SET_UP_PHASE * len(found)
        return cycles, found[-1].drain(self._arrays) + _HAND_OVER, whole

    def run(self, stage: Stage) -> None:
        """Run a stage."""
        once = self._spread(stage.once.cycles(self.lanes))
        self.vector = self.vector + once
        self._vector_busy = self._vector_busy + once
        if stage.made and not stage.makes:
            self._weight_gradient(stage)
        elif stage.made:
            self._both(stage)
        elif stage.sample.words or stage.makes:
            self._vector_only(stage)
        self._note(stage)
        for deferred in stage.deferred:
            self._later.put(deferred)

    def _weight_gradient(self, stage: Stage) -> None:
        cycles, drain, _ = self._products(stage)
        forced = self._spread(self._later.free_page())
        self.vector = self.vector + forced
        self._vector_busy = self._vector_busy + forced
        start = np.maximum(self.matrix, self._ready(stage)[1])
        start = np.maximum(start, self._read_by_array(stage))
        start = np.where(forced > 0, np.maximum(start, self.vector), start)
        self.matrix = start + cycles + _SET_UP
        self._matrix_busy = self._matrix_busy + cycles + _SET_UP
        self._gradient = self.matrix + drain

    def _vector_only(self, stage: Stage) -> None:
        first, last = self._ready(stage)
        each = self._spread(stage.sample.cycles(self.lanes))
        begin = np.maximum(np.maximum(self.vector, first), self._read_by_passes(stage)) + each
        end = np.maximum(begin + (self.samples - 1) * each, last + each)
        self._vector_busy = self._vector_busy + self.samples * each
        if stage.makes:
            self._codes[stage.makes] = begin, end
        self.vector = end

    def _both(self, stage: Stage) -> None:
        n = self.samples
        product, drain, whole = self._products(stage)
        each = self._spread(stage.sample.cycles(self.lanes))
        rest = each - stage.ahead
        first_in, last_in = self._ready(stage)
        start = np.maximum(np.maximum(self.matrix, self._page), first_in)
        for words in stage.made:
            start = np.maximum(start, self._moves.weights[words.layer])
        start = np.maximum(start, self._read_by_array(stage)) + _SET_UP
        if whole:
            made = self.matrix = np.maximum(start, last_in) + product
            first_made = made
            self._matrix_busy = self._matrix_busy + product + _SET_UP
        else:
            first_made = start + product
            made = self.matrix = np.maximum(start + n * product, last_in + product)
            self._matrix_busy = self._matrix_busy + n * product + _SET_UP
        later: Any = 0
        if stage.later:
            later = self._spread(self._later.do(n)[1])
        self._vector_busy = self._vector_busy + n * each + later
        between = later * (n - 1) / n
        first = np.maximum(self.vector + stage.ahead, first_made + drain) + rest
        last = np.maximum(first + (n - 1) * each + between, made + drain + rest)
        period = each + later / n
        if whole or n == 1:
            self._page = self._last
        else:
            # When the last sample but one, and but two, have been read.
            self._page = np.maximum(first + (n - 2) * period, made - product + drain + rest)
            if n > 2:
                self.matrix = np.maximum(made, first + (n - 3) * period + product)
        self._last = last
        self._codes[stage.makes] = first, last
        self.vector = last + later - between

    def end(self) -> StageTimes:
        """Finish what is left, store what is learned."""
        rest = self._spread(self._later.rest())
        self._vector_busy = self._vector_busy + rest
        end = np.maximum(self.vector, self._gradient) + rest + _CLOSE
        end = np.maximum(end, self._moves.loaded) + self._moves.stores + _END
        found = (end, self._matrix_busy, self._vector_busy, sum(self._moves.lines))
        return StageTimes(*(np.rint(part).astype(np.int64) for part in found))


def stage_times(
    step: Step, stages: list[Stage], arrays: Arrays, lanes: NDArray[np.int64]
) -> StageTimes:
    """Cycles of a step on each of many arrays.

    Parameters
    ----------
    step, stages:
        Of the scheme eoq.
    arrays, lanes:
        One array each, and the lanes beside it.
    """
    clock = _Clock(step, arrays, lanes)
    for stage in stages:
        clock.run(stage)
    return clock.end()
