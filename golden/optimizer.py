"""Momentum and weight update in integers.

One datapath serves int8 weights and int16 Fixup scalars. Source: our choice; the abstract of
arXiv 2105.13890 fixes that the update U is 8 bits. Only here, where a gradient is brought to the
momentum's scale, and where errors are aligned for the weight gradient, are random bits drawn.

The momentum keeps what it has not handed over: an update is taken out of it exactly as it is put
into the parameter (error feedback, as in Seide et al. 2014 for gradients). What stochastic rounding
adds to a weight it takes from the momentum, which hands it back over the next steps, so rounding
errors of the update do not add up over the steps as they do when the momentum decays by itself.
"""

from dataclasses import dataclass

from golden.acceleration import compiled
from golden.formats import Integers, rounding_shift, saturate
from golden.randomness import draw, weight_index

__all__ = ["MAX_HALVINGS", "MOMENTUM_SHIFT", "SCALAR", "WEIGHT", "UpdateRule", "update"]

MOMENTUM_SHIFT = 3
"""The momentum hands over 2**-3 of itself a step: it decays by 7/8."""

MAX_HALVINGS = 3
"""Halvings of the learning rate that an 8-bit momentum has room for: one step of a weight is then
2**7 steps of its momentum."""


@dataclass(frozen=True)
class UpdateRule:
    """How one kind of parameter is updated.

    Parameters
    ----------
    width, momentum_width:
        Bits of the parameter and of its update, and of its momentum: 8 or 16.
    fraction:
        Fraction bits that the momentum has beyond the parameter's own, before the first halving of
        the learning rate.
    slower:
        The learning rate is 2**-slower, before the step's own shift.
    """

    width: int
    momentum_width: int
    fraction: int
    slower: int

    def applied_shift(self, halvings: int) -> int:
        """Fraction bits of the momentum when the learning rate was halved so often.

        The momentum is in units of the gradient: a halving lets the same momentum move the
        parameter half as far.
        """
        return self.fraction + halvings


WEIGHT = UpdateRule(width=8, momentum_width=8, fraction=4, slower=0)
"""Learning rate 1 for the momentum's sum (1/8 a step), momentum LSB 1/16 of a weight's."""

SCALAR = UpdateRule(width=16, momentum_width=16, fraction=0, slower=3)
"""Scalars learn eight times slower than weights (Fixup's authors: ten times)."""


def update(
    parameter: Integers,
    momentum: Integers,
    gradient: Integers,
    halvings: int,
    rule: UpdateRule,
    *,
    key: int,
) -> tuple[Integers, Integers, Integers]:
    """One step: V' = V + G, U = SRSH(V', a + 3), V = V' - (U << a), P = P - U, all saturating.

    Parameters
    ----------
    parameter, momentum, gradient:
        Integers of one shape: `rule.width`, `rule.momentum_width` and 8 bits; the gradient has the
        momentum's scale.
    halvings:
        How often the learning rate was halved; a is `rule.applied_shift(halvings)`.
    key:
        `golden.randomness.tensor_key` of the rounding; elements are numbered by `weight_index`.

    Returns
    -------
    (parameter, momentum, update)
    """
    applied = rule.applied_shift(halvings)
    loops = compiled(parameter.size)
    if loops:
        shifts, widths = (applied, MOMENTUM_SHIFT), (rule.width, rule.momentum_width)
        p, v, u = loops.update(parameter, momentum, gradient, shifts, widths, key)
        return p, v, u
    index = weight_index(parameter.shape)
    v = saturate(momentum + gradient, rule.momentum_width)
    u = saturate(rounding_shift(v, applied + MOMENTUM_SHIFT, draw(key, index)), rule.width)
    v = saturate(v - (u << applied), rule.momentum_width)
    return saturate(parameter - u, rule.width), v, u
