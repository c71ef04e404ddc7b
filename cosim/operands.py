"""What a training step really multiplies, quantises and updates: taken from a golden run.

A network is trained for some steps; then one more step is taken and each layer's three products,
quantisers and updates are laid out as the core's arrays and lanes see them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from golden.data import Dataset, Images
from golden.formats import Integers, excess_bits
from golden.gradients import Gradient, Learned
from golden.initialization import build
from golden.layers import Keys, ProductLayer
from golden.network import Convolution, Linear, Network, Operator
from golden.randomness import tensor_key, weight_index
from golden.schemes import SCHEMES
from golden.training import Model, Trace, draw_number, learning_rate_shift
from golden.values import Value

__all__ = [
    "Division",
    "Product",
    "Quantization",
    "Step",
    "Update",
    "in_order",
    "layer_products",
    "operands",
]

_BATCH = 16

Pair = tuple[int, int]


@dataclass(frozen=True)
class Product:
    """`a @ b` of one layer and phase: a (m, k) streams, b (k, n) is stationary.

    8-bit codes, or float32.
    """

    layer: str
    phase: str
    a: NDArray
    b: NDArray


@dataclass(frozen=True)
class Quantization:
    """32-bit results of one sample's tensor, flat, and the shift that makes them 8 bits."""

    layer: str
    phase: str
    values: Integers
    shift: int


@dataclass(frozen=True)
class Update:
    """One weight tensor's update: flat operands, shifts and key as in `golden.optimizer`."""

    layer: str
    gradient: Integers
    parameter: Integers
    momentum: Integers
    applied: int
    decay: int
    key: int


@dataclass(frozen=True)
class Division:
    """Normalisation in float32: (channels, M) centred elements, and each channel's deviation."""

    layer: str
    dividend: NDArray
    divisor: NDArray


@dataclass
class Step:
    """One training step's work; `trace` is golden's, empty in floating point."""

    trace: Trace
    products: list[Product] = field(default_factory=list)
    quantizations: list[Quantization] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    divisions: list[Division] = field(default_factory=list)


def in_order(weights: Integers) -> Integers:
    """Elements of a weight as hardware has them, by the numbers that they draw random bits for."""
    return weights.ravel()[np.argsort(weight_index(weights.shape), axis=None)]


def operands(network: Network, dataset: Dataset, *, steps: int = 30, seed: int = 0) -> Step:
    """Train `steps` steps of 16 images, then return the next step's operands."""
    model = build(SCHEMES["eoq"].rewrite(network), seed)
    rng = np.random.default_rng(seed)
    k = learning_rate_shift(_BATCH)

    def batch() -> Images:
        return dataset.train[rng.integers(0, len(dataset.train), _BATCH)]

    def codes(images: Images) -> Integers:
        return dataset.quantize(images.pixels).reshape(_BATCH, *model.network.input_shape)

    for _ in range(steps):
        images = batch()
        model.step(codes(images), images.labels, k, traced=False)
    before = _snapshot(model)
    errors = _listen(model)
    state = model.state
    images = batch()
    trace = model.step(codes(images), images.labels, k)
    step = Step(trace)
    for number, place in enumerate(model.network):
        name, layer = place.name, model.layers[place.name]
        if isinstance(layer, ProductLayer):
            step.products += layer_products(
                name, place.operator, layer.input.integers, before[name].values, errors[name],
                trace[f"{name}.backward_weight.weight.E_aligned"],
                f"{name}.backward_data.product" in trace,
            )  # fmt: skip
            weight = before[name]
            step.updates.append(
                Update(
                    name,
                    in_order(trace[f"{name}.backward_weight.weight.G"]).astype(np.int64),
                    in_order(weight.values),
                    in_order(weight.momentum),
                    weight.rule.applied_shift(0),
                    weight.rule.decay_bits(k),
                    tensor_key(state, draw_number(number, "weight.U")),
                )
            )
    for name, phase, results in _results(model, trace):
        for sample in results.reshape(len(results), -1):
            step.quantizations.append(
                Quantization(name, phase, sample.astype(np.int64), int(excess_bits(sample)))
            )
    return step


def _snapshot(model: Model) -> dict[str, Learned]:
    return {
        name: Learned(layer.weight.values.copy(), layer.weight.exponent, layer.weight.rule,
                      layer.weight.momentum.copy())
        for name, layer in model.layers.items()
        if isinstance(layer, ProductLayer)
    }  # fmt: skip


def layer_products(
    name: str, operator: Operator, x: NDArray, w: NDArray, error: NDArray, weight_error: NDArray,
    goes_down: bool,
) -> Iterator[Product]:  # fmt: skip
    """The products of one layer, of integers or floats.

    Parameters
    ----------
    x, w, error:
        Input, weight, and the output's error as backward-data sees it.
    weight_error:
        The error as backward-weight sees it.
    goes_down:
        Whether anything below wants an error.
    """
    if isinstance(operator, Linear):
        yield Product(name, "forward", x, w.T)
        if goes_down:
            yield Product(name, "backward_data", error, w)
        yield Product(name, "backward_weight", weight_error.T, x)
    elif isinstance(operator, Convolution):
        o = operator
        if o.groups != 1 or o.dilation != (1, 1):
            return
        windows = _im2col(x, o.kernel, o.stride, o.padding)
        yield Product(name, "forward", windows, w.reshape(len(w), -1).T)
        if goes_down and o.stride == (1, 1):
            # A convolution of the errors with the weights turned round; of strided layers, which
            # take one for each phase, no operands are taken.
            (high, wide), (top, left, bottom, right) = o.kernel, o.padding
            around = high - 1 - top, wide - 1 - left, high - 1 - bottom, wide - 1 - right
            turned = w[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(-1, w.shape[1])
            yield Product(name, "backward_data", _im2col(error, o.kernel, (1, 1), around), turned)
        rows = weight_error.transpose(1, 0, 2, 3).reshape(len(w), -1)
        yield Product(name, "backward_weight", rows, windows)


def _im2col(
    planes: NDArray, kernel: Pair, stride: Pair, padding: tuple[int, int, int, int]
) -> NDArray:
    """Windows of (samples, channels, h, w) as (samples * positions, channels * taps)."""
    top, left, bottom, right = padding
    padded = np.pad(planes, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    samples, _, high, wide = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(samples * high * wide, -1)


def _listen(model: Model) -> dict[str, Integers]:
    """Fills, while the model takes a step, with the codes of each product's error."""
    heard: dict[str, Integers] = {}

    def listen(layer: ProductLayer) -> None:
        inner, method = layer.gradients, "gradients"

        def gradients(error: Value, keys: Keys) -> Mapping[str, Gradient]:
            heard[layer.name] = error.integers
            return inner(error, keys)

        setattr(layer, method, gradients)

    for layer in model.layers.values():
        if isinstance(layer, ProductLayer):
            listen(layer)
    return heard


def _results(model: Model, trace: Mapping[str, Integers]) -> Iterator[tuple[str, str, Integers]]:
    """Layers, phases and 32-bit results that 8-bit quantisers take, as they leave the array."""
    for name, layer in model.layers.items():
        if isinstance(layer, ProductLayer):
            for phase in ("forward", "backward_data"):
                if f"{name}.{phase}.product" in trace:
                    yield name, phase, trace[f"{name}.{phase}.product"]
