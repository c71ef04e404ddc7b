"""Codes and labels that a step refuses, before anything has changed."""

import numpy as np
import pytest

from golden import zoo
from golden.errors import InputError
from golden.fixup import fixup
from golden.initialization import build
from golden.training import Model

CODES = np.zeros((4, 1, 8, 8), np.int64)
LABELS = np.arange(4)


@pytest.fixture(scope="module")
def model() -> Model:
    return build(fixup(zoo.mlp(hidden=4)), 0)


@pytest.mark.parametrize(
    ("codes", "labels", "message"),
    [
        (CODES.astype(float), LABELS, "input must be integers within .*, not float64$"),
        (CODES * np.nan, LABELS, "input must be integers within .*, not float64$"),
        (CODES > 0, LABELS, "input must be integers within .*, not bool$"),
        (CODES[:, 0], LABELS, r"input must be of shape \(samples, 1, 8, 8\), not \(4, 8, 8\)$"),
        (CODES[..., :7], LABELS, r"not \(4, 1, 8, 7\)$"),
        (CODES[:0], LABELS[:0], r"not \(0, 1, 8, 8\)$"),
        (np.int64(3), LABELS, r"not \(\)$"),
        (CODES - 128, LABELS, "input must be within .*, not -128 to -128$"),
        ((CODES - 128).astype(np.int8), LABELS, "input must be within .*, not -128 to -128$"),
        (CODES + 200, LABELS, "input must be within .*, not 200 to 200$"),
        (CODES, LABELS - 1, "labels must be 0 to 9, not -1 to 2$"),
        (CODES, LABELS + 7, "labels must be 0 to 9, not 7 to 10$"),
        (CODES, LABELS[:3], r"labels must be 4 integers, one a sample, not int64 of shape \(3,\)$"),
        (CODES, LABELS / 1, "labels must be 4 integers, one a sample, not float64"),
    ],
)
def test_a_step_refuses(codes: np.ndarray, labels: np.ndarray, message: str, model: Model) -> None:
    state = model.state
    weights = model.layers["fc1"].learned["weight"].values.copy()
    with pytest.raises(InputError, match=rf"^network 'mlp': .*{message}") as refusal:
        model.step(codes, labels, 0)
    assert "\n" not in str(refusal.value)
    assert model.state == state
    assert (model.layers["fc1"].learned["weight"].values == weights).all()
    if "labels" not in message:
        with pytest.raises(InputError, match=message):
            model.logits(codes)


def test_a_batch_that_is_no_power_of_two(model: Model) -> None:
    with pytest.raises(InputError, match=r"^batch must be a power of two, not 3$"):
        model.step(CODES[:3], LABELS[:3], 0)
    # Inference takes any.
    assert model.logits(CODES[:3])[0].shape == (3, 10)
