"""Training steps on the RTL in real simulators, and that a wrong RTL is caught."""

import dataclasses
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from cosim import step_check
from cosim.core_build import build_core
from cosim.prepared_run import configure
from cosim.runner import cosimulate
from golden.errors import InputError
from golden.network import Network
from golden.zoo import resnet8
from hwmodel.program_cycles import ProgramTimes
from rtl import quantizer
from rtl.instructions import Fault

SMALL = (2, 3)


def narrow() -> Network:
    """ResNet-8 for the digits with an eighth of its channels."""
    return resnet8(input_shape=(1, 8, 8), classes=10, width=2)


@pytest.mark.parametrize("array", [SMALL, pytest.param((4, 4), marks=pytest.mark.slow)])
def test_icarus_agrees_in_every_bit_and_cycle(array: tuple[int, int]) -> None:
    result = cosimulate(network="mlp", array=array, simulator="icarus", batch=2, seed=3)
    summary = result.summary()
    assert summary["passed"]
    assert summary["mismatches"] == 0
    assert summary["cycles_rtl"] == summary["cycles_model"] > 0
    assert summary["instructions"] == len(result.program.words)
    assert summary["tensors"] > 40
    frame = result.instructions
    assert (frame.cycles_rtl == frame.cycles_model).all()
    assert set(frame.unit) == {"matrix", "vector", "dma"}


def test_a_residual_network_on_verilator_over_several_steps() -> None:
    result = cosimulate(network=narrow(), array=(4, 4), steps=2, batch=2, seed=1)
    summary = result.summary()
    assert summary["passed"], result.mismatch
    assert summary["cycles_rtl"] == summary["cycles_model"]
    compared = {
        produced.name for _, entry in result.program.entries() for produced in entry.produced
    }
    for name in (
        "stage2.0.conv1.forward.product", "stage1.0.relu.forward.A",
        "stage2.0.add.bias_out.backward_data.E", "stem.conv.backward_weight.weight.G",
        "fc.update.bias.P", "stage3.0.conv2.multiplier.update.multiplier.V",
    ):  # fmt: skip
        assert name in compared


@pytest.mark.slow
def test_two_simulators_give_the_same_trace() -> None:
    runs = [
        cosimulate(network=narrow(), array=(4, 4), simulator=simulator, batch=1)
        for simulator in ("verilator", "icarus")
    ]
    assert all(run.passed for run in runs)
    first, second = (run.steps[0].times for run in runs)
    np.testing.assert_array_equal(first.taken, second.taken)
    np.testing.assert_array_equal(first.complete, second.complete)


@pytest.mark.slow
def test_resnet8_as_it_is() -> None:
    result = cosimulate(network="resnet8", array=(4, 4), steps=2, batch=4)
    assert result.passed, result.mismatch
    assert result.summary()["cycles_rtl"] == result.summary()["cycles_model"]


def test_wrong_rounding_is_caught_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizer, "ROUND_HALF", quantizer.ROUND_HALF - 1)
    result = cosimulate(
        network="mlp", array=SMALL, simulator="icarus", batch=4, seed=1, variant="half down"
    )
    summary = result.summary()
    assert not summary["passed"]
    assert summary["mismatches"] > 0
    assert re.search(
        r"^step 0, word \d+ \(\w+, \w+, \w+, [\w.]+(, sample \d)?\): wrote something else; "
        r"(byte \d+|results word \d+, lane \d): expected -?\d+, got -?\d+; again with: eoq cosim",
        summary["first_mismatch"],
    )


@pytest.mark.slow
def test_a_model_that_is_wrong_about_cycles_fails_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = step_check.check_trace

    def late(program, expected, run, times):
        complete = times.complete.copy()
        complete[7] += 1
        wrong = ProgramTimes(times.taken, complete, times.cycles)
        return right(program, expected, run, wrong)

    monkeypatch.setattr("cosim.runner.check_trace", late)
    result = cosimulate(network="mlp", array=SMALL, simulator="icarus", batch=2)
    assert not result.passed
    assert result.summary()["mismatches"] == 0
    assert result.summary()["instructions_with_wrong_cycles"] == 1
    assert re.search(r"word 7 .* taken and complete in cycles", result.mismatch or "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cycles": 1}, r"step 0, word \d+ \(End\): after \d+ cycles, the model says \d+;"),
        ({"fault": Fault.CONFLICT}, r"step 0, word 0 \(.*: the CONTROL unit stops with fault CON"),
    ],
)
def test_the_end_and_faults_are_held_against_the_model_too(
    monkeypatch: pytest.MonkeyPatch, change: dict, message: str
) -> None:
    right = step_check.check_trace

    def changed(program, expected, run, times):
        counters = run.counters | {"cycles": run.cycles + change.get("cycles", 0)}
        fault = change.get("fault", run.fault)
        return right(program, expected, replace(run, counters=counters, fault=fault), times)

    monkeypatch.setattr("cosim.runner.check_trace", changed)
    result = cosimulate(network="mlp", array=SMALL, simulator="icarus", batch=2)
    assert not result.passed
    assert re.match(message, result.mismatch or "")


@pytest.mark.slow
def test_coverage_counts_lines_and_toggles_of_the_core_alone() -> None:
    result = cosimulate(network="mlp", array=(1, 1), batch=1, coverage=True)
    assert result.passed, result.mismatch
    assert result.coverage is not None
    points = re.findall(r"\x01page\x02v_(\w+)/(\w+).* (\d+)$", result.coverage.read_text(), re.M)
    assert {kind for kind, _, _ in points} == {"line", "branch", "toggle"}
    modules = {module for _, module, _ in points}
    assert "eoq_core" in modules
    assert not modules & {"eoq_axi_memory", "eoq_simulation", "eoq_core_observer"}
    hit = sum(int(count) > 0 for _, _, count in points)
    assert 0 < hit < len(points)


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"^simulator must be one of verilator, icarus, not 'vcs'"):
        cosimulate(network="mlp", array=(4, 4), simulator="vcs")
    config = configure("mlp", SMALL, 1)
    with pytest.raises(InputError, match="coverage requires the simulator verilator"):
        build_core(config, "icarus", lines=1024, coverage=True)
    with pytest.raises(InputError, match="steps must be at least 1, not 0"):
        cosimulate(network="mlp", array=(4, 4), simulator="icarus", steps=0)
    with pytest.raises(InputError, match="batch must be a power of two, not 3"):
        cosimulate(network="mlp", array=(4, 4), simulator="icarus", batch=3)
    with pytest.raises(InputError, match="batch must be a power of two up to 64, not 128"):
        configure("mlp", (4, 4), 128)
    with pytest.raises(InputError, match="the core convolves with groups 1 and dilation"):
        configure("mobilenetv2", (4, 4))


def test_memories_that_are_too_small_are_named() -> None:
    small = dataclasses.replace(configure("mlp", SMALL, 2), scratchpad_page_bytes=256)
    with pytest.raises(InputError, match=r"the scratchpad must have 2.* consecutive bytes for"):
        cosimulate(network="mlp", array=SMALL, batch=2, config=small)
    small = dataclasses.replace(configure("mlp", SMALL, 2), results_page_depth=4)
    with pytest.raises(InputError, match=r"page of the results memory must have \d+ words, not 4"):
        cosimulate(network="mlp", array=SMALL, batch=2, config=small)


def write_onnx(path: Path, inputs: int) -> None:
    shapes = {"w1": (12, inputs), "b1": (12,), "w2": (10, 12), "b2": (10,)}
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, np.zeros(np.prod(shape)))
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="hidden", transB=1),
        helper.make_node("Relu", ["h"], ["a"], name="relu"),
        helper.make_node("Gemm", ["a", "w2", "b2"], ["y"], name="classifier", transB=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights))
    path.write_bytes(model.SerializeToString())


def test_an_onnx_file_trains_on_the_rtl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / "own.onnx", 64)
    result = cosimulate(network="own.onnx", array=SMALL, simulator="icarus", batch=1)
    assert result.passed, result.mismatch
    write_onnx(tmp_path / "wide.onnx", 65)
    with pytest.raises(InputError, match=r"digits require 64 inputs .* got 65 and 10"):
        configure("wide.onnx", (4, 4))
