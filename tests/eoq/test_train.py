"""`eoq train` as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from eoq.cli import main

MLP = ("--network", "mlp", "--epochs", "2", "--batch", "64", "--json")


def eoq_train(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eoq", "train", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def answer(*arguments: str, **environment: str) -> dict:
    result = eoq_train(*arguments, **environment)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_json_of_a_short_run(tmp_path: Path) -> None:
    plot = tmp_path / "curve.svg"
    result = answer(*MLP, "--plot", str(plot))
    assert {name: result[name] for name in ("network", "data", "scheme", "epochs", "seed")} == {
        "network": "mlp", "data": "digits", "scheme": "eoq", "epochs": 2, "seed": 0,
    }  # fmt: skip
    assert 0.7 < result["test_accuracy"] <= 1
    assert len(result["validation_curve"]) == 2
    assert result["formats"].keys() == set("WAEGUV")
    assert (result["steps_per_epoch"], result["images_left_out_per_epoch"]) == (19, 41)
    assert "validation accuracy" in plot.read_text()


@pytest.mark.parametrize("scheme", ["eoq", "fp32-bn"])
def test_the_number_of_threads_changes_nothing(scheme: str) -> None:
    one, two = (
        answer(*MLP, "--scheme", scheme, OPENBLAS_NUM_THREADS=count, OMP_NUM_THREADS=count)
        for count in ("1", "2")
    )
    assert one == two


def test_killed_and_continued(tmp_path: Path) -> None:
    arguments = ("--network", "mlp", "--epochs", "20", "--json", "--checkpoint", str(tmp_path))
    whole = answer(*arguments[:-2])
    process = subprocess.Popen(
        [sys.executable, "-m", "eoq", "train", *arguments], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "checkpoint.npz").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    continued = answer(*arguments)
    assert 0 < continued["resumed_epochs"] < 20
    assert continued["parameters_sha256"] == whole["parameters_sha256"]
    assert continued["test_accuracy"] == whole["test_accuracy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "3"), "eoq: batch must be a power of two, not 3"),
        (("--scheme", "sgd"), "eoq: scheme must be one of eoq"),
        (("--network", "vgg"), "eoq: network must be one of mlp"),
        (("--data", "none.npz"), "got 'none.npz': No such file or directory"),
        (("--data", "mnist"), "eoq: data set must be one of digits"),
        (("--plot", "curve.pdf"), "eoq: --plot must end in .svg or .png, not 'curve.pdf'"),
        (("--plot", "nowhere/c.svg"), "eoq: --plot requires a folder that exists, not 'nowhere'"),
    ],
)
def test_refusals(
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["eoq", "train", *MLP, *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_own_images_and_a_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    pixels = (rng.integers(0, 100, (200, 6, 6)) + 100 * labels[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", x=pixels, y=labels)
    result = eoq_train(
        "--network", "mlp", "--data", str(tmp_path / "mine.npz"), "--epochs", "4", "--batch", "4"
    )
    assert result.returncode == 0, result.stderr
    assert "mlp on mine.npz, eoq, seed 0: 4 epochs of 35 steps, batch 4" in result.stdout
    assert "test        100.00%" in result.stdout


def test_an_onnx_file_is_trained(tmp_path: Path) -> None:
    weights = {"w1": (12, 1, 3, 3), "w2": (8, 12, 1, 1), "w3": (8, 12, 3, 3), "w4": (64, 10)}
    node = helper.make_node
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", ["x", "w1"], ["a"], **same),
        node("LeakyRelu", ["a"], ["b"], alpha=0.1),
        node("MaxPool", ["b"], ["c"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", ["c", "w2"], ["d"], kernel_shape=[1, 1]),
        node("Conv", ["c", "w3"], ["e"], **same),
        node("Concat", ["d", "e"], ["f"], axis=1),
        node("Relu", ["f"], ["g"]),
        node("AveragePool", ["g"], ["h"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["h"], ["i"]),
        node("MatMul", ["i", "w4"], ["j"]),
        node("Softmax", ["j"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "small", [value("x", onnx.TensorProto.FLOAT, ["n", 1, 8, 8])],
        [value("y", onnx.TensorProto.FLOAT, ["n", 10])],
        [onnx.numpy_helper.from_array(np.zeros(s, np.float32), n) for n, s in weights.items()],
    )  # fmt: skip
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    result = answer("--network", str(path), "--epochs", "6", "--json")
    assert result["test_accuracy"] > 0.8


@pytest.mark.slow
def test_resnet8_learns_the_digits() -> None:
    # One of the 360 test images is 0.3 %, and seeds differ by more: hence the mean of three.
    found = [
        answer("--network", "resnet8", "--epochs", "16", "--seed", seed, "--json")["test_accuracy"]
        for seed in ("0", "1", "2")
    ]
    assert sum(found) / len(found) >= 0.985
