"""Runs words of the matrix unit, with both memories, in Amaranth's own simulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Component
from amaranth.sim import Simulator
from numpy.typing import NDArray

from rtl.config import CoreConfig
from rtl.instructions import Word
from rtl.ports import RESULTS_LATENCY
from rtl.product_unit import ProductUnit
from rtl.results_memory import ResultsMemory
from rtl.scratchpad import Scratchpad

__all__ = ["Outcome", "ProductBench", "run"]

_PATIENCE = 20_000
"""Cycles after which a program hangs."""


class ProductBench(Component):
    """The matrix unit and its memories; their other ports are attributes."""

    def __init__(self, *, config: CoreConfig) -> None:
        self.products = ProductUnit(config=config)
        self.unit = self.products.unit
        self.scratchpad = Scratchpad(config=config)
        self.results = ResultsMemory(config=config)
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        """Connect them."""
        m = Module()
        m.submodules.products = self.products
        m.submodules.scratchpad = self.scratchpad
        m.submodules.results = self.results
        wiring.connect(m, self.products.a, self.scratchpad.a)
        wiring.connect(m, self.products.b, self.scratchpad.b)
        wiring.connect(m, self.products.z, self.results.c)
        return m


@dataclass(frozen=True)
class Outcome:
    """What a program did.

    Parameters
    ----------
    results:
        Words asked for, (words, columns).
    taken:
        Cycle in which each word was taken, counted from the first.
    signals:
        (cycle, mask) of each pulse of `signal`.
    beats:
        Vectors that entered the array.
    fault:
        Of the unit, in the end.
    """

    results: NDArray[np.int64]
    taken: list[int]
    signals: list[tuple[int, int]]
    beats: int
    fault: int


def run(
    config: CoreConfig,
    memory: bytes,
    words: Sequence[Word | int],
    *,
    read: Sequence[int] = (),
    preset: Sequence[tuple[int, Sequence[int]]] = (),
) -> Outcome:
    """Fill the scratchpad from byte 0, run `words` until the unit rests, and read results.

    Parameters
    ----------
    config:
        Size of the core.
    memory:
        At most as long as the scratchpad.
    words:
        Offered without a pause; `int` are raw.
    read:
        Words of the results memory to return.
    preset:
        (word, C sums) to store in the results memory first.
    """
    bench = ProductBench(config=config)
    unit, pad, store = bench.unit, bench.scratchpad, bench.results
    simulator = Simulator(bench)
    simulator.add_clock(1e-8)
    got: list[list[int]] = []
    taken: list[int] = []
    signals: list[tuple[int, int]] = []
    beats = fault = 0

    async def drive(ctx: Any) -> None:
        nonlocal beats, fault
        line = config.line_bytes
        ctx.set(pad.w.enable, 1)
        ctx.set(pad.w.mask, -1)
        for start in range(0, len(memory), line):
            part = memory[start : start + line].ljust(line, b"\0")
            ctx.set(pad.w.address, start)
            ctx.set(pad.w.data, list(part))
            await ctx.tick()
        ctx.set(pad.w.enable, 0)
        ctx.set(store.w.enable, 1)
        for address, sums in preset:
            ctx.set(store.w.address, address)
            ctx.set(store.w.data, list(sums))
            await ctx.tick()
        ctx.set(store.w.enable, 0)
        waiting = [word if isinstance(word, int) else word.pack() for word in words]
        for cycle in range(_PATIENCE):
            offered = len(taken) < len(waiting)
            ctx.set(unit.i.valid, offered)
            if offered:
                ctx.set(unit.i.payload, waiting[len(taken)])
            if ctx.get(unit.signal):
                signals.append((cycle - taken[0], ctx.get(unit.signal)))
            beats += ctx.get(bench.products.beat)
            fault = ctx.get(unit.fault)
            if fault or (not offered and not ctx.get(unit.busy)):
                break
            if offered and ctx.get(unit.i.ready):
                taken.append(cycle)
            await ctx.tick()
        else:
            raise AssertionError(f"the unit hangs after {len(taken)} words")
        ctx.set(unit.i.valid, 0)
        if fault:
            return
        for address in read:
            ctx.set(store.r.enable, 1)
            ctx.set(store.r.address, address)
            if not ctx.get(store.r.ready):
                raise AssertionError(f"word {address} is still busy")
            await ctx.tick()
            ctx.set(store.r.enable, 0)
            for _ in range(RESULTS_LATENCY - 1):
                await ctx.tick()
            got.append([ctx.get(store.r.data[c]) for c in range(config.columns)])

    simulator.add_testbench(drive)
    simulator.run()
    results = np.array(got, dtype=np.int64).reshape(-1, config.columns)
    first = taken[0] if taken else 0
    return Outcome(results, [cycle - first for cycle in taken], signals, beats, fault)
