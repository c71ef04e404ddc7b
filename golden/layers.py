"""The pieces of an integer training step: products, bias, quantisation of A, E and G.

A quantised tensor is 8-bit codes and one exponent a sample, so nothing waits for the batch. Each
function is one thing that the hardware does. Source: our choice (NITI, WAGEUBN and EOQ's abstract
for the idea of integers throughout).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.formats import (
    Integers,
    QuantSpec,
    Rounding,
    clamp_exponent,
    excess_bits,
    rounding_shift,
    saturate,
)
from golden.randomness import draw

__all__ = [
    "ACTIVATION_ZERO_EXPONENT",
    "BIAS_EXPONENT",
    "ERROR_ZERO_EXPONENT",
    "Quantized",
    "add_bias",
    "align_errors",
    "quantize_gradient",
    "quantize_samples",
    "rectify",
]

BIAS_EXPONENT = 12
"""Exponent of the 16-bit biases: range +-8."""

ACTIVATION_ZERO_EXPONENT = 5
"""Exponent given to a sample whose activations are all zero."""

ERROR_ZERO_EXPONENT = 20
"""Exponent given to a sample whose errors are all zero."""

_NEAREST = QuantSpec(32, 8, Rounding.HALF_UP)
_STOCHASTIC = QuantSpec(8, 8, Rounding.STOCHASTIC)


@dataclass(frozen=True)
class Quantized:
    """8-bit codes, shape (samples, ...), and one exponent a sample, shape (samples,)."""

    codes: Integers
    exponent: NDArray[np.int64]


def _per_sample(values: Integers, like: Integers) -> Integers:
    """Shape (samples,) to (samples, 1, ...), so that it broadcasts against `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))


def add_bias(accumulator: Integers, exponent: Integers, bias: Integers) -> Integers:
    """32-bit results plus 16-bit biases brought to each sample's exponent; saturates at 32 bits.

    `accumulator` is (samples, features), `exponent` (samples,), `bias` (features,).
    """
    shift = BIAS_EXPONENT - exponent
    return saturate(accumulator + rounding_shift(bias[None], shift[:, None]), 32)


def rectify(values: Integers) -> Integers:
    """ReLU."""
    return np.maximum(values, 0)


def quantize_samples(values: Integers, exponent: Integers, zero_exponent: int) -> Quantized:
    """QA and QE: every sample to 8 bits with its own exponent, rounding half up.

    A sample that is all zero gets `zero_exponent`; otherwise its exponent would drift from layer
    to layer with nothing to hold it.
    """
    axes = tuple(range(1, values.ndim))
    shift = excess_bits(values, axis=axes)
    codes = _NEAREST.apply(values, _per_sample(shift, values))
    is_zero = ~values.any(axis=axes)
    return Quantized(codes, clamp_exponent(np.where(is_zero, zero_exponent, exponent - shift)))


def align_errors(
    errors: Quantized, other_exponent: Integers | int, key: int
) -> tuple[Integers, int, Integers]:
    """Bring all samples' errors to one scale, so that a weight gradient is one product.

    The common exponent is the least of (error + other exponent) over the samples whose error is
    not zero; the others shift right, with stochastic rounding (nearest would lose small errors).

    Parameters
    ----------
    errors:
        (samples, features).
    other_exponent:
        Exponents of the product's other operand: (samples,), or one.
    key:
        Of `golden.randomness`.

    Returns
    -------
    codes (samples, features), the common exponent, and each sample's shift.
    """
    total = errors.exponent + other_exponent
    live = errors.codes.any(axis=tuple(range(1, errors.codes.ndim)))
    common = int(total[live].min()) if live.any() else 0
    # A sample without errors is all zero at any scale: shift 0.
    shift = np.where(live, total - common, 0)
    index = np.arange(errors.codes.size).reshape(errors.codes.shape)
    codes = _STOCHASTIC.apply(errors.codes, _per_sample(shift, errors.codes), draw(key, index))
    return codes, common, shift


def quantize_gradient(gradient: Integers) -> tuple[Integers, int]:
    """G: one tensor's gradient to 8 bits, rounding half up. Returns codes and the shift."""
    shift = int(excess_bits(gradient))
    return _NEAREST.apply(gradient, shift), shift
