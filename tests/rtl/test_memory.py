from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.memory import Memory


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_reads_follow_writes(depth: int, pipeline: Any) -> None:
    """Against a list: a read returns the old word of a simultaneous write, and then holds."""
    rng = np.random.default_rng(depth)
    n = 500
    words, held, expected = [0] * max(depth, 2), 0, []
    inputs = {
        "r_address": rng.integers(0, depth, n),
        "r_enable": rng.integers(0, 2, n),
        "w_address": rng.integers(0, depth, n),
        "w_enable": rng.integers(0, 2, n),
        "w_data": rng.integers(0, 256, n),
    }
    for r, r_on, w, w_on, value in zip(*(v.tolist() for v in inputs.values()), strict=True):
        held = words[r] if r_on else held
        words[w] = value if w_on else words[w]
        expected.append(held)
    dut = Memory(width=8, depth=depth, module_name="any")
    assert pipeline(dut, inputs, "r_data", 1).tolist() == expected
    Simulator(Memory(width=1, depth=depth, module_name="any"))
