"""Pulled errors against autograd's Jacobian, and against the errors of a training step."""

import copy

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import jacobian

from golden import data, zoo
from golden.blocks import find_blocks
from golden.data import INPUT_EXPONENT
from golden.dequantization import dequantized
from golden.float_build import build_float
from golden.initialization import build
from golden.jacobians import FloatJacobians, IntegerJacobians
from golden.network import (
    Activation,
    Add,
    Convolution,
    Dropout,
    GlobalAveragePool,
    Linear,
    Network,
    Normalization,
    Reshape,
)
from golden.schemes import EOQ
from golden.training import Model
from golden.values import ERROR_ZERO_EXPONENT, Value, quantize_samples


def small() -> Network:
    """Return a residual block with batch normalisation between other layers."""
    convolution = Convolution((3, 3), (1, 1), (1, 1, 1, 1), out_channels=2)
    network = Network("small", (2, 3, 3))
    network.add("stem", convolution)
    network.add("block.conv", convolution)
    network.add("block.norm", Normalization())
    network.add("block.add", Add(), "block.norm", "stem")
    network.add("block.relu", Activation())
    network.add("pool", GlobalAveragePool())
    network.add("flat", Reshape((2,)))
    network.add("fc", Linear(3, bias=True))
    return network


def convolve(x, w):
    x = anp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
    return sum(
        anp.einsum("nchw,oc->nohw", x[:, :, i : i + 3, j : j + 3], w[:, :, i, j])
        for i in range(3)
        for j in range(3)
    )


def normalize(x, epsilon=1e-5):
    mean = anp.mean(x, axis=(0, 2, 3), keepdims=True)
    variance = anp.mean((x - mean) ** 2, axis=(0, 2, 3), keepdims=True)
    return (x - mean) / anp.sqrt(variance + epsilon)


def test_pulling_is_autograd_s_transposed_jacobian_of_the_batch() -> None:
    rng = np.random.default_rng(0)
    network = small()
    model = build_float(network, 1, dtype=np.float64)
    weights = {name: layer.learned.get("weight") for name, layer in model.layers.items()}
    x = rng.normal(size=(3, 2, 3, 3))
    forward = {
        "stem": lambda x: convolve(x, weights["stem"]),
        "block": lambda x: anp.maximum(normalize(convolve(x, weights["block.conv"])) + x, 0),
        "pool": lambda x: anp.mean(x, axis=(2, 3)),
        "fc": lambda x: anp.dot(x, weights["fc"].T),
    }
    jacobians = FloatJacobians(model, x)
    blocks = find_blocks(network)
    assert [block.name for block in blocks] == list(forward)
    for block in blocks:
        y = forward[block.name](x)
        matrix = jacobian(forward[block.name])(x).reshape(y.size, x.size)
        if not jacobians.couples(block):
            across = matrix.reshape(3, -1, 3, matrix.shape[1] // 3)
            assert not across[[0, 0, 1], :, [1, 2, 2]].any()
        for row in range(y.size):
            unit = np.zeros(y.size)
            unit[row] = 1
            shape = (3, *network.shape_of(block.output))
            pulled = jacobians.real(jacobians.pull(block, jacobians.probe(unit.reshape(shape))))
            np.testing.assert_allclose(pulled.ravel(), matrix[row], rtol=1e-9, atol=1e-12)
        x = y


@pytest.fixture(scope="module")
def trained() -> tuple[Model, np.ndarray, np.ndarray]:
    """Return a network in integers after some steps, when no branch is zero, and a batch."""
    digits = data.load("digits")
    model = build(EOQ.rewrite(zoo.resnet8((1, 8, 8))), seed=0)
    codes, labels = digits.quantize(digits.train.pixels), digits.train.labels
    for step in range(8):
        part = slice(step * 16, (step + 1) * 16)
        model.step(codes[part], labels[part], 0)
    return model, codes[:16], labels[:16]


def test_integer_pulls_are_the_errors_of_a_training_step(
    trained: tuple[Model, np.ndarray, np.ndarray],
) -> None:
    model, codes, labels = trained
    # A step changes the weights.
    trace = copy.deepcopy(model).step(codes, labels, 0)
    jacobians = IntegerJacobians(model, codes)
    blocks = find_blocks(model.network)

    def traced(name: str) -> Value:
        name = f"{name}.backward_data.E"
        return Value(trace[name], trace[f"{name}_exponent"], is_codes=True)

    error = traced(blocks[-1].output)
    compared = 0
    for block in blocks[:0:-1]:
        error = reached = jacobians.pull(block, error)
        # Down to where the step next brings an error to 8 bits, and keeps it in its trace.
        name = block.source
        while name not in jacobians.coded:
            (reached,) = model.layers[name].backward(reached)
            (name,) = model.network.layers[name].inputs
        if reached.is_codes:
            # The step takes codes as they are; they reach its trace in the next block.
            assert f"{name}.backward_data.E" not in trace
            continue
        reached = quantize_samples(reached, ERROR_ZERO_EXPONENT)
        expected = traced(name)
        compared += 1
        assert expected.integers.any()
        np.testing.assert_array_equal(reached.integers, expected.integers)
        np.testing.assert_array_equal(reached.exponent, expected.exponent)
    assert compared == len(blocks) - 2


def test_one_linear_layer_in_integers_is_its_dequantised_weights(
    trained: tuple[Model, np.ndarray, np.ndarray],
) -> None:
    model, codes, _ = trained
    integer = IntegerJacobians(model, codes)
    real = FloatJacobians(dequantized(model), codes * 2.0**-INPUT_EXPONENT)
    rng = np.random.default_rng(0)
    block = find_blocks(model.network)[-1]
    signs = rng.choice([-1.0, 1.0], (16, 10))
    ours = integer.real(integer.pull(block, integer.probe(signs)))
    weight = model.layers["fc"].learned["weight"]
    np.testing.assert_array_equal(ours, signs @ (weight.values * 2.0**-weight.exponent))
    np.testing.assert_array_equal(real.real(real.pull(block, real.probe(signs))), ours)


def test_dropout_is_left_out() -> None:
    network = Network("dropout", (4,))
    network.add("fc1", Linear(4))
    network.add("dropout", Dropout(0.5))
    network.add("fc2", Linear(4))
    ones = np.ones((3, 4))
    floats = FloatJacobians(build_float(network, 0, dtype=np.float64), ones)
    integers = IntegerJacobians(build(network, 0), ones.astype(np.int32))
    for jacobians in (floats, integers):
        block = find_blocks(network)[0]
        assert [layer.name for layer in block.layers] == ["fc1", "dropout"]
        pulled = jacobians.real(jacobians.pull(block, jacobians.probe(ones)))
        # What dropout lets through would differ from sample to sample.
        assert (pulled == pulled[0]).all()
        assert pulled.all()
