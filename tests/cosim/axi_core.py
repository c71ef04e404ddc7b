"""Coroutines of `test_axi_core`: the core over AXI, in cocotb, with stalls, resets and aborts.

What to run and what it should leave in memory is in the folder that $EOQ_JOB names.
"""

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from cosim.axi_testbench import AxiTestbench
from rtl.instructions import Fault

STALLS = (0.0, 0.1, 0.5)


class Job:
    """Memory, two programs in it, and what memory is after each."""

    def __init__(self) -> None:
        folder = Path(os.environ["EOQ_JOB"])
        settings = json.loads((folder / "job.json").read_text())
        self.step, self.serial = settings["step"], settings["serial"]
        self.seed = settings["seed"]
        self.image = (folder / "image.bin").read_bytes()
        self.after_step = (folder / "after_step.bin").read_bytes()
        self.after_serial = (folder / "after_serial.bin").read_bytes()


async def begin(dut: Any) -> tuple[Job, AxiTestbench, random.Random]:
    job = Job()
    cocotb.log.info("seed %d", job.seed)
    bench = AxiTestbench(dut, 1 << (len(job.image) - 1).bit_length(), job.seed)
    bench.memory.write(0, job.image)
    await bench.reset()
    return job, bench, random.Random(job.seed)  # noqa: S311 - no secret


async def start_and_wait(bench: AxiTestbench, program: list[int], cycles: int) -> None:
    """Start a program and let so many cycles of it pass."""
    await bench.start(*program)
    await ClockCycles(bench.dut.clk, cycles)


async def check_step(job: Job, bench: AxiTestbench) -> dict[str, int]:
    """A training step from fresh memory must leave the model's memory, to the last byte."""
    bench.memory.write(0, job.image)
    await bench.start(*job.step)
    return await check_end(bench, job.after_step)


async def check_end(bench: AxiTestbench, expected: bytes) -> dict[str, int]:
    said = await bench.finish()
    assert (said["done"], said["fault"]) == (1, Fault.NONE), said
    check_memory(bench, expected)
    return said


def check_memory(bench: AxiTestbench, expected: bytes) -> None:
    got = bench.memory.read(0, len(expected))
    wrong = [k for k, (a, b) in enumerate(zip(got, expected, strict=True)) if a != b]
    assert not wrong, f"{len(wrong)} bytes differ, the first one at {wrong[0]}"


@cocotb.test
async def bits_do_not_depend_on_stalls(dut: Any) -> None:
    job, bench, _ = await begin(dut)
    counters = []
    for chance in STALLS:
        bench.stall(chance)
        counters.append(await check_step(job, bench))
    free = counters[0]
    for stalled in counters[1:]:
        # What a unit does takes as long as ever; only that of the bus takes longer.
        for name in ("instructions", "mac_busy", "vector_busy", "matrix_waiting",
                     "vector_waiting", "dma_waiting"):  # fmt: skip
            assert stalled[name] == free[name], (name, stalled, free)
        assert stalled["dma_busy"] > free["dma_busy"]
        assert stalled["cycles"] > free["cycles"]


@cocotb.test
async def stall_counters_explain_every_cycle(dut: Any) -> None:
    """In a program whose words run one after the other, and that was fetched before its first
    transfer, a stall of the bus is a cycle of the program and one of the DMA unit."""
    job, bench, _ = await begin(dut)
    runs = []
    for chance in STALLS:
        bench.stall(0)
        bench.memory.write(0, job.image)
        await start_and_wait(bench, job.serial, 150)
        bench.stall(chance)
        runs.append(await check_end(bench, job.after_serial))
    free = runs[0]
    for stalled in runs[1:]:
        more = stalled["cycles"] - free["cycles"]
        assert more > 0
        assert stalled["dma_busy"] - free["dma_busy"] == more, (stalled, free)
        for name in ("matrix_busy", "vector_busy", "mac_busy"):
            assert stalled[name] == free[name] > 0


@cocotb.test
async def a_reset_in_mid_flight_leaves_nothing(dut: Any) -> None:
    job, bench, rng = await begin(dut)
    bench.stall(0.2)
    for _ in range(4):
        await start_and_wait(bench, job.step, rng.randrange(1, 2000))
        assert await bench.read("status") & 1
        await bench.reset()
        assert await bench.read("status") == 0
    await check_step(job, bench)


@cocotb.test
async def an_abort_in_mid_flight_leaves_nothing(dut: Any) -> None:
    job, bench, rng = await begin(dut)
    bench.stall(0.2)
    for _ in range(4):
        await start_and_wait(bench, job.step, rng.randrange(1, 2000))
        await bench.write("control", 2)
        said = await bench.finish()
        assert (said["running"], said["done"], said["fault"]) == (0, 0, Fault.ABORTED)
    await check_step(job, bench)
