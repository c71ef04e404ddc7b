"""`eoq rtl`, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def eoq(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eoq", "rtl", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_writes_the_core_and_lists_the_files(tmp_path: Path) -> None:
    done = eoq("--array", "2x1", "-o", "core", "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["array"], result["top"], result["largest_reduction"]) == (
        "2x1", "eoq_core", 133144,
    )  # fmt: skip
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "core").iterdir()) == sorted(
        result["files"]
    )
    assert "module eoq_core(" in (tmp_path / "core" / "eoq_core.v").read_text()


@pytest.mark.parametrize(
    "array", ["0x4", "4x33", "4", "4x4x4", "4X4", "-1x4", "4x", "axb", "²x2", ""]
)
def test_an_array_that_cannot_be_is_one_line_and_writes_nothing(array: str, tmp_path: Path) -> None:
    done = eoq("--array", array, "-o", "core", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "eoq: --array must be RxC, rows and columns from 1 to 32 each (like 16x16), "
        f"not {array!r}\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_accumulators_that_cannot_hold_a_tile_are_one_line(tmp_path: Path) -> None:
    done = eoq("--array", "32x2", "-o", "core", "--accumulator-bits", "18", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "eoq: accumulator_bits must be at least 20 for 32 rows, not 18\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = eoq("--array", "1x1", "-o", "file/core", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "eoq: -o must be a folder that can be written, not 'file/core': 'file' is not a folder\n"
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_one_block_instead_of_the_core(tmp_path: Path) -> None:
    done = eoq("--block", "fp32_mul", "-o", "block", "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["block"], result["top"]) == ("fp32_mul", "eoq_fp32_mul")
    assert result["files"] == [
        "block/eoq_fp32_mul.v", "block/files.f", "block/eoq_fp32_mul.vlt",
    ]  # fmt: skip
    assert "module eoq_fp32_mul(" in (tmp_path / "block" / "eoq_fp32_mul.v").read_text()


def test_an_unknown_block_or_a_core_of_no_size_is_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        (["--block", "fp33"], "eoq: Invalid value for '--block': 'fp33' is not one of "),
        (["--block", "pe"], "eoq: Missing option --array."),
        ([], "eoq: Missing option --array."),
    ):
        done = eoq(*arguments, "-o", "block", folder=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(message)
    assert list(tmp_path.iterdir()) == []
