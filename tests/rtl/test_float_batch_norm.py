"""Batch normalisation in binary32 against the same operations in NumPy's, in the same order."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.float_normalization import EPSILON, BatchNormalizationLayer
from rtl.channel_simulation import Channel, run
from rtl.float_batch_norm import EPSILON_CODE, FloatBatchNorm

Floats = NDArray[np.float32]


def code(values: Any) -> Any:
    return np.asarray(values, dtype=np.float32).view(np.uint32).astype(np.int64)


def value(codes: Any) -> Floats:
    return np.asarray(codes, dtype=np.uint32).view(np.float32)


def total(values: Floats) -> np.float32:
    """Four interleaved sums, and their tree."""
    parts = np.full(4, -0.0, dtype=np.float32)
    for k, x in enumerate(values):
        parts[k % 4] += x
    return (parts[0] + parts[1]) + (parts[2] + parts[3])


def forward(
    x: Floats, gamma: np.float32, beta: np.float32
) -> tuple[Floats, Floats, tuple[np.float32, ...]]:
    inverse_count = np.float32(1) / np.float32(len(x))
    mean = total(x) * inverse_count
    variance = total((x - mean) ** 2) * inverse_count
    inverse = np.float32(1) / np.sqrt(variance + np.float32(EPSILON))
    normal = (x - mean) * inverse
    return normal * gamma + beta, normal, (mean, variance, inverse)


def backward(
    error: Floats, normal: Floats, gamma: np.float32, inverse: np.float32
) -> tuple[Floats, tuple[np.float32, ...]]:
    inverse_count = np.float32(1) / np.float32(len(error))
    d_beta, d_gamma = total(error), total(error * normal)
    terms = d_beta * inverse_count, d_gamma * inverse_count
    return ((error - terms[0]) - normal * terms[1]) * (gamma * inverse), (d_beta, d_gamma)


def channel(rng: Any, count: int, back: bool) -> tuple[dict[str, int], dict[str, Any], Floats]:
    """What begins a channel, the columns of its elements, and its data."""
    # Scales far apart: sums of large and small numbers round.
    x = (rng.normal(size=count) * 2.0 ** rng.integers(-12, 12, count)).astype(np.float32)
    gamma, beta, inverse = rng.normal(size=3).astype(np.float32)
    normal = rng.normal(size=count).astype(np.float32)
    begin = {
        "backward": int(back),
        "count": count,
        "inverse_count": int(code(np.float32(1) / np.float32(count))),
        "gamma": int(code(gamma)),
        "beta": int(code(beta)),
        "inverse": int(code(inverse)),
    }
    return begin, {"x": code(x), "normal": code(normal)}, x


@pytest.mark.parametrize("idle", [0.0, pytest.param(0.3, marks=pytest.mark.slow)])
def test_bit_for_bit_and_cycle_for_cycle(idle: float) -> None:
    rng = np.random.default_rng(4)
    work = [channel(rng, n, back) for n in (1, 4, 19) for back in (False, True)]
    unit = FloatBatchNorm(count_bits=8)
    channels = [Channel(begin, data, 2 if begin["backward"] else 3) for begin, data, _ in work]
    runs = run(unit, channels, idle=idle, seed=1)
    for (begin, data, x), found in zip(work, runs, strict=True):
        gamma, inverse = value(begin["gamma"]), value(begin["inverse"])
        if begin["backward"]:
            result, report = backward(x, value(data["normal"]), gamma, inverse)
            cycles = FloatBatchNorm.backward_cycles(len(x))
            assert found.outputs["o_normal"] == []
        else:
            result, normal, report = forward(x, gamma, value(begin["beta"]))
            cycles = FloatBatchNorm.forward_cycles(len(x))
            np.testing.assert_array_equal(found.outputs["o_normal"], code(normal))
        np.testing.assert_array_equal(found.outputs["o"], code(result))
        names = ("first", "second", "inverse")
        got = [found.report[name] for name in names][: len(report)]
        assert got == code(np.array(report)).tolist()
        assert found.cycles == cycles if not idle else found.cycles >= cycles


def test_the_operations_are_those_of_golden() -> None:
    """The order of the sums apart, which moves the last bits."""
    rng = np.random.default_rng(8)
    x, error = rng.normal(1.0, 2.0, (2, 6, 1, 5, 5)).astype(np.float32)
    gamma, beta = np.float32(0.7), np.float32(-0.2)
    layer = BatchNormalizationLayer(np.array([gamma]), np.array([beta]))
    y = layer.forward([x], training=True)
    (dx,) = layer.backward(error, needed=True)
    ours, normal, (_, _, inverse) = forward(x.ravel(), gamma, beta)
    np.testing.assert_allclose(ours, y.ravel(), rtol=1e-5, atol=1e-6)
    ours, (d_beta, d_gamma) = backward(error.ravel(), normal, gamma, inverse)
    np.testing.assert_allclose(ours, dx.ravel(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(d_beta, layer.gradients["beta"][0], rtol=1e-5)
    np.testing.assert_allclose(d_gamma, layer.gradients["gamma"][0], rtol=1e-4)


def test_epsilon_is_goldens() -> None:
    assert code(np.float32(EPSILON)) == EPSILON_CODE


def test_a_constant_channel_and_one_with_an_infinity() -> None:
    work = []
    for x in (np.full(6, 3.0, np.float32), np.array([1, np.inf, 2], np.float32)):
        begin, data, _ = channel(np.random.default_rng(0), len(x), back=False)
        work.append(Channel(begin, data | {"x": code(x)}, 3))
    constant, infinite = run(FloatBatchNorm(count_bits=4), work)
    begin = work[0].begin
    assert constant.outputs["o"] == [begin["beta"]] * 6
    # mean inf, x - mean -inf and NaN, variance and all else NaN.
    assert infinite.outputs["o"] == [0x7FC00000] * 3


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_count_bits_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^count_bits must be 4 to 32, not 3$"):
        FloatBatchNorm(count_bits=3)
