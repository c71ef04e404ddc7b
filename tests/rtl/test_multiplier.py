from typing import Any

import numpy as np

from rtl.multiplier import Multiplier


def test_every_product(pipeline: Any) -> None:
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    np.testing.assert_array_equal(pipeline(Multiplier(), {"a": a, "b": b}, "o", 0), a * b)
