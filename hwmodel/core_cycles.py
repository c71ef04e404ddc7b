"""Clock cycles of a training step on the core of `rtl`, for one array or many.

Exact is what every product takes, to the cycle as its words do (`hwmodel.stages.products`), and
what a word of the vector unit takes, given its size. How many words there are follows the rules of
`hwmodel.lowering`, without its memory layout. An estimate is how the units overlap over the whole
step (`hwmodel.stages.times`): the exact cycles of a step that the core's memories hold are those of
its program, `hwmodel.lowering.program.compile_step(...).times().cycles`.

The core is taken to have memories as long as the step needs, also where no core has them.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from hwmodel.ledger import MAC_PHASES
from hwmodel.product_cycles import Arrays
from hwmodel.stages.stage import Stage
from hwmodel.stages.step import stages
from hwmodel.stages.times import StageTimes, stage_times
from hwmodel.stages.vector import Lanes, VectorWork
from hwmodel.step import Row, Step
from rtl.config import SIZE_MAX, CoreConfig

__all__ = ["LOSS_CLASSES_MAX", "CoreCycles", "Work", "step_cycles"]

LOSS_CLASSES_MAX = 1024
"""Most classes that the core's loss can be made for (`rtl.config`)."""


class Work(NamedTuple):
    """Instructions of one kind in one layer and phase, the cycles of their unit, and the useful
    MACs in them.

    Units work side by side: their cycles do not add up to the step's. The instruction "elements" is
    work that the core has no instruction for: element operations, one a lane and cycle.
    """

    layer: str
    phase: str
    unit: str
    instruction: str
    instructions: int
    cycles: int
    macs: int


class CoreCycles:
    """A step on a core.

    Parameters
    ----------
    step, ledger:
        Of the scheme eoq, and its operations.
    rows, columns:
        Size of the array.
    lanes:
        Of the vector unit; the core's are its columns.

    Raises
    ------
    InputError
        If no core has such an array.
    """

    def __init__(
        self, step: Step, ledger: list[Row], rows: int, columns: int, lanes: int | None = None
    ) -> None:
        try:
            self.config = CoreConfig(rows=rows, columns=columns)
        except (TypeError, ValueError) as error:
            raise InputError(f"array {rows}x{columns}: {error}") from None
        self.step, self._ledger = step, ledger
        self.classes = math.prod(step.network.shape_of(step.output))
        self._arrays = Arrays(np.array([rows]), np.array([columns]))
        self._lanes = np.array([lanes or columns])

    @cached_property
    def stages(self) -> list[Stage]:
        """What the step consists of."""
        return stages(self.step, self._ledger)

    @cached_property
    def times(self) -> StageTimes:
        """Cycles of the step and of its units, arrays of one element."""
        return stage_times(self.step, self.stages, self._arrays, self._lanes)

    @property
    def cycles(self) -> int:
        """Clock cycles of the step."""
        return int(self.times.cycles[0])

    @cached_property
    def work(self) -> list[Work]:
        """Everything that the matrix unit and the vector unit do."""
        found: dict[tuple[str, str, str, str], tuple[int, int]] = {}
        for layer, phase, unit, instruction, instructions, cycles in self._all():
            # One row for each kind, however often it comes.
            key = layer, phase, unit, instruction
            before = found.get(key, (0, 0))
            found[key] = before[0] + instructions, before[1] + cycles
        macs: dict[tuple[str, str], int] = {}
        for row in self._ledger:
            if row.op == "mac" and row.phase in MAC_PHASES:
                macs[row.layer, row.phase] = macs.get((row.layer, row.phase), 0) + row.count
        return [
            Work(*key, instructions, cycles, macs.get(key[:2], 0) if key[2] == "matrix" else 0)
            for key, (instructions, cycles) in found.items()
        ]

    def _all(self) -> Iterator[tuple[str, str, str, str, int, int]]:
        lanes = Lanes(self._lanes)
        n = self.step.batch
        for stage in self.stages:
            for words in stage.made:
                for product in words.products:
                    cycles = int(product.cycles(self._arrays)[0]) * product.times
                    yield words.layer, words.phase, "matrix", "Multiply", product.times, cycles
            for work, times in ((stage.sample, n), (stage.once, 1)):
                yield from _words(stage.layer, stage.phase, work, times, lanes)
            for later in stage.deferred:
                phase = "update" if not later.gradient else stage.phase
                parts, cycles = (int(np.ravel(part)[0]) for part in later.parts(lanes))
                passes = parts * sum(later.work.passes.values())
                scalars = parts * later.work.other
                if passes:
                    yield later.layer, phase, "vector", "Pass", passes, cycles - scalars
                yield later.layer, phase, "vector", "Scalar", parts * later.work.words, scalars


def _words(
    layer: str, phase: str, work: VectorWork, times: int, lanes: Lanes
) -> Iterator[tuple[str, str, str, str, int, int]]:
    for size, count in work.passes.items():
        cycles = int(lanes.pass_cycles(size)[0])
        yield layer, phase, "vector", "Pass", times * count, times * count * cycles
    for classes, count in work.losses.items():
        cycles = int(lanes.loss_cycles(classes)[0])
        yield layer, phase, "vector", "Loss", times * count, times * count * cycles
    if work.words:
        yield layer, phase, "vector", "Scalar", times * work.words, times * work.other
    for count in work.elements:
        yield layer, phase, "vector", "elements", 0, times * int(lanes.blocks(count)[0])


def step_cycles(
    step: Step, parts: list[Stage], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Clock cycles of a step on each of many arrays; 0 where no core has one.

    What `CoreCycles` says for one array, as array arithmetic. Below 2**53 cycles.

    Parameters
    ----------
    step, parts:
        Of the scheme eoq, and its stages.
    rows, columns:
        One array each.
    """
    total = np.zeros(len(rows), dtype=np.int64)
    inside = (rows <= SIZE_MAX) & (columns <= SIZE_MAX)
    if np.any(inside):
        arrays = Arrays(rows[inside], columns[inside])
        total[inside] = stage_times(step, parts, arrays, arrays.columns).cycles
    return total
