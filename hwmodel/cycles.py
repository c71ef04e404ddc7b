"""Clock cycles of the core's instructions in closed form; exactly what RTL simulation counts.

Cycles run from the one that accepts the instruction to the first in which its status record is
valid, both included, when no stream ever keeps the core waiting. Every function takes and returns
NumPy arrays or integers and broadcasts: a sweep is array arithmetic. `rtl` is the source; the tests
hold each form against it over many sizes.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rtl.config import CoreConfig
from rtl.isa import Instruction, Loss, Matmul, Quantize, Shift, Update

__all__ = [
    "REFUSED_CYCLES",
    "Arrays",
    "Sizes",
    "instruction_cycles",
    "loss_cycles",
    "matmul_cycles",
    "quantize_cycles",
    "shift_cycles",
    "tile_period",
    "update_cycles",
]

Cycles = NDArray[np.int64]
Count = NDArray[np.integer] | int


class Sizes(Protocol):
    """A core's array, or many: `CoreConfig` with integers, `Arrays` with NumPy arrays of them."""

    @property
    def rows(self) -> Any:
        """Processing elements along the reduction."""

    @property
    def columns(self) -> Any:
        """Processing elements along the outputs."""


class Arrays(NamedTuple):
    """Rows and columns of many arrays, which broadcast."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


REFUSED_CYCLES = 3
"""Accept, decode, report: an instruction with an illegal opcode or field."""


def tile_period(rows: Count, config: Sizes) -> Cycles:
    """Cycles from one reduction tile to the next: max(m, R + max(C - 1, 2)).

    Either `rows` beats are streamed; or the next tile's R weights are loaded, C - 1 cycles after
    the last swap, which takes that long to reach the last column; or a row's partial sum comes back
    from the array, R + 2 cycles after the row went in.
    """
    return np.maximum(rows, config.rows + np.maximum(config.columns - 1, 2)).astype(np.int64)


def matmul_cycles(rows: Count, tiles: Count, config: Sizes) -> Cycles:
    """MATMUL of m `rows` and T `tiles`: 2m + 2R + C + 5 + (T - 1) * period.

    Load the first weights (R), stream and drain m rows each, let the last row through the array
    (R + C), decode and hand over (5); every further tile costs one period.
    """
    fill = 2 * config.rows + config.columns + 5
    return (np.asarray(tiles) - 1) * tile_period(rows, config) + 2 * np.asarray(rows) + fill


def quantize_cycles(beats: Count) -> Cycles:
    """QUANTIZE of `beats` beats: two passes of one beat a cycle, 2n + 8."""
    return 2 * np.asarray(beats, dtype=np.int64) + 8


def shift_cycles(beats: Count) -> Cycles:
    """SHIFT of `beats` beats: n + 6."""
    return np.asarray(beats, dtype=np.int64) + 6


def update_cycles(beats: Count) -> Cycles:
    """UPDATE of `beats` beats: n + 8."""
    return np.asarray(beats, dtype=np.int64) + 8


def loss_cycles(classes: Count, config: Sizes) -> Cycles:
    """LOSS of N classes, four serial walks and two cycles a beat: 4N + 2 ceil(N / C) + 14."""
    n = np.asarray(classes, dtype=np.int64)
    return 4 * n + 2 * -(-n // config.columns) + 14


def instruction_cycles(instruction: Instruction, config: CoreConfig) -> int:
    """Cycles of one legal instruction.

    Raises
    ------
    TypeError
        If it is not an instruction of the core.
    """
    match instruction:
        case Matmul(rows=rows, tiles=tiles):
            return int(matmul_cycles(rows, tiles, config))
        case Quantize(beats=beats):
            return int(quantize_cycles(beats))
        case Shift(beats=beats):
            return int(shift_cycles(beats))
        case Update(beats=beats):
            return int(update_cycles(beats))
        case Loss(classes=classes):
            return int(loss_cycles(classes, config))
    raise TypeError(f"instruction must be one of the core's, not {instruction!r}")
