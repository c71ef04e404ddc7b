"""Block Dynamical Isometry, measured: mean and variance of a block's squared singular values.

Chen et al., "A Comprehensive and Modularized Statistical Framework for Gradient Norm Equality in
Deep Neural Networks" (arXiv 2001.00254): with phi(A) = E[tr(A)/n], a block with the Jacobian J is
isometric when phi(JJ') is near 1 and phi((JJ')^2) - phi(JJ')^2 is near 0; if all blocks are, the
gradient keeps its norm. EOQ (arXiv 2105.13890) names it as its theory.

Our choices: n is the number of singular values, min(n_in, n_out), which is the paper's where J is
square and makes a semi-orthogonal J isometric in either direction; the expectation is over a given
batch of images at given weights, so that the batch's whole Jacobian is looked at (with batch
normalisation it is not block diagonal); the rule by which a block is far from 1; and the second
look below, at errors that arrive instead of random ones.

Estimates are Hutchinson's, of two orders: with independent u, v of +-1, |J'v|^2 has the mean
tr(JJ') and (J'u . J'v)^2 the mean |JJ'|_F^2 = tr((JJ')^2), so backward passes alone are enough and
every pair of probes counts. Unit vectors in place of probes give both traces exactly.
"""

import math
from dataclasses import dataclass

import numpy as np

from golden.blocks import Block, find_blocks
from golden.errors import InputError
from golden.jacobians import E, Jacobians, Matrix

__all__ = [
    "EXACT_ROWS",
    "MIN_PROBES",
    "TOLERANCE",
    "BlockIsometry",
    "Spectrum",
    "check_settings",
    "measure",
]

EXACT_ROWS = 256
"""A block of at most so many outputs is measured with unit vectors, exactly."""

MIN_PROBES = 3
"""Fewest probes that an error bar can be had from."""

TOLERANCE = 1.4
"""phi is far from 1 above this or below its inverse, by more than two standard errors.

Of the error's squared norm; 1.5 is what a residual block of He's weights does to it."""

_MAX_BYTES = 2 << 30
"""Most memory for the pulled probes of one block."""


@dataclass(frozen=True)
class Spectrum:
    """Mean and variance of squared singular values, with standard errors; 0 where exact."""

    phi: float
    phi_error: float
    variance: float
    variance_error: float


@dataclass(frozen=True)
class BlockIsometry:
    """One block's measurement.

    Members
    -------
    block, n_in, n_out:
        Name, and elements a sample of its input and output.
    method:
        "exact" or "hutchinson".
    spectrum:
        Of the squared singular values.
    gain, gain_error:
        |J'e|^2 / |e|^2 for the errors e that arrive when random ones start at the network's output,
        or below the last block that lets none through (Fixup's classifier is zero at first).
    tolerance:
        By which the verdicts are.
    """

    block: str
    n_in: int
    n_out: int
    method: str
    spectrum: Spectrum
    gain: float
    gain_error: float
    tolerance: float

    @property
    def verdict(self) -> str:
        """phi's: "near 1", "near 1, spread" if the variance is above phi^2, or as `_distance`."""
        s = self.spectrum
        word = _distance(s.phi, s.phi_error, self.tolerance)
        spread = s.variance - 2 * s.variance_error > s.phi**2
        return f"{word}, spread" if word == "near 1" and spread else word

    @property
    def arriving(self) -> float:
        """What phi would be if all errors fared as those that arrive: |J'e|^2 n_out / |e|^2 n."""
        return self.gain * self._scale

    @property
    def arriving_error(self) -> float:
        """Its standard error."""
        return self.gain_error * self._scale

    @property
    def arriving_verdict(self) -> str:
        """As `verdict`, of `arriving`."""
        return _distance(self.arriving, self.arriving_error, self.tolerance)

    @property
    def _scale(self) -> float:
        return self.n_out / min(self.n_in, self.n_out)

    @property
    def expected_gain(self) -> float:
        """tr(JJ')/n_out: the gain of errors that know nothing of the block."""
        return self.spectrum.phi / self._scale


def check_settings(probes: int, tolerance: float) -> None:
    """Raise InputError for numbers that `measure` cannot take."""
    if probes < MIN_PROBES:
        raise InputError(f"probes must be at least {MIN_PROBES}, not {probes}")
    if not (tolerance > 1 and math.isfinite(tolerance)):
        raise InputError(f"tolerance must be a finite number above 1, not {tolerance}")


def measure(
    jacobians: Jacobians[E],
    *,
    probes: int,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    exact_rows: int = EXACT_ROWS,
) -> list[BlockIsometry]:
    """Measure every block of a network.

    Parameters
    ----------
    jacobians:
        The network, linearised at a batch.
    probes:
        Random errors a block and sample, at least `MIN_PROBES`.
    seed:
        Of the probes.
    tolerance:
        Above 1; see `TOLERANCE`.
    exact_rows:
        See `EXACT_ROWS`; a block that couples samples counts the outputs of the whole batch.

    Raises
    ------
    InputError
        One line: a number is out of range, the probes need too much memory, or a Jacobian has run
        out of the range of floating point.
    """
    check_settings(probes, tolerance)
    blocks = find_blocks(jacobians.network)
    for block in blocks:
        size = 8 * probes * jacobians.samples * math.prod(jacobians.network.shape_of(block.source))
        if size > _MAX_BYTES:
            raise InputError(
                f"block {block.name!r}: {probes} probes of {jacobians.samples} images must fit "
                f"{_MAX_BYTES} bytes, not {size}; lower one of the two"
            )
    gains = _gains(jacobians, blocks, probes, seed)
    results = []
    for index, block in enumerate(blocks):
        n_in, n_out = _sizes(jacobians, block)
        rows = n_out * (jacobians.samples if jacobians.couples(block) else 1)
        fits = 8 * rows * jacobians.samples * n_in <= _MAX_BYTES
        exact = jacobians.linear and rows <= exact_rows and fits
        if exact:
            spectrum = _exact(jacobians, block, rows)
        else:
            spectrum = _estimated(jacobians, block, probes, np.random.default_rng([seed, index]))
        gain, gain_error = gains[index]
        if not all(map(math.isfinite, (spectrum.phi, spectrum.variance, gain))):
            raise InputError(
                f"block {block.name!r}: its Jacobian must be finite, and has left floating point"
            )
        method = "exact" if exact else "hutchinson"
        results.append(
            BlockIsometry(block.name, n_in, n_out, method, spectrum, gain, gain_error, tolerance)
        )
    return results


def _sizes(jacobians: Jacobians[E], block: Block) -> tuple[int, int]:
    shape_of = jacobians.network.shape_of
    return math.prod(shape_of(block.source)), math.prod(shape_of(block.output))


def _distance(phi: float, error: float, tolerance: float) -> str:
    """Return "zero", "low", "high" or "near 1"; two standard errors decide in its favour."""
    if phi == 0:
        return "zero"
    if phi - 2 * error > tolerance:
        return "high"
    return "low" if phi + 2 * error < 1 / tolerance else "near 1"


def _signs(jacobians: Jacobians[E], block: Block, source: np.random.Generator) -> Matrix:
    shape = (jacobians.samples, *jacobians.network.shape_of(block.output))
    return source.choice(np.array([-1.0, 1.0]), shape)


def _grams(jacobians: Jacobians[E], block: Block, pulled: list[Matrix]) -> Matrix:
    """Inner products of pulled probes: (groups, probes, probes), a group being what is coupled."""
    stacked = np.stack(pulled, axis=1)
    if jacobians.couples(block):
        stacked = stacked.transpose(1, 0, 2).reshape(1, len(pulled), -1)
    return stacked @ stacked.transpose(0, 2, 1)


def _singular_values(jacobians: Jacobians[E], block: Block) -> int:
    return jacobians.samples * min(_sizes(jacobians, block))


def _exact(jacobians: Jacobians[E], block: Block, rows: int) -> Spectrum:
    """Return the moments from J itself, row by row."""
    shape = (jacobians.samples, *jacobians.network.shape_of(block.output))
    pulled = []
    for row in range(rows):
        unit = np.zeros(shape)
        if jacobians.couples(block):
            unit.reshape(-1)[row] = 1
        else:
            unit.reshape(len(unit), -1)[:, row] = 1
        pulled.append(jacobians.real(jacobians.pull(block, jacobians.probe(unit))))
    grams = _grams(jacobians, block, pulled)
    count = _singular_values(jacobians, block)
    phi = float(np.trace(grams, axis1=1, axis2=2).sum()) / count
    return Spectrum(phi, 0.0, float((grams**2).sum()) / count - phi**2, 0.0)


def _estimated(
    jacobians: Jacobians[E], block: Block, probes: int, source: np.random.Generator
) -> Spectrum:
    """Return unbiased estimates from random probes, and their standard errors.

    The variance is a U-statistic of order two: the mean over pairs of probes of
    (J'u . J'v)^2 / n - (|J'u|^2 / n) (|J'v|^2 / n). Its error is the delete-one jackknife's, which
    errs on the large side (Efron and Stein 1981).
    """
    pulled = [
        jacobians.real(jacobians.pull(block, jacobians.probe(_signs(jacobians, block, source))))
        for _ in range(probes)
    ]
    grams = _grams(jacobians, block, pulled)
    count = _singular_values(jacobians, block)
    traces = np.einsum("gpp->p", grams) / count
    pairs = (grams**2).sum(axis=0) / count - np.outer(traces, traces)
    np.fill_diagonal(pairs, 0)
    by_probe = pairs.sum(axis=1)
    total = by_probe.sum()
    left_out = (total - 2 * by_probe) / ((probes - 1) * (probes - 2))
    return Spectrum(
        phi=float(traces.mean()),
        phi_error=float(traces.std(ddof=1)) / math.sqrt(probes),
        variance=float(total) / (probes * (probes - 1)),
        variance_error=_jackknife(left_out),
    )


def _jackknife(left_out: Matrix) -> float:
    """Return the standard error from the estimates without one probe each."""
    return math.sqrt((len(left_out) - 1) * float(left_out.var()))


def _gains(
    jacobians: Jacobians[E], blocks: list[Block], probes: int, seed: int
) -> list[tuple[float, float]]:
    """Send random errors down the whole chain; (gain, standard error) of each block."""
    source = np.random.default_rng([seed, len(blocks)])
    result = []
    errors: list[E] = []
    for block in reversed(blocks):
        if not errors:
            errors = [jacobians.probe(_signs(jacobians, block, source)) for _ in range(probes)]
        above = _squares(jacobians, errors)
        errors = [jacobians.pull(block, error) for error in errors]
        below = _squares(jacobians, errors)
        left_out = (below.sum() - below) / (above.sum() - above)
        result.append((float(below.sum() / above.sum()), _jackknife(left_out)))
        # An error bar needs two errors that are left.
        if np.count_nonzero(below) < 2:
            errors = []
    return result[::-1]


def _squares(jacobians: Jacobians[E], errors: list[E]) -> Matrix:
    return np.array([float((jacobians.real(error) ** 2).sum()) for error in errors])
