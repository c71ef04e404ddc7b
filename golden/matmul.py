"""Exact products of 8-bit integer matrices, at the speed of floating-point BLAS."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT_REDUCTION", "MAX_REDUCTION", "matmul"]

_PRODUCT = 127 * 127
"""Largest magnitude of one product: -128 never appears."""

EXACT_REDUCTION = (1 << 24) // _PRODUCT
"""Longest sum of products that float32 holds exactly: 1,040."""

MAX_REDUCTION = ((1 << 31) - 1) // _PRODUCT
"""Longest sum of products that a 32-bit accumulator holds: 133,144."""


def matmul(a: NDArray, b: NDArray) -> NDArray[np.int32]:
    """Exact `a @ b` for entries within +-127, shapes (m, k) and (k, n).

    Operands that are float32 already, with whole numbers in them, are not copied.
    Raises ValueError when k exceeds what a 32-bit accumulator is proven to hold.
    """
    k = a.shape[-1]
    if k > MAX_REDUCTION:
        raise ValueError(f"reduction must be at most {MAX_REDUCTION} for 32 bits, not {k}")
    a, b = (np.asarray(operand, dtype=np.float32) for operand in (a, b))
    if k <= EXACT_REDUCTION:
        return (a @ b).astype(np.int32)
    result = np.zeros((*a.shape[:-1], b.shape[-1]), dtype=np.int32)
    for start in range(0, k, EXACT_REDUCTION):
        part = slice(start, start + EXACT_REDUCTION)
        result += (a[..., part] @ b[part]).astype(np.int32)
    return result
