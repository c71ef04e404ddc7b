"""Parameters that no training reaches in a few steps, for what only large and small ones show."""

import numpy as np

from golden.errors import InputError
from golden.training import Model

__all__ = ["PARAMETERS", "set_parameters"]

PARAMETERS = ("initial", "large", "small")
"""As training begins; at the ends of their formats; so small that exponents rise from layer to
layer."""


def set_parameters(model: Model, kind: str, seed: int) -> None:
    """Overwrite values and momentum of all that a model learns. InputError for an unknown kind.

    Parameters
    ----------
    model:
        Changed in place; not with "initial".
    kind:
        One of `PARAMETERS`.
    seed:
        Of the values.
    """
    if kind not in PARAMETERS:
        raise InputError(f"parameters must be one of {', '.join(PARAMETERS)}, not {kind!r}")
    if kind == "initial":
        return
    rng = np.random.default_rng(seed)
    for layer in model.layers.values():
        for learned in layer.learned.values():
            for values, width in (
                (learned.values, learned.rule.width),
                (learned.momentum, learned.rule.momentum_width),
            ):
                limit = (1 << (width - 1)) - 1
                if kind == "small":
                    drawn = rng.integers(-1, 2, values.shape)
                else:
                    # Mostly the ends themselves, and everything between.
                    ends = rng.choice([-limit, limit], values.shape)
                    drawn = np.where(
                        rng.random(values.shape) < 0.7,
                        ends,
                        rng.integers(-limit, limit + 1, values.shape),
                    )
                values[...] = drawn
