"""A scheme's network at given parameters, linearised at a batch of images, in each arithmetic."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden import checkpoint
from golden.checkpoint import Checkpoint, Run
from golden.data import INPUT_EXPONENT, Dataset
from golden.dequantization import dequantized
from golden.errors import InputError
from golden.float_learner import FloatLearner
from golden.jacobians import FloatJacobians, IntegerJacobians, Jacobians, widened
from golden.learner import IntegerLearner, State
from golden.learners import learner
from golden.network import Network
from golden.trainer import network_sha256

__all__ = ["ARITHMETICS", "linearize", "restore_checkpoint"]

ARITHMETICS: Mapping[str, str] = {
    "float": "float64, the batch's own statistics where there is a normalisation",
    "integer": "EOQ's backward pass, straight-through: errors in 8 bits, the integers' ReLU masks",
    "dequantized": "float64 at EOQ's int8 weights: activations and errors not rounded",
    "imitated": "the scheme's formats in floating point, straight-through: errors are rounded",
}
"""Name -> what is measured."""


def linearize(
    scheme: str, network: Network, dataset: Dataset, images: int, seed: int, state: State | None
) -> dict[str, Jacobians[Any]]:
    """Return the Jacobians of a scheme's network, by arithmetic (`ARITHMETICS`).

    Parameters
    ----------
    scheme, network, dataset, seed:
        As in `golden.learners.learner`.
    images:
        The batch: so many of the first training images. A set's split shuffles them.
    state:
        A learner's, or None for initial parameters.

    Raises
    ------
    InputError
        One line: golden cannot train the network, or there are not so many images.
    """
    if not 1 <= images <= len(dataset.train):
        raise InputError(
            f"images must be 1 to the {len(dataset.train)} training images of {dataset.name}, "
            f"not {images}"
        )
    it = learner(scheme, network, dataset, seed)
    if state is not None:
        it.restore(state)
    pixels = dataset.train.pixels[:images]
    if isinstance(it, IntegerLearner):
        codes = dataset.quantize(pixels)
        return {
            "integer": IntegerJacobians(it.model, codes),
            "dequantized": FloatJacobians(dequantized(it.model), codes * 2.0**-INPUT_EXPONENT),
        }
    if not isinstance(it, FloatLearner):
        raise TypeError(f"no Jacobians of a {type(it).__name__}")
    exact = scheme.startswith("fp32")
    inputs = it.inputs(pixels).astype(np.float64)
    jacobians = FloatJacobians(widened(it.model), inputs, linear=exact)
    return {"float" if exact else "imitated": jacobians}


def restore_checkpoint(run: Run, network: Network, dataset: Dataset, folder: Any) -> Checkpoint:
    """Return the checkpoint of a run, which must be of this network and these images."""
    wanted = Run(
        network.name, network_sha256(network), dataset.name, dataset.fingerprint,
        run.scheme, run.epochs, run.batch, run.seed,
    )  # fmt: skip
    like = learner(run.scheme, network, dataset, run.seed).state()
    found = checkpoint.read(folder, wanted, like)
    if found is None:
        raise InputError(f"checkpoint in {folder}: required a file, and it is gone")
    return found
