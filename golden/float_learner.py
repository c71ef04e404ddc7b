"""Training in floating point, or in integers that floating point imitates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.data import Dataset, Images
from golden.fixup import fixup
from golden.float_build import Parts, build_float
from golden.float_layers import Floats, Noise
from golden.learner import State
from golden.network import Network
from golden.optimizer import WEIGHT

__all__ = [
    "DECAYING_FP32_BN",
    "DECAYING_FP32_FIXUP",
    "FP32_BN",
    "FP32_FIXUP",
    "MOMENTUM",
    "WEIGHT_DECAY",
    "FloatLearner",
    "Setup",
    "Tensor",
    "Update",
]

MOMENTUM = 0.9

RATE = 0.1
"""Base learning rate at a batch of 64 (our choice, tuned on no test part)."""

WEIGHT_DECAY = 2.0 ** -(WEIGHT.decay + WEIGHT.fraction)
"""Of the setups that decay: what EOQ takes of a weight, 2**-11. As there, a gradient is handed over
once in all: RATE / (1 - MOMENTUM) is 1."""

_INPUT_SCALE = 64.0
"""As integers have it: (byte - mean) / 2 with 5 fraction bits, so that inputs are of order one."""


@dataclass(frozen=True)
class Tensor:
    """Which learned tensor is updated: its layer, its kind ("weight", "bias", "gamma", ...)."""

    layer: str
    kind: str


Update = Callable[[Tensor, Floats, Floats, Floats, int, Noise], tuple[Floats, Floats]]
"""(tensor, parameter, momentum, gradient, k, noise) -> (parameter, momentum)."""


def descend(
    tensor: Tensor, parameter: Floats, momentum: Floats, gradient: Floats, k: int, noise: Noise
) -> tuple[Floats, Floats]:
    """Stochastic gradient descent with momentum 0.9, rate 0.1 * 2**-k, without weight decay."""
    momentum = MOMENTUM * momentum + gradient
    return parameter - RATE * 2.0**-k * momentum, momentum


def _descend_fixup(
    tensor: Tensor, parameter: Floats, momentum: Floats, gradient: Floats, k: int, noise: Noise
) -> tuple[Floats, Floats]:
    """As `descend`; scalars and biases at a tenth of the rate, as Fixup's authors have it."""
    momentum = MOMENTUM * momentum + gradient
    rate = RATE * 2.0**-k * (1.0 if tensor.kind == "weight" else 0.1)
    return parameter - rate * momentum, momentum


def _decaying(update: Update) -> Update:
    """`update` with weight decay, a term of a weight's gradient; nothing else decays."""

    def decayed(
        tensor: Tensor, parameter: Floats, momentum: Floats, gradient: Floats, k: int, noise: Noise
    ) -> tuple[Floats, Floats]:
        if tensor.kind == "weight":
            gradient = gradient + WEIGHT_DECAY * parameter
        return update(tensor, parameter, momentum, gradient, k, noise)

    return decayed


@dataclass(frozen=True)
class Setup:
    """One way to train in floating point.

    Members
    -------
    rewrite:
        Network -> network that is trained.
    parts:
        Rewritten network -> what stands in the place of FP32's parts.
    updates:
        Rewritten network -> one learned tensor's step.
    """

    rewrite: Callable[[Network], Network] = lambda network: network
    parts: Callable[[Network], Parts] = lambda network: Parts()
    updates: Callable[[Network], Update] = lambda network: descend


FP32_BN = Setup()
"""Batch normalisation (arXiv 1502.03167), 32-bit floating point, SGD with momentum."""

FP32_FIXUP = Setup(rewrite=fixup, updates=lambda network: _descend_fixup)
"""Fixup (arXiv 1901.09321) without its data augmentation; what EOQ computes, without integers."""

DECAYING_FP32_BN = Setup(updates=lambda network: _decaying(descend))
"""`FP32_BN` with EOQ's weight decay (our choice), so that only the rest tells them apart."""

DECAYING_FP32_FIXUP = Setup(rewrite=fixup, updates=lambda network: _decaying(_descend_fixup))
"""`FP32_FIXUP` with EOQ's weight decay (our choice)."""


class FloatLearner:
    """A network in float32 under one setup.

    Parameters
    ----------
    network:
        As it was named; the setup rewrites it.
    dataset:
        Its mean pixel is taken from the inputs.
    seed:
        Of the initial weights and of what is random in a step.
    setup:
        How to train.
    """

    def __init__(self, network: Network, dataset: Dataset, seed: int, setup: Setup) -> None:
        rewritten = setup.rewrite(network)
        self.model = build_float(rewritten, seed, setup.parts(rewritten))
        self._update = setup.updates(rewritten)
        self._mean = dataset.mean
        self._step = 0
        self._momentum = {
            key: np.zeros_like(layer.learned[key.kind])
            for name, layer in self.model.layers.items()
            for key in (Tensor(name, kind) for kind in layer.learned)
        }

    def inputs(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network reads: the mean pixel taken off, scaled to order one."""
        return (pixels.astype(np.float32) - np.float32(self._mean)) / np.float32(_INPUT_SCALE)

    def train(self, images: Images, k: int, halvings: int = 0) -> None:
        """Take one step."""
        noise = self.model.noise
        noise.begin(self._step)
        self.model.learn(self.inputs(images.pixels), images.labels)
        for key, momentum in self._momentum.items():
            layer = self.model.layers[key.layer]
            parameter, gradient = layer.learned[key.kind], layer.gradients[key.kind]
            updated = self._update(key, parameter, momentum, gradient, k + halvings, noise)
            # A Python number must not turn float32 into something else.
            layer.learned[key.kind], self._momentum[key] = (
                values.astype(np.float32, copy=False) for values in updated
            )
        self._step += 1

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the largest logit's class; the first of equals."""
        return self.model.logits(self.inputs(pixels)).argmax(axis=1)

    def parameters(self) -> State:
        """Learned tensors and running averages, float32."""
        return {
            f"{name}.{kind}": values
            for name, layer in self.model.layers.items()
            for kind, values in (*layer.learned.items(), *_running(layer.running))
        }

    def state(self) -> State:
        """Parameters, momentum, and the number of steps, from which the noise follows."""
        momentum = {f"{k.layer}.{k.kind}.momentum": v for k, v in self._momentum.items()}
        return {**self.parameters(), **momentum, "step": np.array(self._step, np.int64)}

    def restore(self, state: State) -> None:
        """Continue from a state. Raises ValueError when something in it is not finite."""
        for name, values in state.items():
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite")
        for name, layer in self.model.layers.items():
            for kind in layer.learned:
                layer.learned[kind] = state[f"{name}.{kind}"]
            for kind in layer.running:
                layer.running[kind] = state[f"{name}.running_{kind}"]
        for key in self._momentum:
            self._momentum[key] = state[f"{key.layer}.{key.kind}.momentum"]
        self._step = int(state["step"])


def _running(averages: dict[str, Floats]) -> list[tuple[str, Floats]]:
    return [(f"running_{name}", values) for name, values in averages.items()]
