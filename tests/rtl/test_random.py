from typing import Any

import numpy as np
import pytest

from golden.randomness import draw, first_state, tensor_key
from rtl.random import RandomDraw


@pytest.mark.parametrize("key", [0, 0xFFFFFFFF, tensor_key(first_state(1), 3)])
def test_draws_are_goldens(key: int, pipeline: Any) -> None:
    rng = np.random.default_rng(key)
    index = np.concatenate([np.arange(300), rng.integers(0, 1 << 24, 700), [(1 << 24) - 1]])
    got = pipeline(
        RandomDraw(),
        {"key": np.full_like(index, key), "index": index, "take": index >= 0},
        "o",
        1,
    )
    np.testing.assert_array_equal(got, draw(key, index))


def test_a_draw_holds_until_the_next_index_is_taken(pipeline: Any) -> None:
    got = pipeline(
        RandomDraw(),
        {
            "key": np.full(5, 99),
            "index": np.array([7, 8, 9, 10, 11]),
            "take": np.array([1, 0, 0, 1, 0]),
        },
        "o",
        1,
    )
    np.testing.assert_array_equal(got, draw(99, np.array([7, 7, 7, 10, 10])))
