"""Exact products at the corners of float32."""

import itertools

import numpy as np
import pytest

import golden.matmul
from golden.errors import InputError
from golden.matmul import (
    MATMUL_VARIABLE,
    MAX_REDUCTION,
    float32_product,
    int8_product,
    matmul,
)


@pytest.mark.parametrize("k", [1, 1040, 1041, 5000, MAX_REDUCTION])
def test_worst_case_sums_are_exact(k: int) -> None:
    a = np.full((1, k), 127)
    b = np.full((k, 2), -127)
    b[0] = 126
    assert (matmul(a, b) == -127 * 127 * (k - 1) + 127 * 126).all()


def test_random_products_agree_with_integers() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-127, 128, (7, 3000)), rng.integers(-127, 128, (3000, 5))
    assert (matmul(a, b) == a @ b).all()


def test_a_reduction_past_the_accumulators_bound_is_refused() -> None:
    wide = np.zeros((1, MAX_REDUCTION + 1), dtype=np.int8)
    with pytest.raises(ValueError, match=r"^reduction must be at most 133144 for 32 bits"):
        matmul(wide, wide.T)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 9, 16), (16, 5000, 9), (4100, 27, 16), (2, 64, 1)]
)
@pytest.mark.parametrize("order", ["plain", "transposed", "worst"])
def test_both_paths_agree(shape: tuple[int, int, int], order: str) -> None:
    pytest.importorskip("torch", reason="the extra torch is not installed")
    # Without the instructions PyTorch may saturate, and then it is not used.
    fast = int8_product() or float32_product
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-127, 128, s).astype(np.int8) for s in ((m, k), (k, n)))
    if order == "transposed":
        a, b = (np.ascontiguousarray(x.T).T for x in (a, b))
    if order == "worst":
        a[...], b[...] = 127, -127
    one, other = np.full((2, m, n), 99, dtype=np.int32)
    fast(a, b, one)
    float32_product(a, b, other)
    assert (one == other).all()
    assert (one == a.astype(np.int64) @ b.astype(np.int64)).all()


@pytest.mark.parametrize("path", ["float32", "int8"])
def test_shapes_at_an_edge_in_both_memory_orders(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A matrix of one row, transposed from a column, has any number between its rows."""
    monkeypatch.setenv(MATMUL_VARIABLE, path)
    monkeypatch.setattr(golden.matmul, "_path", golden.matmul._Path())
    if path == "int8" and int8_product() is None:
        with pytest.raises(InputError, match=r"^EOQ_MATMUL=int8 requires PyTorch and a processor"):
            matmul(np.ones((1, 1)), np.ones((1, 1)))
        return
    rng = np.random.default_rng(0)
    for m, k, n in itertools.product((1, 2, 7, 8, 9, 33), repeat=3):
        a, b = rng.integers(-127, 128, (m, k)), rng.integers(-127, 128, (k, n))
        exact = a @ b
        a, b = a.astype(np.int8), b.astype(np.int8)
        for left in (a, a.T.ravel().reshape(k, m).T):
            for right in (b, b.T.ravel().reshape(n, k).T):
                assert (matmul(left, right) == exact).all(), (left.strides, right.strides)
