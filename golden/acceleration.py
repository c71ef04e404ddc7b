"""Which arithmetic runs fast here, and on how many threads. No result's bits depend on either.

Compiled loops (numba) do the element-wise work, int8 instructions (through PyTorch) the matrix
products. Both take a second to import, so they are when the work done so far has made that worth
it; where one is not installed, the specification in NumPy does the same more slowly.
"""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError

__all__ = [
    "LOOPS_VARIABLE",
    "THREADS_VARIABLE",
    "chosen",
    "chosen_threads",
    "compiled",
    "parts",
    "scratch",
    "specification",
    "threads",
]

LOOPS_VARIABLE = "EOQ_LOOPS"
"""Environment variable: "numpy" keeps to the specification, "compiled" compiles from the start."""

THREADS_VARIABLE = "EOQ_THREADS"
"""Environment variable: how many threads a training run splits its integer work over. They wait for
each other without sleeping, which costs more than it gains where another process wants the
processor: hence one, unless more are asked for."""

_MAX_THREADS = 1024

_WORTH_COMPILING = 1 << 22
"""Elements of element-wise work that NumPy does in about the second that numba takes to import."""

_WORTH_SPLITTING = 1 << 13
"""Elements of one operation that make another thread worth its few microseconds of waiting."""


def chosen(variable: str, *choices: str) -> str:
    """Value of an environment variable; the first choice if unset. Raises InputError for others."""
    value = os.environ.get(variable) or choices[0]
    if value not in choices:
        raise InputError(f"{variable} must be one of {', '.join(choices)}, not {value[:200]!r}")
    return value


def chosen_threads() -> int:
    """Number of threads that the environment asks for; if it does not, one.

    Raises InputError unless it is 1 to 1,024.
    """
    value = os.environ.get(THREADS_VARIABLE) or "1"
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= _MAX_THREADS):
        raise InputError(
            f"{THREADS_VARIABLE} must be 1 to {_MAX_THREADS} threads, not {value[:200]!r}"
        )
    return int(value)


class _Loops:
    """Imports `golden.compiled` once there is enough to do."""

    def __init__(self) -> None:
        self.done = 0
        self.module: ModuleType | None = None
        self.missing = False
        self.off = False

    def after(self, elements: int) -> ModuleType | None:
        self.done += elements
        if self.module is None and not self.missing:
            choice = chosen(LOOPS_VARIABLE, "auto", "compiled", "numpy")
            if choice == "compiled" or (choice == "auto" and self.done > _WORTH_COMPILING):
                self._load()
        return self.module

    def _load(self) -> None:
        try:
            from golden import compiled as module
        except ImportError:
            self.missing = True
        else:
            self.module = module
            _form_team()


_loops = _Loops()


def compiled(elements: int) -> Any:
    """`golden.compiled` for work on so many elements, or None: NumPy then does it."""
    if _loops.off:
        return None
    return _loops.module or _loops.after(elements)


@contextmanager
def specification() -> Iterator[None]:
    """Keep to the specification in NumPy in this block, whatever is installed or chosen."""
    before = _loops.off
    _loops.off = True
    try:
        yield
    finally:
        _loops.off = before


class _Team:
    """Threads asked for, and those that compiled loops have."""

    asked = 1
    size = 1


def _form_team() -> None:
    if _loops.module is not None:
        _Team.size = _loops.module.form_team(_Team.asked)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let compiled loops split their work over `count` threads in this block."""
    if count < 1:
        raise ValueError(f"threads must be at least 1, not {count!r}")
    before = _Team.asked
    _Team.asked = count
    _form_team()
    try:
        yield
    finally:
        _Team.asked = before
        _form_team()


def parts(pieces: int, elements: int) -> int:
    """In how many parts an operation on so many elements is done, if it can be cut in `pieces`."""
    return max(min(_Team.size, pieces, elements // _WORTH_SPLITTING), 1)


_local = threading.local()


def scratch(shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Memory of this thread for 8-bit codes, until it is asked for the next time."""
    size = math.prod(shape)
    memory: NDArray[np.int8] | None = getattr(_local, "memory", None)
    if memory is None or memory.size < size:
        memory = _local.memory = np.empty(size, dtype=np.int8)
    return memory[:size].reshape(shape)
