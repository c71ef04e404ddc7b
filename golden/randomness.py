"""Random bits by position: a function of (seed, step, tensor, element) and of nothing else.

No order of evaluation, tiling or number of lanes can change a draw, and one hardware lane costs a
few hundred gates. Our choice; the construction is a 5-round ARX mix of the element's index under a
per-tensor key, the key an xorshift32 (Marsaglia 2003, shifts 13/17/5) of the step's state.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from golden.formats import Integers

__all__ = [
    "MAX_INDEX",
    "ROUND_KEY_BITS",
    "TENSOR_STRIDE",
    "activation_index",
    "draw",
    "first_state",
    "next_state",
    "tensor_key",
    "weight_index",
    "xorshift32",
]

MAX_INDEX = 1 << 24
"""Element indices are taken modulo this, a power of two: 24 bits in hardware."""

TENSOR_STRIDE = 0x01000801
"""Spreads tensor numbers over the key. Three ones: two adders in hardware."""

ROUND_KEY_BITS = (16, 24, 5, 21, 11)
"""Where in the key each round's 8 bits begin; the first round also takes index bits 23..16.

Five rounds: with four, the correlation of draws eight indices apart is ten times what chance gives
(root mean square z 10.3 over 60 keys, against 1.3 with five). `benchmarks/randomness.py` shows it.
"""

_MASK32 = 0xFFFFFFFF


def xorshift32(value: int) -> int:
    """One step of the 32-bit xorshift generator; maps 0 to 0 and is a bijection."""
    value ^= (value << 13) & _MASK32
    value ^= value >> 17
    return value ^ ((value << 5) & _MASK32)


def first_state(seed: int) -> int:
    """State S_0 of a run: never zero, neighbouring seeds decorrelated by three xorshift steps."""
    state = (seed * 0x9E3779B1 + 0x6A09E667) & _MASK32 or 0x6A09E667
    for _ in range(3):
        state = xorshift32(state)
    return state


def next_state(state: int) -> int:
    """State of the following training step."""
    return xorshift32(state)


def tensor_key(state: int, tensor: int) -> int:
    """32-bit key of tensor number `tensor` in the step whose state is `state`."""
    return xorshift32(state ^ ((tensor * TENSOR_STRIDE) & _MASK32))


def activation_index(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Number of each element of activations or errors (samples, ...), for `draw`.

    Planes (samples, channels, height, width) count their channels fastest, then columns, rows and
    samples: hardware keeps the channels of a pixel side by side, and its lanes draw for consecutive
    numbers. Everything else counts in the order of its shape.
    """
    return _numbered(shape, (0, 2, 3, 1) if len(shape) == 4 else tuple(range(len(shape))))


@functools.lru_cache(maxsize=256)
def weight_index(shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Number of each element of a learned tensor, for `draw`; not to be written to.

    Weights (out, in, height, width) and (out, in) count their outputs fastest, then inputs, columns
    and rows of the kernel, for the same reason. Everything else counts in the order of its shape.
    """
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(len(shape), tuple(range(len(shape))))
    index = _numbered(shape, axes)
    index.flags.writeable = False
    return index


def _numbered(shape: tuple[int, ...], axes: tuple[int, ...]) -> NDArray[np.int32]:
    """0, 1, ... with the last of `axes` counting fastest."""
    index = np.empty(shape, dtype=np.int32)
    moved = index.transpose(axes)
    moved[...] = np.arange(index.size, dtype=np.int32).reshape(moved.shape)
    return index


def draw(key: int, index: Integers | int) -> NDArray[np.int32]:
    """16 random bits for each element index under `key`."""
    # Bytes throughout: their sums and shifts wrap by themselves.
    i = np.asarray(index) & (MAX_INDEX - 1)
    mixed = i ^ (key & 0xFFFF)
    a: NDArray
    b: NDArray
    a, b, top = (part.astype(np.uint8) for part in (mixed, mixed >> 8, i >> 16))
    for number, position in enumerate(ROUND_KEY_BITS):
        round_key: NDArray[np.uint8] | np.uint8 = np.uint8((key >> position) & 0xFF)
        if number == 0:
            round_key = round_key ^ top
        a = (((a >> 2) | (a << 6)) + b) ^ round_key
        b = ((b << 3) | (b >> 5)) ^ a
    return (b.astype(np.int32) << 8) | a
