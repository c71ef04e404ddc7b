"""Clock cycles of the matrix unit's words in closed form; exactly what RTL simulation counts.

A product of nj blocks of columns and t tiles, of m vectors each, takes nj * t tile periods of
max(m, R + 3) cycles, and two to be taken and checked; every other word takes one. Nothing in the
unit waits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rtl.matrix_instructions import ALoops, BLoops, MatrixWord, Multiply, Window

__all__ = ["Arrays", "ProductTime", "Sizes", "period", "product_times", "words_cycles"]

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


_ROUND_TRIP = 3
_DRAIN = 8


def period(vectors: Count, config: Sizes) -> NDArray[np.int64]:
    """Cycles from one tile to the next: max(m, R + 3).

    Either m vectors enter the array; or a tile's R rows of weights do, and a vector's partial sums
    come back R + 3 cycles after they were read.
    """
    return np.maximum(vectors, np.asarray(config.rows) + _ROUND_TRIP).astype(np.int64)


@dataclass(frozen=True)
class ProductTime:
    """When things happen to one product, in cycles from the one that takes its `Multiply`.

    Parameters
    ----------
    next_taken:
        The next word may be taken.
    signalled:
        All results are stored, and the semaphores are given.
    vectors:
        Cycles in which the array was given a vector: R x C multiplications each.
    """

    next_taken: int
    signalled: int
    vectors: int


def product_times(words: Iterable[MatrixWord], config: Sizes) -> list[ProductTime]:
    """Times of every `Multiply` among `words`, which must set up what they use."""
    setup: dict[type, MatrixWord] = {}
    times = []
    for word in words:
        setup[type(word)] = word
        if not isinstance(word, Multiply):
            continue
        a, b, window = setup[ALoops], setup[BLoops], setup[Window]
        if not isinstance(a, ALoops) or not isinstance(b, BLoops) or not isinstance(window, Window):
            raise TypeError("words must be kept under their own types")
        blocks, positions = a.n0 * a.n1 * a.n2, window.m0 * window.m1
        vectors = blocks * config.rows if a.transposed else positions
        tiles = b.n0 * b.n1 * b.n2 * b.nj
        each = int(period(vectors, config))
        last = (tiles - 1) * each + vectors
        times.append(
            ProductTime(
                next_taken=2 + tiles * each,
                signalled=last + config.rows + config.columns + _DRAIN,
                vectors=tiles * vectors,
            )
        )
    return times


def words_cycles(words: Iterable[MatrixWord], config: Sizes) -> int:
    """Cycles from the one that takes the first of `words` to the first that could take one more."""
    listed = list(words)
    products = product_times(listed, config)
    return len(listed) - len(products) + sum(time.next_taken for time in products)
