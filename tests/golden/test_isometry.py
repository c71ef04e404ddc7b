"""Measured spectra against closed forms, singular values, and the estimator's own error bars."""

import math

import numpy as np
import pytest

from golden.errors import InputError
from golden.float_build import build_float
from golden.float_normalization import EPSILON
from golden.isometry import BlockIsometry, Spectrum, measure
from golden.jacobians import FloatJacobians
from golden.network import (
    Activation,
    Add,
    Linear,
    Network,
    Normalization,
    ScalarMultiplier,
)

Weights = dict[str, np.ndarray]


def jacobians(network: Network, weights: Weights, inputs: np.ndarray) -> FloatJacobians:
    model = build_float(network, 0, dtype=np.float64)
    for name, weight in weights.items():
        model.layers[name].learned["weight"] = weight
    return FloatJacobians(model, inputs)


def one_linear(weight: np.ndarray, *, samples: int = 2) -> FloatJacobians:
    n_out, n_in = weight.shape
    network = Network("linear", (n_in,))
    network.add("fc", Linear(n_out, bias=False))
    return jacobians(network, {"fc": weight}, np.ones((samples, n_in)))


def orthogonal(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


@pytest.mark.parametrize(("n_out", "n_in"), [(200, 200), (100, 240), (240, 100)])
def test_gaussian_linear_layer_is_marchenko_and_pastur_s(n_out: int, n_in: int) -> None:
    deviation = 0.1
    weight = np.random.default_rng(5).normal(0, deviation, (n_out, n_in))
    (block,) = measure(one_linear(weight, samples=1), probes=3)
    assert block.method == "exact"
    low, high = sorted((n_out, n_in))
    # Mean s^2 max(n), variance min/max times its square; a finite matrix is off by sqrt(2/(n m)).
    mean = deviation**2 * high
    assert block.spectrum.phi == pytest.approx(mean, rel=5 * math.sqrt(2 / (n_out * n_in)))
    assert block.spectrum.variance == pytest.approx(mean**2 * low / high, rel=0.05)
    assert (block.n_in, block.n_out, block.spectrum.phi_error) == (n_in, n_out, 0)


@pytest.mark.parametrize(("n_out", "n_in"), [(24, 24), (24, 10), (10, 24)])
@pytest.mark.parametrize("exact_rows", [256, 0])
def test_orthogonal_layer_is_isometric(n_out: int, n_in: int, exact_rows: int) -> None:
    weight = orthogonal(np.random.default_rng(1), 24)[:n_out, :n_in]
    (block,) = measure(one_linear(weight), probes=64, exact_rows=exact_rows)
    spectrum = block.spectrum
    assert abs(spectrum.phi - 1) <= 1e-12 + 4 * spectrum.phi_error
    assert abs(spectrum.variance) <= 1e-12 + 4 * spectrum.variance_error
    assert block.verdict == block.arriving_verdict == "near 1"
    # Estimates from random errors have an error bar unless nothing can be seen of the randomness.
    assert (spectrum.phi_error < 1e-12) == (exact_rows > 0 or n_out <= n_in)
    assert (spectrum.variance_error == 0) == (exact_rows > 0)


def test_relu_halves() -> None:
    rng = np.random.default_rng(2)
    network = Network("relu", (300,))
    network.add("fc", Linear(300, bias=False))
    network.add("relu", Activation())
    network.add("end", Linear(2))
    weight, x = orthogonal(rng, 300), rng.normal(size=(4, 300))
    first, _ = measure(jacobians(network, {"fc": weight}, x), probes=16)
    share = np.mean(x @ weight.T > 0)
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(1200)
    # Half of the singular values are one, half are zero.
    assert first.spectrum.phi == pytest.approx(share, abs=1e-12)
    assert first.method == "hutchinson"
    exact, _ = measure(jacobians(network, {"fc": weight}, x), probes=16, exact_rows=300)
    assert exact.spectrum.phi == pytest.approx(share, abs=1e-12)
    assert exact.spectrum.variance == pytest.approx(share * (1 - share), abs=1e-12)
    assert exact.verdict == "low"


def test_he_s_linear_layer_and_relu_keep_the_mean() -> None:
    """Mean 1; the second moment of 2/n W'DW with n/2 rows open is 3, so the variance is 2."""
    rng = np.random.default_rng(3)
    network = Network("he", (250,))
    network.add("fc", Linear(250, bias=False))
    network.add("relu", Activation())
    network.add("end", Linear(2))
    weight = rng.normal(0, math.sqrt(2 / 250), (250, 250))
    first, _ = measure(jacobians(network, {"fc": weight}, rng.normal(size=(4, 250))), probes=3)
    assert first.spectrum.phi == pytest.approx(1, abs=0.1)
    assert first.spectrum.variance == pytest.approx(2, abs=0.35)
    assert first.verdict == "near 1, spread"


def residual(branch: float) -> FloatJacobians:
    network, weights, x = residual_parts(branch)
    return jacobians(network, weights, x)


def residual_parts(branch: float) -> tuple[Network, Weights, np.ndarray]:
    rng = np.random.default_rng(4)
    network = Network("residual", (12,))
    network.add("block.a", Linear(12, bias=False), "input")
    network.add("block.relu", Activation(), "block.a")
    network.add("block.b", Linear(12, bias=False), "block.relu")
    network.add("block.m", ScalarMultiplier(), "block.b")
    network.add("block.add", Add(), "block.m", "input")
    network.add("end", Linear(3))
    shape = (12, 12)
    weights = {"block.a": rng.normal(size=shape), "block.b": branch * rng.normal(size=shape)}
    weights["end"] = rng.normal(size=(3, 12))
    return network, weights, rng.normal(size=(5, 12))


def test_a_residual_block_with_a_zero_branch_is_the_identity() -> None:
    block, _ = measure(residual(0), probes=8)
    assert (block.spectrum.phi, block.spectrum.variance) == (1, 0)
    assert block.arriving == 1
    block, _ = measure(residual(0), probes=8, exact_rows=0)
    assert (block.spectrum.phi, block.spectrum.phi_error) == (1, 0)


def test_moments_are_those_of_the_singular_values() -> None:
    network, weights, x = residual_parts(0.3)
    block, _ = measure(jacobians(network, weights, x), probes=3)
    squares = []
    for sample in x:
        mask = np.diag((weights["block.a"] @ sample > 0).astype(float))
        matrix = np.eye(12) + weights["block.b"] @ mask @ weights["block.a"]
        squares.append(np.linalg.svd(matrix, compute_uv=False) ** 2)
    assert block.spectrum.phi == pytest.approx(np.mean(squares), rel=1e-10)
    assert block.spectrum.variance == pytest.approx(np.var(squares), rel=1e-10)


def normalized() -> tuple[FloatJacobians, np.ndarray]:
    rng = np.random.default_rng(6)
    network = Network("normalized", (4,))
    network.add("norm", Normalization())
    network.add("fc", Linear(4, bias=False))
    x = rng.normal(size=(9, 4)) * np.array([0.5, 1, 2, 3])
    return jacobians(network, {"fc": orthogonal(rng, 4)}, x), x


@pytest.mark.parametrize("exact_rows", [256, 0])
def test_batch_normalisation_takes_two_directions_of_the_batch_from_each_channel(
    exact_rows: int,
) -> None:
    """Of a channel's n singular values n - 2 are 1/sigma; the mean's is zero, x-hat's all but."""
    linearised, x = normalized()
    (block,) = measure(linearised, probes=200, exact_rows=exact_rows)
    widened = x.var(axis=0) + EPSILON
    squares = np.zeros((9, 4))
    squares[1] = (EPSILON / widened) ** 2 / widened
    squares[2:] = 1 / widened
    spectrum = block.spectrum
    slack = 1e-12
    assert abs(spectrum.phi - squares.mean()) < slack + 4 * spectrum.phi_error
    assert abs(spectrum.variance - squares.var()) < slack + 4 * spectrum.variance_error
    assert (block.method == "exact") == (exact_rows > 0)


@pytest.mark.parametrize("make", [lambda: residual(0.3), lambda: normalized()[0]])
def test_error_bars_are_as_wide_as_the_estimates_scatter(make) -> None:
    linearised = make()
    exact = measure(linearised, probes=3)[0].spectrum
    estimates = [
        measure(linearised, probes=24, seed=seed, exact_rows=0)[0].spectrum for seed in range(60)
    ]
    for name in ("phi", "variance"):
        off = np.array([getattr(e, name) - getattr(exact, name) for e in estimates])
        bars = np.array([getattr(e, f"{name}_error") for e in estimates])
        # Unbiased, and one bar is one standard deviation; the jackknife errs on the large side.
        assert abs(off.mean()) < 4 * off.std() / math.sqrt(60)
        assert 0.6 < math.sqrt(np.mean((off / bars) ** 2)) < 1.3


def test_arriving_errors_are_those_that_the_blocks_above_let_through() -> None:
    rng = np.random.default_rng(8)
    below, above = np.diag([2.0, 1, 1, 0]), np.diag([1.0, 0, 0, 0])[:2]
    network = Network("two", (4,))
    network.add("below", Linear(4, bias=False))
    network.add("above", Linear(2, bias=False))
    linearised = jacobians(network, {"below": below, "above": above}, rng.normal(size=(3, 4)))
    first, second = measure(linearised, probes=8)
    # Only the first coordinate comes down, and it is doubled.
    assert first.spectrum.phi == pytest.approx(6 / 4)
    assert (first.gain, first.gain_error) == (4, 0)
    assert second.gain == second.arriving == 0.5


def test_below_a_block_that_passes_nothing_errors_start_anew() -> None:
    first, second = measure(one_zero_above(), probes=8)
    assert (second.verdict, second.arriving_verdict, second.gain) == ("zero", "zero", 0)
    assert first.gain == pytest.approx(4)


def one_zero_above() -> FloatJacobians:
    network = Network("two", (4,))
    network.add("below", Linear(4, bias=False))
    network.add("above", Linear(2, bias=False))
    return jacobians(network, {"below": 2 * np.eye(4), "above": np.zeros((2, 4))}, np.ones((3, 4)))


@pytest.mark.parametrize(
    ("phi", "error", "variance", "verdict"),
    [
        (1.0, 0.0, 0.5, "near 1"),
        (1.0, 0.0, 1.5, "near 1, spread"),
        (1.3, 0.0, 0.0, "high"),
        (1.3, 0.03, 0.0, "near 1"),
        (0.7, 0.0, 0.0, "low"),
        (0.7, 0.06, 0.0, "near 1"),
        (0.0, 0.0, 0.0, "zero"),
    ],
)
def test_verdicts(phi: float, error: float, variance: float, verdict: str) -> None:
    spectrum = Spectrum(phi, error, variance, 0.0)
    assert BlockIsometry("b", 4, 4, "exact", spectrum, 1.0, 0.0, 1.25).verdict == verdict


def test_scale_of_a_block_that_widens() -> None:
    block = BlockIsometry("b", 4, 16, "exact", Spectrum(1.0, 0.0, 0.0, 0.0), 0.25, 0.01, 1.25)
    assert (block.arriving, block.arriving_error, block.expected_gain) == (1, 0.04, 0.25)


def test_one_seed_one_result() -> None:
    one, again, other = (
        measure(residual(0.3), probes=8, seed=seed, exact_rows=0) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 0}, "^probes must be at least 3, not 0$"),
        ({"probes": 8, "tolerance": 1.0}, "^tolerance must be a finite number above 1, not 1.0$"),
        ({"probes": 8, "tolerance": math.nan}, "^tolerance must be .* not nan$"),
        ({"probes": 1 << 30}, "^block 'block': .* probes of 5 images must fit 2147483648 bytes"),
    ],
)
def test_bad_numbers(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure(residual(0), **options)


def test_a_jacobian_out_of_range() -> None:
    linearised = one_linear(np.full((4, 4), 1e200))
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(InputError, match=r"^block 'fc': its Jacobian must be finite"),
    ):
        measure(linearised, probes=3)
