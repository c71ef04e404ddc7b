"""Words of the matrix unit: six that describe a product, and one that runs it.

Every product is, for each block j of C columns,

    results[z_base + j z_j + ...] (+)= sum over tiles of A_t @ B_t

with A_t of m vectors of R lanes and B_t of R rows of C lanes; the six set-up words say where the
vectors are, and stay in force until they are replaced. Strides of A and B are in bytes, of results
in words. The addresses of a convolution's windows are made on the fly: taps and channel blocks are
the tiles.

Direct products (forward, backward-data) take A's vectors as they are, m = m0 * m1 positions a tile.
Transposed ones (weight gradient) take R positions a tile; each of the n2 * n1 * n0 blocks of R
positions by R channels becomes R vectors, m = n2 * n1 * n0 * R.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rtl.fields import Field
from rtl.instructions import Unit, Word, payload

__all__ = [
    "MATRIX_WORDS",
    "ALoops",
    "AStrides",
    "BLoops",
    "BStrides",
    "MatrixWord",
    "Multiply",
    "Results",
    "Window",
]


@dataclass(frozen=True, kw_only=True)
class MatrixWord(Word):
    """A word of the matrix unit."""

    unit: ClassVar[Unit] = Unit.MATRIX


@dataclass(frozen=True, kw_only=True)
class Multiply(MatrixWord):
    """Run the product that was described.

    Parameters
    ----------
    a_base:
        Address of byte 0 of line `Window.y_first` of A. With padding that may lie before the
        tensor, and below 0.
    b_base:
        Byte address of row 0 of B.
    z_base:
        Word of the results memory.
    accumulate:
        Add to what is in the results memory.
    """

    op: ClassVar[int] = 1
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("a_base", 24, True), ("b_base", 24), ("z_base", 16), ("accumulate", 1)
    )
    a_base: int
    b_base: int
    z_base: int
    accumulate: int = 0


@dataclass(frozen=True, kw_only=True)
class BLoops(MatrixWord):
    """How many tiles there are, and what rows of B hold.

    Parameters
    ----------
    n0, n1, n2:
        Tiles: n2 * n1 * n0, n0 innermost. At least 1 each.
    nj:
        Blocks of columns, at least 1.
    rows_last:
        Rows of B in the last of n0; the others are zeros. 0 to R.
    pitch:
        Lanes of B are pitch * line_bytes + 1 bytes apart.
    """

    op: ClassVar[int] = 2
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("n0", 16), ("n1", 6), ("n2", 6), ("nj", 8), ("rows_last", 6), ("pitch", 16)
    )
    n0: int
    n1: int = 1
    n2: int = 1
    nj: int = 1
    rows_last: int
    pitch: int = 0


@dataclass(frozen=True, kw_only=True)
class BStrides(MatrixWord):
    """Bytes from one row, tile (of each loop) and block of columns of B to the next."""

    op: ClassVar[int] = 3
    layout: ClassVar[Mapping[str, Field]] = payload(
        *((name, 20, True) for name in ("row", "t0", "t1", "t2", "j"))
    )
    row: int
    t0: int = 0
    t1: int = 0
    t2: int = 0
    j: int = 0


@dataclass(frozen=True, kw_only=True)
class ALoops(MatrixWord):
    """Taps and channel blocks of A.

    Parameters
    ----------
    n0, n1, n2:
        Channel blocks (R bytes apart), horizontal and vertical taps, at least 1 each. Direct
        products have as many tiles as `BLoops` says.
    transposed:
        Whether this is a weight gradient.
    lanes_last:
        Transposed: channels in the last of n0, 1 to R.
    unsigned:
        The bytes of A are 0 to 255. Only with `CoreConfig.activation_bits` = 9.
    """

    op: ClassVar[int] = 4
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("n0", 8), ("n1", 6), ("n2", 6), ("transposed", 1), ("lanes_last", 6), ("unsigned", 1)
    )
    n0: int
    n1: int = 1
    n2: int = 1
    transposed: int = 0
    lanes_last: int = 1
    unsigned: int = 0


@dataclass(frozen=True, kw_only=True)
class AStrides(MatrixWord):
    """Bytes between positions (x, y, sample n) and between taps (t1, t2) of A."""

    op: ClassVar[int] = 5
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("x", 16, True), ("y", 20, True), ("n", 24, True), ("t1", 16, True), ("t2", 20, True)
    )
    x: int = 0
    y: int = 0
    n: int = 0
    t1: int = 0
    t2: int = 0


@dataclass(frozen=True, kw_only=True)
class Window(MatrixWord):
    """Positions, and which of A's bytes exist: the others are the padding's zeros.

    Parameters
    ----------
    m0, m1:
        Positions in a row, and rows: at least 1.
    y_first, y_step, y_t2:
        Line of tap 0 at position 0, lines from one row of positions to the next, and from one
        vertical tap to the next. Lines outside [0, height) are zeros.
    x_first:
        Byte within its line of lane 0 of block and tap 0 at position 0. Bytes outside [0, line)
        are zeros.
    height, line:
        Lines of a sample, bytes of a line.
    """

    op: ClassVar[int] = 6
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("m0", 10), ("m1", 10), ("y_first", 9, True), ("y_step", 5, True), ("y_t2", 6, True),
        ("height", 10), ("x_first", 15, True), ("line", 14),
    )  # fmt: skip
    m0: int
    m1: int = 1
    y_first: int = 0
    y_step: int = 0
    y_t2: int = 0
    height: int
    x_first: int = 0
    line: int


@dataclass(frozen=True, kw_only=True)
class Results(MatrixWord):
    """Words between results: next position, next row of positions, next block of columns.

    Transposed products fill consecutive words and use z_j alone.
    """

    op: ClassVar[int] = 7
    layout: ClassVar[Mapping[str, Field]] = payload(("z_x", 8), ("z_y", 16), ("z_j", 16))
    z_x: int = 1
    z_y: int = 0
    z_j: int = 0


MATRIX_WORDS = (Multiply, BLoops, BStrides, ALoops, AStrides, Window, Results)
"""Every word of the unit."""
