"""Random integers with corners, and what a pipeline makes of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.random import Generator

from golden.formats import Integers
from tests.rtl.formal import Prover


def with_corners(rng: Generator, shape: tuple[int, ...], width: int) -> Integers:
    """Integers of all magnitudes below 2**(width - 1), some of them extreme, -2**(w-1) included."""
    values = rng.integers(-(1 << (width - 1)), 1 << (width - 1), shape)
    values >>= rng.integers(0, width, shape)
    corners = [0, 1, -1, (1 << (width - 1)) - 1, -(1 << (width - 1)), 1 << (width - 2)]
    return np.where(rng.random(shape) < 0.15, rng.choice(corners, shape), values)


def through_pipeline(dut: Any, inputs: dict[str, Integers], output: str, latency: int) -> Integers:
    """`output` of `dut`, `latency` cycles after each set of inputs; 0 is without a clock."""
    simulator = Simulator(dut)
    if latency:
        simulator.add_clock(1e-8)
    columns = {name: np.asarray(values).tolist() for name, values in inputs.items()}
    length = len(next(iter(columns.values())))
    got: list[int] = []

    async def bench(ctx: Any) -> None:
        ports = [(getattr(dut, name), values) for name, values in columns.items()]
        source = getattr(dut, output)
        for k in range(length + latency):
            if k < length:
                for port, values in ports:
                    ctx.set(port, values[k])
            if k >= latency:
                got.append(ctx.get(source))
            if latency:
                await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return np.array(got, dtype=np.int64)


@pytest.fixture
def pipeline() -> Callable[[Any, dict[str, Integers], str, int], Integers]:
    return through_pipeline


@pytest.fixture
def corners() -> Callable[[Generator, tuple[int, ...], int], Integers]:
    return with_corners


@pytest.fixture
def prover(tmp_path: Path, record_property: Callable[[str, object], None]) -> Prover:
    return Prover(tmp_path, record_property)
