"""Weight decay of the float schemes: EOQ's, on weights alone."""

import numpy as np
import pytest

from golden import data, zoo
from golden.float_learner import MOMENTUM, RATE, WEIGHT_DECAY
from golden.learners import learner
from golden.optimizer import WEIGHT, Rate, update


@pytest.mark.parametrize("scheme", ["fp32-bn", "fp32-fixup"])
def test_a_step_takes_the_decay_of_every_weight_and_of_nothing_else(scheme: str) -> None:
    digits = data.load("digits")
    network = zoo.resnet8((1, 8, 8))
    plain, decaying = (learner(name, network, digits, 0) for name in (scheme, f"{scheme}-decay"))
    start = {name: values.copy() for name, values in plain.parameters().items()}
    for one in (plain, decaying):
        one.train(digits.train[slice(0, 32)], k=1)
    others, decayed = decaying.parameters(), 0
    for name, values in plain.parameters().items():
        taken = values - others[name]
        if name.endswith(".weight"):
            expected = RATE / 2 * 2.0**-11 * start[name]
            np.testing.assert_allclose(taken, expected, atol=3e-8, err_msg=name)
            decayed += bool(taken.any())
        else:
            assert (taken == 0).all(), name
    # Those that Fixup starts at zero have nothing to lose.
    assert decayed >= 4


def test_it_is_the_share_of_a_weight_that_eoq_takes() -> None:
    weight = np.full(4096, 100, dtype=np.int32)
    momentum = np.zeros_like(weight)
    steps = 100
    for step in range(steps):
        nothing = np.zeros_like(weight)
        weight, momentum, _ = update(weight, momentum, nothing, Rate(), WEIGHT, key=step)
    kept = (weight - momentum / 2**WEIGHT.fraction).mean() / 100
    assert kept == pytest.approx((1 - WEIGHT_DECAY) ** steps, abs=2e-3)
    # Momentum hands a gradient over once in all, in both.
    assert pytest.approx(1) == RATE / (1 - MOMENTUM)
