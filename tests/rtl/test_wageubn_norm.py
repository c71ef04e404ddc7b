"""WAGEUBN's normalisation against the same integers in Python, and near golden's floats."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.wageubn import _NormalizationLayer
from rtl.wageubn_norm import WageubnNorm

Integers = NDArray[np.int64]


def forward(
    x: Integers, gamma: int, beta: int, bits: int = 16
) -> tuple[list[int], list[int], dict[str, int]]:
    """y (14 fraction bits), x-hat (7), mean and deviation. `round` is half to even."""
    count = len(x)
    mean = round(Fraction(int(x.sum()), count))
    quarter = 4 * int(((x - mean) ** 2).sum()) // count
    deviation = (math.isqrt(quarter) + 1) // 2 + 1
    places = bits - deviation.bit_length()
    reciprocal = (1 << (2 * bits - 1)) // (deviation << places)
    normal = []
    for element in (x - mean).tolist():
        exact = Fraction(element * reciprocal, 1 << (2 * bits - 8 - places))
        normal.append(max(-2047, min(2047, round(exact))))
    return [n * gamma + (beta << 7) for n in normal], normal, {"mean": mean, "deviation": deviation}


def elements(rng: Any, count: int, bits: int) -> Integers:
    """Of any spread about any centre, extremes included."""
    top = 1 << (bits - 1)
    x = rng.integers(-top, top) + rng.normal(size=count) * 2.0 ** rng.integers(-1, bits - 1)
    return np.clip(np.rint(x), -top, top - 1).astype(np.int64)


@pytest.mark.parametrize(("bits", "idle"), [(16, 0.0), (8, 0.3), (11, 0.3)])
def test_bit_for_bit_and_cycle_for_cycle(bits: int, idle: float, channels: Any) -> None:
    rng = np.random.default_rng(bits)
    unit = WageubnNorm(element_bits=bits, count_bits=8)
    top = 1 << (bits - 1)
    data = [elements(rng, int(n), bits) for n in (1, 2, 5, 16, 33, 60, 100)]
    data += [np.full(5, -top), np.array([-top, top - 1] * 3), np.r_[np.zeros(99, int), top - 1]]
    work = []
    for x in data:
        gamma, beta = (int(v) for v in rng.integers(-256, 256, 2))
        work.append(({"count": len(x), "gamma": gamma, "beta": beta}, {"x": x}, 2))
    for (begin, columns, _), run in zip(work, channels(unit, work, idle=idle, seed=2), strict=True):
        y, normal, report = forward(columns["x"], begin["gamma"], begin["beta"], bits)
        assert run.outputs == {"o": y, "o_normal": normal}
        assert run.report == report
        assert (run.cycles == unit.cycles(begin["count"])) or idle


def test_it_is_within_a_step_of_golden() -> None:
    """Golden divides in floating point, about the unrounded mean; the last bit may differ."""
    rng = np.random.default_rng(1)
    different = 0
    for _ in range(50):
        x = elements(rng, 64, 16)
        if len(set(x.tolist())) < 3:
            continue
        gamma, beta = 150, -77
        layer = _NormalizationLayer(np.array([gamma / 128]), np.array([beta / 128]))
        layer.forward([(x / 2.0**15).reshape(64, 1, 1, 1)], training=True)
        golden = np.rint(layer._normal[0] * 128).astype(int)
        _, normal, _ = forward(x, gamma, beta)
        unsaturated = np.abs(golden) < 2047
        # A deviation of a few steps may be one step off, which is a large part of it.
        if x.std() < 64:
            continue
        off = np.abs(golden - normal)[unsaturated]
        assert off.max() <= 2
        different += int((off > 0).sum())
    assert different < 0.05 * 50 * 64


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"element_bits": 7}, "element_bits must be 8 to 24, not 7"),
        ({"count_bits": 33}, "count_bits must be 4 to 32, not 33"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        WageubnNorm(**parameters)
