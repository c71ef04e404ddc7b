"""The queue in front of a memory, cycle by cycle against Amaranth's own FIFO."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import fifo
from amaranth.sim import Simulator

from rtl.queue import Queue


@pytest.mark.parametrize(("depth", "seed"), [(1, 0), (2, 1), (3, 2), (8, 3), (32, 4)])
def test_it_is_a_fifo_in_every_cycle(depth: int, seed: int) -> None:
    m, reset = Module(), Signal()
    queue, model = Queue(width=8, depth=depth, module_name="q"), fifo.SyncFIFO(width=8, depth=depth)
    m.submodules.queue = ResetInserter(reset)(queue)
    m.submodules.model = ResetInserter(reset)(model)
    rng = random.Random(seed)  # noqa: S311
    seen = {"full": 0, "empty": 0, "word": 0}

    async def bench(ctx: Any) -> None:
        put, take = 0.5, 0.5
        for cycle in range(6000):
            if cycle % 40 == 0:
                # Phases that fill, drain, and let both go on in every cycle.
                put, take = rng.choice([(1, 0.3), (0.3, 1), (1, 1), (0.5, 0.5), (1, 0), (0, 1)])
            ctx.set(reset, rng.random() < 0.002)
            word, w_en, r_en = rng.randrange(256), rng.random() < put, rng.random() < take
            for side in (queue, model):
                ctx.set(side.w_data, word)
                ctx.set(side.w_en, w_en)
                ctx.set(side.r_en, r_en)
            assert ctx.get(queue.w_rdy) == ctx.get(model.w_rdy)
            assert ctx.get(queue.r_rdy) == ctx.get(model.r_rdy)
            if ctx.get(model.r_rdy):
                assert ctx.get(queue.r_data) == ctx.get(model.r_data)
            seen["full"] += not ctx.get(model.w_rdy)
            seen["empty"] += not ctx.get(model.r_rdy)
            seen["word"] += ctx.get(model.r_rdy)
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert min(seen.values()) > 500
