"""The scratchpad against an array of bytes: any address, every port at once, priorities."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl.config import CoreConfig
from rtl.ports import SCRATCHPAD_LATENCY
from rtl.scratchpad import READERS, WRITERS, Scratchpad


@pytest.mark.parametrize(("rows", "columns", "pages"), [(1, 1, 2), (4, 8, 4), (5, 2, 2)])
def test_random_accesses(rows: int, columns: int, pages: int) -> None:
    rng = np.random.default_rng([rows, columns])
    config = CoreConfig(
        rows=rows, columns=columns, scratchpad_pages=pages, scratchpad_page_bytes=64
    )
    line, page = config.line_bytes, 64
    lanes = {"a": rows, "b": columns, "x": columns, "y": columns, "d": line, "v": columns,
             "w": line}  # fmt: skip
    dut = Scratchpad(config=config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    model = np.zeros(pages * page, dtype=np.int64)
    expected: dict[int, list[tuple[str, list[int]]]] = {}
    conflicts = 0

    def places(address: int, count: int, pitch: int = 0) -> list[int]:
        """Byte numbers; past the end of a page they go on at its beginning."""
        base = address // page * page
        return [base + (address - base + k * (pitch * line + 1)) % page for k in range(count)]

    async def bench(ctx: Any) -> None:
        nonlocal conflicts
        cycles = 300
        for cycle in range(cycles + SCRATCHPAD_LATENCY + 1):
            for name, data in expected.pop(cycle, []):
                assert [ctx.get(byte) for byte in getattr(dut, name).data] == data, (name, cycle)
            asked: dict[str, tuple[int, int]] = {}
            stored: dict[str, tuple[list[int], list[int]]] = {}
            for name in (*READERS, *WRITERS):
                port = getattr(dut, name)
                enable = cycle < cycles and rng.random() < 0.5
                # The first cycles fill the memory.
                if cycle < len(model) // line:
                    enable = name == "w"
                ctx.set(port.enable, enable)
                if not enable:
                    continue
                address = int(rng.integers(0, len(model)))
                if cycle < len(model) // line:
                    address = cycle * line
                ctx.set(port.address, address)
                pitch = int(rng.integers(0, 4)) if name == "b" else 0
                if name == "b":
                    ctx.set(port.pitch, pitch)
                asked[name] = address, pitch
                if name in WRITERS:
                    data = rng.integers(0, 256, lanes[name]).tolist()
                    mask = rng.integers(0, 2, lanes[name])
                    if cycle < len(model) // line:
                        mask[:] = 1
                    ctx.set(port.data, data)
                    ctx.set(port.mask, int("".join(str(bit) for bit in mask[::-1]), 2))
                    stored[name] = data, mask.tolist()
            changed: set[int] = set()
            after = model.copy()
            for group in (WRITERS, READERS):
                won: set[int] = set()
                for name in group:
                    if name not in asked:
                        continue
                    address, pitch = asked[name]
                    ready = address // page not in won
                    assert ctx.get(getattr(dut, name).ready) == ready
                    conflicts += not ready
                    won.add(address // page)
                    if not ready:
                        continue
                    at = places(address, lanes[name], pitch)
                    if group is WRITERS:
                        for place, byte, bit in zip(at, *stored[name], strict=True):
                            if bit:
                                after[place] = byte
                                changed.add(place)
                    elif not changed.intersection(at):
                        # What is read and written in one cycle may be old or new.
                        data = [int(model[place]) for place in at]
                        expected.setdefault(cycle + SCRATCHPAD_LATENCY, []).append((name, data))
            model[:] = after
            await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    assert not expected
    assert conflicts > 20
