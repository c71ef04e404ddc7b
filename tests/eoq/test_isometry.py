"""`eoq isometry` as a user runs it."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from eoq.cli import main

MLP = ("--network", "mlp", "--images", "8", "--probes", "8")
COLUMNS = ["block", "n_in", "n_out", "method", "phi", "phi_error", "variance", "variance_error"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command and gives (status, standard output, errors)."""

    def call(verb: str, *arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["eoq", verb, *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        output = capsys.readouterr()
        return stop.value.code, output.out, output.err

    return call


def test_every_scheme_before_and_after_training(run) -> None:
    status, text, _ = run("isometry", *MLP, "--epochs", "1", "--json")
    assert status == 0
    found = json.loads(text)
    assert [(one["scheme"], one["arithmetic"], one["epochs"]) for one in found] == [
        ("eoq", "integer", 0),
        ("eoq", "dequantized", 0),
        ("eoq", "integer", 1),
        ("eoq", "dequantized", 1),
        ("fp32-fixup", "float", 0),
        ("fp32-fixup", "float", 1),
        ("fp32-bn", "float", 0),
        ("fp32-bn", "float", 1),
        ("fp32-he", "float", 0),
        ("fp32-he", "float", 1),
    ]
    for one in found:
        assert [block["block"] for block in one["blocks"]] == ["fc1", "fc2"]
        assert [list(block)[:8] for block in one["blocks"]] == [COLUMNS] * 2
        far = [b["block"] for b in one["blocks"] if not b["verdict"].startswith("near 1")]
        assert one["far_from_1"] == far
    classifiers = {
        (one["scheme"], one["arithmetic"], one["epochs"]): one["blocks"][1] for one in found
    }
    # Fixup starts with a classifier of zeros, and training moves it.
    assert classifiers["eoq", "integer", 0]["verdict"] == "zero"
    assert classifiers["fp32-fixup", "float", 0]["phi"] == 0
    assert classifiers["eoq", "integer", 1]["phi"] > 0
    assert 0.5 < classifiers["fp32-he", "float", 0]["phi"] < 2
    # The dequantised classifier is exact, the integers' estimate of it has an error bar.
    exact, estimate = (classifiers["eoq", a, 1] for a in ("dequantized", "integer"))
    assert (exact["method"], estimate["method"]) == ("exact", "hutchinson")
    assert abs(estimate["phi"] - exact["phi"]) < 4 * estimate["phi_error"]


def test_imitated_schemes(run) -> None:
    arguments = (*MLP, "--scheme", "wageubn", "--scheme", "range-bn", "--json")
    status, text, _ = run("isometry", *arguments)
    assert status == 0
    assert [one["arithmetic"] for one in json.loads(text)] == ["imitated", "imitated"]


def test_a_checkpoint_is_measured_as_training_left_it(run, tmp_path: Path) -> None:
    trained = ("--network", "mlp", "--scheme", "fp32-bn", "--epochs", "2", "--seed", "5",
               "--batch", "64")  # fmt: skip
    assert run("train", *trained, "--checkpoint", str(tmp_path))[0] == 0
    written = (tmp_path / "checkpoint.npz").read_bytes()
    read = run("isometry", *MLP, "--checkpoint", str(tmp_path), "--seed", "5", "--json")
    again = run("isometry", *trained, *MLP, "--json")
    assert read == again
    assert [one["epochs"] for one in json.loads(read[1])] == [0, 2]
    assert (tmp_path / "checkpoint.npz").read_bytes() == written
    for arguments, message in (
        (("--network", "resnet8"), "network must be resnet8, not mlp"),
        (("--network", "mlp", "--scheme", "eoq"), "scheme must be eoq, not fp32-bn"),
        (("--network", "mlp", "--epochs", "1"), "only one of --checkpoint and --epochs"),
    ):
        status, text, error = run("isometry", *arguments, "--checkpoint", str(tmp_path))
        assert (status, text, error.count("\n")) == (2, "", 1)
        assert message in error
    (tmp_path / "checkpoint.npz").write_bytes(written[:100])
    status, text, error = run("isometry", *MLP, "--checkpoint", str(tmp_path))
    assert (status, text, error.count("\n")) == (2, "", 1)
    assert "required a complete file" in error


def test_csv_and_table(run) -> None:
    arguments = ("isometry", *MLP, "--scheme", "fp32-fixup")
    status, text, _ = run(*arguments, "--csv")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["scheme"], row["block"]) for row in rows] == [
        ("fp32-fixup", "fc1"), ("fp32-fixup", "fc2"),
    ]  # fmt: skip
    assert list(rows[0])[5:13] == COLUMNS
    status, text, _ = run(*arguments)
    assert status == 0
    assert "mlp on digits, fp32-fixup, float, at initialisation" in text
    assert f"{float(rows[0]['phi']):.4g}" in text
    assert "two standard errors" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--probes", "0"), "eoq: probes must be at least 3, not 0"),
        (("--images", "0"), "eoq: images must be 1 to the 1257 training images of digits, not 0"),
        (("--images", "5000"), "of digits, not 5000"),
        (("--tolerance", "0.5"), "eoq: tolerance must be a finite number above 1, not 0.5"),
        (("--epochs", "-1"), "eoq: epochs must be 0 to 10000, not -1"),
        (("--batch", "3"), "eoq: batch must be a power of two, not 3"),
        (("--seed", "-1"), "eoq: seed must be 0 to 4294967295, not -1"),
        (("--scheme", "sgd"), "eoq: scheme must be one of eoq"),
        (("--network", "vgg"), "eoq: network must be one of mlp"),
        (("--network", "alexnet", "--scheme", "eoq"), "eoq: network 'alexnet', layer 'pool1'"),
        (("--data", "none.npz"), "got 'none.npz': No such file or directory"),
        (("--checkpoint", "nowhere"), "required a file that `eoq train` wrote, got none"),
        (("--json", "--csv"), "eoq: only one of --json and --csv may be given, got both"),
    ],
)
def test_refusals(run, arguments: tuple[str, ...], message: str) -> None:
    status, text, error = run("isometry", *MLP, *arguments)
    assert (status, text, error.count("\n")) == (2, "", 1)
    assert message in error
