"""Coroutine of simulation_speed.py: one training step in cocotb, on cocotbext-axi's memory."""

import json
import os
from pathlib import Path
from time import perf_counter
from typing import Any

import cocotb

from cosim.axi_testbench import AxiTestbench


@cocotb.test
async def step(dut: Any) -> None:
    """Run it; leave its cycles and seconds in outcome.json."""
    folder = Path(os.environ["EOQ_JOB"])
    job = json.loads((folder / "job.json").read_text())
    image = (folder / "image.bin").read_bytes()
    bench = AxiTestbench(dut, 1 << (len(image) - 1).bit_length(), seed=0)
    bench.memory.write(0, image)
    started = perf_counter()
    await bench.reset()
    await bench.start(job["address"], job["words"])
    said = await bench.finish(patience=10_000_000)
    seconds = perf_counter() - started
    assert (said["done"], said["fault"]) == (1, 0), said  # noqa: S101 - cocotb's way to fail
    (folder / "after.bin").write_bytes(bench.memory.read(0, len(image)))
    outcome = {"cycles": said["cycles"], "seconds": seconds}
    (folder / "outcome.json").write_text(json.dumps(outcome))
