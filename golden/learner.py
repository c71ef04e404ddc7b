"""What can be trained, seen from the loop: images in, classes out, and a state to keep."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from golden.data import Dataset, Images
from golden.gradients import Learned
from golden.initialization import build
from golden.network import Network
from golden.schemes import EOQ

__all__ = ["IntegerLearner", "Learner", "State", "sha256"]

State = Mapping[str, NDArray]
"""Arrays by name, in an order that does not change."""


class Learner(Protocol):
    """A network with its parameters under one scheme."""

    def train(self, images: Images, k: int, halvings: int = 0) -> None:
        """Take one step on a batch; the learning rate is the learner's own times 2**-(k+halvings).

        `k` is the batch's, `halvings` the schedule's.
        """

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the class of each image, (samples,)."""

    def parameters(self) -> State:
        """Return what inference needs, in the format in which it is stored."""

    def state(self) -> State:
        """Return everything that the next step depends on, the parameters among it."""

    def restore(self, state: State) -> None:
        """Continue from a state: names, shapes and types are those of `state()`.

        Raises ValueError for values that the scheme cannot reach.
        """


def sha256(arrays: State) -> str:
    """Digest of arrays: name, type, shape and little-endian bytes of each, in order."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        fixed = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name} {fixed.dtype.str} {fixed.shape}\n".encode())
        digest.update(fixed.tobytes())
    return digest.hexdigest()


_STORED = {8: np.int8, 16: np.int16}


class IntegerLearner:
    """EOQ: integers from pixel to updated weight (`golden.training`).

    Parameters
    ----------
    network:
        As it was named; EOQ's rewrite is done here.
    dataset:
        Its mean pixel is taken from the inputs.
    seed:
        Of the initial weights and of the random source.
    """

    def __init__(self, network: Network, dataset: Dataset, seed: int) -> None:
        self.model = build(EOQ.rewrite(network), seed)
        self._quantize = dataset.quantize

    def train(self, images: Images, k: int, halvings: int = 0) -> None:
        """Take one step; the base rate is 1/8 for weights and 1/64 for scalars."""
        self.model.step(self._quantize(images.pixels), images.labels, k, halvings, traced=False)

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the largest logit's class; the first of equals."""
        logits, _ = self.model.logits(self._quantize(pixels))
        return logits.argmax(axis=1)

    def _learned(self) -> dict[str, Learned]:
        return {
            f"{name}.{kind}": learned
            for name, layer in self.model.layers.items()
            for kind, learned in layer.learned.items()
        }

    def parameters(self) -> State:
        """Weights in int8, biases and multipliers in int16."""
        return {
            name: learned.values.astype(_STORED[learned.rule.width])
            for name, learned in self._learned().items()
        }

    def state(self) -> State:
        """Parameters, momentum in int8 (of scalars int16), and the state of the random source."""
        momentum = {
            f"{name}.momentum": learned.momentum.astype(_STORED[learned.rule.momentum_width])
            for name, learned in self._learned().items()
        }
        return {**self.parameters(), **momentum, "random": np.array(self.model.state, np.uint32)}

    def restore(self, state: State) -> None:
        """Continue from a state; codes keep within their symmetric range."""
        for name, learned in self._learned().items():
            values, momentum = (state[key] for key in (name, f"{name}.momentum"))
            for array in (values, momentum):
                # A product of -128 with itself is past what the accumulators are proven to hold.
                if (array == np.iinfo(array.dtype).min).any():
                    raise ValueError(f"{name} must not have {np.iinfo(array.dtype).min}")
            learned.values = values.astype(learned.values.dtype)
            learned.momentum = momentum.astype(learned.momentum.dtype)
        self.model.state = int(state["random"])
