"""Runs a job: emits the RTL, builds the simulator, starts it, and sums up what it found."""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cocotb_tools.runner import get_runner
from numpy.typing import NDArray

from cosim.build import TIMESCALE, TOP, Build, build, cache_folder, require
from cosim.job import Job, Outcome, read_outcome, write, write_batches
from cosim.step import dense_layers
from golden import data, networks
from golden.errors import CheckError, InputError
from golden.initialization import build as build_model
from golden.schemes import SCHEMES
from golden.training import learning_rate_shift
from rtl.config import CoreConfig

__all__ = ["CosimResult", "configure", "cosimulate"]


_DIGIT_PIXELS, _DIGITS = 64, 10


@dataclass(frozen=True)
class CosimResult:
    """A finished co-simulation.

    Members
    -------
    job, simulator, simulator_version:
        What was run, on what.
    outcome:
        What the simulation found.
    waves, coverage:
        Files that were asked for, or None.
    """

    job: Job
    simulator: str
    simulator_version: str
    outcome: Outcome
    waves: Path | None = None
    coverage: Path | None = None

    @property
    def instructions(self) -> pd.DataFrame:
        """One row an instruction, with measured and predicted cycles."""
        return pd.DataFrame(self.outcome.instructions)

    @property
    def tensors(self) -> pd.DataFrame:
        """One row a compared tensor."""
        return pd.DataFrame(self.outcome.tensors)

    @property
    def stalled(self) -> bool:
        """Stalls were asked for, so that cycles are above the model's."""
        return bool(self.job.idle or self.job.stall)

    def summary(self) -> dict[str, Any]:
        """Return the keys of `eoq cosim --json`."""
        rows = self.outcome.instructions
        rtl = sum(row["cycles_rtl"] for row in rows)
        model = sum(row["cycles_model"] for row in rows)
        wrong = sum(row["cycles_rtl"] != row["cycles_model"] for row in rows)
        size = self.job.config["rows"] * self.job.config["columns"]
        macs = sum(row["macs"] for row in rows)
        return {
            "passed": self.outcome.mismatch is None and (self.stalled or not wrong),
            "mismatches": self.outcome.mismatches,
            "first_mismatch": self.outcome.mismatch,
            "tensors": len(self.outcome.tensors),
            "elements": sum(row["elements"] for row in self.outcome.tensors),
            "instructions": len(rows),
            "cycles_rtl": rtl,
            "cycles_model": model,
            "instructions_with_wrong_cycles": wrong,
            "mac_utilization": macs / (rtl * size) if rtl else 0.0,
            "sim_cycles_per_second": self.outcome.cycles / max(self.outcome.seconds, 1e-9),
            "seed": self.job.seed,
            "simulator": self.simulator,
            "simulator_version": self.simulator_version,
            "network": self.job.network,
            "array": f"{self.job.config['rows']}x{self.job.config['columns']}",
            "batch": self.job.batch,
            "steps": self.job.steps,
        }


def configure(network: str, array: tuple[int, int]) -> CoreConfig:
    """Return the smallest core of that array that trains the network, buffers in powers of two.

    Raises InputError for a network that golden does not train or an array no core can have.
    """
    model = build_model(SCHEMES["eoq"].rewrite(networks.load(network)), seed=0)
    rows, columns = array
    layers = dense_layers(model)
    inputs, classes = layers[0].weight.values.shape[1], len(layers[-1].bias.values)
    if inputs != _DIGIT_PIXELS or classes < _DIGITS:
        raise InputError(
            f"network {network!r}: the 8x8 digits require {_DIGIT_PIXELS} inputs and at least "
            f"{_DIGITS} outputs, got {inputs} and {classes}"
        )
    # One sample of an activation or an error waits there.
    beats = -(-max(len(layer.bias.values) for layer in layers) // columns)
    try:
        return CoreConfig(
            rows=rows,
            columns=columns,
            tensor_depth=1 << (beats - 1).bit_length(),
            loss_classes=max(64, classes),
        )
    except ValueError as error:
        raise InputError(f"a core of {rows}x{columns} for network {network!r}: {error}") from error


def cosimulate(
    *,
    network: str,
    array: tuple[int, int],
    simulator: str,
    steps: int = 1,
    batch: int = 16,
    seed: int = 0,
    idle: float = 0.0,
    stall: float = 0.0,
    waves: bool = False,
    coverage: bool = False,
    sources: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> CosimResult:
    """Train `steps` steps of `network` on the RTL, comparing bits with golden, cycles with hwmodel.

    Parameters
    ----------
    network:
        Built-in name or .onnx file that golden trains.
    array:
        Rows and columns.
    simulator:
        "verilator" or "icarus".
    steps, batch, seed:
        Training steps, samples a step (a power of two), and the seed of everything random.
    idle, stall:
        Chance per cycle of an idle source and of back-pressure; cycles then exceed the model's.
    waves, coverage:
        Keep a waveform; count line and toggle coverage (Verilator).
    sources:
        Verilog to simulate instead of what `rtl` emits for this array.
    tell:
        Called with a line about what happens next.

    Raises
    ------
    InputError
        Bad parameters, or a simulator that is missing or too old.
    CheckError
        The simulation ended without an outcome; the message says where its log is.
    """
    if Path(network).suffix == ".onnx":
        # The simulator runs in a folder of its own.
        network = str(Path(network).resolve())
    if steps < 1:
        raise InputError(f"steps must be at least 1, not {steps}")
    learning_rate_shift(batch)
    require(simulator)
    config = configure(network, array)
    if sources is None:
        # Imported here: emission brings Amaranth, which a mutated or a given source does without.
        from rtl.verilog import emit

        tell(f"emitting the {config.rows}x{config.columns} core")
        sources = emit(config)
    tell(f"building the {simulator} model")
    built = build(sources, simulator, waves=waves, coverage=coverage)
    job = Job(network, batch, steps, seed, dataclasses.asdict(config), idle, stall)
    tell(f"{'found it in the cache' if built.cached else 'built'}; training {steps} step(s)")
    return _simulate(job, built, waves=waves, coverage=coverage)


def _simulate(job: Job, built: Build, *, waves: bool, coverage: bool) -> CosimResult:
    runs = cache_folder() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=runs))
    keep = waves or coverage
    try:
        write(job, folder / "job.json")
        write_batches(*_batches(job), folder)
        try:
            get_runner(built.simulator).test(
                test_module="cosim.simulation",
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=built.folder,
                test_dir=folder,
                results_xml=str(folder / "results.xml"),
                log_file=folder / "simulation.log",
                timescale=None if built.simulator == "verilator" else TIMESCALE,
                waves=waves,
                plusargs=[f"+dumpfile_path={folder / 'eoq_core.fst'}"],
                seed=job.seed,
                extra_env={"EOQ_JOB": str(folder), "PYTHONWARNINGS": "ignore"},
            )
        except (RuntimeError, SystemExit) as error:
            keep = True
            raise CheckError(_failure(folder)) from error
        if not (folder / "outcome.json").exists():
            keep = True
            raise CheckError(_failure(folder))
        outcome = read_outcome(folder / "outcome.json")
        return CosimResult(
            job,
            built.simulator,
            built.version,
            outcome,
            next(iter([*folder.glob("*.fst"), *folder.glob("*.vcd")]), None),
            next(iter(folder.glob("coverage.dat")), None),
        )
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _batches(job: Job) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Digits for every step, in an order drawn from the seed, again from the start when used up."""
    digits = data.load("digits")
    order = np.random.default_rng(job.seed).permutation(len(digits.train))
    picked = np.resize(order, (job.steps, job.batch))
    codes = digits.quantize(digits.train.pixels[picked.reshape(-1)]).astype(np.int8)
    return codes.reshape(*picked.shape, *digits.shape), digits.train.labels[picked]


def _failure(folder: Path) -> str:
    """Return the last error in the simulator's log, and where the log is."""
    log = folder / "simulation.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if "Error" in line]
    said = errors[-1] if errors else (lines[-1].strip() if lines else "nothing in its log")
    return f"the simulation ended without a result: {said} (log: {log})"
