"""Every operator that EOQ trains, in one network: gradients as in floating point, integers only."""

from typing import ClassVar

import numba
import numpy as np
import pytest

from golden import acceleration
from golden.acceleration import LOOPS_VARIABLE, compiled, parts, specification, threads
from golden.activations import ClippedLayer, LeakyLayer
from golden.channel_shuffle import ChannelShuffleLayer
from golden.concatenation import ConcatLayer
from golden.dropout import DropoutLayer
from golden.errors import InputError
from golden.float_build import build_float
from golden.initialization import build
from golden.layers import IntegerLayer, used_multiplier
from golden.network import (
    Activation,
    Add,
    AveragePool,
    ChannelBias,
    ChannelMultiplier,
    ChannelShuffle,
    Concat,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Linear,
    MaxPool,
    Network,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
    Softmax,
)
from golden.pooling import AveragePoolLayer, GlobalMaxLayer, MaxPoolLayer
from golden.training import Model
from golden.values import Value


def network(dropout: float = 0.0) -> Network:
    """Means over powers of two without padding, so that floating point means the same by them."""
    it = Network("every", (2, 13, 12))
    add = it.add
    add(
        "c1", Convolution((3, 2), (2, 1), (1, 0, 2, 1), (1, 2), out_channels=8, groups=2, bias=True)
    )
    add("leaky", Activation(slope=0.25))
    add("cb", ChannelBias())
    add("cm", ChannelMultiplier())
    fork = add("max", MaxPool((3, 2), (2, 2), (1, 0, 1, 1), ceil=True))
    add("relu6", Activation(maximum=6.0), fork)
    add("c2", Convolution((1, 1), out_channels=8))
    add("sb", ScalarBias())
    add("sm", ScalarMultiplier())
    # Every code of a convolution's 1x1 shortcut, wide, meets another wide branch.
    short = add("down", Convolution((1, 1), out_channels=8), fork)
    join = add("join", Add(), "sm", short)
    add("avg", AveragePool((2, 2), (1, 2)), join)
    wide = add("same", Convolution((1, 1), out_channels=4), "avg")
    one = add("picked", MaxPool((1, 1), (2, 2)), join)
    one = add("padded", Pad((0, 1, 0, 0, 0)), one)
    it.add("cat", Concat(0), "avg", wide)
    add("shuffle", ChannelShuffle(3))
    add("relu", Activation())
    top = add("gmax", GlobalMaxPool())
    mean = add("gavg", GlobalAveragePool(), one)
    add("both", Concat(0), top, mean)
    add("flat", Flatten())
    add("again", Reshape((20,)))
    add("fc1", Linear(16))
    add("relu1", Activation())
    add("drop", Dropout(dropout))
    add("head", Linear(3))
    add("soft", Softmax())
    return it


@pytest.fixture(scope="module")
def trained() -> Model:
    # Later this small network makes few errors, and the rounding of its logits decides which.
    return after(steps=2)


def after(steps: int) -> Model:
    it = build(network(), seed=0)
    for step in range(steps):
        it.step(*batch(step), 0)
    return it


def batch(seed: int, count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Noise around the brightness that a class has in each channel."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    bright = np.array([[50, -50], [-50, 50], [50, 50]])[labels][..., None, None]
    return bright + rng.integers(-70, 71, (count, 2, 13, 12)), labels


def test_gradients_point_where_floating_point_ones_do(trained: Model) -> None:
    reference = build_float(network(), seed=0, dtype=np.float64)
    for name, layer in trained.layers.items():
        for kind, learned in layer.learned.items():
            values, exponent = learned.values, learned.exponent
            if kind == "multiplier":
                values, exponent = used_multiplier(values)
            reference.layers[name].learned[kind] = values * 2.0**-exponent
    codes, labels = batch(1000)
    reference.learn(codes * 2.0**-5, labels)
    # Means of the plane are divided by the next power of two.
    trace = trained.step(codes, labels, 0)
    cosines = {}
    for name, layer in reference.layers.items():
        for kind, exact in layer.gradients.items():
            ours = trace[f"{name}.backward_weight.{kind}.product"].astype(float)
            norms = np.linalg.norm(ours) * np.linalg.norm(exact)
            cosines[f"{name}.{kind}"] = float((ours * exact).sum() / norms)
    assert len(cosines) == 13
    assert min(cosines.values()) > 0.95, cosines


def test_it_learns() -> None:
    codes, labels = batch(2000, 128)
    predicted = after(steps=8).logits(codes)[0].argmax(axis=1)
    assert (predicted == labels).mean() > 0.9


@pytest.mark.parametrize("count", [2, 3])
def test_threads_that_share_a_batch_change_nothing(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceleration, "_WORTH_SPLITTING", 1)
    monkeypatch.setenv(LOOPS_VARIABLE, "compiled")
    assert compiled(1)
    found = []
    for number in (1, count):
        it = build(network(dropout=0.5), seed=0)
        with threads(number):
            assert parts(32, 1000) == min(number, numba.config.NUMBA_NUM_THREADS)
            for step in range(3):
                it.step(*batch(step), 0, traced=False)
            results = [*it.logits(batch(9, 5)[0])]
        for layer in it.layers.values():
            for learned in layer.learned.values():
                results += [learned.values, learned.momentum]
        found.append(results)
    assert len(found[0]) > 20
    for one, other in zip(*found, strict=True):
        assert (one == other).all()


def test_all_zero_images_and_errors_stay_in_range() -> None:
    it = build(network(), seed=0)
    zeros = np.zeros((4, 2, 13, 12), int)
    for _ in range(20):
        trace = it.step(zeros, np.arange(4) % 3, 0)
    for key, values in trace.items():
        assert np.issubdtype(values.dtype, np.integer), key
        if key.endswith("_exponent"):
            assert (values >= -40).all(), key
            assert (values <= 60).all(), key


class Watched(np.ndarray):
    """Integers that refuse what hardware has not: floating point, division, roots, logarithms."""

    _ALLOWED: ClassVar = {
        "add", "subtract", "multiply", "maximum", "minimum", "greater", "less", "less_equal",
        "greater_equal", "equal", "not_equal", "right_shift", "left_shift", "bitwise_and",
        "bitwise_or", "bitwise_xor", "logical_or", "logical_and", "negative", "invert",
    }  # fmt: skip

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        assert ufunc.__name__ in self._ALLOWED, ufunc
        plain = [np.asarray(i) for i in inputs]
        assert all(i.dtype.kind in "iub" for i in plain), [i.dtype for i in plain]
        if out is not None:
            options["out"] = tuple(np.asarray(o) for o in out)
        for key in ("where",):
            if key in options:
                options[key] = np.asarray(options[key])
        result = np.asarray(getattr(ufunc, method)(*plain, **options))
        assert result.dtype.kind in "iub", ufunc
        return result.view(Watched)


def watched(value: Value) -> Value:
    return Value(value.integers.view(Watched), value.exponent.view(Watched), value.is_codes)


LAYERS = {
    "max": MaxPoolLayer("l", MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), 6, 6),
    "max-disjoint": MaxPoolLayer("l", MaxPool((2, 2), (2, 2)), 6, 6),
    "average": AveragePoolLayer("l", AveragePool((3, 3), (2, 2), (1, 1, 1, 1))),
    "average-disjoint": AveragePoolLayer("l", AveragePool((2, 2), (2, 2))),
    "global-max": GlobalMaxLayer("l"),
    "clipped": ClippedLayer("l", 6.0),
    "leaky": LeakyLayer("l", 0.1),
    "concat": ConcatLayer("l", 0),
    "shuffle": ChannelShuffleLayer("l", 4, 2),
    "dropout": DropoutLayer("l", 0.2),
}


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_nothing_but_integers(layer: IntegerLayer, dtype: type) -> None:
    # Compiled loops show nothing to an array that watches; they are held against what it watches.
    with specification():
        watch(layer, dtype)


def watch(layer: IntegerLayer, dtype: type) -> None:
    rng = np.random.default_rng(0)
    codes = Value(rng.integers(-127, 128, (2, 4, 6, 6)).astype(dtype), np.array([3, 5]), True)
    inputs = [watched(codes)] * (2 if isinstance(layer, ConcatLayer) else 1)
    if layer.needs_codes:
        values = [inputs]
    else:
        wide = rng.integers(-(2**30), 2**30, (2, 4, 6, 6)).astype(np.int32)
        values = [inputs, [watched(Value(wide, np.array([20, 40])))]]
    for operands in values:
        for keys in (lambda what: 12345, None):
            layer.begin(keys)
            out = layer.forward(operands)
            assert out.integers.dtype.kind == "i"
            assert out.exponent.dtype.kind == "i"
            if keys is None:
                continue
            error = rng.integers(-127, 128, out.integers.shape).astype(dtype)
            for below in layer.backward(watched(Value(error, out.exponent.copy(), True))):
                assert below.integers.shape == (2, 4, 6, 6)
                assert below.integers.dtype.kind == "i"
                plain = np.asarray(below.integers)
                assert not below.is_codes or -127 <= plain.min() <= plain.max() <= 127


def test_the_watch_sees_what_it_must() -> None:
    codes = np.array([1, 2]).view(Watched)
    for wrong in (lambda: codes / 2, lambda: codes // 2, lambda: codes * 0.5, lambda: codes**2):
        with pytest.raises(AssertionError):
            wrong()


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (Activation(maximum=6.0, slope=0.1), "requires an operator of docs/numerics.md, got Act"),
        (Activation(slope=2.0), r"layer 'it': the slope must be 2\*\*-15 to 1 for integer"),
        (Dropout(1.0), "layer 'it': dropout must keep at least 1/512"),
        (MaxPool((2, 2), padding=(2, 0, 0, 0)), "layer 'it': every window must reach the input"),
    ],
)
def test_what_has_no_integer_form_is_named(operator: Activation, message: str) -> None:
    it = Network("n", (2, 6, 6))
    it.add("it", operator)
    it.add("flat", Flatten())
    it.add("fc", Linear(2))
    with pytest.raises(InputError, match=rf"^network 'n', .*{message}") as refusal:
        build(it, 0)
    assert "\n" not in str(refusal.value)
