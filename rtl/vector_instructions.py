"""Words of the vector unit: passes over tensors, a file of scalars, the loss.

A pass goes over positions and channels, C channels (one a lane) and one beat at a time:

    for each block of C channels, for y < rows, for x < positions:
        u = 0, the results' word, X, X * factor, or X * Y           bytes X and Y of the scratchpad
        v = 0, Y, {Y, X} as 16 bits, or a scalar
        t = SAT32(u + v), each shifted with rounding half up, u taken away if `negate`
        t = SAT32(ReLU(t) + bias), or ReLU(SAT32(t + bias)), or 0 where a mask is not set
        o = SAT8(RSH(t, shift)) or SAT8(SRSH(t, shift)), stored as a byte; or t as a results' word

and on the way it may look for the largest |t| and sum t or o. Everything that depends on data, the
shifts above all, comes from the file of scalars, which `Scalar` words compute with: the matrix
unit, the DMA and the program itself never depend on a value.

Geometry is set by `Loops`, `Stride` and `Bases` and stays until it is replaced.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rtl.fields import Field
from rtl.instructions import Unit, Word, payload

__all__ = [
    "LOADED_BYTES_MAX",
    "MASK_BEATS",
    "SCALARS",
    "SCALAR_BITS",
    "VECTOR_WORDS",
    "Addend",
    "Bases",
    "Function",
    "LoadScalars",
    "Loops",
    "Loss",
    "Operand",
    "Output",
    "Pass",
    "Rectify",
    "Scalar",
    "StoreScalars",
    "Stream",
    "Stride",
    "Total",
    "VectorWord",
]

SCALARS = 256
"""Scalars there are. Number 0 is always 0; what is stored there is lost."""

SCALAR_BITS = 48
"""Signed bits of a scalar: sums over a whole tensor fit."""

MASK_BEATS = 8
"""Beats whose masks share a group of C bytes: lane l's bit of beat b is bit b mod 8 of byte l of
group b div 8, in the order of the pass that stores it. Bits of beats past the last are 0."""

LOADED_BYTES_MAX = 4
"""Most bytes of a scalar in memory."""


class Operand(enum.IntEnum):
    """What `u` is."""

    NONE = 0
    """0."""
    RESULTS = 1
    """The results' word."""
    X = 2
    """The byte X."""
    X_FACTOR = 3
    """X times the scalar `factor`."""
    X_Y = 4
    """X times the byte Y."""


class Addend(enum.IntEnum):
    """What `v` is."""

    NONE = 0
    """0."""
    Y = 1
    """The byte Y."""
    Y_X = 2
    """16 bits, the upper ones from Y. `u` must not be of X then."""
    SCALAR = 3
    """The scalar `v_shift` itself, 32 bits, at its scale."""


class Rectify(enum.IntEnum):
    """Where ReLU stands."""

    NONE = 0
    """There is none."""
    LAST = 1
    """Behind the bias."""
    FIRST = 2
    """In front of it."""


class Output(enum.IntEnum):
    """What is stored."""

    NONE = 0
    """Nothing."""
    BYTES = 1
    """o, in the scratchpad."""
    RESULTS = 2
    """t, in the results memory, saturated to its width."""


class Total(enum.IntEnum):
    """What is summed."""

    NONE = 0
    """Nothing."""
    T = 1
    """t."""
    O = 2  # noqa: E741 - the name that the value has above
    """o."""


class Stream(enum.IntEnum):
    """Whose addresses a `Stride` is for."""

    X = 0
    """Bytes X."""
    Y = 1
    """Bytes Y."""
    OUTPUT = 2
    """Bytes that are stored."""
    RESULTS_IN = 3
    """Words that are read."""
    RESULTS_OUT = 4
    """Words that are stored."""
    INDEX = 5
    """Random index of a beat's lane 0."""
    MASK = 6
    """One step a group of C bytes, always C; only its base is used."""


class Function(enum.IntEnum):
    """What a `Scalar` word computes from a, b and c. Where it matters, a scalar's range follows."""

    ADD = 0
    """a + b."""
    SUBTRACT = 1
    """a - b."""
    MINIMUM = 2
    """min(a, b)."""
    MAXIMUM = 3
    """max(a, b)."""
    XOR = 4
    """a xor b."""
    SHIFT = 5
    """RSH(a, b). A left shift, by 15 at most, is of SAT33(a)."""
    SHIFT_RANDOM = 6
    """SRSH(a, b) with golden.randomness.draw(c, number of the repetition)."""
    SATURATE_8 = 7
    """a, at most 127 in magnitude."""
    SATURATE_16 = 8
    """a, at most 2**15 - 1 in magnitude."""
    SATURATE_32 = 9
    """a, at most 2**31 - 1 in magnitude."""
    BIT_LENGTH = 10
    """Of |a|."""
    XORSHIFT = 11
    """golden.randomness.xorshift32 of the lower 32 bits of a."""
    SELECT = 12
    """b where a is 0, otherwise c."""
    CLAMP = 13
    """golden.formats.clamp_exponent(a)."""


@dataclass(frozen=True, kw_only=True)
class VectorWord(Word):
    """A word of the vector unit."""

    unit: ClassVar[Unit] = Unit.VECTOR


@dataclass(frozen=True, kw_only=True)
class Pass(VectorWord):
    """Go once over a tensor.

    Parameters
    ----------
    operand, negate:
        `Operand`, and whether it is taken away.
    addend:
        `Addend`.
    rectify:
        `Rectify`.
    mask_in, mask_out:
        Use or store one bit an element: whether the value in front of the ReLU was positive; not
        both. A group of masks (`MASK_BEATS`) takes a cycle of its own.
    accumulate:
        Add over the positions of a block instead of adding a bias; the block's last beat is the
        only one that counts. `bias` must be 0. 32 bits must hold the sums.
    output:
        `Output`.
    stochastic:
        Round with the random bits of `key` instead of half up.
    measure:
        Store, when the pass is over, the bit length of the largest |t| in the scalar `top`, and
        max(that - 7, 0) in the one behind it.
    total:
        `Total`: store the sum over all elements in the scalar `sum`.
    u_shift, v_shift:
        Numbers of scalars with the operands' right shifts (left if negative, by 15 at most; 32 bits
        must hold what is shifted left).
    factor, bias, shift, key:
        Numbers of scalars: 8 bits, 32 bits, a right shift of 0 to 63 (less is 0), 32 bits.
    top, sum:
        Numbers of the scalars that are stored.
    """

    op: ClassVar[int] = 1
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("operand", 3), ("negate", 1), ("addend", 2), ("rectify", 2), ("mask_in", 1),
        ("mask_out", 1), ("accumulate", 1), ("output", 2), ("stochastic", 1), ("measure", 1),
        ("total", 2), ("u_shift", 8), ("v_shift", 8), ("factor", 8), ("bias", 8), ("shift", 8),
        ("key", 8), ("top", 8), ("sum", 8),
    )  # fmt: skip
    operand: int = Operand.NONE
    negate: int = 0
    addend: int = Addend.NONE
    rectify: int = Rectify.NONE
    mask_in: int = 0
    mask_out: int = 0
    accumulate: int = 0
    output: int = Output.NONE
    stochastic: int = 0
    measure: int = 0
    total: int = Total.NONE
    u_shift: int = 0
    v_shift: int = 0
    factor: int = 0
    bias: int = 0
    shift: int = 0
    key: int = 0
    top: int = 0
    sum: int = 0


@dataclass(frozen=True, kw_only=True)
class Loops(VectorWord):
    """How far a pass goes.

    Parameters
    ----------
    positions, rows:
        Inner and outer loop of a block, at least 1 each.
    channels:
        At least 1; ceil(channels / C) blocks. Lanes past the last one are not stored and count
        nowhere.
    addend_channels:
        From this channel on `v` is 0, unless it is a scalar.
    """

    op: ClassVar[int] = 2
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("positions", 16), ("rows", 16), ("channels", 16), ("addend_channels", 16)
    )
    positions: int
    rows: int = 1
    channels: int
    addend_channels: int = (1 << 16) - 1


@dataclass(frozen=True, kw_only=True)
class Stride(VectorWord):
    """Where one stream's next address is, and its base. All signed, in bytes, words or indices.

    Parameters
    ----------
    stream:
        `Stream`.
    base:
        First address.
    position:
        From one position to the next.
    row:
        From the last position of a row to the first of the next.
    block:
        From the last position of a block to the first of the next.
    """

    op: ClassVar[int] = 3
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("stream", 3), ("base", 24), ("position", 24, True), ("row", 24, True), ("block", 24, True)
    )
    stream: int
    base: int = 0
    position: int = 0
    row: int = 0
    block: int = 0

    @classmethod
    def regular(
        cls, stream: Stream, base: int, loops: Loops, *, position: int = 0, row: int = 0,
        block: int = 0,
    ) -> "Stride":  # fmt: skip
        """Return the word for base + block number * block + row number * row + ..."""
        past_row = (loops.positions - 1) * position
        past_block = (loops.rows - 1) * row + past_row
        return cls(stream=stream, base=base, position=position, row=row - past_row,
                   block=block - past_block)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bases(VectorWord):
    """First addresses of the streams of memories, leaving the strides as they are."""

    op: ClassVar[int] = 4
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("x", 24), ("y", 24), ("output", 24), ("results_in", 16), ("results_out", 16)
    )
    x: int = 0
    y: int = 0
    output: int = 0
    results_in: int = 0
    results_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Scalar(VectorWord):
    """Compute with scalars: d = function(a, b, c), `count` times.

    Parameters
    ----------
    function:
        `Function`.
    d, a, b, c:
        Numbers of scalars.
    immediate, value:
        Whether b is the signed 32-bit `value` instead.
    count:
        At least 1.
    next_a, next_b, next_c:
        Whether the number of a, b or c rises by one with each repetition, as that of d does.
    """

    op: ClassVar[int] = 5
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("function", 5), ("d", 8), ("a", 8), ("b", 8), ("c", 8), ("immediate", 1),
        ("value", 32, True), ("count", 8), ("next_a", 1), ("next_b", 1), ("next_c", 1),
    )  # fmt: skip
    function: int
    d: int
    a: int = 0
    b: int = 0
    c: int = 0
    immediate: int = 0
    value: int = 0
    count: int = 1
    next_a: int = 0
    next_b: int = 0
    next_c: int = 0


@dataclass(frozen=True, kw_only=True)
class LoadScalars(VectorWord):
    """Read scalars from the scratchpad.

    Parameters
    ----------
    d, count:
        First scalar, and how many; at least 1.
    address:
        Of the first one's lowest byte.
    size:
        Bytes of each, 1 to 4.
    step, plane:
        Bytes from one scalar to the next, and from a scalar's byte to its next higher one.
    unsigned:
        Whether the highest byte's sign is not repeated.
    """

    op: ClassVar[int] = 6
    layout: ClassVar[Mapping[str, Field]] = payload(
        ("d", 8), ("count", 8), ("address", 24), ("size", 3), ("unsigned", 1), ("step", 24),
        ("plane", 24),
    )  # fmt: skip
    d: int
    count: int = 1
    address: int
    size: int = 1
    unsigned: int = 0
    step: int = 1
    plane: int = 1


@dataclass(frozen=True, kw_only=True)
class StoreScalars(VectorWord):
    """Write scalars' lower bytes to the scratchpad; fields as those of `LoadScalars`."""

    op: ClassVar[int] = 7
    layout: ClassVar[Mapping[str, Field]] = LoadScalars.layout
    d: int
    count: int = 1
    address: int
    size: int = 1
    unsigned: int = 0
    step: int = 1
    plane: int = 1


@dataclass(frozen=True, kw_only=True)
class Loss(VectorWord):
    """Softmax cross-entropy error of one sample, as `golden.loss.softmax_error`.

    Reads words of logits and writes as many of the error. The first of each is the base of
    `Stream.RESULTS_IN` and `RESULTS_OUT`, the others follow at their `block` stride.

    Parameters
    ----------
    classes:
        2 to `CoreConfig.loss_classes`.
    label, exponent:
        Numbers of scalars: the right class (below `classes`; it is taken modulo the next power of
        two), and the logits' exponent.
    """

    op: ClassVar[int] = 8
    layout: ClassVar[Mapping[str, Field]] = payload(("classes", 16), ("label", 8), ("exponent", 8))
    classes: int
    label: int
    exponent: int


VECTOR_WORDS = (Pass, Loops, Stride, Bases, Scalar, LoadScalars, StoreScalars, Loss)
"""Every word of the unit."""
