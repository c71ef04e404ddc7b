"""The array and the feeder alone: skew, weights that travel with the wave, transposed blocks."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.feeder import Feeder
from rtl.systolic_array import ProcessingElement, SystolicArray

SIZES = [(1, 1), (1, 3), (3, 1), (2, 4), (4, 3)]


@pytest.mark.parametrize("bits", [8, 9])
def test_one_element(pipeline: Any, bits: int) -> None:
    """psum_o is psum_i + a * weight and half a product's range; the weight when `a` came."""
    rng = np.random.default_rng(1)
    n = 400
    limit = 1 << (bits - 1)
    inputs = {
        "a_i": rng.integers(-limit, limit, n),
        "b": rng.integers(-128, 128, n),
        "take": rng.integers(0, 2, n),
        "psum_i": rng.integers(-(2**23), 2**23, n),
    }
    inputs["a_i"][:8] = -limit
    inputs["b"][:8] = -128
    bias = 1 << (bits + 7)
    # Registers begin at zero, and this one holds the product and the bias.
    weight, product = 0, -bias
    sums, operands = [], []
    for a, b, take, psum in zip(*(v.tolist() for v in inputs.values()), strict=True):
        sums.append(((psum + product + bias + 2**23) & (2**24 - 1)) - 2**23)
        operands.append(a)
        product = a * weight
        weight = b if take else weight
    element = ProcessingElement(accumulator_bits=24, operand_bits=bits)
    assert pipeline(element, inputs, "psum_o", 1).tolist() == sums
    element = ProcessingElement(accumulator_bits=24, operand_bits=bits)
    assert pipeline(element, inputs, "a_o", 1).tolist() == operands


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_tiles_back_to_back(rows: int, columns: int) -> None:
    """Tiles of exactly R operands, the shortest there are, without a gap."""
    rng = np.random.default_rng(rows * columns)
    tiles = 4
    weights = rng.integers(-128, 128, (tiles, rows, columns))
    operands = rng.integers(-128, 128, (tiles, rows, rows))
    beats = operands.reshape(-1, rows)
    above = rng.integers(-(2**20), 2**20, (len(beats), columns))
    dut = SystolicArray(rows=rows, columns=columns, accumulator_bits=32)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    got = np.zeros((len(beats), columns), dtype=np.int64)

    async def bench(ctx: Any) -> None:
        for cycle in range(len(beats) + rows + columns + 2):
            tile, row = divmod(cycle, rows)
            if tile < tiles:
                ctx.set(dut.b, weights[tile, row].tolist())
            ctx.set(dut.take, row == 0 and tile < tiles)
            # Beat k enters row 0 one cycle after the wave of its tile began, and row r later by r.
            for r in range(rows):
                if 0 <= cycle - 1 - r < len(beats):
                    ctx.set(dut.a[r], int(beats[cycle - 1 - r, r]))
            for c in range(columns):
                early, late = cycle - 1 - c, cycle - 2 - c - rows
                if 0 <= early < len(beats):
                    ctx.set(dut.psum_i[c], int(above[early, c]))
                if 0 <= late < len(beats):
                    got[late, c] = ctx.get(dut.psum_o[c])
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    np.testing.assert_array_equal(got, above + (operands @ weights).reshape(-1, columns))


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 13])
def test_feeder(rows: int) -> None:
    """Runs of single vectors and of blocks in random order, with and without gaps."""
    rng = np.random.default_rng(rows)
    kinds = [str(k) for k in rng.choice(["direct", "block", "gap"], 40)]
    vectors, sent, expected = [], [], []
    for kind in kinds:
        length = rows if kind == "block" else 1
        part = rng.integers(-128, 128, (length, rows))
        start = len(vectors)
        for k, vector in enumerate(part):
            vectors.append(vector)
            sent.append(kind == "block" and k == 0)
        if kind != "gap":
            for k, vector in enumerate(part.T if kind == "block" else part):
                expected += [(start + k + r + 1, r, int(vector[r])) for r in range(rows)]
    dut = Feeder(rows=rows)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    seen = np.zeros((len(vectors) + rows + 1, rows), dtype=np.int64)

    async def bench(ctx: Any) -> None:
        for cycle in range(len(seen)):
            if cycle < len(vectors):
                ctx.set(dut.i, vectors[cycle].tolist())
            ctx.set(dut.block, sent[cycle] if cycle < len(vectors) else False)
            seen[cycle] = [ctx.get(dut.o[r]) for r in range(rows)]
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    assert [int(seen[cycle, lane]) for cycle, lane, _ in expected] == [v for _, _, v in expected]
