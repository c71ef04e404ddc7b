"""The integer step of a residual network against floating point at the same weights."""

import numpy as np
import pytest

from golden import data, zoo
from golden.data import INPUT_EXPONENT
from golden.float_build import build_float
from golden.initialization import build
from golden.layers import used_multiplier
from golden.schemes import EOQ


@pytest.mark.parametrize("name", ["resnet8", pytest.param("resnet20", marks=pytest.mark.slow)])
def test_integer_gradients_point_where_floating_point_ones_do(name: str) -> None:
    digits = data.load("digits")
    network = EOQ.rewrite(zoo.BUILT_IN[name](input_shape=(1, 8, 8)))
    model, reference = build(network, seed=0), build_float(network, seed=0, dtype=np.float64)
    # Until the branches have left zero.
    steps, batch = 24, 32
    codes, labels = digits.quantize(digits.train.pixels), digits.train.labels
    for step in range(steps):
        part = slice(step * batch, (step + 1) * batch)
        model.step(codes[part], labels[part], 0)
    for layer_name, layer in model.layers.items():
        for kind, learned in layer.learned.items():
            values, exponent = learned.values, learned.exponent
            if kind == "multiplier":
                values, exponent = used_multiplier(values)
            reference.layers[layer_name].learned[kind] = values * 2.0**-exponent
    part = slice(steps * batch, (steps + 1) * batch)
    reference.learn(codes[part] * 2.0**-INPUT_EXPONENT, labels[part])
    trace = model.step(codes[part], labels[part], 0)
    cosines = {}
    for layer_name, layer in reference.layers.items():
        if "weight" in layer.gradients:
            ours = trace[f"{layer_name}.backward_weight.weight.product"].astype(float)
            exact = layer.gradients["weight"]
            norms = np.linalg.norm(ours) * np.linalg.norm(exact)
            cosines[layer_name] = float((ours * exact).sum() / norms)
    assert len(cosines) == {"resnet8": 8, "resnet20": 20}[name]
    assert min(cosines.values()) > 0.95, cosines
