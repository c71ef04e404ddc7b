"""Operands in floating point are those of golden's step."""

import numpy as np
import pytest

from cosim.float_operands import float_operands
from cosim.float_workloads import FLOAT_WORKLOADS
from cosim.operands import Step
from golden.data import load
from golden.float_learner import FP32_BN, FloatLearner
from golden.networks import load as load_network
from golden.training import learning_rate_shift
from rtl.blocks import make
from rtl.config import CoreConfig

STEPS = 4
CONFIG = CoreConfig(rows=4, columns=4)


@pytest.fixture(scope="module")
def step() -> Step:
    digits = load("digits")
    network = load_network("resnet8", input_shape=digits.shape, classes=10)
    return float_operands(network, digits, steps=STEPS)


@pytest.fixture(scope="module")
def trained() -> FloatLearner:
    """The same steps, taken without looking."""
    digits = load("digits")
    network = load_network("resnet8", input_shape=digits.shape, classes=10)
    learner = FloatLearner(network, digits, 0, FP32_BN)
    rng = np.random.default_rng(0)
    for _ in range(STEPS + 1):
        images = digits.train[rng.integers(0, len(digits.train), 16)]
        learner.train(images, learning_rate_shift(16))
    return learner


def test_weight_gradients_are_golden_s(step: Step, trained: FloatLearner) -> None:
    seen = 0
    for product in step.products:
        if product.phase == "backward_weight":
            gradient = trained.model.layers[product.layer].gradients["weight"]
            result = (product.a @ product.b).reshape(gradient.shape)
            np.testing.assert_allclose(result, gradient, rtol=1e-3, atol=1e-6)
            seen += 1
    phases = [product.phase for product in step.products]
    # All layers; backward-data without the first and the two strided ones.
    assert (seen, phases.count("forward"), phases.count("backward_data")) == (8, 8, 5)


def test_quotients_are_normalised_elements(step: Step, trained: FloatLearner) -> None:
    assert len(step.divisions) == 7
    for division in step.divisions:
        normal = trained.model.layers[division.layer]._normal
        quotient = division.dividend / division.divisor[:, None]
        np.testing.assert_allclose(quotient, normal, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("block", "operation"), [("fp32_mul", np.multiply), ("fp32_add", np.add)])
def test_a_result_a_cycle(block: str, operation: np.ufunc, step: Step) -> None:
    rng = np.random.default_rng(0)
    phases = []
    for workload in FLOAT_WORKLOADS[block](step, CONFIG, 60, rng):
        a, b = (workload.inputs[p].astype(np.uint32).view(np.float32) for p in ("a", "b"))
        got = simulate(block, workload.inputs)[4:].astype(np.uint32).view(np.float32)
        np.testing.assert_array_equal(got, operation(a, b)[:-4])
        assert workload.operations == len(a) - workload.settle
        phases.append(workload.phase)
    assert phases == ["forward", "backward_data", "backward_weight", "noise"]


def simulate(block: str, inputs: dict) -> np.ndarray:
    from cosim.block_energy import rtl_vectors

    _, outputs = rtl_vectors(make(block, CONFIG), inputs)
    return np.array(outputs["o"])


def test_a_quotient_in_thirty_cycles(step: Step) -> None:
    from cosim.block_energy import rtl_vectors

    real, _ = FLOAT_WORKLOADS["fp32_div"](step, CONFIG, 150, np.random.default_rng(0))
    _, outputs = rtl_vectors(make("fp32_div", CONFIG), real.inputs)
    operands = real.inputs["i__payload"][::30]
    a, b = (
        (operands >> place & 0xFFFFFFFF).astype(np.uint32).view(np.float32) for place in (0, 32)
    )
    valid = np.array(outputs["o__valid"], bool)
    got = np.array(outputs["o__payload"])[valid].astype(np.uint32).view(np.float32)
    assert real.operations == 4
    np.testing.assert_array_equal(got[:4], (a / b)[:4])
