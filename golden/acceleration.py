"""Which arithmetic runs fast here, and on how many threads. No result's bits depend on either.

Compiled loops (numba) do the element-wise work, int8 instructions (through PyTorch) the matrix
products. Both take a second to import, so they are when the work done so far has made that worth
it; where one is not installed, the specification in NumPy does the same more slowly.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError

__all__ = [
    "LOOPS_VARIABLE",
    "THREADS_VARIABLE",
    "chosen",
    "chosen_threads",
    "compiled",
    "in_parallel",
    "over_channels",
    "scratch",
    "shares",
    "specification",
    "threads",
]

LOOPS_VARIABLE = "EOQ_LOOPS"
"""Environment variable: "numpy" keeps to the specification, "compiled" compiles from the start."""

THREADS_VARIABLE = "EOQ_THREADS"
"""Environment variable: how many threads a training run splits its integer work over."""

_MAX_THREADS = 1024

_WORTH_COMPILING = 1 << 22
"""Elements of element-wise work that NumPy does in about the second that numba takes to import."""

_WORTH_SPLITTING = 1 << 17
"""Elements of one operation that make a thread worth it: threads wait for the interpreter between
operations, which takes longer than work on less."""

_MOST_THREADS = 2
"""Threads used without being asked for; whether more gain was not measured."""


def chosen(variable: str, *choices: str) -> str:
    """Value of an environment variable; the first choice if unset. Raises InputError for others."""
    value = os.environ.get(variable) or choices[0]
    if value not in choices:
        raise InputError(f"{variable} must be one of {', '.join(choices)}, not {value[:200]!r}")
    return value


def chosen_threads() -> int:
    """Number of threads that the environment asks for; if it does not, one a processor, at most 2.

    Raises InputError unless it is 1 to 1,024.
    """
    value = os.environ.get(THREADS_VARIABLE) or str(min(_processors(), _MOST_THREADS))
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= _MAX_THREADS):
        raise InputError(
            f"{THREADS_VARIABLE} must be 1 to {_MAX_THREADS} threads, not {value[:200]!r}"
        )
    return int(value)


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


class _Threads:
    count = 1
    pool: ThreadPoolExecutor | None = None


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Split work over `count` threads in this block."""
    if count < 1:
        raise ValueError(f"threads must be at least 1, not {count!r}")
    before = _Threads.count, _Threads.pool
    with ThreadPoolExecutor(max(count - 1, 1), "golden") as pool:
        _Threads.count, _Threads.pool = count, pool
        try:
            yield
        finally:
            _Threads.count, _Threads.pool = before


def shares(samples: int, elements: int) -> list[slice]:
    """Equal shares of a batch, one a thread: as many as are worth it for operations on so many
    elements.
    """
    count = min(_Threads.count, samples, max(elements // _WORTH_SPLITTING, 1))
    ends = [samples * number // count for number in range(count + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


_Result = TypeVar("_Result")


def in_parallel(tasks: Sequence[Callable[[], _Result]], count: int) -> list[_Result]:
    """Results of tasks in their order, run by at most `count` of the threads there are.

    A task may not call this itself.
    """
    results: dict[int, _Result] = {}
    waiting = iter(range(len(tasks)))

    def run() -> None:
        # Whoever is free takes the next task; `next` on a range is atomic.
        for number in waiting:
            results[number] = tasks[number]()

    if _Threads.pool is None:
        run()
    else:
        others = [_Threads.pool.submit(run) for _ in range(min(_Threads.count, count) - 1)]
        run()
        for other in others:
            other.result()
    return [results[number] for number in range(len(tasks))]


def over_channels(
    loop: Callable[..., object], channels: int, elements: int, *arguments: object
) -> None:
    """Run `loop(first, last, *arguments)` over all channels, in parts if that is worth it."""
    parts = shares(channels, elements)
    tasks = [partial(loop, share.start, share.stop, *arguments) for share in parts]
    in_parallel(tasks, len(tasks))


_local = threading.local()


def scratch(shape: tuple[int, int]) -> NDArray[np.int8]:
    """Memory of this thread for 8-bit codes, until it is asked for the next time."""
    size = shape[0] * shape[1]
    memory: NDArray[np.int8] | None = getattr(_local, "memory", None)
    if memory is None or memory.size < size:
        memory = _local.memory = np.empty(size, dtype=np.int8)
    return memory[:size].reshape(shape)
