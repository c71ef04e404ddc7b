"""Momentum and update: what goes into a parameter comes out of the momentum."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from golden.optimizer import MAX_HALVINGS, MOMENTUM_SHIFT, SCALAR, WEIGHT, Rate, UpdateRule, update
from golden.randomness import draw, weight_index

PLAIN = replace(WEIGHT, decay=0)
RULES = pytest.mark.parametrize("rule", [PLAIN, SCALAR], ids=["weight", "scalar"])
HALVINGS = range(MAX_HALVINGS + 1)


@RULES
@pytest.mark.parametrize("halvings", HALVINGS)
def test_parameter_and_momentum_together_lose_the_gradient_exactly(
    rule: UpdateRule, halvings: int
) -> None:
    rng = np.random.default_rng(halvings)
    applied = rule.applied_shift(halvings)
    p = rng.integers(-40, 41, 500)
    v = rng.integers(-20, 21, 500)
    for step in range(50):
        # Small, so that nothing saturates.
        g = np.where(np.abs(v) < 124, rng.integers(-2, 3, 500), 0)
        new, left, u = update(p, v, g, Rate(halvings=halvings), rule, key=step)
        assert ((new << applied) - left == (p << applied) - v - g).all()
        assert (new == p - u).all()
        p, v = new, left


def test_rounding_errors_do_not_add_up() -> None:
    """After many steps a weight is within one step of where exact arithmetic has it."""
    rng = np.random.default_rng(0)
    start = rng.integers(-60, 61, 400)
    p, v = start, np.zeros(400, dtype=np.int64)
    applied = WEIGHT.applied_shift(0)
    given = np.zeros(400)
    for step in range(2000):
        # A slow walk there and back, of less than a quarter of the momentum's LSB a step.
        g = (rng.random(400) < 0.2) * (1 if step < 1000 else -1)
        given += g
        p, v, _ = update(p, v, g, Rate(), PLAIN, key=step)
    exact = start - given / 2**applied
    assert np.abs(p - exact).max() <= 127 / 2**applied
    assert np.abs(p - exact).mean() < 1.0


@pytest.mark.parametrize("halvings", HALVINGS)
def test_every_momentum_of_8_bits_against_the_equations(halvings: int) -> None:
    a = WEIGHT.applied_shift(halvings)
    v, g = (x.reshape(-1) for x in np.meshgrid(np.arange(-127, 128), np.arange(-127, 128)))
    p = np.resize(np.arange(-127, 128), v.shape)
    new, left, u = update(p, v, g, Rate(halvings=halvings), PLAIN, key=7)
    total = np.clip(v + g, -127, 127)
    low = np.floor(total / 2 ** (a + MOMENTUM_SHIFT))
    assert ((u == low) | (u == low + 1)).all()
    assert (left == np.clip(total - u * 2**a, -127, 127)).all()
    assert (new == np.clip(p - u, -127, 127)).all()
    # The update is right in the mean.
    mean = (u - total / 2 ** (a + MOMENTUM_SHIFT)).mean()
    assert abs(mean) < 4 * 0.5 / np.sqrt(v.size)


def test_a_halving_moves_a_parameter_half_as_far() -> None:
    v = np.full(20000, 100)
    g = np.zeros(20000, dtype=np.int64)
    moved = [update(g, v, g, Rate(halvings=h), PLAIN, key=3)[2].mean() for h in HALVINGS]
    for one, half in itertools.pairwise(moved):
        assert half == pytest.approx(one / 2, abs=0.02)


@pytest.mark.parametrize("k", [0, 2, 4])
def test_weights_decay_towards_zero_at_the_rate_of_the_gradient(k: int) -> None:
    weight = np.repeat([-127, -64, 0, 1, 100, 127], 20000)
    zeros = np.zeros_like(weight)
    # What a momentum of zeros has and hands over is D.
    rate = Rate(k=k)
    _, v, u = update(weight, zeros, zeros, rate, WEIGHT, key=9)
    decay = v + (u << WEIGHT.applied_shift(0))
    assert set(np.unique(decay)) <= {-1, 0, 1}
    assert (np.sign(decay) * np.sign(weight) >= 0).all()
    means = decay.reshape(6, -1).mean(axis=1)
    expected = weight[::20000] / 2.0 ** (WEIGHT.decay + k)
    np.testing.assert_allclose(means, expected, atol=0.012)
    assert means[2] == 0


@pytest.mark.parametrize("k", [0, 4, 9])
def test_decay_against_the_equations(k: int) -> None:
    """Every weight with gradients and momenta at and within saturation."""
    p, g, v = (
        x.ravel()
        for x in np.meshgrid(np.arange(-127, 128), [-127, -126, -1, 0, 60, 127], [-127, 0, 5, 127])
    )
    key, bits, a = 11, min(WEIGHT.decay + k, 15), WEIGHT.applied_shift(0)
    random = draw(key, weight_index(p.shape)).astype(np.int64)
    decay = (p * 2 ** (16 - bits) + random) // 2**16
    total = np.clip(v + np.clip(g + decay, -127, 127), -127, 127)
    u = (total * 2 ** (16 - a - MOMENTUM_SHIFT) + random) // 2**16
    new, left, given = update(p, v, g, Rate(k=k), WEIGHT, key=key)
    np.testing.assert_array_equal(given, u)
    np.testing.assert_array_equal(left, np.clip(total - u * 2**a, -127, 127))
    np.testing.assert_array_equal(new, np.clip(p - u, -127, 127))


def test_one_draw_for_decay_and_update_biases_no_weight() -> None:
    """Weights without a gradient shrink as fast as decay alone has it, over many steps."""
    start = np.repeat([-127, -60, 60, 127], 5000)
    p, v = start, np.zeros_like(start)
    steps = 1000
    for step in range(steps):
        p, v, _ = update(p, v, np.zeros_like(p), Rate(), WEIGHT, key=step)
    a = WEIGHT.applied_shift(0)
    # The momentum still holds what it has not handed over.
    left = (p - v / 2**a).reshape(4, -1).mean(axis=1)
    expected = start[::5000] * (1 - 2.0 ** -(WEIGHT.decay + a)) ** steps
    np.testing.assert_allclose(left, expected, rtol=0.01)


def test_scalars_do_not_decay() -> None:
    scalar, zeros = np.full(1000, 30000), np.zeros(1000, dtype=np.int64)
    p, v, u = update(scalar, zeros, zeros, Rate(), SCALAR, key=1)
    assert (p == scalar).all()
    assert not v.any()
    assert not u.any()
