"""Dropout in integers, as its authors have it: units fall out in training, inference scales.

Srivastava et al. 2014 (JMLR 15, section 4): a unit is kept with probability p, and in inference its
output is multiplied by p. Our choices: p in steps of 2**-8; the power of two nearest to 1/p is
taken out of it by the exponent, in training, so that there only a mask is left and no product; what
remains, 0.7 to 1.42, multiplies the codes in inference as an 8-bit number with 6 fraction bits, and
for a p of 1/2 is one and multiplies nothing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.layers import IntegerLayer, Keys
from golden.randomness import activation_index, draw
from golden.values import Value

__all__ = ["DropoutLayer", "kept"]

_KEEP_BITS = 8
_SCALE_BITS = 6


def kept(key: int, shape: tuple[int, ...], keep: int) -> NDArray[np.bool_]:
    """Which elements stay, each with a probability of `keep` * 2**-8.

    An element's draw is its own by its number, so that neither tiling nor memory order matters:
    it stays if the draw's upper 8 bits are less than `keep`.
    """
    return (draw(key, activation_index(shape)) >> _KEEP_BITS) < keep


class DropoutLayer(IntegerLayer):
    """Random zeros among the codes in training; a constant factor in inference.

    Members
    -------
    keep:
        Probability of an element to stay, times 256.
    shift:
        Left shift in training, in the exponent.
    scale:
        Factor in inference, exponent 6.
    """

    needs_codes = True

    def __init__(self, name: str, probability: float) -> None:
        super().__init__(name)
        self.keep = round((1 - probability) * (1 << _KEEP_BITS)) if 0 <= probability < 1 else 0
        if not self.keep:
            raise InputError(
                f"layer {name!r}: dropout must keep at least 1/512, and its probability "
                f"is {probability}"
            )
        # The factor's square is nearest to one between a half and two.
        self.shift = 0
        while 2 * (self.keep << self.shift) ** 2 < 1 << (2 * _KEEP_BITS):
            self.shift += 1
        half = 1 << (_KEEP_BITS - _SCALE_BITS - 1)
        self.scale = ((self.keep << self.shift) + half) >> (_KEEP_BITS - _SCALE_BITS)
        self._keys: Keys | None = None

    def begin(self, keys: Keys | None) -> None:
        """Take the step's keys, or None in inference."""
        self._keys = keys

    def forward(self, inputs: Sequence[Value]) -> Value:
        """Drop, or scale in inference."""
        (value,) = inputs
        if self._keys is not None:
            self._mask = kept(self._keys("mask"), value.integers.shape, self.keep)
            return self._masked(value)
        if self.scale == 1 << _SCALE_BITS:
            return value
        scaled = value.integers.astype(np.int32) * np.int32(self.scale)
        return Value(scaled, value.exponent + _SCALE_BITS)

    def _masked(self, value: Value) -> Value:
        integers = value.integers * self._mask
        return Value(integers, value.exponent - self.shift, value.is_codes)

    def backward(self, error: Value) -> list[Value]:
        """Drop the same."""
        return [self._masked(error)]
