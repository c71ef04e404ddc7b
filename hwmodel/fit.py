"""Does a training step fit a memory, and how many samples of it do?

At every moment of a step what is live grows by the same bytes for each sample, but for single bits
that share a byte. So two batches show the line of every moment, and the largest batch whose every
moment is below the memory's size follows; it is then held against the footprint itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from golden.network import Network
from golden.schemes import Scheme
from hwmodel.conventions import Conventions
from hwmodel.footprint import Moment, candidate_segments, parameter_bytes, peak, walk
from hwmodel.step import Step

__all__ = ["BATCH_MAX", "Fit", "fit"]

BATCH_MAX = 1 << 20
"""No more samples are asked for."""

_LOW, _HIGH = 8, 16
"""Whole bytes of single bits."""


class Fit(NamedTuple):
    """What fits so many bytes: this batch, and the most samples; each also with recomputation."""

    bytes: int
    fits: bool
    largest_batch: int
    fits_recomputing: bool
    largest_batch_recomputing: int


def fit(network: Network, scheme: Scheme, batch: int, conventions: Conventions, room: int) -> Fit:
    """Answer for a memory of so many bytes that holds the whole step.

    The two answers without and with recomputation do not depend on `Conventions.recompute`.
    """
    if sum(parameter_bytes(Step(network, scheme, 1, conventions))) > room:
        return Fit(room, False, 0, False, 0)
    plain = _largest(network, scheme, replace(conventions, recompute="none"), room)
    again = _largest(network, scheme, replace(conventions, recompute="segments"), room)
    return Fit(room, batch <= plain, plain, batch <= again, again)


def _largest(network: Network, scheme: Scheme, conventions: Conventions, room: int) -> int:
    low = Step(network, scheme, _LOW, conventions)
    high = Step(network, scheme, _HIGH, conventions)
    best = 0
    for segments in candidate_segments(low):
        moments = walk(low, segments)
        guess = _crossing(moments, walk(high, segments), room)
        if guess <= best:
            continue
        # Single bits may share a byte: at most a few samples to either side.
        while guess > best and not _holds(network, scheme, conventions, guess, segments, room):
            guess -= 1
        while guess < BATCH_MAX and _holds(network, scheme, conventions, guess + 1, segments, room):
            guess += 1
        best = max(best, guess)
    return best


def _crossing(low: Sequence[Moment], high: Sequence[Moment], room: int) -> int:
    """Samples at which the first moment reaches the size, by the line through two batches."""
    least = BATCH_MAX
    for one, other in zip(low, high, strict=True):
        slope = (other.total - one.total) / (_HIGH - _LOW)
        constant = one.total - slope * _LOW
        if slope > 0:
            least = min(least, int((room - constant) // slope))
        elif constant > room:
            return 0
    return max(0, least)


def _holds(
    network: Network, scheme: Scheme, conventions: Conventions, batch: int,
    segments: Sequence[Sequence[str]], room: int,
) -> bool:  # fmt: skip
    step = Step(network, scheme, batch, conventions)
    return peak(walk(step, segments)).total <= room
