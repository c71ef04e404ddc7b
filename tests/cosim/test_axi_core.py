"""The shipped core over AXI, with an independent memory and host, in both simulators."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosim.cocotb_build import build_for_cocotb, run_in_cocotb
from cosim.core_fit import fit_core
from cosim.core_run import program_bytes
from cosim.machine import Machine
from golden.initialization import build
from golden.network import Flatten, Linear, Network
from golden.schemes import EOQ
from hwmodel.lowering.program import compile_step
from rtl.control_instructions import End
from rtl.dma_instructions import Load, Store
from rtl.instructions import Word
from rtl.product_words import Geometry, forward
from rtl.vector_instructions import Function, Loops, Operand, Output, Pass, Scalar, Stream, Stride

ROOT = Path(__file__).parents[2]
ARRAY = (2, 3)
BATCH = 2
ALIGNMENT = 128


def small() -> Network:
    network = Network("small", (1, 4, 4))
    network.add("flatten", Flatten())
    network.add("classifier", Linear(10))
    return network


def write_job(folder: Path, seed: int) -> None:
    """A training step, and a short program whose words wait for each other, in one memory."""
    rng = np.random.default_rng(seed)
    model = build(EOQ.rewrite(small()), seed)
    config = fit_core(model, ARRAY, BATCH)
    step = compile_step(model, config, BATCH)
    outside = step.lowered.parameter_memory(model)
    codes = rng.integers(-127, 128, (BATCH, *model.network.input_shape)).astype(np.int8)
    first = step.lowered.batch(codes, rng.integers(0, 10, BATCH))
    outside[: len(first)] = first
    data = -(-len(outside) // ALIGNMENT) * ALIGNMENT
    image = outside.tobytes().ljust(data, b"\0")
    image += rng.integers(-127, 128, 1024).astype(np.int8).tobytes()

    line, page = config.line_bytes, config.scratchpad_page_bytes
    geometry = Geometry(channels=4, height=2, width=2, out_channels=3, kernel=(1, 1),
                        padding=(0, 0, 0, 0))  # fmt: skip
    loops = Loops(positions=4, channels=3)
    product = forward(geometry, config, a=0, b=page, z=0)
    # The first pass is there so that all has been fetched when the first transfer begins.
    serial: list[Word] = [
        Loops(positions=256, channels=3),
        Pass(operand=Operand.NONE, signal=1),
        Load(outside=data, scratchpad=0, bytes=64, wait=1, signal=8),
        Load(outside=data + 512, scratchpad=page, bytes=64 * line, wait=8, signal=16),
        *product[:-1],
        replace(product[-1], wait=16, signal=2),
        # A pass names the scalar that says how far it shifts; scalars outlive programs.
        Scalar(function=Function.ADD, d=5, immediate=1, value=8),
        loops,
        Stride.regular(Stream.RESULTS_IN, 0, loops, position=1, block=4),
        Stride.regular(Stream.OUTPUT, 0, loops, position=3, block=3),
        Pass(operand=Operand.RESULTS, output=Output.BYTES, shift=5, wait=2, signal=4),
        Store(outside=data + 128, scratchpad=0, bytes=3 * line, wait=4),
        Store(outside=data + 256, scratchpad=page, bytes=16 * line),
        End(),
    ]  # fmt: skip
    programs = {}
    for name, words in (("step", step.words), ("serial", serial)):
        image = image.ljust(-(-len(image) // ALIGNMENT) * ALIGNMENT, b"\0")
        programs[name] = len(image), len(words)
        image += program_bytes(words)
    (folder / "image.bin").write_bytes(image)
    for name, words in (("step", step.words), ("serial", serial)):
        machine = Machine(config, np.frombuffer(image, np.uint8).copy())
        for word in words[:-1]:
            machine.execute(word)
        (folder / f"after_{name}.bin").write_bytes(machine.outside.tobytes())
        assert machine.outside.tobytes() != image
    (folder / "job.json").write_text(json.dumps(programs | {"seed": seed}))


@pytest.mark.parametrize(
    ("simulator", "seed"),
    [
        ("verilator", 1),
        pytest.param("verilator", 3, marks=pytest.mark.slow),
        pytest.param("icarus", 1, marks=pytest.mark.slow),
        pytest.param("icarus", 3, marks=pytest.mark.slow),
    ],
)
def test_the_core_over_axi(simulator: str, seed: int, tmp_path: Path) -> None:
    seed = int(os.environ.get("EOQ_SEED") or seed)
    print(f"again with: EOQ_SEED={seed}")
    write_job(tmp_path, seed)
    config = fit_core(build(EOQ.rewrite(small()), seed), ARRAY, BATCH)
    run_in_cocotb(
        build_for_cocotb(config, simulator), simulator, "tests.cosim.axi_core", tmp_path, seed=seed,
        environment={"EOQ_JOB": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    said = (tmp_path / "simulation.log").read_text()
    assert f"seed {seed}" in said
    assert "PASS=4" in said
