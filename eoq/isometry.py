"""Block isometry of a network under several schemes, at initialisation and after training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from golden import checkpoint, data, networks, trainer
from golden.data import Dataset
from golden.errors import InputError
from golden.isometry import BlockIsometry, check_settings, measure
from golden.learner import State
from golden.learners import LEARNERS
from golden.linearization import linearize, restore_checkpoint
from golden.network import Network
from golden.trainer import MAX_EPOCHS, check_seed
from golden.training import learning_rate_shift

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Measured", "Study", "rows", "study"]


@dataclass(frozen=True)
class Study:
    """What is asked for; the options of `eoq isometry`."""

    network: str
    data: str
    schemes: Sequence[str]
    epochs: int
    batch: int
    images: int
    probes: int
    tolerance: float
    seed: int


@dataclass(frozen=True)
class Measured:
    """The blocks of one network at one set of parameters, in one arithmetic.

    Members
    -------
    arithmetic:
        A name of `golden.linearization.ARITHMETICS`.
    epochs:
        How long it had been trained; 0 at initialisation.
    """

    network: str
    data: str
    scheme: str
    arithmetic: str
    epochs: int
    settings: Study
    blocks: Sequence[BlockIsometry]

    @property
    def far(self) -> list[str]:
        """Names of the blocks whose phi is far from 1."""
        return [one.block for one in self.blocks if not one.verdict.startswith("near")]

    @property
    def far_arriving(self) -> list[str]:
        """Names of the blocks that are far from 1 for the errors that arrive."""
        return [one.block for one in self.blocks if one.arriving_verdict != "near 1"]

    def _passing(self) -> list[BlockIsometry]:
        return [one for one in self.blocks if one.spectrum.phi and one.gain]

    @property
    def expected_gain(self) -> float:
        """Product of tr(JJ')/n_out over the blocks that let errors through."""
        return float(np.prod([one.expected_gain for one in self._passing()]))

    @property
    def gain(self) -> float:
        """Product of the measured gains of the blocks that let errors through."""
        return float(np.prod([one.gain for one in self._passing()]))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "network": self.network,
            "data": self.data,
            "scheme": self.scheme,
            "arithmetic": self.arithmetic,
            "epochs": self.epochs,
            "images": self.settings.images,
            "probes": self.settings.probes,
            "seed": self.settings.seed,
            "tolerance": self.settings.tolerance,
            "expected_gain": self.expected_gain,
            "gain": self.gain,
            "far_from_1": self.far,
            "arriving_far_from_1": self.far_arriving,
            "blocks": [_row(one) for one in self.blocks],
        }


def _row(one: BlockIsometry) -> dict[str, Any]:
    return {
        "block": one.block,
        "n_in": one.n_in,
        "n_out": one.n_out,
        "method": one.method,
        "phi": one.spectrum.phi,
        "phi_error": one.spectrum.phi_error,
        "variance": one.spectrum.variance,
        "variance_error": one.spectrum.variance_error,
        "gain": one.gain,
        "gain_error": one.gain_error,
        "phi_arriving": one.arriving,
        "phi_arriving_error": one.arriving_error,
        "verdict": one.verdict,
        "verdict_arriving": one.arriving_verdict,
    }


def rows(measured: Sequence[Measured]) -> "pd.DataFrame":
    """Return one row a block, tidy."""
    import pandas as pd

    keys = ("network", "data", "scheme", "arithmetic", "epochs")
    return pd.DataFrame(
        {key: getattr(one, key) for key in keys} | _row(block)
        for one in measured
        for block in one.blocks
    )


def study(
    settings: Study, folder: Path | None = None, say: Callable[[str], None] = lambda text: None
) -> list[Measured]:
    """Measure under every scheme: initial parameters, then trained ones.

    Parameters
    ----------
    settings:
        With `epochs` above 0 each scheme is trained.
    folder:
        Of a checkpoint, whose parameters are measured instead; its run gives scheme and seed of the
        initial weights, and `settings.schemes` must be that one or empty.
    say:
        Told what is being done.

    Raises
    ------
    InputError
        One line, before any work: a number or name is out of range, the network cannot be trained,
        or the checkpoint is not of it.
    """
    check_settings(settings.probes, settings.tolerance)
    check_seed(settings.seed)
    if not 0 <= settings.epochs <= MAX_EPOCHS:
        raise InputError(f"epochs must be 0 to {MAX_EPOCHS}, not {settings.epochs}")
    learning_rate_shift(settings.batch)
    schemes = list(dict.fromkeys(settings.schemes))
    for name in schemes:
        if name not in LEARNERS:
            raise InputError(f"scheme must be one of {', '.join(LEARNERS)}, not {name[:200]!r}")
    dataset = data.load(settings.data)
    network = networks.load(settings.network, input_shape=dataset.shape, classes=dataset.classes)
    seed, found = settings.seed, None
    if folder is not None:
        run = checkpoint.read_run(folder)
        if schemes not in ([], [run.scheme]):
            raise InputError(
                f"checkpoint in {folder}: scheme must be {schemes[0]}, not {run.scheme[:80]}"
            )
        found = restore_checkpoint(run, network, dataset, folder)
        schemes, seed = [run.scheme], run.seed
    # As in training, so that the number of threads does not show in the last digits.
    with threadpool_limits(limits=1), np.errstate(over="ignore", invalid="ignore"):
        result = []
        for scheme in schemes:
            asked = (settings, network, dataset, scheme, seed)
            say(f"{scheme}: measuring initial blocks")
            result += _measured(*asked, 0, None)
            if found is not None:
                say(f"{scheme}: measuring trained blocks")
                result += _measured(*asked, found.epoch, found.state)
            elif settings.epochs:
                say(f"{scheme}: training")
                outcome = trainer.train(
                    network, dataset, scheme=scheme, epochs=settings.epochs, batch=settings.batch,
                    seed=seed,
                )  # fmt: skip
                say(f"{scheme}: measuring trained blocks")
                result += _measured(*asked, settings.epochs, outcome.state)
    return result


def _measured(
    settings: Study,
    network: Network,
    dataset: Dataset,
    scheme: str,
    seed: int,
    epochs: int,
    state: State | None,
) -> list[Measured]:
    every = linearize(scheme, network, dataset, settings.images, seed, state)
    return [
        Measured(
            network.name,
            dataset.name,
            scheme,
            arithmetic,
            epochs,
            settings,
            measure(
                jacobians, probes=settings.probes, seed=settings.seed, tolerance=settings.tolerance
            ),
        )
        for arithmetic, jacobians in every.items()
    ]
