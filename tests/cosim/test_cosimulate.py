"""Training steps on the RTL in real simulators, and that a wrong RTL is caught."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from cosim.build import build
from cosim.runner import configure, cosimulate
from golden.errors import CheckError, InputError
from rtl import quantizer, verilog


def core(array: tuple[int, int] = (4, 4)) -> Mapping[str, str]:
    return verilog.emit(configure("mlp", array))


@pytest.mark.parametrize("array", [(4, 4), pytest.param((2, 5), marks=pytest.mark.slow)])
def test_icarus_agrees_in_every_bit_and_cycle(array: tuple[int, int]) -> None:
    result = cosimulate(network="mlp", array=array, simulator="icarus", batch=2, seed=3)
    summary = result.summary()
    assert summary["passed"]
    assert summary["mismatches"] == 0
    assert summary["cycles_rtl"] == summary["cycles_model"] > 0
    assert summary["tensors"] == 34
    assert (result.instructions.cycles_rtl == result.instructions.cycles_model).all()


@pytest.mark.slow
def test_verilator_agrees_over_several_steps_and_with_icarus() -> None:
    runs = {
        simulator: cosimulate(
            network="mlp", array=(4, 4), simulator=simulator, batch=16, steps=steps
        )
        for simulator, steps in (("verilator", 3), ("icarus", 1))
    }
    assert all(run.summary()["passed"] for run in runs.values())
    shared = len(runs["icarus"].instructions)
    assert runs["verilator"].instructions[:shared].equals(runs["icarus"].instructions)
    assert runs["verilator"].tensors[:34].equals(runs["icarus"].tensors)


@pytest.mark.slow
def test_stalls_change_cycles_and_no_bit() -> None:
    result = cosimulate(
        network="mlp", array=(4, 4), simulator="icarus", batch=1, seed=5, idle=0.3, stall=0.3
    )
    summary = result.summary()
    assert summary["passed"]
    assert summary["mismatches"] == 0
    assert (result.instructions.cycles_rtl >= result.instructions.cycles_model).all()
    assert summary["cycles_rtl"] > 1.2 * summary["cycles_model"]


@pytest.mark.slow
def test_wrong_rounding_is_caught_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizer, "ROUND_HALF", quantizer.ROUND_HALF - 1)
    mutant = core()
    result = cosimulate(
        network="mlp", array=(4, 4), simulator="icarus", batch=16, steps=2, sources=mutant
    )
    summary = result.summary()
    assert not summary["passed"]
    assert summary["mismatches"] > 0
    assert re.match(
        r"step [01], tensor [a-z0-9_.]+\.\w+, index \[\d+(, \d+)*\]: expected -?\d+, got -?\d+ ",
        summary["first_mismatch"],
    )


@pytest.mark.slow
def test_a_core_that_counts_its_cycles_wrongly_is_caught() -> None:
    """The testbench counts for itself: a counter that starts one too high does not get away."""
    mutant = dict(core())
    text = mutant["eoq_core.v"]
    changed = re.sub(r"(\(cycles, \{ 32'h0000000)2", r"\g<1>3", text)
    assert changed != text
    mutant["eoq_core.v"] = changed
    with pytest.raises(CheckError, match=r"the core counted \d+ cycles, the testbench \d+"):
        cosimulate(network="mlp", array=(4, 4), simulator="icarus", batch=1, sources=mutant)


@pytest.mark.slow
def test_a_model_that_is_wrong_about_cycles_fails_the_run() -> None:
    result = cosimulate(network="mlp", array=(4, 4), simulator="icarus", batch=1)
    assert result.summary()["passed"]
    result.outcome.instructions[7]["cycles_model"] += 1
    assert not result.summary()["passed"]
    assert result.summary()["instructions_with_wrong_cycles"] == 1


def test_a_build_is_made_once() -> None:
    sources = core()
    assert build(sources, "icarus").folder == build(sources, "icarus").folder
    assert build(sources, "icarus").cached
    other = dict(sources) | {"eoq_core.v": sources["eoq_core.v"] + "\n"}
    assert build(other, "icarus").folder != build(sources, "icarus").folder


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"^simulator must be one of verilator, icarus, not 'vcs'"):
        build({}, "vcs")
    with pytest.raises(InputError, match="coverage requires the simulator verilator"):
        build({}, "icarus", coverage=True)
    with pytest.raises(InputError, match="steps must be at least 1, not 0"):
        cosimulate(network="mlp", array=(4, 4), simulator="icarus", steps=0)
    with pytest.raises(InputError, match="batch must be a power of two, not 3"):
        cosimulate(network="mlp", array=(4, 4), simulator="icarus", batch=3)
    with pytest.raises(InputError, match=r"'stem\.conv': the core requires a chain of Linear"):
        configure("resnet8", (4, 4))


def test_verilog_that_does_not_compile_says_why() -> None:
    with pytest.raises(CheckError, match=r"iverilog failed:\n.*syntax error"):
        build({"eoq_core.v": "module eoq_core(; endmodule"}, "icarus")


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


@pytest.mark.slow
def test_an_onnx_file_trains_on_the_rtl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / "own.onnx", 64)
    result = cosimulate(network="own.onnx", array=(4, 4), simulator="icarus", batch=1)
    assert result.summary()["passed"]
    assert "classifier.update.weight.P" in set(result.tensors.tensor)
    write_onnx(tmp_path / "wide.onnx", 65)
    with pytest.raises(InputError, match=r"digits require 64 inputs .* got 65 and 10"):
        configure("wide.onnx", (4, 4))
