"""How numba compiles our loops: once, kept on disk, with NumPy's rules for divisions by zero."""

from numba import njit

__all__ = ["loop", "short_loop"]

loop = njit(nogil=True, cache=True, error_model="numpy")
"""Lets other threads in while it runs."""

short_loop = njit(cache=True, error_model="numpy")
"""For loops over what is small in any network: to let other threads in meanwhile, and wait for them
afterwards, takes longer than the work."""
