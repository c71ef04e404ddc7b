"""How fast whole training steps are simulated, four ways, on the same core with the same program.

    python benchmarks/simulation_speed.py                 mlp on 8x8, all four
    python benchmarks/simulation_speed.py --steps 100

- eoq: what `eoq train --core` runs: memory and host in Verilog, one process, no Python inside;
- observed: what `eoq cosim` runs: the same with the observer of every instruction;
- plain: the same core compiled by Verilator with nothing but C++ around it (plain_harness.cpp);
- cocotb: cocotb as it comes, its own Verilator build, cocotbext-axi as the memory, one step;
- icarus: as eoq, in Icarus Verilog, one step.

All must leave the same memory. Rates are simulated cycles a second of the simulation's wall time,
without compiling, the best of some runs, of Icarus of one. The core has 8 columns, because the
plain harness moves lines of 8 bytes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosim import tools
from cosim.cocotb_build import build_for_cocotb, run_in_cocotb
from cosim.core_fit import fit_core
from cosim.core_run import Copy, Execute, program_bytes, simulate
from golden import data, networks
from golden.initialization import build
from golden.schemes import EOQ
from hwmodel.lowering.program import compile_step
from hwmodel.program_cycles import BUS_LATENCY
from rtl.cache import cache_folder, content_key, made
from rtl.config import CoreConfig
from rtl.ip_package import TOP, package

HERE = Path(__file__).parent
ARRAY = (8, 8)
ALIGNMENT = 128


@dataclass(frozen=True)
class Work:
    """Steps of one network: memory, where the program is, and where the batches are."""

    config: CoreConfig
    image: bytes
    address: int
    words: int
    outside: int
    slot: int


@dataclass(frozen=True)
class Measured:
    """Simulated cycles, and seconds."""

    cycles: int
    seconds: float

    @property
    def rate(self) -> float:
        """Cycles a second."""
        return self.cycles / self.seconds


def prepare(network: str, batch: int, steps: int) -> Work:
    """Compile a step and put batches of digits behind its memory, the first also in its place."""
    digits = data.load("digits")
    made_of = networks.load(network, input_shape=digits.shape, classes=digits.classes)
    model = build(EOQ.rewrite(made_of), seed=0)
    config = fit_core(model, ARRAY, batch)
    program = compile_step(model, config, batch)
    lowered = program.lowered
    picked = np.resize(np.arange(len(digits.train)), (steps, batch))
    parts = []
    for pick in picked:
        codes = digits.quantize(digits.train.pixels[pick]).astype(np.int8)
        codes = codes.reshape(batch, *model.network.input_shape)
        parts.append(lowered.batch(codes, digits.train.labels[pick]).tobytes())
    outside = lowered.parameter_memory(model).tobytes()
    image = parts[0] + outside[len(parts[0]) :] + b"".join(parts)
    address = -(-len(image) // ALIGNMENT) * ALIGNMENT
    image = image.ljust(address, b"\0") + program_bytes(program.words)
    return Work(config, image, address, len(program.words), len(outside), lowered.batch_size)


def in_verilog(work: Work, steps: int, simulator: str, *, observed: bool) -> tuple[Measured, bytes]:
    """With memory and host in Verilog."""
    actions: list[Copy | Execute] = []
    for step in range(steps):
        copy = Copy(work.outside + step * work.slot, 0, work.slot)
        actions += [copy, Execute(work.address, work.words)]
    run = simulate(
        work.config, work.image, actions, simulator=simulator, observed=observed,
        optimized=not observed,
    )  # fmt: skip
    return Measured(sum(p.cycles for p in run.programs), run.seconds), run.memory


def in_plain_cpp(work: Work, steps: int) -> tuple[Measured, bytes]:
    """With plain_harness.cpp."""
    verilator = tools.find("verilator")
    sources = {name: text for name, text in package(work.config).items()
               if name.endswith((".v", ".vlt"))}  # fmt: skip
    sources["harness.cpp"] = (HERE / "plain_harness.cpp").read_text()
    names = sorted(name for name in sources if name != "harness.cpp")
    options = [
        "-cc", "--exe", "--build", "-j", "0", "-Mdir", ".", "-O3", "-Wno-fatal",
        "--top-module", TOP, "--prefix", "Vtop", "-o", "harness", "--output-split", "0",
        "--x-assign", "fast", "--x-initial", "fast",
        "-MAKEFLAGS", "OPT_FAST=-O3 OPT_SLOW=-O0 OPT_GLOBAL=-O3", "harness.cpp", *names,
    ]  # fmt: skip
    key = content_key((verilator.version, *options, *sources.values()))

    def make(folder: Path) -> None:
        for name, text in sources.items():
            (folder / name).write_text(text)
        command = [verilator.path, *options]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    folder = made(cache_folder() / "simulations" / f"plain-{key}", make)
    with tempfile.TemporaryDirectory() as place:
        image = Path(place) / "image.bin"
        image.write_bytes(work.image)
        numbers = (work.address, work.words, steps, work.outside, work.slot, BUS_LATENCY)
        command = [folder / "harness", image, *map(str, numbers)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        cycles, seconds = out.split()
        return Measured(int(cycles), float(seconds)), Path(f"{image}.after").read_bytes()


def in_cocotb(work: Work) -> tuple[Measured, bytes]:
    """One step in cocotb."""
    built = build_for_cocotb(work.config, "verilator")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "image.bin").write_bytes(work.image)
        job = {"address": work.address, "words": work.words}
        (folder / "job.json").write_text(json.dumps(job))
        run_in_cocotb(
            built, "verilator", "benchmarks.cocotb_step", folder, seed=0,
            environment={"EOQ_JOB": place, "PYTHONPATH": str(HERE.parent)},
        )  # fmt: skip
        outcome = json.loads((folder / "outcome.json").read_text())
        return Measured(**outcome), (folder / "after.bin").read_bytes()


def main() -> None:
    """Print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="mlp")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3, help="of all but Icarus")
    arguments = parser.parse_args()
    steps, runs = arguments.steps, arguments.runs
    work = prepare(arguments.network, arguments.batch, steps)
    ways: dict[str, Callable[[], tuple[Measured, bytes]]] = {
        "eoq": lambda: in_verilog(work, steps, "verilator", observed=False),
        "observed": lambda: in_verilog(work, steps, "verilator", observed=True),
        "plain": lambda: in_plain_cpp(work, steps),
        "cocotb": lambda: in_cocotb(work),
        "icarus": lambda: in_verilog(work, 1, "icarus", observed=False),
    }
    after: dict[int, bytes] = {}
    best: dict[str, Measured] = {}
    # In turns, so that what else the machine does hits all alike.
    for turn in range(runs):
        for name, way in ways.items():
            if name == "icarus" and turn:
                continue
            measured, memory = way()
            steps_run = 1 if name in ("cocotb", "icarus") else steps
            if after.setdefault(steps_run, memory) != memory:
                sys.exit(f"{name} leaves another memory than the ways before it")
            if name not in best or measured.rate > best[name].rate:
                best[name] = measured
    print(f"{arguments.network}, batch {arguments.batch}, on {ARRAY[0]}x{ARRAY[1]}")
    print(f"{'':10}{'cycles':>12}{'seconds':>10}{'cycles/s':>12}{'eoq is':>10}")
    for name, found in best.items():
        print(f"{name:10}{found.cycles:12,}{found.seconds:10.2f}{found.rate:12,.0f}"
              f"{best['eoq'].rate / found.rate:9.2f}x")  # fmt: skip


if __name__ == "__main__":
    main()
