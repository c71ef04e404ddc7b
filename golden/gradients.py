"""Learned tensors: how a gradient is collected over the batch and becomes an update.

Weight gradients are one product over the whole batch. For that, all samples' errors are first
brought to one scale, with stochastic rounding. Source: our choice (NITI and WAGEUBN discard the
gradient's magnitude instead).
"""

from dataclasses import dataclass

import numpy as np

from golden.acceleration import compiled
from golden.formats import Integers, QuantSpec, Rounding, rounding_shift, saturate
from golden.optimizer import Rate, UpdateRule, update
from golden.randomness import activation_index, draw, weight_index
from golden.values import Value, per_sample

__all__ = ["Gradient", "Learned", "align_errors", "quantize_gradient", "sum_samples"]

_STOCHASTIC = QuantSpec(8, 8, Rounding.STOCHASTIC)


@dataclass
class Learned:
    """One learned tensor and its state.

    Members
    -------
    values, exponent:
        Integers of `rule.width` bits, and their static exponent.
    momentum:
        8 or 16 bits, of the same shape.
    rule:
        How it is updated.
    """

    values: Integers
    exponent: int
    rule: UpdateRule
    momentum: Integers

    @classmethod
    def fresh(cls, values: Integers, exponent: int, rule: UpdateRule) -> "Learned":
        """Return the tensor with its momentum at zero."""
        narrow = values.astype(np.int32)
        return cls(narrow, exponent, rule, np.zeros_like(narrow))

    def gradient_shift(self, rate: Rate) -> int:
        """Right shift to the momentum's scale of a gradient with exponent 0."""
        rule = self.rule
        return rate.samples + rate.k + rule.slower - (self.exponent + rule.fraction)

    def learn(
        self, gradient: "Gradient", rate: Rate, gradient_key: int, update_key: int
    ) -> tuple[Integers, Integers]:
        """Update in place. Returns (G, U)."""
        total = gradient.exponent + self.gradient_shift(rate)
        codes = quantize_gradient(gradient.total, total, gradient_key)
        self.values, self.momentum, step = update(
            self.values, self.momentum, codes, rate, self.rule, key=update_key
        )
        return codes, step


@dataclass(frozen=True)
class Gradient:
    """A gradient summed over the batch: integers and one exponent."""

    total: Integers
    exponent: int


def align_errors(errors: Value, other_exponent: Integers | int, key: int) -> tuple[Integers, int]:
    """Bring all samples' errors to one scale, so that a weight gradient is one product.

    The common exponent is the least of (error + other exponent) over the samples whose error is
    not zero; the others shift right, with stochastic rounding (nearest would lose small errors).

    Parameters
    ----------
    errors:
        8-bit codes (samples, ...).
    other_exponent:
        Exponents of the product's other operand: (samples,), or one.
    key:
        Of `golden.randomness`.

    Returns
    -------
    codes of `errors`' shape and the common exponent.
    """
    loops = compiled(errors.integers.size)
    if loops:
        shift, common = loops.alignment(errors.exponent, other_exponent, errors.largest())
        aligned = loops.align(errors.integers, shift, key) if shift.any() else errors.integers
        return aligned, common
    total = errors.exponent + other_exponent
    live = errors.largest() > 0
    common = int(total[live].min()) if live.any() else 0
    # A sample without errors is all zero at any scale: shift 0.
    shift = np.where(live, total - common, 0)
    if not shift.any():
        return errors.integers, common
    random = draw(key, activation_index(errors.integers.shape))
    aligned = _STOCHASTIC.apply(errors.integers, per_sample(shift, errors.integers), random)
    return aligned.astype(np.int8), common


def sum_samples(sums: Integers, exponent: Integers) -> Gradient:
    """Gradient of a scalar, or of one a channel, from its sums over each sample.

    `sums` is (samples,) or (samples, channels), `exponent` (samples,): samples come to the coarsest
    exponent among those with a sum that is not zero, rounding half up.
    """
    loops = compiled(sums.size)
    if loops and sums.ndim == 1:
        return Gradient(*loops.collect(sums, exponent))
    rows = sums.reshape(len(sums), -1)
    live = rows.any(axis=1)
    common = int(exponent[live].min()) if live.any() else 0
    aligned = rounding_shift(rows, np.where(live, exponent - common, 0)[:, None])
    return Gradient(aligned.sum(axis=0), common)


def quantize_gradient(gradient: Integers, shift: int, key: int) -> Integers:
    """G: one tensor's gradient in 8 bits at the scale of its momentum, stochastically rounded.

    One pass: the scale is known beforehand. A gradient past 127 saturates, which clips the few
    that would move a weight furthest; one whose scale is coarser than the momentum's is far past
    that and is taken as it is, never shifted left. Source: our choice.
    """
    shift = max(shift, 0)
    loops = compiled(gradient.size)
    if loops:
        codes: Integers = loops.quantize_gradient(gradient, shift, key)
        return codes
    random = draw(key, weight_index(gradient.shape)) if shift > 0 else None
    return saturate(rounding_shift(gradient, shift, random), 8).astype(np.int8)
