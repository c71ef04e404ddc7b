"""Softmax cross-entropy error in integers: two small tables, no float, no division.

Source: our choice throughout. The error is zero exactly when every wrong class has probability
zero: the true class's error is minus the sum of the others, never p - 1. (A reciprocal table that
left a remainder there made training collapse after it had converged.)
"""

import numpy as np

from golden.formats import Integers, bit_length, rounding_shift, saturate

__all__ = [
    "ERROR_EXPONENT",
    "EXP_TABLE",
    "LOG2_E",
    "LOGIT_EXPONENT",
    "RECIPROCAL_TABLE",
    "T_MAX",
    "softmax_error",
]

LOGIT_EXPONENT = 8
"""Logits are brought to 16 bits with this many fraction bits."""

ERROR_EXPONENT = 15
"""Exponent of the error: probabilities have 15 fraction bits."""

_STEPS = np.arange(32)
EXP_TABLE = np.rint(2.0**15 * 2.0 ** (-_STEPS / 32)).astype(np.int64)
"""2**15 * 2**(-i/32) for the fraction of the base-two exponent; 32 words of 16 bits."""

_BINS = np.arange(64)
RECIPROCAL_TABLE = np.rint(2.0**15 / (1 + (_BINS + 0.5) / 64)).astype(np.int64)
"""2**15 / (1 + (i + 1/2)/64): reciprocal of a mantissa's bin centre; 64 words of 15 bits."""

LOG2_E = 369
"""log2(e) * 256, rounded: exp(-d/256) = 2**-(d * 369 / 65536)."""

T_MAX = 511
"""Largest table argument: 2**-(511/32) is below the 15th bit."""


def softmax_error(logits: Integers, exponent: Integers | int, labels: Integers) -> Integers:
    """Error of softmax cross-entropy with respect to the logits.

    Parameters
    ----------
    logits:
        int32 accumulators, shape (samples, classes).
    exponent:
        Exponent of the logits, one a sample or one for all.
    labels:
        Class of each sample, 0 to classes - 1.

    Returns
    -------
    int64 array of `logits`' shape, within 17 bits, exponent `ERROR_EXPONENT`; rows sum to zero.
    """
    shift = np.broadcast_to(np.asarray(exponent) - LOGIT_EXPONENT, (len(logits),))
    z = saturate(rounding_shift(logits, shift[:, None]), 16)
    below_top = z.max(axis=1, keepdims=True) - z
    t = np.minimum((below_top * LOG2_E) >> 11, T_MAX)
    e = EXP_TABLE[t & 31] >> (t >> 5)
    total = e.sum(axis=1)
    # The largest logit alone contributes 2**15, so there are always six bits below the leading one.
    top_bit = bit_length(total) - 1
    mantissa = (total >> (top_bit - 6)) & 63
    p = (e * RECIPROCAL_TABLE[mantissa][:, None]) >> top_bit[:, None]
    true_class = np.arange(p.shape[1]) == np.asarray(labels)[:, None]
    error = np.where(true_class, 0, p)
    return np.where(true_class, -error.sum(axis=1, keepdims=True), error)
