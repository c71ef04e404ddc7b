"""Starts compilers and simulators so that none of them outlives the call that started it."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["run_to_log"]


def run_to_log(command: Sequence[str | Path], folder: Path, log: Path) -> int:
    """Run a program in a folder, its output into a log; return its exit status.

    It leads a process group of its own: Ctrl-C reaches this process alone, and an exception here,
    KeyboardInterrupt too, ends the program with all that it started.
    """
    process = None
    with log.open("w") as stream:
        try:
            with _signals_later():
                process = subprocess.Popen(  # noqa: S603 - what we built, or a tool we found
                    list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, stdout=stream,
                    stderr=subprocess.STDOUT, process_group=0,
                )  # fmt: skip
            return process.wait()
        finally:
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Hold back what ends a program: an exception in the middle of starting another one would
    leave that without a parent that knows it."""
    if threading.current_thread() is not threading.main_thread():
        # Python handles signals in the main thread alone.
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for held in came:
            signal.raise_signal(held)
