"""The tile search against a simulated loop nest, for one memory and for two."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.tiling import ORDERS, nested_tilings, product_traffic


def powers(size):
    return [*(1 << b for b in range((size - 1).bit_length())), size]


def resident(tile, widths):
    tm, tk, tn = tile
    return 2 * (tm * tk * widths[0] + tk * tn * widths[1]) + 4 * tm * tn


def least(sizes, widths, room, out):
    """Least bytes by walking every tile and every order; none if nothing fits."""
    m, k, n = sizes
    operands = (m * k * widths[0], k * n * widths[1], out)
    found = [
        sum(simulate(dict(zip("mkn", sizes, strict=True)), dict(zip("mkn", tile, strict=True)),
                     order, operands))
        for tile in itertools.product(powers(m), powers(k), powers(n))
        if resident(tile, widths) <= room
        for order in itertools.permutations("mkn")
    ]  # fmt: skip
    return min(found, default=None)


def simulate(sizes, tiles, order, operands):
    """Bytes (left, right, out) of a loop nest that keeps one tile of each operand."""
    steps = {axis: range(-(-sizes[axis] // tiles[axis])) for axis in "mkn"}
    moved = [0.0, 0.0, 0.0]
    held = [None, None, None]
    visits = {}
    for place in itertools.product(*(steps[axis] for axis in order)):
        at = dict(zip(order, place, strict=True))
        extent = {axis: min(tiles[axis], sizes[axis] - at[axis] * tiles[axis]) for axis in "mkn"}
        for index, (rows, columns) in enumerate(("mk", "kn", "mn")):
            tile = (at[rows], at[columns])
            if held[index] == tile:
                continue
            held[index] = tile
            share = extent[rows] * extent[columns]
            if index == 2:
                # Sums come back as 32 bits, having left as 32 bits; the last time they leave done.
                visits[tile] = visits.get(tile, 0) + 1
                moved[2] += 0 if visits[tile] == 1 else 2 * 4 * share
            else:
                moved[index] += share * operands[index] / (sizes[rows] * sizes[columns])
    moved[2] += operands[2]
    return moved


SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
WIDTHS = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


@settings(deadline=None, max_examples=40)
@given(SIZES, WIDTHS, st.integers(20, 200))
def test_the_search_finds_the_best_loop_nest(sizes, widths, buffer):
    m, k, n = sizes
    left, right, out = m * k * widths[0], k * n * widths[1], m * n * widths[2]
    best = least(sizes, widths, buffer, out)
    if best is not None:
        assert sum(product_traffic(m, k, n, left, right, out, buffer)) == pytest.approx(best)


def pieces(size, tile):
    return [min(tile, size - start) for start in range(0, size, tile)]


@settings(deadline=None, max_examples=30)
@given(SIZES, WIDTHS, st.integers(60, 300), st.integers(20, 60))
def test_the_inner_memory_is_tiled_within_every_outer_tile(sizes, widths, room, inner):
    m, k, n = sizes
    left, right, out = m * k * widths[0], k * n * widths[1], m * n * widths[2]
    outer, within = nested_tilings(m, k, n, left, right, out, (room, inner))
    assert outer.moved == pytest.approx(sum(product_traffic(m, k, n, left, right, out, room)))
    tile = (outer.tm, outer.tk, outer.tn)
    if not outer.tm or resident(tile, widths) <= inner:
        assert within.moved == outer.moved
        return
    # Outer tile by outer tile, each walked by itself; their sums come back unless k is whole.
    expected = out + 2 * 4 * m * n * (len(pieces(k, outer.tk)) - 1)
    for piece in itertools.product(*map(pieces, sizes, tile)):
        best = least(piece, widths, inner, 0)
        if best is None:
            return
        expected += best
    assert within.moved == pytest.approx(expected)


def test_of_equal_outer_tiles_the_one_that_is_best_inside_is_taken():
    # All of it fits the outer memory; a thin tile would do as well there, and ruin the inner one.
    outer, inner = nested_tilings(64, 64, 64, 4096, 4096, 4096, (1 << 20, 1 << 12))
    assert outer.moved == 3 * 4096
    assert (outer.tm, outer.tk, outer.tn) == (64, 64, 64)
    assert inner.moved == sum(product_traffic(64, 64, 64, 4096, 4096, 4096, 1 << 12))
    assert inner.order in ORDERS


def test_nothing_fits():
    outer, inner = nested_tilings(8, 8, 8, 64, 64, 64, (4, 2))
    assert outer == inner
    assert (outer.tm, outer.moved) == (0, 8 * 64 + 8 * 64 + 64)
