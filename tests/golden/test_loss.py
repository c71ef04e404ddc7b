"""The integer softmax error against floating point."""

import numpy as np
import pytest

from golden.loss import softmax_error


def float_error(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(p)), labels] -= 1
    return p


@pytest.mark.parametrize("exponent", [4, 8, 12, 20])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_error_is_softmax_minus_one_hot_within_two_percent(exponent: int, classes: int) -> None:
    rng = np.random.default_rng(classes)
    real = rng.normal(0, 2.5, (200, classes))
    logits = np.rint(real * 2.0**exponent).astype(np.int64)
    labels = rng.integers(0, classes, 200)
    error = softmax_error(logits, exponent, labels) / 2**15
    expected = float_error(logits / 2.0**exponent, labels)
    # The reciprocal table has 64 bins (0.8 %), the logits 8 fraction bits, sums of `classes` terms.
    assert np.abs(error - expected).max() < 0.02


def test_rows_sum_to_zero_and_a_certain_sample_has_no_error() -> None:
    logits = np.array([[5000, 0, 0], [0, 0, 0], [-(2**31), 2**31 - 1, 17]])
    labels = np.array([0, 1, 1])
    error = softmax_error(logits, 8, labels)
    assert (error.sum(axis=1) == 0).all()
    assert (error[0] == 0).all()
    assert (error[2] == 0).all()
    assert np.abs(error[1] / 2**15 - [1 / 3, -2 / 3, 1 / 3]).max() < 0.006
