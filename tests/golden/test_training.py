"""The integer step against a floating-point backward pass, and that it learns."""

import numpy as np
import pytest

from golden import data
from golden.errors import InputError
from golden.network import Activation, Add, Flatten, Linear, Network
from golden.training import Model, build, learning_rate_shift


def mlp(hidden: int = 32) -> Network:
    network = Network("mlp", (1, 8, 8))
    network.add("flatten", Flatten())
    network.add("fc1", Linear(hidden))
    network.add("relu", Activation())
    network.add("fc2", Linear(10))
    return network


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def train(model: Model, dataset: data.Dataset, steps: int, batch: int = 64) -> None:
    rng = np.random.default_rng(0)
    codes = dataset.quantize(dataset.train.pixels)
    for _ in range(steps):
        pick = rng.integers(0, len(codes), batch)
        model.step(codes[pick], dataset.train.labels[pick], learning_rate_shift(batch))


def test_gradients_point_where_floating_point_ones_do(digits: data.Dataset) -> None:
    model = build(mlp(), seed=0)
    train(model, digits, 20)
    codes, labels = digits.quantize(digits.train.pixels[:64]), digits.train.labels[:64]
    first, second = model.layers
    w1 = first.weight * 2.0**-first.weight_exponent
    w2 = second.weight * 2.0**-second.weight_exponent
    x = codes.reshape(64, -1) * 2.0**-data.INPUT_EXPONENT
    h = np.maximum(x @ w1.T + first.bias * 2.0**-12, 0)
    z = h @ w2.T + second.bias * 2.0**-12
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(64), labels] -= 1
    expected = {"fc2": p.T @ h, "fc1": ((p @ w2) * (h > 0)).T @ x}
    trace = model.step(codes, labels, 0)
    for name, gradient in expected.items():
        ours = trace[f"{name}.backward_weight.weight.G"].astype(float)
        cosine = (ours * gradient).sum() / np.linalg.norm(ours) / np.linalg.norm(gradient)
        assert cosine > 0.98, name
    bias = trace["fc2.backward_weight.bias.G"][:, 0].astype(float)
    assert np.corrcoef(bias, p.sum(axis=0))[0, 1] > 0.98


def test_all_tensors_are_8_bits_but_accumulators_momentum_and_biases(digits: data.Dataset) -> None:
    model = build(mlp(), seed=3)
    train(model, digits, 5)
    trace = model.step(digits.quantize(digits.train.pixels[:16]), digits.train.labels[:16], 1)
    width = {"product": 32, "logits": 32, "error": 17, "V": 16}
    for name, values in trace.items():
        assert np.issubdtype(values.dtype, np.integer), name
        kind = name.rsplit(".", 1)[-1]
        bits = 16 if name.endswith(("bias.P", "bias.U")) else width.get(kind, 8)
        assert np.abs(values).max() < 1 << (bits - 1), name


def test_it_learns_the_digits(digits: data.Dataset) -> None:
    model = build(mlp(), seed=0)
    train(model, digits, 200)
    part = digits.validation
    predicted = model.logits(digits.quantize(part.pixels))[0].argmax(axis=1)
    # 94 % after ten epochs; chance is 10 %.
    assert (predicted == part.labels).mean() > 0.94


def test_a_sample_is_computed_alike_alone_and_in_a_batch(digits: data.Dataset) -> None:
    model = build(mlp(), seed=0)
    train(model, digits, 10)
    codes = digits.quantize(digits.test.pixels[:8])
    together, exponent = model.logits(codes)
    for i in range(8):
        alone, its_exponent = model.logits(codes[i : i + 1])
        assert (alone[0] == together[i]).all()
        assert its_exponent[0] == exponent[i]


def test_blank_images_do_not_run_away(digits: data.Dataset) -> None:
    model = build(mlp(), seed=0)
    labels = np.zeros(4, dtype=np.int64)
    for _ in range(30):
        trace = model.step(np.zeros((4, 64), dtype=np.int64), labels, 2)
    assert (trace["fc1.forward.A_exponent"] >= -40).all()
    assert (trace["fc1.backward_weight.weight.G"] == 0).all()


def test_the_same_seed_gives_the_same_step(digits: data.Dataset) -> None:
    codes, labels = digits.quantize(digits.train.pixels[:16]), digits.train.labels[:16]
    one, other = (build(mlp(), seed=7).step(codes, labels, 1) for _ in range(2))
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"^batch must be a power of two, not 12$"):
        learning_rate_shift(12)
    branched = mlp()
    branched.add("join", Add(), "fc2", "fc2")
    with pytest.raises(
        InputError, match=r"layer 'join': integer training requires .* got a branch"
    ):
        build(branched, seed=0)
    headless = Network("x", (4,))
    headless.add("fc", Linear(4))
    headless.add("relu", Activation())
    with pytest.raises(InputError, match="requires a linear classifier at the end"):
        build(headless, seed=0)
