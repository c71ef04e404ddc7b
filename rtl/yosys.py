"""Runs a Yosys script with pyosys, in a process of its own.

In its own process because Yosys ends the process on an error, keeps its memory, and would take
Ctrl-C for itself.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from golden.errors import CheckError, InputError

__all__ = ["run", "version"]

_PROGRAM = """
import json, sys
from pyosys import libyosys
design = libyosys.Design()
for command in json.load(open("script.json")):
    libyosys.run_pass(command, design)
"""


def version() -> str:
    """Return pyosys' version.

    Raises
    ------
    InputError
        If it is not installed.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise InputError(
            "required the Python package pyosys for synthesis, got none, "
            f"install with: {sys.executable} -m pip install pyosys"
        )
    return importlib.metadata.version("pyosys")


def run(commands: Sequence[str], folder: Path) -> str:
    """Run `commands` in `folder`; what they write and the log yosys.log stay there.

    Returns
    -------
    The log.

    Raises
    ------
    CheckError
        If a command fails; the message ends with what Yosys said.
    """
    (folder / "script.json").write_text(json.dumps(list(commands), indent=1))
    # abc's temporary folders go away with ours.
    environment = os.environ | {"TMPDIR": str(folder)}
    log = folder / "yosys.log"
    with log.open("w") as stream:
        done = subprocess.run(  # noqa: S603 - this Python, and our own text
            [sys.executable, "-c", _PROGRAM], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    text = log.read_text(errors="replace")
    if done.returncode:
        errors = re.findall(r"^(?:\S+: )?ERROR: .*", text, re.MULTILINE)
        said = errors[0] if errors else text[-500:] or f"exit status {done.returncode}"
        raise CheckError(f"Yosys failed: {said}")
    return text
