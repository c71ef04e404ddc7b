"""Roofline of a step: what limits each matrix product, arithmetic or the way to memory.

The model of Williams, Waterman and Patterson (CACM 2009): a product with so many
multiply-accumulates a byte of off-chip traffic (its intensity) reaches at most the peak, and
at most intensity times bandwidth. What it reaches here is its multiply-accumulates over the longer
of two times: its cycles on the array and its modelled off-chip bytes at the bandwidth.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hwmodel.ledger import MAC_PHASES
from hwmodel.products import MatrixProduct
from hwmodel.systolic import systolic_cycles
from hwmodel.traffic import Transfer

__all__ = ["Point", "array_cycles", "roofline"]


class Point(NamedTuple):
    """One layer's product in one phase.

    `intensity` in multiply-accumulates a byte; `attainable` and `reached` in multiply-accumulates a
    cycle; `bound` is "arithmetic" or "memory", whichever takes longer.
    """

    layer: str
    phase: str
    macs: int
    bytes: int
    cycles: int
    intensity: float
    attainable: float
    reached: float
    bound: str


def array_cycles(
    products: Iterable[MatrixProduct], array: tuple[int, int]
) -> dict[tuple[str, str], int]:
    """Cycles by layer and phase of a textbook weight-stationary array, for schemes without a core
    of their own here."""
    found: dict[tuple[str, str], int] = {}
    for p in products:
        if p.macs:
            cycles = systolic_cycles(p.m, p.k, p.n, *array, "weight-stationary")
            key = (p.layer, p.phase)
            found[key] = found.get(key, 0) + p.repeats * cycles
    return found


def roofline(
    macs: Mapping[tuple[str, str], int],
    cycles: Mapping[tuple[str, str], int],
    transfers: Iterable[Transfer],
    level: str,
    bandwidth: float,
    array: tuple[int, int],
) -> Sequence[Point]:
    """Every product of a step, in the order of `macs`.

    Parameters
    ----------
    macs, cycles:
        By layer and phase.
    transfers, level, bandwidth:
        The step's transfers, the level that limits, and its bytes a cycle.
    array:
        Rows and columns: their product is the peak.
    """
    moved: dict[tuple[str, str], int] = {}
    for t in transfers:
        if t.level == level and t.phase in MAC_PHASES:
            key = (t.layer, t.phase)
            moved[key] = moved.get(key, 0) + t.modelled
    points = []
    peak = array[0] * array[1]
    for (layer, phase), count in macs.items():
        size, busy = moved.get((layer, phase), 0), cycles.get((layer, phase), 0)
        if not count or not size or not busy:
            continue
        waiting = size / bandwidth
        intensity = count / size
        points.append(
            Point(
                layer, phase, count, size, busy, intensity,
                min(peak, intensity * bandwidth), count / max(busy, waiting),
                "memory" if waiting > busy else "arithmetic",
            )
        )  # fmt: skip
    return points
