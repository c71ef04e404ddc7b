"""Which arithmetic runs fast here, and on how many threads. No result's bits depend on either.

Compiled loops (numba) do the element-wise work, int8 instructions (through PyTorch) the matrix
products. Both take a second to import, so they are when the work done so far has made that worth
it; where one is not installed, the specification in NumPy does the same more slowly.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["LOOPS_VARIABLE", "chosen", "compiled", "over_samples", "thread_count", "threads"]

LOOPS_VARIABLE = "EOQ_LOOPS"
"""Environment variable: "numpy" keeps to the specification, "compiled" compiles from the start."""

_WORTH_COMPILING = 1 << 22
"""Elements of element-wise work that NumPy does in about the second that numba takes to import."""

_WORTH_SPLITTING = 1 << 15
"""Elements of one operation below which a second thread costs more than it gains."""


def chosen(variable: str, *choices: str) -> str:
    """Value of an environment variable; the first choice if unset. Raises ValueError for others."""
    value = os.environ.get(variable) or choices[0]
    if value not in choices:
        raise ValueError(f"{variable} must be one of {', '.join(choices)}, not {value!r}")
    return value


class _Loops:
    """Imports `golden.compiled` once there is enough to do."""

    def __init__(self) -> None:
        self.done = 0
        self.module: ModuleType | None = None
        self.missing = False

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
    return _loops.module or _loops.after(elements)


class _Threads:
    count = 1
    pool: ThreadPoolExecutor | None = None


def thread_count() -> int:
    """Threads that work is split over; 1 unless `threads` says otherwise."""
    return _Threads.count


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


def over_samples(
    loop: Callable[..., object], samples: int, elements: int, *arguments: object
) -> None:
    """Run `loop(first, last, *arguments)` over all samples, in parts if that is worth it."""
    parts = min(_Threads.count, samples, max(elements // _WORTH_SPLITTING, 1))
    if parts == 1 or _Threads.pool is None:
        loop(0, samples, *arguments)
        return
    bounds = [samples * part // parts for part in range(parts + 1)]
    others = [
        _Threads.pool.submit(loop, bounds[part], bounds[part + 1], *arguments)
        for part in range(1, parts)
    ]
    loop(0, bounds[1], *arguments)
    for other in others:
        other.result()
