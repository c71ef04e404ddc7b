"""The test that runs inside the simulator: training steps on the core, held against golden."""

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import cocotb

from cosim.device import Device
from cosim.job import Outcome, read_batches, read_job, write
from cosim.scoreboard import MismatchError, Scoreboard
from cosim.step import Program, dense_layers
from cosim.testbench import CoreTestbench
from golden.initialization import build
from golden.networks import load
from golden.schemes import SCHEMES
from golden.training import learning_rate_shift
from rtl.config import CoreConfig


@cocotb.test()
async def train(dut: Any) -> None:
    """Run the job named in the environment and write its outcome."""
    folder = Path(os.environ["EOQ_JOB"])
    job = read_job(folder / "job.json")
    cocotb.log.info("seed %d", job.seed)
    model = build(SCHEMES["eoq"].rewrite(load(job.network)), job.seed)
    codes, labels = read_batches(folder)
    # Pixels in C order are what a network without planes takes.
    codes = codes.reshape(job.steps, job.batch, *model.network.input_shape)
    config = CoreConfig(**job.config)
    bench = CoreTestbench(dut, config, seed=job.seed, idle=job.idle, stall=job.stall)
    device = Device(config, bench.execute)
    scoreboard = Scoreboard()
    program = Program(device, dense_layers(model), job.seed, scoreboard.check)
    k = learning_rate_shift(job.batch)
    outcome = Outcome()
    await bench.reset()
    started = time.perf_counter()
    try:
        for step in range(job.steps):
            device.step = step
            scoreboard.expect(step, model.step(codes[step], labels[step], k))
            await program.step(codes[step], labels[step], k)
            scoreboard.finish()
    except MismatchError as error:
        outcome.mismatch, outcome.mismatches = str(error.mismatch), error.mismatch.elements
    outcome.seconds = time.perf_counter() - started
    outcome.cycles = bench.cycles
    outcome.instructions = [dataclasses.asdict(record) for record in device.records]
    outcome.tensors = [dataclasses.asdict(record) for record in scoreboard.records]
    write(outcome, folder / "outcome.json")
