"""The lane's quantiser against `QuantSpec`."""

from typing import Any

import numpy as np
import pytest

from golden.formats import QuantSpec, Rounding
from rtl.lane_quantizer import LaneQuantizer


def run(pipeline: Any, x: Any, shift: int, random: Any) -> Any:
    inputs = {"t": x, "shift": np.full_like(x, shift), "random": np.r_[0, random[:-1]]}
    return pipeline(LaneQuantizer(), inputs, "o", 2)


@pytest.mark.parametrize("shift", [0, 1, 2, 7, 15, 16, 17, 24, 25, 30, 31, 32, 33, 47, 48, 49, 63])
def test_wide_operands(shift: int, pipeline: Any, corners: Any) -> None:
    rng = np.random.default_rng(shift)
    x = corners(rng, (600,), 32)
    # Around the edges of saturation and of the last code.
    x[:200] = np.clip((rng.integers(-130, 131, 200) << min(shift, 24)) + rng.integers(-2, 3, 200),
                      -(1 << 31), (1 << 31) - 1)  # fmt: skip
    random = rng.choice([0, 0xFFFF, 0x8000, 0x7FFF, 0x1234], 600)
    want = QuantSpec(rounding=Rounding.STOCHASTIC).apply(x, shift, random)
    # The pipeline's last operand needs its draw a cycle later, so it is left out.
    np.testing.assert_array_equal(run(pipeline, x, shift, random)[:-1], want[:-1])


def test_every_small_operand_rounds_half_up(pipeline: Any) -> None:
    x = np.arange(-600, 600)
    for shift in (1, 2, 3):
        got = run(pipeline, x, shift, np.full_like(x, 0x8000))
        np.testing.assert_array_equal(got[:-1], QuantSpec().apply(x, shift)[:-1])
