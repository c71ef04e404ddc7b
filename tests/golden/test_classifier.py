"""Where a trained network ends."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from golden.classifier import split_classifier
from golden.errors import InputError
from golden.fixed_layers import fixed_layer
from golden.float_build import build_float
from golden.initialization import build
from golden.network import (
    Activation,
    Add,
    Convolution,
    GlobalAveragePool,
    Linear,
    Network,
    Softmax,
)
from golden.onnx_import import import_onnx
from golden.reductions import check_reductions
from golden.schemes import EOQ

FILES = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


def test_a_softmax_at_the_end_belongs_to_the_loss() -> None:
    network = Network("n", (4,))
    network.add("fc", Linear(3))
    bare, name = split_classifier(network)
    assert (bare, name) == (network, "fc")
    network.add("soft", Softmax())
    stripped, name = split_classifier(network)
    assert (list(stripped.layers), name) == (["fc"], "fc")
    assert list(network.layers) == ["fc", "soft"]
    codes = np.ones((2, 4), int)
    assert build(network, 0).logits(codes)[0].shape == (2, 3)
    assert build_float(network, 0).logits(codes.astype(float)).shape == (2, 3)


@pytest.mark.parametrize("rectified", [False, True])
def test_a_convolution_may_classify(rectified: bool) -> None:
    """As in SqueezeNet: with a ReLU behind it, weights of zero would stay zero for ever."""
    network = Network("n", (2, 4, 4))
    network.add("classes", Convolution((1, 1), out_channels=3, bias=True))
    if rectified:
        network.add("relu", Activation())
    network.add("mean", GlobalAveragePool())
    flat, name = split_classifier(network)
    assert name == (None if rectified else "classes")
    assert flat.output == "classes_"
    assert flat.shape_of("classes_") == (3,)
    it = build(network, 0)
    assert it.layers["classes"].learned["weight"].values.any() == rectified
    rng = np.random.default_rng(0)
    labels = np.arange(8) % 2
    # Two classes, each bright in a channel of its own.
    codes = rng.integers(-20, 21, (8, 2, 4, 4)) + 60 * np.eye(2, dtype=int)[labels][..., None, None]
    for _ in range(20):
        it.step(codes, labels, 0)
    logits, _ = it.logits(codes)
    assert logits.shape == (8, 3)
    assert (logits.argmax(axis=1) == labels).all()
    assert build_float(network, 0).logits(codes.astype(float)).shape == (8, 3)


def test_other_ends_are_refused() -> None:
    message = r"^network 'n': training requires a linear layer or a convolution at the end, and one"
    for operators in (
        (),
        (Activation(),),
        (Softmax(),),
        (Linear(3), Add()),
        (GlobalAveragePool(),),
    ):
        network = Network("n", (4, 2, 2))
        for number, operator in enumerate(operators):
            network.add(f"l{number}", operator)
        with pytest.raises(InputError, match=message):
            split_classifier(network)
    for operator in (Linear(3), Convolution((1, 1), out_channels=3)):
        planes = Network("n", (5, 4, 4))
        planes.add("many", operator)
        with pytest.raises(InputError, match=message):
            split_classifier(planes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_wheel_s_architectures_can_be_trained(path: Path) -> None:
    """All nine end in a classifier, have only known operators, and sums within 32 bits."""
    network, _ = split_classifier(EOQ.rewrite(import_onnx(path)))
    assert network.shape_of(network.output) == (1000,)
    check_reductions(network)
    for layer in network:
        assert layer.parameters or fixed_layer(layer) is not None, layer
