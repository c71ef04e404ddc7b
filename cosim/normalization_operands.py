"""What a normalisation, or Fixup in its place, really works on: taken from golden runs.

A network is trained for some steps under the scheme that a unit belongs to; one more step is taken,
and what enters each normalisation in it, and the errors that come back to it, become channels in
the unit's own formats.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from cosim.float_operands import Seen, watched_step
from golden.data import Dataset, Images
from golden.float_layers import Floats, Noise
from golden.float_learner import FP32_BN, FloatLearner, Setup
from golden.formats import Integers
from golden.layers import BIAS_EXPONENT, BiasLayer, MultiplierLayer, used_multiplier
from golden.learner import IntegerLearner
from golden.network import Network, Normalization
from golden.range_bn import RANGE_BN, to_steps
from golden.training import learning_rate_shift
from golden.values import Value
from golden.wageubn import WAGEUBN

__all__ = ["BATCH", "Piece", "pieces", "range_factor"]

_STEPS = 100
"""Enough for Fixup's multipliers to leave 1, whose code has a single bit."""

_TRAINING_BATCH = 16

BATCH = 64
"""Images of the step that is looked at."""


@dataclass(frozen=True)
class Piece:
    """One channel over the batch, or one sample's tensor, in a unit's formats.

    Parameters
    ----------
    layer:
        Whose it is.
    x, error:
        Codes that enter in the forward pass, and those of the error that comes back.
    scalars:
        Fields of `i_channel` that do not depend on the number of elements.
    """

    layer: str
    x: Integers
    error: Integers
    scalars: Mapping[str, int]


def pieces(unit: str, network: Network, dataset: Dataset, seed: int = 0) -> list[Piece]:
    """All channels of one training step, for bn_fp32, bn_wageubn or bn_range; tensors for fixup.

    The network is trained for 100 steps of 16 images; the step that is looked at has `BATCH`.
    """
    rng = np.random.default_rng(seed)

    def batch(size: int) -> Images:
        return dataset.train[rng.integers(0, len(dataset.train), size)]

    def train(trained: FloatLearner | IntegerLearner) -> None:
        for _ in range(_STEPS):
            trained.train(batch(_TRAINING_BATCH), learning_rate_shift(_TRAINING_BATCH))

    if unit == "fixup":
        integers = IntegerLearner(network, dataset, seed)
        train(integers)
        return list(_fixup(integers, batch(BATCH)))
    setup, convert = _FLOAT[unit]
    floats = FloatLearner(network, dataset, seed, setup)
    train(floats)
    watched = watched_step(floats, batch(BATCH), (Normalization,))
    return [piece for seen in watched.values() for piece in convert(seen)]


def _channels(
    seen: Seen, x: Integers, error: Integers, scalar: Callable[[Floats], Integers]
) -> Iterator[Piece]:
    """Channel by channel; `scalar` makes codes of gamma and beta."""
    learned = {kind: scalar(seen.learned[kind]) for kind in ("gamma", "beta")}
    for c in range(x.shape[1]):
        codes = {kind: int(values[c]) for kind, values in learned.items()}
        yield Piece(seen.layer, x[:, c].ravel(), error[:, c].ravel(), codes)


def _binary32(values: Floats) -> Integers:
    return np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)


def _fp32(seen: Seen) -> Iterator[Piece]:
    return _channels(seen, _binary32(seen.x), _binary32(seen.error), _binary32)


def _nine_bits(values: Floats) -> Integers:
    """7 fraction bits, as both integer units take gamma and beta."""
    return np.clip(np.rint(values * 128), -255, 255).astype(np.int64)


def _wageubn(seen: Seen) -> Iterator[Piece]:
    """16-bit codes of x, 9-bit codes of the error over its R.

    A power of two brings x into the unit's range, which normalisation does not see.
    """
    places = 15 - math.ceil(math.log2(float(np.abs(seen.x).max())))
    x = np.clip(np.rint(seen.x * 2.0**places), -(2**15), 2**15 - 1).astype(np.int64)
    largest = float(np.abs(seen.error).max())
    scale = 128 / 2.0 ** round(math.log2(largest)) if largest else 1.0
    error = np.clip(np.rint(seen.error * scale), -255, 255).astype(np.int64)
    return _channels(seen, x, error, _nine_bits)


def _range(seen: Seen) -> Iterator[Piece]:
    """256 steps from the mean of the samples' minima to that of their maxima; errors between their
    own, rounded stochastically."""
    samples = seen.x.reshape(len(seen.x), -1)
    low, high = samples.min(axis=1).mean(), samples.max(axis=1).mean()
    x = _steps(seen.x, low, high, None)
    error = _steps(seen.error, seen.error.min(), seen.error.max(), Noise(0))
    return _channels(seen, x, error, _nine_bits)


def _steps(values: Floats, low: float, high: float, noise: Noise | None) -> Integers:
    """Signed codes of `to_steps`."""
    rounded = to_steps(values, 8, low, high, noise)
    return np.rint((rounded - low) / (high - low) * 255).astype(np.int64) - 128


def range_factor(count: int, chunk: int) -> int:
    """Range BN's constant for a channel of `count` elements, 15 fraction bits.

    0.5 * 0.35 * (1 + sqrt(pi * ln 4)) / sqrt(2 ln chunk), over the number of chunks
    (`golden.range_bn.RangeNormalizationLayer`).
    """
    spread = 0.175 * (1 + math.sqrt(math.pi * math.log(4))) / math.sqrt(2 * math.log(max(chunk, 2)))
    return round(spread / (count // chunk) * 2**15)


_FLOAT: Mapping[str, tuple[Setup, Callable[[Seen], Iterator[Piece]]]] = MappingProxyType(
    {
        "bn_fp32": (FP32_BN, _fp32),
        "bn_wageubn": (WAGEUBN, _wageubn),
        "bn_range": (RANGE_BN, _range),
    }
)


def _fixup(trained: IntegerLearner, images: Images) -> Iterator[Piece]:
    """Samples' tensors at the multipliers, each with the bias behind the join that follows."""
    model = trained.model
    consumers = model.network.consumers()
    errors: dict[str, Value] = {}
    inputs: dict[str, Value] = {}
    scalars: dict[str, tuple[int, int, int]] = {}
    for name, layer in model.layers.items():
        if isinstance(layer, MultiplierLayer):
            (join,) = consumers[name]
            (behind,) = consumers[join]
            bias = model.layers[behind]
            if not isinstance(bias, BiasLayer):
                raise TypeError(f"layer {behind} must be a bias, not {type(bias).__name__}")
            codes, exponent = used_multiplier(layer.multiplier.values)
            scalars[name] = codes.item(), exponent, bias.bias.values.item()
            _listen_integers(layer, inputs, errors)
    trained.train(images, learning_rate_shift(BATCH))
    for name, (multiplier, exponent, bias_code) in scalars.items():
        for sample, own in enumerate(inputs[name].exponent.tolist()):
            yield Piece(
                name,
                inputs[name].integers[sample].ravel().astype(np.int64),
                errors[name].integers[sample].ravel().astype(np.int64),
                {
                    "multiplier": multiplier,
                    "bias": bias_code,
                    "shift": BIAS_EXPONENT - own - exponent,
                },
            )


def _listen_integers(
    layer: MultiplierLayer, inputs: dict[str, Value], errors: dict[str, Value]
) -> None:
    inner_forward, inner_contribution = layer.forward, layer.contribution

    def forward(values: Sequence[Value]) -> Value:
        (inputs[layer.name],) = values
        return inner_forward(values)

    def contribution(error: Value) -> Value:
        errors[layer.name] = error
        return inner_contribution(error)

    for name, method in (("forward", forward), ("contribution", contribution)):
        setattr(layer, name, method)
