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

__all__ = ["MAX_HALVINGS", "MOMENTUM_SHIFT", "SCALAR", "WEIGHT", "Rate", "UpdateRule", "update"]

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
    decay: int = 0
    """Weight decay: a step takes 2**-decay of the parameter, in steps of the momentum; 0: none."""

    def applied_shift(self, halvings: int) -> int:
        """Fraction bits of the momentum when the learning rate was halved so often.

        The momentum is in units of the gradient: a halving lets the same momentum move the
        parameter half as far.
        """
        return self.fraction + halvings

    def decay_bits(self, k: int) -> int:
        """Right shift that makes a parameter its decay, 1 to 15; 0 where nothing decays.

        The decay is one of the gradient's terms, so it gets the batch's shift as the gradient does.
        """
        return min(max(self.decay + k, 1), 15) if self.decay else 0


@dataclass(frozen=True)
class Rate:
    """Learning rate of a step, in shifts.

    Members
    -------
    samples:
        log2 of the batch: gradients are means.
    k:
        From the batch size (`golden.training.learning_rate_shift`).
    halvings:
        How often the schedule has halved the learning rate, at most `MAX_HALVINGS`.
    """

    samples: int = 0
    k: int = 0
    halvings: int = 0


WEIGHT = UpdateRule(width=8, momentum_width=8, fraction=4, slower=0, decay=7)
"""Learning rate 1 for the momentum's sum (1/8 a step), momentum LSB 1/16 of a weight's, weight
decay 2**-11 at that rate."""

SCALAR = UpdateRule(width=16, momentum_width=16, fraction=0, slower=3)
"""Scalars learn eight times slower than weights (Fixup's authors: ten times)."""


def update(
    parameter: Integers,
    momentum: Integers,
    gradient: Integers,
    rate: Rate,
    rule: UpdateRule,
    *,
    key: int,
) -> tuple[Integers, Integers, Integers]:
    """V' = V + G', U = SRSH(V', a + 3), V = V' - (U << a), P = P - U, all saturating.

    G' = G + D, saturated to the momentum's bits: a gradient again. D is weight decay, SRSH(P, b)
    with b from `UpdateRule.decay_bits`, in the mean 2**-b of P: one more pass of the datapath that
    rounds U, with U's draw. That one draw rounds both makes D and U correlated but biases nothing:
    what U rounds away stays in V.

    Parameters
    ----------
    parameter, momentum, gradient:
        Integers of one shape: `rule.width`, `rule.momentum_width` and 8 bits; the gradient has the
        momentum's scale.
    rate:
        Its `halvings` give a, `rule.applied_shift(halvings)`, its `k` the decay.
    key:
        `golden.randomness.tensor_key` of the rounding; elements are numbered by `weight_index`.

    Returns
    -------
    (parameter, momentum, update)
    """
    applied, bits = rule.applied_shift(rate.halvings), rule.decay_bits(rate.k)
    loops = compiled(parameter.size)
    if loops:
        shifts, widths = (applied, MOMENTUM_SHIFT, bits), (rule.width, rule.momentum_width)
        p, v, u = loops.update(parameter, momentum, gradient, shifts, widths, key)
        return p, v, u
    random = draw(key, weight_index(parameter.shape))
    if bits:
        gradient = gradient + rounding_shift(parameter, bits, random)
        gradient = saturate(gradient, rule.momentum_width)
    v = saturate(momentum + gradient, rule.momentum_width)
    u = saturate(rounding_shift(v, applied + MOMENTUM_SHIFT, random), rule.width)
    v = saturate(v - (u << applied), rule.momentum_width)
    return saturate(parameter - u, rule.width), v, u
