"""Traffic: the compulsory bound, and the tile search against a simulated loop nest."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import zoo
from golden.errors import InputError
from golden.schemes import EOQ, FP32_BN, SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.step import Step
from hwmodel.traffic import Hierarchy, array_traffic, product_traffic, traffic


def megabytes(transfers, **where):
    chosen = [t for t in transfers if all(getattr(t, k) == v for k, v in where.items())]
    return sum(t.compulsory for t in chosen) / 1e6


def test_compulsory_forward_traffic_of_resnet18():
    transfers = traffic(Step(zoo.resnet18(), EOQ), Hierarchy())
    weights = megabytes(transfers, phase="forward", tensor="W")
    inputs = megabytes(transfers, phase="forward", tensor="A")
    outputs = megabytes(transfers, phase="forward", tensor="O")
    assert weights == pytest.approx(11.68, abs=0.005)
    assert inputs == pytest.approx(1.92, abs=0.005)
    assert outputs == pytest.approx(2.48, abs=0.005)
    assert weights + inputs + outputs == pytest.approx(16.08, abs=0.005)


def test_the_update_moves_five_words_a_parameter():
    transfers = traffic(Step(zoo.resnet18(), FP32_BN), Hierarchy())
    assert megabytes(transfers, phase="update") == pytest.approx(5 * 4 * 11.689512, rel=1e-9)
    # int8 weight and gradient, int16 momentum: 1 + 1 + 1 bytes and 2 + 2.
    transfers = traffic(Step(zoo.mlp(), EOQ), Hierarchy())
    weights, biases = 64 * 32 + 32 * 10, 32 + 10
    assert megabytes(transfers, phase="update") * 1e6 == 7 * weights + 9 * biases


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "vgg11"])
@pytest.mark.parametrize("buffer", [1 << 14, 1 << 19, 1 << 26])
def test_modelled_is_never_below_compulsory(scheme, name, buffer):
    step = Step(zoo.BUILT_IN[name](), SCHEMES[scheme], 4)
    for transfer in [*traffic(step, Hierarchy(buffer)), *array_traffic(step, 16, 64)]:
        assert 0 <= transfer.compulsory <= transfer.modelled


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_larger_buffer_never_moves_more(scheme):
    step = Step(zoo.resnet18(), SCHEMES[scheme], 2)
    sizes = [1 << bits for bits in range(12, 28, 3)]
    moved = [sum(t.modelled for t in traffic(step, Hierarchy(size))) for size in sizes]
    assert moved == sorted(moved, reverse=True)


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


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    st.integers(20, 200),
)
def test_the_search_finds_the_best_loop_nest(sizes, widths, buffer):
    m, k, n = sizes
    left, right, out = m * k * widths[0], k * n * widths[1], m * n * widths[2]
    best = float("inf")

    def powers(size):
        return [*(1 << b for b in range((size - 1).bit_length())), size]

    for tm, tk, tn in itertools.product(powers(m), powers(k), powers(n)):
        if 2 * (tm * tk * widths[0] + tk * tn * widths[1]) + 4 * tm * tn > buffer:
            continue
        for order in itertools.permutations("mkn"):
            tiles = dict(zip("mkn", (tm, tk, tn), strict=True))
            moved = simulate(dict(zip("mkn", sizes, strict=True)), tiles, order, (left, right, out))
            best = min(best, sum(moved))
    if best < float("inf"):
        assert sum(product_traffic(m, k, n, left, right, out, buffer)) == pytest.approx(best)


def test_sums_that_wait_leave_the_chip_when_it_is_small():
    def second_pass(exponents, buffer, batch=4):
        step = Step(zoo.resnet18(), EOQ, batch, Conventions(exponents=exponents))
        moved = traffic(step, Hierarchy(buffer))
        return sum(t.modelled for t in moved if t.tensor == "second pass")

    assert second_pass("sample", 1 << 19) > 0
    assert second_pass("sample", 1 << 26) == 0
    assert second_pass("batch", 1 << 19) > second_pass("sample", 1 << 19)
    assert second_pass("lagged", 1 << 12) == 0


def test_the_array_reads_its_operands_again_for_every_block():
    step = Step(zoo.mlp(), EOQ, 4)
    moved = {(t.layer, t.phase, t.tensor): t for t in array_traffic(step, 16, 64)}
    forward = moved["fc1", "forward", "operands"]
    assert forward.compulsory == 4 * 64 + 64 * 32
    # 32 outputs are two blocks of 16 columns.
    assert forward.modelled == 2 * 4 * 64 + 64 * 32
    assert moved["fc1", "forward", "sums"].modelled == 4 * 4 * 32


@pytest.mark.parametrize("buffer", [0, 1023, 1 << 31, 1.5e6])
def test_buffers_that_cannot_be(buffer):
    with pytest.raises(InputError, match=r"^buffer must be 1 KiB to 1 GiB, not"):
        Hierarchy(buffer)
