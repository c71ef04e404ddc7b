"""Cycles of every acting word of a program, in closed form."""

from collections.abc import Sequence

from hwmodel import vector_cycles
from hwmodel.lowering.emitter import Entry
from hwmodel.lowering.order import Duration
from hwmodel.product_cycles import product_times
from rtl.config import CoreConfig
from rtl.dma_instructions import DmaWord
from rtl.instructions import Word
from rtl.matrix_instructions import MatrixWord, Multiply
from rtl.vector_instructions import (
    Addend,
    LoadScalars,
    Loops,
    Loss,
    Operand,
    Pass,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
)

__all__ = ["durations"]


def durations(entries: Sequence[Entry], config: CoreConfig) -> list[Duration]:
    """Return each entry's; of the DMA's words what the bus takes at the least."""
    result = []
    matrix: list[MatrixWord] = []
    vector: dict[object, Word] = {}
    for entry in entries:
        word = entry.word
        if isinstance(word, DmaWord):
            lines = word.bytes // config.line_bytes
            result.append(Duration(lines + 50, lines + 50))
        elif isinstance(word, MatrixWord):
            matrix += [w for w in entry.before if isinstance(w, MatrixWord)]
            assert isinstance(word, Multiply)  # noqa: S101 - the only one that acts
            # The geometry stays: the last of each kind counts.
            latest = {type(w): w for w in matrix}
            matrix = list(latest.values())
            (time,) = product_times([*matrix, word], config)
            result.append(Duration(time.next_taken, time.signalled))
        else:
            for w in entry.before:
                vector[w.stream if isinstance(w, Stride) else type(w)] = w
            cycles = _vector(word, vector, config)
            result.append(Duration(cycles, cycles - 1))
    return result


def _vector(word: Word, kept: dict[object, Word], config: CoreConfig) -> int:
    if isinstance(word, Scalar):
        return vector_cycles.scalar(word.count)
    if isinstance(word, LoadScalars):
        return vector_cycles.transfer(word.size, word.count)
    if isinstance(word, StoreScalars):
        return vector_cycles.transfer(word.size, word.count, store=True)
    if isinstance(word, Loss):
        return vector_cycles.loss(word.classes, config.columns)
    assert isinstance(word, Pass)  # noqa: S101 - nothing else acts
    loops = kept[Loops]
    assert isinstance(loops, Loops)  # noqa: S101 - for the type checker
    return vector_cycles.pass_(
        loops.positions * loops.rows, loops.channels, config.columns,
        masks=bool(word.mask_in or word.mask_out), same_page=_same_page(word, kept, config),
    )  # fmt: skip


def _same_page(word: Pass, kept: dict[object, Word], config: CoreConfig) -> bool:
    """Whether both operands of every beat come from one page, which gives one at a time."""
    reads_x = word.operand in (Operand.X, Operand.X_FACTOR, Operand.X_Y)
    reads_x |= word.addend == Addend.Y_X
    reads_y = word.operand == Operand.X_Y or word.addend in (Addend.Y, Addend.Y_X)
    if not (reads_x and reads_y):
        return False
    pages = []
    for stream in (Stream.X, Stream.Y):
        stride = kept[stream]
        assert isinstance(stride, Stride)  # noqa: S101 - for the type checker
        pages.append(stride.base // config.scratchpad_page_bytes)
    return pages[0] == pages[1]
