"""Best tiling of one matrix product for memories of finite size, by exhaustive search.

Operands of (m, k) @ (k, n) are cut into (tm, tk, tn) tiles. Two tiles of each operand (one is used
while the next arrives) and the 32-bit sums of one must fit the memory. Of all power-of-two tiles
(and the whole size) and of the four loop orders that differ, the one with the least traffic is
taken. The search is array arithmetic over all of them at once.

Behind a memory may be another, smaller one. Its tiling is searched within the tile that the larger
one holds, again over all tiles and orders, for every outer tile that is largest among those with
the least outer traffic; of these the one with the least inner traffic is taken. From one outer tile
to the next nothing is kept in the inner memory, unless it holds the outer tile whole: then it moves
what the outer one moves.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import product as combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ORDERS", "SUM_BYTES", "Bytes", "Tiling", "nested_tilings", "product_traffic"]

Bytes = Any
"""An int, or an int64 array where several designs are priced at once."""

SUM_BYTES = 4

ORDERS = ("sums stay, rows outside", "sums stay, columns outside", "left stays", "right stays")
"""What the loops keep, in the order of preference among equals."""


class Tiling(NamedTuple):
    """A tiling, and the bytes of each operand that it moves into or out of one memory.

    A tile of 0 means that not even one element of each fits, and every operand passes each time.
    """

    order: str
    tm: int
    tk: int
    tn: int
    left: float
    right: float
    out: float

    @property
    def moved(self) -> float:
        """Bytes of all operands."""
        return self.left + self.right + self.out


def _tiles(size: int) -> NDArray[np.float64]:
    """Powers of two below `size`, and `size`."""
    return np.array([*(1 << np.arange((size - 1).bit_length())), size], dtype=np.float64)


class _Space(NamedTuple):
    """Every tile of one product: what it needs, and what it moves in each order."""

    tiles: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    resident: NDArray[np.float64]
    cost: NDArray[np.float64]
    """Bytes in the best order, and which that is, flat like `resident`."""
    order: NDArray[np.int64]


def _crossing(
    m: int, k: int, n: int, operands: tuple[float, float, float], tm: Any, tk: Any, tn: Any
) -> list[tuple[Any, Any, Any]]:
    """Bytes (left, right, out) in each loop order."""
    left, right, out = operands
    times_m, times_k, times_n = np.ceil(m / tm), np.ceil(k / tk), np.ceil(n / tn)
    whole = times_k == 1
    sums = np.where(whole, out, (2 * times_k - 2) * m * n * SUM_BYTES + out)
    return [
        (np.where(whole, 1, times_n) * left, times_m * right, out),
        (times_n * left, np.where(whole, 1, times_m) * right, out),
        (left, times_m * right, sums),
        (times_n * left, right, sums),
    ]


@lru_cache(maxsize=1 << 12)
def _space(m: int, k: int, n: int, left: float, right: float, out: float) -> _Space:
    tiles = _tiles(m), _tiles(k), _tiles(n)
    tm, tk, tn = np.ix_(*tiles)
    resident = 2 * (tm * tk * left / (m * k) + tk * tn * right / (k * n)) + tm * tn * SUM_BYTES
    orders = _crossing(m, k, n, (left, right, out), tm, tk, tn)
    costs = np.stack([np.broadcast_to(sum(o), resident.shape) for o in orders])
    costs = costs.reshape(len(costs), -1)
    return _Space(tiles, resident, costs.min(axis=0), costs.argmin(axis=0))


class _Frontier(NamedTuple):
    """Best tilings of one product: from so many resident bytes on, so many bytes cross.

    `crossed` and `tilings` have a row more than `resident`, the first: nothing fits.
    """

    resident: list[float]
    crossed: list[tuple[Any, Any, Any]]
    tilings: list[tuple[int, int, int, int]]
    resident_array: NDArray[np.float64]
    crossed_array: NDArray[np.float64]


@lru_cache(maxsize=1 << 14)
def _frontier(m: int, k: int, n: int, left: float, right: float, out: float) -> _Frontier:
    """Every tile and order, reduced to those that are best for some size of the memory."""
    tiles, resident, cost, order = _space(m, k, n, left, right, out)
    # Of equal costs the first order, then the first tile; of all that fit, the cheapest.
    rank = np.empty(len(cost), dtype=np.int64)
    rank[np.lexsort((order, cost))] = np.arange(len(cost))
    by_size = np.argsort(resident, axis=None, kind="stable")
    best = np.minimum.accumulate(rank[by_size])
    chosen = by_size[np.flatnonzero(np.diff(best, prepend=len(cost)))]
    at = np.unravel_index(chosen, resident.shape)
    sizes = [axis[place] for axis, place in zip(tiles, at, strict=True)]
    orders = _crossing(m, k, n, (left, right, out), *sizes)
    triples = np.array([np.broadcast_arrays(*parts, at[0])[:3] for parts in orders])
    found = triples[order[chosen], :, np.arange(len(chosen))]
    # Without room for one element of each, every product's operands cross each time.
    crossed = np.vstack([(left * n, right * m, out), found])
    names = np.stack([order[chosen], *sizes], axis=1).astype(np.int64)
    room = resident.ravel()[chosen]
    return _Frontier(
        room.tolist(),
        [tuple(row) for row in crossed.tolist()],
        [(0, 0, 0, 0), *map(tuple, names.tolist())],
        room,
        crossed,
    )


def product_traffic(
    m: int, k: int, n: int, left: int, right: int, out: int, buffer: Bytes
) -> tuple[Bytes, Bytes, Bytes]:
    """Least modelled bytes (left, right, out) of (m, k) @ (k, n) whose operands have so many bytes.

    A loop order decides who waits. Sums stay: left crosses ceil(n/tn) times and right ceil(m/tm)
    times (once where the whole reduction fits, for the operand of the outer loop). An operand
    stays: it crosses once, the other as before, and the sums cross 2 ceil(k/tk) - 1 times as 32
    bits. Exact in float64 below 2**53 bytes. For an array of buffers each result is an array.
    """
    frontier = _frontier(m, k, n, left, right, out)
    if isinstance(buffer, int):
        a, b, c = frontier.crossed[bisect_right(frontier.resident, buffer)]
        return int(a), int(b), int(c)
    place = np.searchsorted(frontier.resident_array, buffer, side="right")
    found = frontier.crossed_array[place].astype(np.int64)
    return found[:, 0], found[:, 1], found[:, 2]


def _pieces(size: int, tile: int) -> list[tuple[int, int]]:
    """(length, how many) of the tiles along one axis: the whole ones, and the rest."""
    whole, rest = divmod(size, tile)
    return [(tile, whole), *([(rest, 1)] if rest else [])]


@lru_cache(maxsize=1 << 15)
def nested_tilings(
    m: int, k: int, n: int, left: float, right: float, out: float, sizes: tuple[int, ...]
) -> tuple[Tiling, ...]:
    """Best tiling of each of several memories, the largest (outermost) first.

    Parameters
    ----------
    m, k, n:
        Of the product.
    left, right, out:
        Bytes of its operands and of its result as it leaves in the end.
    sizes:
        Bytes of each memory, not increasing.

    Returns
    -------
    The tiling of each memory, with the bytes that cross into it from outside. Inner ones name the
    tiling of a whole outer tile; their bytes are those of all outer tiles, smaller ones included.
    """
    size, *inner = sizes
    if not inner:
        frontier = _frontier(m, k, n, left, right, out)
        place = bisect_right(frontier.resident, size)
        order, tm, tk, tn = frontier.tilings[place]
        return (Tiling(ORDERS[order], tm, tk, tn, *frontier.crossed[place]),)
    best = min(
        (_nest(m, k, n, (left, right, out), own, tuple(inner)) for own in _largest(
            m, k, n, left, right, out, size
        )),
        key=lambda found: [tiling.moved for tiling in found],
        default=None,
    )  # fmt: skip
    if best is None:
        nothing = Tiling(ORDERS[0], 0, 0, 0, left * n, right * m, out)
        return (nothing,) * len(sizes)
    return best


_CANDIDATES = 12
"""Most tiles of an outer memory, equal in its own traffic, that an inner one is tried with."""


def _largest(
    m: int, k: int, n: int, left: float, right: float, out: float, size: int
) -> list[Tiling]:
    """Of the tiles with the least traffic those that lie within no other: they leave the memories
    inside the most freedom. The largest first."""
    tiles, resident, cost, order = _space(m, k, n, left, right, out)
    fits = np.flatnonzero(resident.ravel() <= size)
    if not len(fits):
        return []
    equal = fits[cost[fits] == cost[fits].min()]
    shape = np.stack(
        [axis[p] for axis, p in zip(tiles, np.unravel_index(equal, resident.shape), strict=True)],
        axis=1,
    )
    by_volume = np.argsort(-shape.prod(axis=1), kind="stable")
    kept: list[int] = []
    for one in by_volume:
        if not any((shape[other] >= shape[one]).all() for other in kept):
            kept.append(int(one))
        if len(kept) == _CANDIDATES:
            break
    result = []
    for one in kept:
        which = int(order[equal[one]])
        crossed = _crossing(m, k, n, (left, right, out), *shape[one])[which]
        tm, tk, tn = (int(edge) for edge in shape[one])
        a, b, c = (float(part) for part in crossed)
        result.append(Tiling(ORDERS[which], tm, tk, tn, a, b, c))
    return result


def _nest(
    m: int, k: int, n: int, operands: tuple[float, float, float], own: Tiling,
    inner: tuple[int, ...],
) -> tuple[Tiling, ...]:  # fmt: skip
    """Tilings with `own` as the outermost."""
    left, right, out = operands
    tm, tk, tn = own.tm, own.tk, own.tn
    held = 2 * (tm * tk * left / (m * k) + tk * tn * right / (k * n)) + tm * tn * SUM_BYTES
    same = sum(held <= other for other in inner)
    result = [own] * (1 + same)
    if inner[same:]:
        # Where the outer loops cut the reduction, 32-bit sums come back for every cut but one.
        sums = out + 2 * SUM_BYTES * m * n * (math.ceil(k / tk) - 1)
        result += _within(m, k, n, left, right, sums, own, inner[same:])
    return tuple(result)


def _within(
    m: int, k: int, n: int, left: float, right: float, sums: float, outer: Tiling,
    sizes: Sequence[int],
) -> list[Tiling]:  # fmt: skip
    """Tilings of memories inside the tiles of `outer`, summed over all of those tiles."""
    moved = np.zeros((len(sizes), 3))
    moved[:, 2] = sums
    first: tuple[Tiling, ...] = ()
    axes = (_pieces(m, outer.tm), _pieces(k, outer.tk), _pieces(n, outer.tn))
    for (pm, times_m), (pk, times_k), (pn, times_n) in combinations(*axes):
        found = nested_tilings(
            pm, pk, pn, left * pm * pk / (m * k), right * pk * pn / (k * n), 0.0, tuple(sizes)
        )
        first = first or found
        times = times_m * times_k * times_n
        moved += times * np.array([tiling[4:] for tiling in found])
    return [
        Tiling(*one[:4], *(float(x) for x in row)) for one, row in zip(first, moved, strict=True)
    ]
