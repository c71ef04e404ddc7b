"""Range BN against the same integers in Python, and near golden's floats."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.range_bn import RangeNormalizationLayer
from rtl.channel_simulation import Channel, run
from rtl.range_norm import RangeNorm

Integers = NDArray[np.int64]


def factor_of(count: int, chunk: int) -> int:
    """The layer's constant, 15 fraction bits."""
    spread = 0.175 * (1 + math.sqrt(math.pi * math.log(4))) / math.sqrt(2 * math.log(max(chunk, 2)))
    return round(spread / (count // chunk) * 2**15)


def clip(value: int, bits: int) -> int:
    limit = (1 << (bits - 1)) - 1
    return max(-limit, min(limit, value))


def result(term: int, gain: int, places: int, beta: int) -> int:
    """8 fraction bits. `round` is half to even."""
    scaled = clip(round(Fraction(clip(term, 18) * gain, 1 << (22 - places))), 17)
    return clip(scaled + 2 * beta, 16)


def forward(x: Integers, chunk: int, factor: int, gamma: int, beta: int) -> dict[str, Any]:
    mean = round(Fraction(16 * int(x.sum()), len(x)))
    chunks = x.reshape(-1, chunk)
    spread = int((chunks.max(axis=1) - chunks.min(axis=1)).sum())
    denominator = max(spread, 1) * factor
    places = 27 - denominator.bit_length()
    scale = ((1 << 35) // (denominator << places) + 1) // 2
    return {
        "mean": mean,
        "spread": spread,
        "scale": scale,
        "places": places,
        "o": [result(16 * e - mean, gamma * scale, places, beta) for e in x.tolist()],
        "o_extremes": [(int(c.max()), int(c.min())) for c in chunks],
    }


def backward(
    x: Integers, error: Integers, chunk: int, gamma: int, kept: dict[str, Any]
) -> dict[str, Any]:
    count = len(x)
    correlation = int((error * (16 * x - kept["mean"])).sum())
    mean = round(Fraction(16 * int(error.sum()), count))
    share = clip(round(Fraction(correlation, max(kept["spread"], 1))), 18)
    terms = 16 * error - mean
    starts = np.arange(0, count, chunk)
    chunks = x.reshape(-1, chunk)
    terms[starts + chunks.argmax(axis=1)] -= share
    terms[starts + chunks.argmin(axis=1)] += share
    gain = gamma * kept["scale"]
    return {
        "error_sum": int(error.sum()),
        "correlation": correlation,
        "o": [result(t, gain, kept["places"], 0) for t in terms.tolist()],
    }


def codes(rng: Any, count: int) -> Integers:
    x = rng.normal(rng.integers(-40, 40), 2.0 ** rng.integers(-2, 6), count)
    return np.clip(np.rint(x), -128, 127).astype(np.int64)


SHAPES = [(1, 1), (2, 1), (2, 2), (6, 3), (32, 2), (48, 3), (96, 6), (60, 60)]


@pytest.mark.parametrize("idle", [0.0, pytest.param(0.3, marks=pytest.mark.slow)])
def test_bit_for_bit_and_cycle_for_cycle(idle: float) -> None:
    rng = np.random.default_rng(5)
    unit = RangeNorm(count_bits=8)
    work, expected = [], []
    data = [(codes(rng, count), codes(rng, count), chunk) for count, chunk in SHAPES]
    data += [
        (np.full(8, -128), np.full(8, 127), 4),
        (np.r_[127, [-128] * 31], np.full(32, -128), 2),
    ]
    # An error that follows x: the share of the extremes is large, and saturates.
    wave = np.r_[np.full(127, -128), np.full(127, 127), 3]
    data += [(wave, wave, 255), (wave // 128, wave, 255)]
    for x, error, chunk in data:
        gamma, beta = (int(v) for v in rng.integers(-256, 256, 2))
        kept = forward(x, chunk, factor_of(len(x), chunk), gamma, beta)
        begin = {"count": len(x), "chunk": chunk, "factor": factor_of(len(x), chunk)}
        begin |= {"gamma": gamma, "beta": beta}
        fields = {name: kept[name] for name in ("mean", "spread", "scale", "places")}
        columns = {"x": x, "error": error}
        work += [Channel(begin | {"backward": 0}, columns, 2)]
        work += [Channel(begin | {"backward": 1} | fields, columns, 2, kept["o_extremes"])]
        expected += [kept, backward(x, error, chunk, gamma, kept) | {"o_extremes": []}]
    runs = run(unit, work, idle=idle, seed=7)
    for channel, want, found in zip(work, expected, runs, strict=True):
        begin = channel.begin
        assert found.outputs == {"o": want["o"], "o_extremes": want["o_extremes"]}
        for name in set(want) - {"o", "o_extremes"}:
            assert found.report[name] == want[name], name
        cycles = unit.backward_cycles if begin["backward"] else unit.forward_cycles
        assert (found.cycles == cycles(begin["count"])) or idle


def test_it_is_near_golden() -> None:
    """Golden's roundings made idle: codes of the full range, one channel, unit steps."""
    rng = np.random.default_rng(2)
    count, chunk = 64, 4
    x, error = codes(rng, count), codes(rng, count)
    for values in (x, error):
        values[rng.permutation(count)[:2]] = -128, 127
    gamma, beta = 160, -50
    layer = RangeNormalizationLayer(np.array([gamma / 128]), np.array([beta / 128]), _Silent())
    y = layer.forward([x.astype(float).reshape(1, 1, 8, 8)], training=True).ravel()
    (dx,) = layer.backward(error.astype(float).reshape(1, 1, 8, 8), needed=True)
    ours = forward(x, chunk, factor_of(count, chunk), gamma, beta)
    # Half of one of the scale's 128 steps, half a step of the mean and of the result.
    gain = gamma / 128 * layer._scale[0]
    bound = np.abs(y - beta / 128) / 256 + gain / 32 + 2**-9
    assert (np.abs(np.array(ours["o"]) / 256 - y) <= bound).all()
    back = backward(x, error, chunk, gamma, ours)
    # Also half a step of the share, and what x's rounded mean does to the correlation.
    share = 1 / 32 + abs(error.sum()) / 32 / ours["spread"]
    bound = np.abs(dx.ravel()) / 256 + gain * (1 / 32 + share) + 2**-9
    assert (np.abs(np.array(back["o"]) / 256 - dx.ravel()) <= bound).all()
    assert back["error_sum"] == layer.gradients["beta"][0]


class _Silent:
    """No noise: what is on a step stays there."""

    def uniform(self, values: Any) -> Any:
        return np.full(values.shape, 0.5)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_count_bits_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^count_bits must be 4 to 32, not 0$"):
        RangeNorm(count_bits=0)
