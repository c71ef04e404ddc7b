"""How numba compiles our loops: once, kept on disk, with NumPy's rules for divisions by zero."""

from importlib import import_module

import numba
from numba import njit

__all__ = ["form_team", "loop", "team_loop"]

loop = njit(nogil=True, cache=True, error_model="numpy")
"""Lets other threads of Python in while it runs."""

team_loop = njit(nogil=True, parallel=True, cache=True, error_model="numpy")
"""Its `prange` runs on the threads of `golden.acceleration.threads`."""


def form_team(count: int) -> int:
    """Let `team_loop` use so many threads, if there are; return how many it has.

    Threads that wait asleep take longer to wake than most loops take to run, so there is a team
    only with OpenMP or TBB, which keep them awake for a while.
    """
    if count > 1 and not _wakes_fast():
        return 1
    count = min(count, numba.config.NUMBA_NUM_THREADS)
    numba.set_num_threads(count)
    return count


def _wakes_fast() -> bool:
    for name in ("omppool", "tbbpool"):
        try:
            import_module(f"numba.np.ufunc.{name}")
        except ImportError:
            continue
        return True
    return False
