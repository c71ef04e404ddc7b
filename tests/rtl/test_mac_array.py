"""The array alone: skew, weight swap under way, partial sums from above."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.mac_array import MacArray, ProcessingElement


def test_one_element(pipeline: Any) -> None:
    """psum_o is psum_i + a * weight, the weight as it was when `a` came."""
    rng = np.random.default_rng(1)
    n = 400
    inputs = {
        "a_i": rng.integers(-128, 128, n),
        "b_i": rng.integers(-128, 128, n),
        "load": rng.integers(0, 2, n),
        "swap": rng.integers(0, 2, n),
        "psum_i": rng.integers(-(2**22), 2**22, n),
    }
    shadow = weight = product = 0
    sums, operands = [], []
    for a, b, load, swap, psum in zip(*(v.tolist() for v in inputs.values()), strict=True):
        sums.append(psum + product)
        operands.append(a)
        product = a * weight
        weight = shadow if swap else weight
        shadow = b if load else shadow
    element = ProcessingElement(accumulator_bits=24)
    assert pipeline(element, inputs, "psum_o", 1).tolist() == sums
    element = ProcessingElement(accumulator_bits=24)
    assert pipeline(element, inputs, "a_o", 1).tolist() == operands


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 1), (2, 4), (4, 3)])
def test_two_sets_of_weights_back_to_back(rows: int, columns: int) -> None:
    rng = np.random.default_rng(rows * columns)
    beats = rows + columns + 2
    weights = rng.integers(-128, 128, (2, rows, columns))
    operands = rng.integers(-128, 128, (2, beats, rows))
    above = rng.integers(-(2**20), 2**20, (2 * beats, columns))
    dut = MacArray(rows=rows, columns=columns, accumulator_bits=32)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)

    # The first swap is at cycle `rows`, its operands follow; the second at the last operand.
    first = rows + 1
    second_swap = first + beats - 1
    second_load = rows + columns
    got = np.zeros((2 * beats, columns), dtype=np.int64)

    async def bench(ctx: Any) -> None:
        for cycle in range(first + 2 * beats + rows + columns + 2):
            load, tile = cycle, 0
            if cycle >= second_load:
                load, tile = cycle - second_load, 1
            loading = load < rows
            ctx.set(dut.load, 1 << load if loading else 0)
            if loading:
                ctx.set(dut.b, weights[tile, load].tolist())
            ctx.set(dut.swap, cycle in (rows, second_swap))
            beat = cycle - first
            if 0 <= beat < 2 * beats:
                ctx.set(dut.a, operands.reshape(-1, rows)[beat].tolist())
            for c in range(columns):
                # Column c wants its partial sum c + 1 cycles after the operand.
                early, late = beat - c - 1, beat - c - rows - 1
                if 0 <= early < 2 * beats:
                    ctx.set(dut.psum_i[c], int(above[early, c]))
                if 0 <= late < 2 * beats:
                    got[late, c] = ctx.get(dut.psum_o[c])
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    expected = above + (operands @ weights).reshape(-1, columns)
    np.testing.assert_array_equal(got, expected)
