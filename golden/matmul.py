"""Exact products of 8-bit integer matrices, at the speed of floating-point BLAS."""

import numpy as np

from golden.formats import Integers

__all__ = ["MAX_REDUCTION", "matmul"]

_PRODUCT = 127 * 127
"""Largest magnitude of one product: -128 never appears."""

_FLOAT32_REDUCTION = (1 << 24) // _PRODUCT
"""Longest sum of products that float32 holds exactly: 1,040."""

MAX_REDUCTION = ((1 << 31) - 1) // _PRODUCT
"""Longest sum of products that a 32-bit accumulator holds: 133,144."""


def matmul(a: Integers, b: Integers) -> Integers:
    """Exact `a @ b` for entries within +-127, shapes (m, k) and (k, n), as int64.

    Raises ValueError when k exceeds what a 32-bit accumulator is proven to hold.
    """
    k = a.shape[-1]
    if k > MAX_REDUCTION:
        raise ValueError(f"reduction must be at most {MAX_REDUCTION} for 32 bits, not {k}")
    result = np.zeros((*a.shape[:-1], b.shape[-1]), dtype=np.int64)
    for start in range(0, k, _FLOAT32_REDUCTION):
        part = slice(start, start + _FLOAT32_REDUCTION)
        product = np.asarray(a[..., part], np.float32) @ np.asarray(b[part], np.float32)
        result += product.astype(np.int64)
    return result
