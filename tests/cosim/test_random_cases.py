"""Random networks on random cores: every bit and every cycle of whole training steps."""

import numpy as np
import pytest

from cosim.core_build import build_core
from cosim.machine import Machine
from cosim.random_cases import CORES, RandomCase, random_case
from cosim.runner import cosimulate
from cosim.step_check import reference
from golden.initialization import build as build_model
from golden.network import Activation, Convolution, Flatten, Linear, Network
from golden.schemes import EOQ
from golden.training import learning_rate_shift
from hwmodel.lowering.program import compile_step
from rtl.config import CoreConfig

CASES = 200
SAMPLE_CORE = 2
SAMPLE = range(SAMPLE_CORE, CASES, CASES // 5)


def check(case: RandomCase, simulator: str = "verilator") -> None:
    result = cosimulate(**case.arguments(), simulator=simulator)
    assert result.passed, result.mismatch
    assert all(step.times.cycles == result.times.cycles > 0 for step in result.steps)
    frame = result.instructions
    assert (frame.cycles_rtl == frame.cycles_model).all()


@pytest.mark.parametrize("number", SAMPLE)
def test_a_sample_on_one_core(number: int) -> None:
    check(random_case(number))


@pytest.mark.slow
@pytest.mark.parametrize("core", range(len(CORES)))
def test_all_on_every_core(core: int) -> None:
    for number in range(core, CASES, len(CORES)):
        check(random_case(number))


@pytest.mark.slow
def test_two_on_icarus() -> None:
    for number in (SAMPLE_CORE, SAMPLE_CORE + len(CORES)):
        check(random_case(number), "icarus")


@pytest.mark.slow
def test_cases_reach_every_kind_of_layer_and_core() -> None:
    cases = [random_case(number) for number in range(CASES)]
    assert len({case.config for case in cases}) == len(CORES)
    arrays = [(core.rows, core.columns) for core in CORES]
    assert (1, 1) in arrays
    assert (16, 16) in arrays
    assert sum(rows != columns for rows, columns in arrays) >= 5
    assert {case.batch for case in cases} == {1, 2, 4}
    assert {case.latency for case in cases} >= {0, 1, 57}
    convolutions = [
        layer for case in cases for layer in case.network
        if isinstance(layer.operator, Convolution)
    ]  # fmt: skip
    kinds = {(c.operator.kernel[0], c.operator.stride[0]) for c in convolutions}
    assert kinds == {(1, 1), (1, 2), (3, 1), (3, 2)}
    assert {c.operator.padding[0] for c in convolutions} == {0, 1}
    names = {layer.name for case in cases for layer in EOQ.rewrite(case.network)}
    for name in ("block0.subsample", "block1.widen", "block0.conv2.multiplier", "pool",
                 "hidden0.norm.bias"):  # fmt: skip
        assert name in names


def test_a_number_names_a_case() -> None:
    first, again = random_case(17), random_case(17)
    assert list(first.network) == list(again.network)
    assert (first.batch, first.latency, first.config) == (again.batch, again.latency, again.config)
    assert list(first.network) != list(random_case(27).network)
    assert first.arguments()["again"] == "eoq cosim --random 17"


def differences(network: Network, config: CoreConfig, batch: int) -> list[str]:
    """What a step's program, run word by word, makes otherwise than golden."""
    model = build_model(EOQ.rewrite(network), seed=1)
    rng = np.random.default_rng(1)
    codes = rng.integers(-127, 128, (batch, *network.input_shape)).astype(np.int8)
    labels = rng.integers(0, 10, batch)
    program = compile_step(model, config, batch)
    outside = program.lowered.parameter_memory(model)
    part = program.lowered.batch(codes, labels)
    outside[: len(part)] = part
    machine = Machine(config, outside)
    trace = model.step(codes, labels, learning_rate_shift(batch))
    return [str(found) for found in reference(program, machine, trace).differences]


def test_two_pages_of_results_hold_the_loss_beside_the_logits() -> None:
    network = Network("n", (1, 4, 4))
    network.add("flatten", Flatten())
    network.add("classifier", Linear(10))
    config = CoreConfig(rows=4, columns=4, results_pages=2, results_page_depth=64)
    assert differences(network, config, 4) == []


@pytest.mark.parametrize(("stride", "padding"), [(2, 0), (1, 1), (2, 1)])
def test_a_convolution_of_one_pixel_is_not_always_a_linear_layer(stride: int, padding: int) -> None:
    network = Network("n", (6, 1, 1))
    network.add(
        "convolution",
        Convolution((1, 1), (stride, stride), (padding,) * 4, out_channels=4, bias=True),
    )
    network.add("relu", Activation())
    network.add("flatten", Flatten())
    network.add("classifier", Linear(10))
    config = CoreConfig(rows=4, columns=4, results_pages=4, results_page_depth=64)
    assert differences(network, config, 4) == []


def test_a_core_is_built_once_for_all_its_cases() -> None:
    config = CORES[SAMPLE_CORE]
    lines = (1 << 20) // config.line_bytes
    check(random_case(SAMPLE_CORE))
    assert build_core(config, "verilator", lines=lines).cached
