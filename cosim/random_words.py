"""Random instruction words: which values of each field a core takes, and draws within or without.

Compiled programs of small networks leave most fields of a word nearly empty; these draws do not.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np

from rtl.config import CoreConfig
from rtl.dma_instructions import DMA_WORDS
from rtl.fields import Field
from rtl.instructions import Word
from rtl.matrix_instructions import (
    MATRIX_WORDS,
    ALoops,
    AStrides,
    BLoops,
    BStrides,
    Multiply,
    Results,
    Window,
)
from rtl.vector_instructions import (
    LOADED_BYTES_MAX,
    VECTOR_WORDS,
    Bases,
    Function,
    LoadScalars,
    Loops,
    Loss,
    Operand,
    Output,
    Pass,
    Rectify,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
    Total,
)

__all__ = [
    "SET_UP",
    "WORDS",
    "WORD_STREAMS",
    "base_bits",
    "draw_bits",
    "draw_word",
    "illegal_values",
    "legal_values",
]

_W = TypeVar("_W", bound=Word)

WORDS: tuple[type[Word], ...] = (*MATRIX_WORDS, *VECTOR_WORDS, *DMA_WORDS)
"""Every word of a unit."""

SET_UP: tuple[type[Word], ...] = (
    BLoops, BStrides, ALoops, AStrides, Window, Results, Loops, Stride, Bases,
)  # fmt: skip
"""Words that only set something up."""

WORD_STREAMS = (Stream.RESULTS_IN, Stream.RESULTS_OUT)
"""Streams whose addresses are of the results memory."""


def legal_values(kind: type[Word], config: CoreConfig) -> dict[str, tuple[int, int]]:
    """Return the least and the largest value of each field that a core takes at all.

    Not of a `Stride`'s base, which depends on its stream, nor of the DMA's addresses and lengths,
    which must be multiples of a line.
    """
    size = 1 << config.scratchpad_address_bits
    words = 1 << config.results_address_bits
    line = config.line_bytes
    one, bytes_, sums = (1, None), (0, size - 1), (0, words - 1)
    limits: Mapping[type[Word], Mapping[str, tuple[int, int | None]]] = {
        Multiply: {"a_base": (-size, size - 1), "b_base": bytes_, "z_base": sums},
        BLoops: {"n0": one, "n1": one, "n2": one, "nj": one, "rows_last": (0, config.rows),
                 "pitch": (0, size // line - 1)},
        ALoops: {"n0": one, "n1": one, "n2": one, "lanes_last": (1, config.rows),
                 "unsigned": (0, config.activation_bits - 8)},
        Window: {"m0": one, "m1": one},
        Pass: {"operand": (0, max(Operand)), "rectify": (0, max(Rectify)),
               "output": (0, max(Output)), "total": (0, max(Total))},
        Loops: {"positions": one, "rows": one, "channels": one},
        Stride: {"stream": (0, max(Stream))},
        Bases: {"x": bytes_, "y": bytes_, "output": bytes_, "results_in": sums,
                "results_out": sums},
        Scalar: {"function": (0, max(Function)), "count": one},
        LoadScalars: {"size": (1, LOADED_BYTES_MAX), "count": one},
        StoreScalars: {"size": (1, LOADED_BYTES_MAX), "count": one},
        Loss: {"classes": (2, config.loss_classes)},
    }  # fmt: skip
    own = limits.get(kind, {})
    result = {}
    for name, field in kind.layout.items():
        low, high = own.get(name, field.limits)
        result[name] = low, field.limits[1] if high is None else high
    return result


def draw_bits(rng: np.random.Generator, field: Field) -> int:
    """Draw a field: all ones, none, every second one, or random bits; of random length or not."""
    width = field.width
    ones = (1 << width) - 1
    bits = [
        0, ones, 0x5555_5555_5555_5555 & ones, 0xAAAA_AAAA_AAAA_AAAA & ones,
        *(int(rng.integers(0, 1 << 62)) & ones for _ in range(3)),
        int(rng.integers(0, 1 << 62)) & ((1 << int(rng.integers(0, width + 1))) - 1),
    ]  # fmt: skip
    return Field(0, width, field.signed).extract(bits[rng.integers(len(bits))])


def _within(rng: np.random.Generator, field: Field, low: int, high: int) -> int:
    value = draw_bits(rng, field)
    if low <= value <= high:
        return value
    # The limits themselves as often as not.
    return int(rng.choice([low, high, int(rng.integers(low, high + 1)),
                           int(rng.integers(low, high + 1))]))  # fmt: skip


def base_bits(stream: int, config: CoreConfig) -> int:
    """Bits of a stream's base that a core takes."""
    if stream == Stream.INDEX:
        return Stride.layout["base"].width
    words = config.results_address_bits
    return words if stream in WORD_STREAMS else config.scratchpad_address_bits


def draw_word(rng: np.random.Generator, kind: type[_W], config: CoreConfig, **fixed: int) -> _W:
    """Draw a word that the core takes, with those fields that are not `fixed` at random."""
    values = dict(fixed)
    limits = legal_values(kind, config)
    if kind is Stride:
        stream = values.setdefault("stream", int(rng.integers(len(Stream))))
        limits["base"] = (0, (1 << base_bits(stream, config)) - 1)
    for name, field in kind.layout.items():
        if name not in values:
            values[name] = _within(rng, field, *limits[name])
    return kind(**values)


def illegal_values(
    rng: np.random.Generator, kind: type[Word], config: CoreConfig
) -> Iterator[tuple[str, int]]:
    """Yield a value outside its range for each field that has one, as often as it has bits too
    many: each of them is set once."""
    for name, (low, high) in legal_values(kind, config).items():
        field = kind.layout[name]
        least, most = field.limits
        if low > 0:
            yield name, int(rng.integers(0, low))
        if high < most:
            for bit in range(int(high).bit_length(), field.width - field.signed):
                yield name, (1 << bit) | (int(rng.integers(0, 1 << 62)) & ((1 << bit) - 1))
            yield name, most
        if low < 0 and low > least:
            yield name, int(rng.integers(least, low))
