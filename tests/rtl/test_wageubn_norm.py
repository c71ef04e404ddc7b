"""WAGEUBN's normalisation against the same integers in Python, and near golden's floats."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.wageubn import _NormalizationLayer
from rtl.channel_simulation import Channel, run
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
    report = {"mean": mean, "deviation": deviation, "reciprocal": reciprocal, "places": places}
    return [n * gamma + (beta << 7) for n in normal], normal, report


def clip(value: int, bits: int) -> int:
    limit = (1 << (bits - 1)) - 1
    return max(-limit, min(limit, value))


def backward(
    error: Integers, normal: Integers, gamma: int, reciprocal: int, places: int, bits: int = 16
) -> tuple[list[int], dict[str, int]]:
    """dx, and the two sums."""
    count, dbeta, dgamma = len(error), int(error.sum()), int((error * normal).sum())
    mean, share = (
        clip(round(Fraction(128 * dbeta, count)), 16),
        clip(round(Fraction(dgamma, count)), 16),
    )
    gain = round(Fraction(gamma * reciprocal, 1 << max(bits - 8, 1)))
    result = []
    for e, n in zip(error.tolist(), normal.tolist(), strict=True):
        term = clip(128 * e - mean - round(Fraction(n * share, 128)), 18)
        result.append(clip(round(Fraction(term * gain, 1 << (bits - places))), 22))
    return result, {"dbeta": dbeta, "dgamma": dgamma}


def elements(rng: Any, count: int, bits: int) -> Integers:
    """Of any spread about any centre, extremes included."""
    top = 1 << (bits - 1)
    x = rng.integers(-top, top) + rng.normal(size=count) * 2.0 ** rng.integers(-1, bits - 1)
    return np.clip(np.rint(x), -top, top - 1).astype(np.int64)


@pytest.mark.parametrize(
    ("bits", "idle"),
    [
        pytest.param(16, 0.0, marks=pytest.mark.slow),
        (8, 0.3),
        pytest.param(11, 0.3, marks=pytest.mark.slow),
    ],
)
def test_bit_for_bit_and_cycle_for_cycle(bits: int, idle: float) -> None:
    rng = np.random.default_rng(bits)
    unit = WageubnNorm(element_bits=bits, count_bits=8)
    top = 1 << (bits - 1)
    data = [elements(rng, int(n), bits) for n in (1, 2, 5, 33, 60)]
    data += [np.full(5, -top), np.array([-top, top - 1] * 3), np.r_[np.zeros(99, int), top - 1]]
    work, expected = [], []
    for x in data:
        gamma, beta = (int(v) for v in rng.integers(-256, 256, 2))
        begin = {"count": len(x), "gamma": gamma, "beta": beta}
        y, normal, report = forward(x, gamma, beta, bits)
        work.append(Channel(begin | {"backward": 0}, {"x": x}, 2))
        expected.append(({"o": y, "o_normal": normal}, report))
        error = rng.integers(-128, 129, len(x)) >> rng.integers(0, 7)
        # An error that follows x-hat, and an x-hat that no forward pass would give.
        error = np.clip(error + rng.integers(0, 2) * np.array(normal), -256, 255)
        normals = np.array(normal if rng.random() < 0.7 else rng.integers(-2047, 2048, len(x)))
        kept = {name: report[name] for name in ("reciprocal", "places")}
        columns = {"error": error, "normal": normals}
        work.append(Channel(begin | {"backward": 1} | kept, columns, 2))
        dx, report = backward(error, normals, gamma, **kept, bits=bits)
        expected.append(({"o": dx, "o_normal": []}, report))
    runs = run(unit, work, idle=idle, seed=2)
    for channel, (outputs, report), found in zip(work, expected, runs, strict=True):
        begin = channel.begin
        assert found.outputs == outputs
        assert {name: found.report[name] for name in report} == report
        cycles = unit.backward_cycles if begin["backward"] else unit.forward_cycles
        assert (found.cycles == cycles(begin["count"])) or idle


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
        ({"element_bits": 7}, "element_bits must be 8 to 16, not 7"),
        ({"count_bits": 33}, "count_bits must be 4 to 32, not 33"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        WageubnNorm(**parameters)


def test_the_backward_pass_is_near_golden() -> None:
    rng = np.random.default_rng(3)
    x, error = elements(rng, 64, 16) // 2, rng.integers(-128, 129, 64)
    x += rng.integers(-3000, 3000, 64)
    gamma, beta = 150, 20
    layer = _NormalizationLayer(np.array([gamma / 128]), np.array([beta / 128]))
    layer.forward([(x / 2.0**15).reshape(64, 1, 1, 1)], training=True)
    (dx,) = layer.backward(error.astype(float).reshape(64, 1, 1, 1), needed=True)
    _, normal, kept = forward(x, gamma, beta)
    assert np.abs(np.array(normal) / 128 - layer._normal[0]).max() <= 1 / 128
    ours, sums = backward(error, np.array(normal), gamma, kept["reciprocal"], kept["places"])
    assert sums["dbeta"] == layer.gradients["beta"][0]
    gain = gamma / 128 * layer._inverse[0]
    # A step of x-hat off, three roundings to 7 fraction bits, one to 6; 18 bits of the gain.
    bound = gain * (np.abs(error).max() * 2 + 3) / 128 + 1 / 64 + np.abs(dx.ravel()) * 2**-8
    assert (np.abs(np.array(ours) / 64 - dx.ravel()) <= bound).all()
    assert np.corrcoef(ours, dx.ravel())[0, 1] > 0.999
