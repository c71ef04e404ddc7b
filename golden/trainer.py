"""The training loop: epochs, learning-rate schedule, accuracy, checkpoints. One for all schemes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from golden import checkpoint
from golden.acceleration import chosen_threads, threads
from golden.checkpoint import Checkpoint, Run
from golden.data import Dataset, Images
from golden.errors import InputError
from golden.learner import Learner, State, sha256
from golden.learners import learner
from golden.network import Network
from golden.training import learning_rate_shift

__all__ = [
    "MAX_SEED",
    "Outcome",
    "accuracy",
    "annealing_shift",
    "check_seed",
    "epoch_order",
    "network_sha256",
    "resume",
    "train",
]

_ANNEAL_PERCENT = (50, 75, 90)
"""The learning rate halves when so much of the steps is done (our choice)."""

_EVALUATED = 256
"""Images classified at a time; integers do not depend on it."""

MAX_EPOCHS = 10_000
MAX_SEED = (1 << 32) - 1

Report = Callable[[int, int, float | None], None]
"""Called after every step with steps done, steps in all, and the last validation accuracy."""


@dataclass(frozen=True)
class Outcome:
    """What a run ended with.

    Members
    -------
    test_accuracy:
        Of the final parameters; the test part is read here and nowhere else.
    curve:
        Validation accuracy after each epoch.
    parameters_sha256:
        `golden.learner.sha256` of the parameters.
    steps:
        Steps an epoch.
    left_out:
        Images an epoch leaves out because they do not fill a batch; others each time.
    resumed:
        Epochs that a checkpoint had already done.
    state:
        Of the learner at the end, for another learner's `restore`.
    """

    test_accuracy: float
    curve: list[float]
    parameters_sha256: str
    steps: int
    left_out: int
    resumed: int
    state: State = field(compare=False, repr=False)


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Order of the images in an epoch: a function of these three and of nothing else."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def annealing_shift(step: int, steps: int) -> int:
    """How often the learning rate was halved by `step` of `steps`: after 50, 75 and 90 %."""
    return sum(100 * step >= percent * steps for percent in _ANNEAL_PERCENT)


def network_sha256(network: Network) -> str:
    """Digest of the layers: names, operators with their attributes, inputs and shapes."""
    digest = hashlib.sha256(repr(network.input_shape).encode())
    for layer in network:
        digest.update(f"{layer}\n".encode())
    return digest.hexdigest()


def check_seed(seed: int) -> None:
    """Raise InputError for a seed that a run cannot have."""
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed must be 0 to {MAX_SEED}, not {seed}")


def train(
    network: Network,
    dataset: Dataset,
    *,
    scheme: str = "eoq",
    epochs: int,
    batch: int = 16,
    seed: int = 0,
    folder: Path | None = None,
    report: Report | None = None,
) -> Outcome:
    """Train a network on a data set, or continue from the folder's checkpoint.

    Parameters
    ----------
    network:
        For the data set's shape and classes, as it was named: the scheme rewrites it.
    dataset:
        Training, validation and test images.
    scheme:
        A name of `golden.learners.LEARNERS`.
    epochs:
        Passes over the training images, 1 to 10,000.
    batch:
        Images a step, a power of two. The last, incomplete batch of an epoch is left out.
    seed:
        0 to 2**32 - 1: of initial weights, random bits and the order of images.
    folder:
        For a checkpoint after every epoch; one that is there is continued from.
    report:
        Told after every step.

    Raises
    ------
    InputError
        One line, before any work: a number is out of range, the network is not for these images or
        classes, golden cannot train an operator, or
        the folder's checkpoint is damaged or of another run. After an epoch: a floating-point
        scheme has run away.
    """
    shift, count = learning_rate_shift(batch), chosen_threads()
    if not 1 <= epochs <= MAX_EPOCHS:
        raise InputError(f"epochs must be 1 to {MAX_EPOCHS}, not {epochs}")
    check_seed(seed)
    steps = len(dataset.train) // batch
    if not steps:
        raise InputError(
            f"batch must be at most the {len(dataset.train)} training images of {dataset.name}, "
            f"not {batch}"
        )
    if network.input_shape != dataset.shape:
        raise InputError(
            f"network {network.name!r} must take the images of {dataset.name}, which are "
            f"{dataset.shape}, not {network.input_shape}"
        )
    outputs = network.shape_of(network.output)
    if outputs[0] != dataset.classes:
        raise InputError(
            f"network {network.name!r} must have an output for each of the {dataset.classes} "
            f"classes of {dataset.name}, not {outputs[0]}"
        )
    run = Run(
        network.name, network_sha256(network), dataset.name, dataset.fingerprint,
        scheme, epochs, batch, seed,
    )  # fmt: skip
    if folder is not None:
        # Before the work, not after the first epoch of it.
        folder.mkdir(parents=True, exist_ok=True)
    # One thread for BLAS: a float sum would depend on their number, and the products are too small
    # to gain from more (with other work on the machine they lose by a factor).
    with (
        threadpool_limits(limits=1),
        threads(count),
        np.errstate(over="ignore", invalid="ignore"),
    ):
        it = learner(scheme, network, dataset, seed)
        curve = resume(it, run, folder)
        resumed = len(curve)
        for epoch in range(resumed, epochs):
            order = epoch_order(seed, epoch, len(dataset.train))
            for step in range(steps):
                done = epoch * steps + step
                pick = order[step * batch : (step + 1) * batch]
                it.train(dataset.train[pick], shift, annealing_shift(done, epochs * steps))
                if report is not None:
                    report(done + 1, epochs * steps, curve[-1] if curve else None)
            # Floating point can run away; what it leaves is not worth a checkpoint.
            if not all(np.isfinite(values).all() for values in it.parameters().values()):
                raise InputError(
                    f"{scheme} on {dataset.name}: parameters must stay finite, and did not in "
                    f"epoch {epoch + 1}; a larger batch or another seed may help"
                )
            curve.append(accuracy(it, dataset.validation))
            if folder is not None:
                checkpoint.write(folder, Checkpoint(run, curve, it.state()))
        test_accuracy = accuracy(it, dataset.test)
    left_out = len(dataset.train) - steps * batch
    return Outcome(test_accuracy, curve, sha256(it.parameters()), steps, left_out, resumed,
                   it.state())  # fmt: skip


def resume(it: Learner, run: Run, folder: Path | None) -> list[float]:
    """Restore the folder's checkpoint and return its validation accuracies."""
    found = folder and checkpoint.read(folder, run, it.state())
    if not found:
        return []
    if found.epoch > run.epochs:
        raise InputError(f"checkpoint in {folder}: epoch must be at most {run.epochs}, "
                         f"not {found.epoch}")  # fmt: skip
    try:
        it.restore(found.state)
    except ValueError as error:
        raise InputError(f"checkpoint in {folder}: {error}") from error
    return list(found.curve)


def accuracy(it: Learner, images: Images) -> float:
    """Share of images that are classified right."""
    right = 0
    for start in range(0, len(images), _EVALUATED):
        part = images[slice(start, start + _EVALUATED)]
        right += int((it.classify(part.pixels) == part.labels).sum())
    return right / len(images)
