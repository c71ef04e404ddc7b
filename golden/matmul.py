"""Exact products of 8-bit integer matrices, on whichever unit of the processor is fastest.

Two paths with the same bits: int8 instructions through PyTorch where it is installed and passes a
worst-case test, and float32 BLAS on pieces short enough for its sums to be exact. The first is
tried when the work done so far is worth PyTorch's second of import.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from golden.acceleration import chosen
from golden.errors import InputError
from golden.torch_functions import Functions, torch_functions

__all__ = [
    "EXACT_REDUCTION",
    "MATMUL_VARIABLE",
    "MAX_REDUCTION",
    "check_reduction",
    "float32_product",
    "int8_functions",
    "int8_product",
    "matmul",
]

MATMUL_VARIABLE = "EOQ_MATMUL"
"""Environment variable: "float32" or "int8" forces that path; it is chosen otherwise."""

_PRODUCT = 127 * 127
"""Largest magnitude of one product: -128 never appears."""

EXACT_REDUCTION = (1 << 24) // _PRODUCT
"""Longest sum of products that float32 holds exactly: 1,040."""

MAX_REDUCTION = ((1 << 31) - 1) // _PRODUCT
"""Longest sum of products that a 32-bit accumulator holds: 133,144."""

_WORTH_IMPORTING = 1 << 34
"""Products that BLAS does in about the second that PyTorch takes to import."""

_BLOCK = 2048
"""Rows converted to float32 at a time: they stay in the cache."""

_Product = Callable[[NDArray, NDArray, NDArray[np.int32]], object]


def check_reduction(k: int) -> None:
    """Raise ValueError when a sum of k products may exceed a 32-bit accumulator."""
    if k > MAX_REDUCTION:
        raise ValueError(f"reduction must be at most {MAX_REDUCTION} for 32 bits, not {k}")


def matmul(a: NDArray, b: NDArray, out: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
    """Exact `a @ b` for entries within +-127, shapes (m, k) and (k, n), on one thread.

    The result is written into `out`, contiguous, if that is given. Raises ValueError when k exceeds
    what a 32-bit accumulator is proven to hold.
    """
    (m, k), n = a.shape, b.shape[1]
    check_reduction(k)
    if out is None:
        out = np.empty((m, n), dtype=np.int32)
    product = _path.after(m * k * n)
    product(a.astype(np.int8, copy=False), b.astype(np.int8, copy=False), out)
    return out


def float32_product(a: NDArray, b: NDArray, result: NDArray[np.int32]) -> None:
    """Write `a @ b` of 8-bit codes, by BLAS in pieces.

    Rows stay in the cache, and sums are no longer than float32 holds.
    """
    m, k = a.shape
    result[...] = 0
    for start in range(0, k, EXACT_REDUCTION):
        part = slice(start, start + EXACT_REDUCTION)
        right = b[part].astype(np.float32)
        for first in range(0, m, _BLOCK):
            rows = slice(first, first + _BLOCK)
            # Assigned through int32, because a sum of float32 would round.
            result[rows] += (a[rows, part].astype(np.float32) @ right).astype(np.int32)


@cache
def int8_product() -> _Product | None:
    """Return what writes `a @ b` of 8-bit codes by PyTorch, or None where that is not exact.

    A processor without the instructions may add pairs of products in 16 bits that saturate.
    """
    try:
        import torch
    except ImportError:
        return None

    def product(a: NDArray, b: NDArray, result: NDArray[np.int32]) -> None:
        _on_one_thread()
        left, right, out = (torch.from_numpy(_as_row(array)) for array in (a, b, result))
        torch._int_mm(left, right, out=out)

    try:
        for a, b in _trials():
            result = np.empty((len(a), b.shape[1]), dtype=np.int32)
            product(a, b, result)
            if (result != a.astype(np.int64) @ b.astype(np.int64)).any():
                return None
    except (AttributeError, RuntimeError):
        return None
    return product


_local = threading.local()


def _on_one_thread() -> None:
    """Keep PyTorch's product to this thread: work is split over threads in larger parts."""
    import torch

    if torch.get_num_threads() != 1 or not hasattr(_local, "limited"):
        torch.set_num_threads(1)
        _local.limited = True


def int8_functions(products: int) -> Functions | None:
    """The same path for compiled loops on this thread; None where another is taken.

    `products` are how many there are to do.
    """
    if _path.after(products) is float32_product or not (functions := torch_functions()):
        return None
    _on_one_thread()
    return functions


def _as_row(array: NDArray) -> NDArray:
    """Return a matrix of one row with its own length between rows.

    NumPy may leave any number there, and PyTorch takes a 1 for a column's: its products are wrong.
    """
    return array.reshape(-1).reshape(array.shape) if len(array) == 1 else array


def _trials() -> Iterator[tuple[NDArray[np.int8], NDArray[np.int8]]]:
    """Products on which an inexact path shows: the worst sums, and shapes at an edge."""
    rng = np.random.default_rng(0)
    signs = rng.choice(np.array([-127, 127], dtype=np.int8), (2, 64, 64))
    yield from ((pair[0], pair[1]) for pair in (signs, np.full_like(signs, 127)))
    yield np.full((64, 64), 127, np.int8), np.full((64, 64), -127, np.int8)
    for m, k, n in itertools.product((1, 2, 9, 17), repeat=3):
        a, b = (rng.integers(-127, 128, shape).astype(np.int8) for shape in ((m, k), (k, n)))
        yield a, b
        # Not by `ascontiguousarray`, which leaves a matrix of one row as it is.
        yield a.T.ravel().reshape(k, m).T, b
        yield a, b.T.ravel().reshape(n, k).T


class _Path:
    """The path that products take, chosen once there is enough to multiply."""

    def __init__(self) -> None:
        self.done = 0
        self.product: _Product = float32_product
        self.settled = False

    def after(self, products: int) -> _Product:
        self.done += products
        if not self.settled:
            choice = chosen(MATMUL_VARIABLE, "auto", "int8", "float32")
            if choice == "float32":
                self.settled = True
            elif choice == "int8" or self.done > _WORTH_IMPORTING:
                self.settled = True
                fast = int8_product()
                if fast is None and choice == "int8":
                    raise InputError(
                        f"{MATMUL_VARIABLE}=int8 requires PyTorch and a processor on which its "
                        "int8 products are exact"
                    )
                self.product = fast or float32_product
        return self.product


_path = _Path()
