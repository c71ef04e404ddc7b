"""Sums and magnitudes over lanes and beats."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.lane_totals import LaneTotals, latency


@pytest.mark.parametrize("columns", [1, 3, 4])
@pytest.mark.parametrize("sum_o", [0, 1])
def test_sums_and_union(columns: int, sum_o: int, corners: Any) -> None:
    rng = np.random.default_rng(columns)
    dut = LaneTotals(columns=columns)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.sum_o, sum_o)
        for beats in (1, 40):
            t = corners(rng, (beats, columns), 32)
            o = corners(rng, (beats, columns), 8)
            magnitude = np.abs(t)
            valid = rng.integers(0, 2, beats)
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            for k in range(beats):
                ctx.set(dut.magnitude, magnitude[k].tolist())
                ctx.set(dut.t, t[k].tolist())
                ctx.set(dut.o, o[k].tolist())
                ctx.set(dut.t_valid, int(valid[k]) ^ sum_o)
                ctx.set(dut.o_valid, int(valid[k]))
                await ctx.tick()
            ctx.set(dut.magnitude, [0] * columns)
            ctx.set(dut.t_valid, 0)
            ctx.set(dut.o_valid, 0)
            await ctx.tick().repeat(latency(columns) - 1)
            counted = (o if sum_o else t)[valid == 1]
            assert ctx.get(dut.sum) == counted.sum()
            assert ctx.get(dut.largest) == np.bitwise_or.reduce(magnitude, axis=None)

    simulator.add_testbench(bench)
    simulator.run()
