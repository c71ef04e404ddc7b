"""Exact products at the corners of float32."""

import numpy as np
import pytest

from golden.matmul import MAX_REDUCTION, matmul


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
