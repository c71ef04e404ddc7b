"""WAGEUBN's formats at their corners, and that a step keeps to them."""

import numpy as np
import pytest

from golden import data, zoo
from golden.float_layers import Noise
from golden.learners import learner
from golden.wageubn import flagged_error, on_grid, quantized_gradient, shared_error


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_grid_rounds_half_to_even() -> None:
    step = 2.0**-7
    coded = on_grid(floats(0.5 * step, 1.5 * step, 2.5 * step, -0.5 * step, 3), 8)
    assert (coded / step).tolist() == [0, 2, 2, 0, 384]


def test_a_shared_error_is_cut_at_the_power_of_two_next_to_its_maximum() -> None:
    # log2(1.4) = 0.49 rounds to 0: up to 1.41 R is cut to R.
    assert shared_error(floats(1.4, -1.4, 0.5, 0.003)).tolist() == [1, -1, 0.5, 0]
    assert shared_error(floats(1.5, 0.5)).tolist() == [1.5, 0.5]
    assert shared_error(floats(0, 0)).tolist() == [0, 0]


def test_a_flagged_error_counts_below_one_step_in_fractions() -> None:
    step = 2.0**-7
    values = floats(1, 3.4 * step, -0.5 * step, 0.3 * step, step / 128, step / 300, 0)
    counts = flagged_error(values) / step
    assert counts.tolist() == [127, 3, -0.5, 38 / 128, 1 / 128, 0, 0]
    assert flagged_error(floats(0, 0)).tolist() == [0, 0]


def test_a_gradient_forgets_its_magnitude() -> None:
    gradient = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    one, other = (quantized_gradient(g, 128, Noise(0)) for g in (gradient, gradient * 2.0**-9))
    assert (one == other).all()
    counts = one * 2.0**14
    assert (counts == np.rint(counts)).all()
    assert np.abs(counts).max() <= 127
    # Stochastic: unbiased where it is not cut.
    scale = 2.0 ** round(float(np.log2(np.abs(gradient).max())))
    assert (counts - 128 * gradient / scale).mean() == pytest.approx(0, abs=0.03)
    assert np.abs(quantized_gradient(gradient, 8, Noise(0)) * 2.0**14).max() <= 7
    assert not quantized_gradient(np.zeros(3, np.float32), 128, Noise(0)).any()


def test_a_step_keeps_to_the_formats() -> None:
    digits = data.load("digits")
    it = learner("wageubn", zoo.resnet8((1, 8, 8)), digits, seed=0)
    for step in range(3):
        it.train(digits.train[slice(16 * step, 16 * step + 16)], k=step)
    layer = it.model.layers["stage2.0.conv1"]
    master, momentum = (it.state()[f"stage2.0.conv1.weight{end}"] for end in ("", ".momentum"))
    for values, bits in ((master, 24), (momentum, 13), (layer._weight, 8), (layer._patches, 8)):
        assert (on_grid(values, bits) == values).all()
    assert np.abs(layer._weight).max() < 1
    assert (on_grid(master, 8) != master).any()
    # Both ends stay in floating point.
    for name in ("stem.conv", "fc"):
        weight = it.state()[f"{name}.weight"]
        assert (on_grid(weight, 24) != weight).any()
