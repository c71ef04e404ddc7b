"""The integer step against a floating-point backward pass, and that it learns."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pytest

from golden import data, zoo
from golden.errors import InputError
from golden.initialization import build
from golden.layers import LinearLayer
from golden.network import Activation, Add, Linear, Network, Softmax
from golden.schemes import EOQ
from golden.training import Model, draw_number, learning_rate_shift


def model(name: str = "mlp", seed: int = 0) -> Model:
    build_network = zoo.BUILT_IN[name]
    network = build_network() if name == "mlp" else build_network(input_shape=(1, 8, 8))
    return build(EOQ.rewrite(network), seed)


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def train(it: Model, dataset: data.Dataset, steps: int, batch: int = 64) -> None:
    rng = np.random.default_rng(0)
    codes = dataset.quantize(dataset.train.pixels)
    for _ in range(steps):
        pick = rng.integers(0, len(codes), batch)
        it.step(codes[pick], dataset.train.labels[pick], learning_rate_shift(batch))


def accuracy(it: Model, dataset: data.Dataset) -> float:
    part = dataset.validation
    predicted = it.logits(dataset.quantize(part.pixels))[0].argmax(axis=1)
    return float((predicted == part.labels).mean())


def linear_layers(it: Model) -> list[LinearLayer]:
    return [layer for layer in it.layers.values() if isinstance(layer, LinearLayer)]


def test_gradients_point_where_floating_point_ones_do(digits: data.Dataset) -> None:
    it = model()
    train(it, digits, 20)
    codes, labels = digits.quantize(digits.train.pixels[:64]), digits.train.labels[:64]
    first, second = linear_layers(it)
    w1 = first.weight.values * 2.0**-first.weight.exponent
    w2 = second.weight.values * 2.0**-second.weight.exponent
    x = codes.reshape(64, -1) * 2.0**-data.INPUT_EXPONENT
    h = np.maximum(x @ w1.T + first.bias.values * 2.0**-12, 0)
    z = h @ w2.T + second.bias.values * 2.0**-12
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(64), labels] -= 1
    expected: Mapping[str, np.ndarray] = {
        second.name: p.T @ h,
        first.name: ((p @ w2) * (h > 0)).T @ x,
    }
    trace = it.step(codes, labels, 0)
    for name, gradient in expected.items():
        ours = trace[f"{name}.backward_weight.weight.product"].astype(float)
        cosine = (ours * gradient).sum() / np.linalg.norm(ours) / np.linalg.norm(gradient)
        assert cosine > 0.98, name
    bias = trace[f"{second.name}.backward_weight.bias.product"].astype(float)
    assert np.corrcoef(bias, p.sum(axis=0))[0, 1] > 0.98


@pytest.mark.parametrize("name", ["mlp", "resnet8"])
def test_codes_are_8_bits_and_the_rest_as_wide_as_it_says(name: str, digits: data.Dataset) -> None:
    it = model(name, seed=3)
    train(it, digits, 3, batch=16)
    trace = it.step(digits.quantize(digits.train.pixels[:16]), digits.train.labels[:16], 1)
    width = {"product": 32, "error": 17}
    for key, values in trace.items():
        assert np.issubdtype(values.dtype, np.integer), key
        kind = key.rsplit(".", 1)[-1]
        scalar = key.endswith((".V", ".P", ".U")) and "weight" not in key
        bits = 16 if scalar else width.get(kind, 8)
        assert np.abs(values).max() < 1 << (bits - 1), key


@pytest.mark.parametrize(
    ("name", "steps", "least"),
    [("mlp", 200, 0.94), pytest.param("resnet8", 40, 0.5, marks=pytest.mark.slow)],
)
def test_it_learns_the_digits(name: str, steps: int, least: float, digits: data.Dataset) -> None:
    it = model(name)
    train(it, digits, steps)
    assert accuracy(it, digits) > least


def test_a_sample_is_computed_alike_alone_and_in_a_batch(digits: data.Dataset) -> None:
    it = model("resnet8")
    train(it, digits, 2, batch=16)
    codes = digits.quantize(digits.test.pixels[:4])
    together, exponent = it.logits(codes)
    for i in range(4):
        alone, its_exponent = it.logits(codes[i : i + 1])
        assert (alone[0] == together[i]).all()
        assert its_exponent[0] == exponent[i]


def test_blank_images_do_not_run_away() -> None:
    it = model()
    labels = np.zeros(4, dtype=np.int64)
    for _ in range(30):
        trace = it.step(np.zeros((4, 1, 8, 8), dtype=np.int64), labels, 2)
    exponents = [v for key, v in trace.items() if key.endswith("_exponent")]
    assert exponents
    assert all((e >= -40).all() and (e <= 60).all() for e in exponents)
    first = linear_layers(it)[0].name
    assert (trace[f"{first}.backward_weight.weight.G"] == 0).all()


def test_the_same_seed_gives_the_same_step(digits: data.Dataset) -> None:
    codes, labels = digits.quantize(digits.train.pixels[:16]), digits.train.labels[:16]
    one, other = (model(seed=7).step(codes, labels, 1) for _ in range(2))
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize(
    ("name", "batch", "expected"),
    [("mlp", 64, "8aac6435358eb5be"), ("resnet8", 8, "f2ccb9f7017c027a")],
)
def test_the_bits_of_a_few_steps(
    name: str, batch: int, expected: str, digits: data.Dataset
) -> None:
    # Pinned, so that work on speed cannot change what is computed. The initial weights are left
    # out of it: they come from the platform's floating point.
    it = model(name)
    rng = np.random.default_rng(0)
    for layer in it.layers.values():
        if "weight" in layer.learned:
            weight = layer.learned["weight"]
            weight.values = rng.integers(-30, 31, weight.values.shape)
    digest = hashlib.sha256()
    for step in range(3):
        part = slice(step * batch, (step + 1) * batch)
        codes, labels = digits.quantize(digits.train.pixels[part]), digits.train.labels[part]
        trace = it.step(codes, labels, learning_rate_shift(batch))
        for key, values in sorted(trace.items()):
            digest.update(key.encode())
            digest.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
    assert digest.hexdigest().startswith(expected)


def test_tensors_draw_from_numbers_of_their_own() -> None:
    numbers = [draw_number(layer, what) for layer in range(3) for what in ("weight.G", "bias.U")]
    assert len(set(numbers)) == len(numbers)


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"^batch must be a power of two, not 12$"):
        learning_rate_shift(12)
    middle = Network("x", (4,))
    middle.add("soft", Softmax())
    middle.add("fc", Linear(4))
    with pytest.raises(InputError, match=r"layer 'soft': integer training .* got Softmax"):
        build(middle, seed=0)
    headless = Network("x", (4,))
    headless.add("fc", Linear(4))
    headless.add("relu", Activation())
    headless.add("join", Add(), "fc", "relu")
    with pytest.raises(InputError, match="requires a linear layer or a convolution at the"):
        build(headless, seed=0)
