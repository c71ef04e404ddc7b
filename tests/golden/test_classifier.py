"""Where a trained network ends."""

import numpy as np
import pytest

from golden.classifier import split_classifier
from golden.errors import InputError
from golden.float_build import build_float
from golden.initialization import build
from golden.network import Activation, Linear, Network, Softmax


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


def test_other_ends_are_refused() -> None:
    message = "^network 'n': training requires a linear classifier at the end$"
    for operators in ((), (Activation(),), (Linear(3), Activation()), (Softmax(),)):
        network = Network("n", (4,))
        for number, operator in enumerate(operators):
            network.add(f"l{number}", operator)
        with pytest.raises(InputError, match=message):
            split_classifier(network)
    rows = Network("n", (5, 4))
    rows.add("fc", Linear(3))
    with pytest.raises(InputError, match=message):
        split_classifier(rows)
