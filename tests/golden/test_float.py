"""Floating-point layers against autograd, which differentiates the forward pass by itself."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from golden import zoo
from golden.errors import InputError
from golden.fixup import fixup
from golden.float_build import build_float
from golden.float_model import FloatModel
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
    Layer,
    Linear,
    MaxPool,
    Multiply,
    Network,
    Normalization,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
    Softmax,
)

Parameters = dict[str, dict[str, np.ndarray]]


def spread(vector, x):
    return vector.reshape((1, -1) + (1,) * (x.ndim - 2))


def taps(x, o, fill):
    """Every tap of all windows, written without a look at golden's."""
    top, left, bottom, right = o.padding
    ones = anp.ones_like(x)
    x = x - fill if fill else x
    pads = ((0, 0), (0, 0), (top, bottom + 9), (left, right + 9))
    x, ones = anp.pad(x, pads, "constant"), anp.pad(ones, pads, "constant")
    x = x + fill if fill else x
    height, width = o.positions((1, pads_height(ones, pads, 2), pads_height(ones, pads, 3)))
    found = []
    for i in range(o.kernel[0]):
        for j in range(o.kernel[1]):
            rows = [i * o.dilation[0] + n * o.stride[0] for n in range(height)]
            columns = [j * o.dilation[1] + n * o.stride[1] for n in range(width)]
            found.append((x[:, :, rows][:, :, :, columns], ones[:, :, rows][:, :, :, columns]))
    return found


def pads_height(padded, pads, axis):
    return padded.shape[axis] - sum(pads[axis])


def reference(layer: Layer, inputs: list, p: dict):
    x, o = inputs[0], layer.operator
    match o:
        case Linear():
            return x @ p["weight"].T + p.get("bias", 0)
        case Convolution():
            outputs = []
            of, per = o.out_channels // o.groups, x.shape[1] // o.groups
            windows = taps(x, o, 0)
            for group in range(o.groups):
                weight = p["weight"][group * of : (group + 1) * of].reshape(of, per, -1)
                part = slice(group * per, (group + 1) * per)
                outputs.append(
                    sum(
                        anp.einsum("nchw,oc->nohw", window[:, part], weight[:, :, number])
                        for number, (window, _) in enumerate(windows)
                    )
                )
            result = anp.concatenate(outputs, axis=1)
            return result + spread(p["bias"], result) if "bias" in p else result
        case Normalization():
            axes = (0, *range(2, x.ndim))
            mean = anp.mean(x, axis=axes, keepdims=True)
            variance = anp.mean((x - mean) ** 2, axis=axes, keepdims=True)
            normal = (x - mean) / anp.sqrt(variance + 1e-5)
            return spread(p["gamma"], x) * normal + spread(p["beta"], x)
        case ScalarBias() | ChannelBias():
            return x + spread(p["bias"], x)
        case ScalarMultiplier() | ChannelMultiplier():
            return x * spread(p["multiplier"], x)
        case Activation():
            y = anp.where(x > 0, x, o.slope * x)
            return y if o.maximum is None else anp.minimum(y, o.maximum)
        case Add():
            return sum(inputs)
        case Multiply():
            return x * inputs[1]
        case ChannelShuffle(groups=groups):
            parts = x.reshape((len(x), groups, -1, *x.shape[2:]))
            return anp.transpose(parts, (0, 2, 1, 3, 4)).reshape(x.shape)
        case Concat():
            return anp.concatenate(inputs, axis=o.axis + 1)
        case Flatten() | Reshape():
            return x.reshape((len(x), *layer.shape))
        case Pad(amounts=(channels, top, left, bottom, right)):
            return anp.pad(x, ((0, 0), (0, channels), (top, bottom), (left, right)), "constant")
        case GlobalAveragePool():
            return anp.mean(x, axis=(2, 3), keepdims=True)
        case GlobalMaxPool():
            return anp.max(x, axis=(2, 3), keepdims=True)
        case MaxPool():
            return anp.max(anp.array([window for window, _ in taps(x, o, -1e3)]), axis=0)
        case AveragePool():
            windows = taps(x, o, 0)
            return sum(window for window, _ in windows) / sum(ones for _, ones in windows)
    raise AssertionError(o)


def reference_loss(parameters: Parameters, network: Network, x, labels):
    values = {"input": x}
    for layer in network:
        inputs = [values[name] for name in layer.inputs]
        values[layer.name] = reference(layer, inputs, parameters.get(layer.name, {}))
    z = values[network.output]
    shifted = z - anp.max(z, axis=1, keepdims=True)
    logs = shifted - anp.log(anp.sum(anp.exp(shifted), axis=1, keepdims=True))
    return -anp.mean(logs[np.arange(len(labels)), labels])


def odd_network() -> Network:
    """Every operator that a step can have, with uneven windows."""
    network = Network("odd", (2, 9, 7))
    add = network.add
    add("c1", Convolution((3, 2), (2, 1), (1, 0, 2, 1), (1, 2), out_channels=4, groups=2,
                          bias=True))  # fmt: skip
    add("n1", Normalization())
    add("leaky", Activation(slope=0.1))
    add("cb", ChannelBias())
    add("cm", ChannelMultiplier())
    fork = add("max", MaxPool((3, 2), (2, 2), (1, 0, 1, 1), ceil=True))
    add("c2", Convolution((1, 1), out_channels=4), fork)
    add("relu6", Activation(maximum=0.7))
    add("sb", ScalarBias())
    add("sm", ScalarMultiplier())
    add("join", Add(), "sm", fork)
    add("avg", AveragePool((2, 3), (1, 2), (1, 1, 0, 1), ceil=True))
    add("pad", Pad((1, 1, 0, 0, 2)))
    add("cat", Concat(0), "pad", "pad")
    gate = add("gate", GlobalAveragePool())
    add("gated", Multiply(), "cat", gate)
    add("shuffle", ChannelShuffle(5))
    add("square", Multiply(), "shuffle", "shuffle")
    top = add("gmax", GlobalMaxPool())
    mean = add("gavg", GlobalAveragePool(), "cat")
    add("both", Concat(0), top, mean)
    add("flat", Flatten())
    add("again", Reshape((20,)))
    add("fc", Linear(6, bias=False))
    add("n2", Normalization())
    add("relu", Activation())
    add("head", Linear(3))
    return network


def randomized(network: Network, seed: int) -> FloatModel:
    model = build_float(network, seed, dtype=np.float64)
    rng = np.random.default_rng(seed)
    for layer in model.layers.values():
        for name, values in layer.learned.items():
            layer.learned[name] = values + 0.3 * rng.normal(size=values.shape)
    return model


@pytest.mark.parametrize(
    "network",
    [
        odd_network(),
        zoo.resnet8((1, 8, 8)),
        fixup(zoo.resnet8((1, 8, 8))),
        zoo.lenet5((1, 8, 8)),
        zoo.mlp(),
    ],
    ids=["odd", "resnet8", "resnet8-fixup", "lenet5", "mlp"],
)
def test_gradients_are_those_of_autograd(network: Network) -> None:
    model = randomized(network, seed=1)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4, *network.input_shape))
    classes = network.shape_of(network.output)[0]
    labels = rng.integers(0, classes, 4)
    parameters = {name: dict(layer.learned) for name, layer in model.layers.items()}
    loss = model.learn(x, labels)
    assert loss == pytest.approx(reference_loss(parameters, network, x, labels), rel=1e-10)
    expected = grad(reference_loss)(parameters, network, x, labels)
    for name, layer in model.layers.items():
        for kind in layer.learned:
            np.testing.assert_allclose(
                layer.gradients[kind], expected[name][kind], rtol=1e-7, atol=1e-9,
                err_msg=f"{name}.{kind}",
            )  # fmt: skip


def test_inference_uses_running_averages_and_drops_nothing() -> None:
    network = Network("x", (3, 4, 4))
    network.add("norm", Normalization())
    network.add("dropout", Dropout(0.25))
    network.add("flat", Flatten())
    network.add("fc", Linear(2))
    model = build_float(network, 0)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(512, 3, 4, 4)) * 2 + 5).astype(np.float32)
    for step in range(60):
        model.noise.begin(step)
        model.logits(x, training=True)
    running = model.layers["norm"].running
    np.testing.assert_allclose(running["mean"], 5, atol=0.1)
    np.testing.assert_allclose(running["variance"], 4, atol=0.2)
    one, other = model.logits(x[:3]), model.logits(x[:1])
    np.testing.assert_allclose(one[:1], other, rtol=1e-5)
    assert one.dtype == np.float32
    dropped = model.layers["dropout"].forward([np.ones((1000, 10), np.float32)], True)
    assert np.unique(dropped).tolist() == [0, np.float32(1 / 0.75)]
    assert dropped.mean() == pytest.approx(1, abs=0.03)
    model.noise.begin(7)
    first = model.logits(x[:4], training=True)
    model.noise.begin(7)
    assert (model.logits(x[:4], training=True) == first).all()


def test_operators_without_a_backward_pass_are_refused() -> None:
    network = Network("x", (4,))
    network.add("soft", Softmax())
    network.add("fc", Linear(2))
    with pytest.raises(InputError, match=r"layer 'soft': floating-point training has no Softmax$"):
        build_float(network, 0)
    headless = Network("x", (4,))
    headless.add("relu", Activation())
    with pytest.raises(InputError, match="requires a linear layer or a convolution at the end"):
        build_float(headless, 0)
