"""Momentum and weight update in integers.

One datapath serves int8 weights and int16 Fixup scalars. Source: our choice; the abstract of
arXiv 2105.13890 fixes that the update U is 8 bits. Only here, and where errors are aligned for the
weight gradient, are random bits drawn.
"""

from dataclasses import dataclass

import numpy as np

from golden.acceleration import compiled
from golden.formats import Integers, rounding_shift, saturate
from golden.randomness import draw

__all__ = ["SCALAR", "WEIGHT", "UpdateRule", "update"]

MOMENTUM_SHIFT = 3
"""The momentum decays by 1 - 2**-3 = 7/8 a step."""

MOMENTUM_WIDTH = 16


@dataclass(frozen=True)
class UpdateRule:
    """How one kind of parameter is updated.

    Parameters
    ----------
    width:
        Bits of the parameter and of its update: 8 or 16.
    momentum_exponent:
        Fraction bits that the momentum has beyond the parameter's own.
    update_shift:
        Right shift from momentum to update; with `momentum_exponent` it sets the learning rate
        2**(momentum_exponent - update_shift) before the step's own shift k.
    """

    width: int
    momentum_exponent: int
    update_shift: int


WEIGHT = UpdateRule(width=8, momentum_exponent=8, update_shift=11)
"""Learning rate 1/8, momentum LSB 1/256 of a weight's."""

SCALAR = UpdateRule(width=16, momentum_exponent=0, update_shift=6)
"""Learning rate 1/64: scalars learn about ten times slower than weights (Fixup's factor)."""


def update(
    parameter: Integers,
    momentum: Integers,
    gradient: Integers,
    gradient_shift: int,
    rule: UpdateRule,
    *,
    gradient_key: int,
    update_key: int,
) -> tuple[Integers, Integers, Integers]:
    """One step: V = V - RSH(V,3) + G16, U = SRSH(V, update_shift), P = P - U, all saturating.

    Parameters
    ----------
    parameter, momentum, gradient:
        Integers of one shape: `rule.width`, 16 and 8 bits.
    gradient_shift:
        Right shift (left if negative) from the gradient's LSB to the momentum's.
    gradient_key, update_key:
        `golden.randomness.tensor_key` of the two roundings; the element index is the C-order one.

    Returns
    -------
    (parameter, momentum, update)
    """
    loops = compiled(parameter.size)
    if loops:
        shifts = gradient_shift, MOMENTUM_SHIFT, rule.update_shift
        widths, keys = (rule.width, MOMENTUM_WIDTH), (gradient_key, update_key)
        p, v, u = loops.update(parameter, momentum, gradient, shifts, widths, keys)
        return p, v, u
    index = np.arange(parameter.size, dtype=np.int32).reshape(parameter.shape)
    # A left shift drops nothing, so nothing is drawn for it.
    random = draw(gradient_key, index) if gradient_shift > 0 else None
    aligned = saturate(rounding_shift(gradient, gradient_shift, random), MOMENTUM_WIDTH)
    aligned = aligned.astype(parameter.dtype, copy=False)
    v = saturate(momentum - rounding_shift(momentum, MOMENTUM_SHIFT) + aligned, MOMENTUM_WIDTH)
    u = saturate(rounding_shift(v, rule.update_shift, draw(update_key, index)), rule.width)
    return saturate(parameter - u, rule.width), v, u
