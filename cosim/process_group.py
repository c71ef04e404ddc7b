"""Starts compilers and simulators so that none of them outlives the call that started it."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["run_to_log"]


def run_to_log(command: Sequence[str | Path], folder: Path, log: Path) -> int:
    """Run a program in a folder, its output into a log; return its exit status.

    It leads a process group of its own: Ctrl-C reaches this process alone, and an exception here,
    KeyboardInterrupt too, ends the program with all that it started.
    """
    with log.open("w") as stream:
        process = subprocess.Popen(  # noqa: S603 - what we built, or a tool we found
            list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, process_group=0,
        )  # fmt: skip
        try:
            return process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
