"""What a training step in floating point multiplies and divides: taken from a golden run.

As `cosim.operands` for integers: FP32 with batch normalisation is trained for some steps, and one
more is laid out as arrays of FP32 units would see it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cosim.operands import Division, Step, layer_products
from golden.data import Dataset, Images
from golden.float_layers import FloatLayer, Floats
from golden.float_learner import FP32_BN, FloatLearner
from golden.float_normalization import EPSILON, by_channel
from golden.network import Convolution, Linear, Network, Normalization
from golden.training import learning_rate_shift

__all__ = ["Seen", "float_operands", "watched_step"]

_BATCH = 16


@dataclass
class Seen:
    """What a layer saw in a step: its input, its output's error, and what it had learned before."""

    layer: str
    learned: Mapping[str, Floats]
    x: Floats
    error: Floats


def watched_step(trained: FloatLearner, images: Images, kinds: Collection[type]) -> dict[str, Seen]:
    """Take one step; return what every layer whose operator is of one of `kinds` saw in it."""
    model = trained.model
    found: dict[str, Seen] = {}
    for layer in model.network:
        if isinstance(layer.operator, tuple(kinds)):
            here = model.layers[layer.name]
            learned = {kind: values.copy() for kind, values in here.learned.items()}
            nothing = np.empty(0, np.float32)
            found[layer.name] = Seen(layer.name, learned, nothing, nothing)
            _listen(here, found[layer.name])
    trained.train(images, learning_rate_shift(len(images)))
    return found


def _listen(layer: FloatLayer, into: Seen) -> None:
    inner_forward, inner_backward = layer.forward, layer.backward

    def forward(inputs: Sequence[Floats], training: bool) -> Floats:
        (into.x,) = inputs
        return inner_forward(inputs, training)

    def backward(error: Floats, needed: bool) -> list[Floats]:
        into.error = error
        return inner_backward(error, needed)

    for name, method in (("forward", forward), ("backward", backward)):
        setattr(layer, name, method)


def float_operands(network: Network, dataset: Dataset, *, steps: int = 30, seed: int = 0) -> Step:
    """Train `steps` steps of 16 images in FP32 with batch normalisation; return the next step's
    products and the divisions by a channel's deviation."""
    trained = FloatLearner(network, dataset, seed, FP32_BN)
    rng = np.random.default_rng(seed)

    def batch() -> Images:
        return dataset.train[rng.integers(0, len(dataset.train), _BATCH)]

    for _ in range(steps):
        trained.train(batch(), learning_rate_shift(_BATCH))
    kinds = (Convolution, Linear, Normalization)
    seen = watched_step(trained, batch(), kinds)
    step = Step({})
    goes_down = False
    for layer in trained.model.network:
        here = seen.get(layer.name)
        if here is None:
            continue
        if isinstance(layer.operator, Normalization):
            channels = by_channel(here.x)
            centred = channels - channels.mean(axis=1)[:, None]
            deviation = np.sqrt(channels.var(axis=1) + np.float32(EPSILON))
            step.divisions.append(Division(layer.name, centred, deviation))
        else:
            weight = here.learned["weight"]
            step.products += layer_products(
                layer.name, layer.operator, here.x, weight, here.error, here.error, goes_down
            )
            goes_down = True
    return step
