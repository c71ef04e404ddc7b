"""The results memory against an array: skewed columns, whole words, and busy pages."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.config import CoreConfig
from rtl.ports import COLUMN_LATENCY, RESULTS_LATENCY
from rtl.results_memory import ResultsMemory


@pytest.mark.parametrize(("columns", "pages"), [(1, 2), (3, 4)])
def test_random_accesses(columns: int, pages: int) -> None:
    """The matrix unit works on some pages, the vector unit on the others, all of the time."""
    rng = np.random.default_rng(columns)
    depth = 8
    config = CoreConfig(
        rows=1, columns=columns, accumulator_bits=20, results_pages=pages, results_page_depth=depth
    )
    dut = ResultsMemory(config=config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    model = np.zeros((pages * depth, columns), dtype=np.int64)
    expected: dict[int, list[tuple[Any, int]]] = {}
    refused = 0

    def value() -> int:
        return int(rng.integers(-(1 << 19), 1 << 19))

    async def bench(ctx: Any) -> None:
        nonlocal refused
        busy = 0
        cycles = 400
        for cycle in range(cycles + RESULTS_LATENCY + 1):
            for signal, data in expected.pop(cycle, []):
                assert ctx.get(signal) == data
            if cycle % 10 == 0:
                busy = int(rng.integers(0, 1 << pages))
            ctx.set(dut.c.busy, busy)
            working = cycle < cycles
            mine = [a for a in range(len(model)) if busy >> a // depth & 1]
            r_enable = w_enable = 0
            after, written = model.copy(), set()
            reads = []
            for c in range(columns):
                if mine and working and rng.random() < 0.7:
                    w_enable |= 1 << c
                    address, data = int(rng.choice(mine)), value()
                    ctx.set(dut.c.w_address[c], address)
                    ctx.set(dut.c.w_data[c], data)
                    after[address, c] = data
                    written.add((address, c))
                if mine and working and rng.random() < 0.7:
                    r_enable |= 1 << c
                    address = int(rng.choice(mine))
                    ctx.set(dut.c.r_address[c], address)
                    reads.append((dut.c.r_data[c], address, c, COLUMN_LATENCY))
            ctx.set(dut.c.r_enable, r_enable)
            ctx.set(dut.c.w_enable, w_enable)
            for port in (dut.w, dut.r):
                enable = working and rng.random() < 0.7
                ctx.set(port.enable, enable)
                if not enable:
                    continue
                address = int(rng.integers(0, len(model)))
                ctx.set(port.address, address)
                ready = not busy >> address // depth & 1
                if port is dut.w:
                    data = [value() for _ in range(columns)]
                    ctx.set(port.data, data)
                assert ctx.get(port.ready) == ready
                refused += not ready
                if ready and port is dut.w:
                    after[address] = data
                    written |= {(address, c) for c in range(columns)}
                elif ready:
                    reads += [(port.data[c], address, c, RESULTS_LATENCY) for c in range(columns)]
            # What is read and written in one cycle may be old or new.
            for signal, address, c, latency in reads:
                if (address, c) not in written:
                    due = expected.setdefault(cycle + latency, [])
                    due.append((signal, int(model[address, c])))
            model[:] = after
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    assert refused > 50
