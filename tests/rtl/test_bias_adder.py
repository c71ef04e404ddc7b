from typing import Any

import numpy as np

from golden.formats import rounding_shift, saturate
from rtl.bias_adder import BiasAdder


def test_sums_are_goldens(pipeline: Any, corners: Any) -> None:
    rng = np.random.default_rng(5)
    x, y = corners(rng, (4000,), 32), corners(rng, (4000,), 16)
    shift = np.where(rng.random(4000) < 0.9, rng.integers(-17, 34, 4000), corners(rng, (4000,), 8))
    got = pipeline(BiasAdder(), {"x": x, "y": y, "shift": shift}, "o", 1)
    np.testing.assert_array_equal(got, saturate(x + rounding_shift(y, shift), 32))
