"""Random bits by position: order-free, and statistically even."""

import numpy as np
import pytest

from golden.randomness import (
    activation_index,
    draw,
    first_state,
    next_state,
    tensor_key,
    weight_index,
    xorshift32,
)

COUNT = 1 << 16


@pytest.fixture(scope="module")
def sequence() -> np.ndarray:
    return draw(tensor_key(first_state(1), 3), np.arange(COUNT))


def test_a_draw_depends_on_its_position_alone(sequence: np.ndarray) -> None:
    key = tensor_key(first_state(1), 3)
    order = np.random.default_rng(0).permutation(COUNT)
    assert (draw(key, order) == sequence[order]).all()


def test_a_window_of_indices_is_a_permutation_of_16_bits(sequence: np.ndarray) -> None:
    # The mix is a bijection of the low 16 index bits: no draw is more frequent than another.
    assert len(np.unique(sequence)) == COUNT


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 7, 8, 16, 32, 64, 100, 256, 1000])
def test_lagged_correlation_is_noise(sequence: np.ndarray, lag: int) -> None:
    centred = sequence - sequence.mean()
    r = (centred[:-lag] * centred[lag:]).mean() / centred.var()
    assert abs(r) * np.sqrt(COUNT - lag) < 4.5


def test_tensors_and_steps_are_uncorrelated() -> None:
    index = np.arange(COUNT)
    states = [first_state(9)]
    for _ in range(3):
        states.append(next_state(states[-1]))
    rows = np.array([draw(tensor_key(s, t), index) for s in states for t in range(8)], dtype=float)
    correlation = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(correlation).max() * np.sqrt(COUNT) < 5
    # Their spread is that of independent sequences: z has unit variance.
    assert 0.8 < np.std(correlation * np.sqrt(COUNT)) < 1.25


def test_the_mean_of_a_tensor_s_first_draws_is_noise() -> None:
    # Of 65,536 in a row every value comes once; the mean of a thousand scatters as chance has it.
    states = [first_state(seed) for seed in range(60)]
    means = [draw(tensor_key(state, 3), np.arange(1000)).mean() for state in states]
    z = (np.array(means) - 0xFFFF / 2) / np.sqrt(((1 << 32) - 1) / 12 / 1000)
    assert np.abs(z).max() < 4.5
    assert 0.7 < np.sqrt((z**2).mean()) < 1.3


def test_every_bit_is_even(sequence: np.ndarray) -> None:
    index = np.arange(1000)
    bits = (draw(tensor_key(first_state(5), 1), index)[:, None] >> np.arange(16)) & 1
    assert (np.abs(bits.mean(axis=0) - 0.5) < 4.5 * 0.5 / np.sqrt(1000)).all()


def test_xorshift_agrees_with_marsagliasequence() -> None:
    # First outputs of the published generator (13, 17, 5) from its customary seed 2463534242.
    state, outputs = 2463534242, []
    for _ in range(3):
        state = xorshift32(state)
        outputs.append(state)
    assert outputs == [723471715, 2497366906, 2064144800]


def test_channels_and_outputs_are_numbered_fastest() -> None:
    planes = activation_index((2, 3, 4, 5))
    weights = weight_index((3, 4, 2, 5))
    for n, c, y, x in np.ndindex(2, 3, 4, 5):
        assert planes[n, c, y, x] == ((n * 4 + y) * 5 + x) * 3 + c
    for o, i, y, x in np.ndindex(3, 4, 2, 5):
        assert weights[o, i, y, x] == ((y * 5 + x) * 4 + i) * 3 + o
    assert (weight_index((3, 4)) == np.arange(12).reshape(4, 3).T).all()
    for shape in [(7,), (3, 4), (2, 3, 4)]:
        assert (activation_index(shape).ravel() == np.arange(np.prod(shape))).all()
    assert (weight_index((5,)) == np.arange(5)).all()
