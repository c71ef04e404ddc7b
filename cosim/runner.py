"""`cosimulate`: training steps on the simulated core, held against golden and the cost model."""

import math
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cosim.core_build import SIMULATORS, require
from cosim.core_fit import fit_core
from cosim.core_run import Copy, CoreRun, Execute, Watch, Waves, append_program, simulate
from cosim.dealing_order import dealt_ahead
from cosim.extreme_parameters import PARAMETERS, set_parameters
from cosim.functional_bins import Hits
from cosim.machine import Machine
from cosim.step_check import (
    StepReference,
    WordDifference,
    check_trace,
    measured_times,
    reference,
)
from cosim.time_bins import time_bins
from cosim.value_bins import program_bins
from golden import data, networks
from golden.errors import CheckError, InputError
from golden.initialization import build as build_model
from golden.network import Network
from golden.schemes import EOQ
from golden.training import Model, learning_rate_shift
from hwmodel.lowering.program import StepProgram, compile_step
from hwmodel.program_cycles import BUS_LATENCY, ProgramTimes
from rtl.cache import cache_folder
from rtl.config import CoreConfig
from rtl.dma_instructions import Store
from rtl.instructions import Fault

__all__ = ["PARAMETERS", "SIMULATORS", "CosimResult", "configure", "cosimulate"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Step:
    """One step's comparison.

    Members
    -------
    reference:
        What it had to do.
    times:
        Measured.
    differences:
        Words that did something else, or at another time.
    """

    reference: StepReference
    times: ProgramTimes
    differences: list[WordDifference]


@dataclass(frozen=True)
class CosimResult:
    """A finished co-simulation.

    Members
    -------
    network, array, batch, seed, simulator, simulator_version:
        What was run, on what.
    program, times:
        The step's program and what the model says about it.
    steps:
        One a training step.
    parameters_differ:
        Parameters that are not golden's at the end.
    mismatch:
        First difference, in words, with the command that shows it again; None if there is none.
    seconds:
        Wall time of the simulation.
    macs_utilization:
        Of the program by the model: multiplications an array cycle.
    waves, coverage:
        Files that were asked for, or that a mismatch left.
    functional_coverage:
        How often each of `cosim.functional_bins.BINS` was hit.
    """

    network: str
    config: CoreConfig
    batch: int
    seed: int
    simulator: str
    simulator_version: str
    program: StepProgram
    times: ProgramTimes
    steps: list[Step]
    parameters_differ: list[str]
    counters: list[dict[str, int]]
    seconds: float
    mismatch: str | None = None
    waves: Path | None = None
    coverage: Path | None = None
    functional_coverage: Hits = field(default_factory=Counter)

    @property
    def array(self) -> str:
        """Rows x columns."""
        return f"{self.config.rows}x{self.config.columns}"

    @property
    def mismatches(self) -> int:
        """Words that wrote something else, and tensors and parameters that are not golden's."""
        wrong = sum(
            len(step.reference.differences) + sum(d.what != "cycles" for d in step.differences)
            for step in self.steps
        )
        return wrong + len(self.parameters_differ)

    @property
    def passed(self) -> bool:
        """Every bit and every cycle agrees."""
        return not self.mismatches and not any(step.differences for step in self.steps)

    @property
    def instructions(self) -> pd.DataFrame:
        """Cycles of the first step by layer, phase and kind of word, measured and predicted."""
        rows = []
        measured, predicted = self.steps[0].times, self.times
        for number, entry in self.program.entries():
            rows.append(
                {
                    "layer": entry.label.layer,
                    "phase": entry.label.phase,
                    "unit": entry.word.unit.name.lower(),
                    "instruction": type(entry.word).__name__,
                    "count": 1,
                    "cycles_rtl": measured.duration(number),
                    "cycles_model": predicted.duration(number),
                }
            )
        frame = pd.DataFrame(rows)
        keys = ["layer", "phase", "unit", "instruction"]
        return frame.groupby(keys, sort=False, as_index=False).sum()

    def summary(self) -> dict[str, Any]:
        """Return the keys of `eoq cosim --json`."""
        rtl = sum(step.times.cycles for step in self.steps)
        model = self.times.cycles * len(self.steps)
        size = self.config.rows * self.config.columns
        macs = self.program.macs * len(self.steps)
        return {
            "passed": self.passed,
            "mismatches": self.mismatches,
            "first_mismatch": self.mismatch,
            "tensors": sum(step.reference.tensors for step in self.steps),
            "elements": sum(step.reference.elements for step in self.steps),
            "instructions": len(self.program.words) * len(self.steps),
            "cycles_rtl": rtl,
            "cycles_model": model,
            "instructions_with_wrong_cycles": sum(
                d.what == "cycles" for step in self.steps for d in step.differences
            ),
            "mac_utilization": macs / (rtl * size) if rtl else 0.0,
            "sim_cycles_per_second": rtl / max(self.seconds, 1e-9),
            "seed": self.seed,
            "simulator": self.simulator,
            "simulator_version": self.simulator_version,
            "network": self.network,
            "array": self.array,
            "batch": self.batch,
            "steps": len(self.steps),
        }


def load_network(network: str | Path | Network) -> Network:
    """Return a network for the 8x8 digits. InputError if it is none."""
    digits = data.load("digits")
    if not isinstance(network, Network) and Path(network).suffix.lower() != ".onnx":
        return networks.load(network, input_shape=digits.shape, classes=digits.classes)
    found = network if isinstance(network, Network) else networks.load(network)
    inputs, outputs = math.prod(found.input_shape), found.shape_of(found.output)
    if inputs != math.prod(digits.shape) or math.prod(outputs) < digits.classes:
        raise InputError(
            f"network {found.name!r}: the 8x8 digits require {math.prod(digits.shape)} inputs and "
            f"at least {digits.classes} outputs, got {inputs} and {math.prod(outputs)}"
        )
    return found


def configure(network: str | Path | Network, array: tuple[int, int], batch: int = 16) -> CoreConfig:
    """Return the smallest core of that array that trains the network on the digits.

    Raises InputError for a network that the core cannot train, or an array no core can have.
    """
    model = build_model(EOQ.rewrite(load_network(network)), seed=0)
    return fit_core(model, array, batch)


@dataclass
class _Job:
    """Everything of a run that is known before it."""

    model: Model
    config: CoreConfig
    program: StepProgram
    codes: NDArray[np.int8]
    labels: NDArray[np.int64]
    image: bytes
    actions: list[Copy | Execute]
    machine: Machine
    halvings: int
    outside: NDArray[np.uint8]
    batches: list[NDArray[np.uint8]] = field(default_factory=list)


def cosimulate(
    *,
    network: str | Path | Network,
    array: tuple[int, int],
    simulator: str = "verilator",
    steps: int = 1,
    batch: int = 16,
    seed: int = 0,
    config: CoreConfig | None = None,
    halvings: int = 0,
    parameters: str = "initial",
    latency: int = BUS_LATENCY,
    abort_after: int | None = None,
    order: str = "compiled",
    again: str | None = None,
    waves: bool = False,
    coverage: bool = False,
    variant: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> CosimResult:
    """Train some steps of a network on the core; compare bits with golden, cycles with hwmodel.

    Parameters
    ----------
    network:
        Built-in name, .onnx file, or a network for the 8x8 digits.
    array:
        Rows and columns.
    simulator:
        One of `SIMULATORS`.
    steps, batch, seed:
        Training steps, samples a step (a power of two), and the seed of everything random.
    config:
        A core with memories of the user's own; by default the smallest that fit.
    halvings:
        How often the learning rate was halved.
    parameters:
        One of `PARAMETERS`: what the step starts from.
    latency:
        Of the memory behind the bus, in cycles.
    abort_after:
        Start the first step once more in front of it, and stop that after so many cycles, before
        it writes to the memory behind the bus.
    order:
        One of `cosim.dealing_order.ORDERS`: which unit's words are dealt out as early as can be.
    again:
        Command that runs this again, for the report of a mismatch; by default `eoq cosim` with the
        network, the array, the batch and the seed.
    waves, coverage:
        Keep a waveform; count line and toggle coverage (Verilator).
    variant:
        Name of a core that is not what the sources say (tests of what is caught).
    tell:
        Called with a line about what happens next.

    Raises
    ------
    InputError
        Bad parameters, or a simulator that is missing or too old.
    CheckError
        The simulation ended without a result.
    """
    if steps < 1:
        raise InputError(f"steps must be at least 1, not {steps}")
    learning_rate_shift(batch)
    version = require(simulator)
    tell("compiling the step")
    job = _prepare(network, array, steps, batch, seed, config, halvings, parameters, abort_after,
                   order)  # fmt: skip
    folder = _folder() if waves or coverage else None
    wave_file = folder / "core.fst" if folder and waves else None
    coverage_file = folder / "coverage.dat" if folder and coverage else None

    def run(watch: Watch | None = None, window: Waves | None = None) -> CoreRun:
        if watch is not None and abort_after is not None:
            watch = replace(watch, program=watch.program + 1)
        return simulate(
            job.config, job.image, job.actions, simulator=simulator, latency=latency,
            patience=4 * times.cycles + 100_000, watch=watch, waves=window,
            coverage=coverage_file, variant=variant, tell=tell,
        )  # fmt: skip

    times = job.program.times(latency)
    stores = [n for n, word in enumerate(job.program.words) if isinstance(word, Store)]
    latest = min(int(times.taken[number]) for number in stores)
    if abort_after is not None and not 0 < abort_after < latest:
        raise InputError(
            f"abort_after must be 1 to {latest - 1} cycles, before anything is stored, not "
            f"{abort_after}"
        )
    started = perf_counter()
    beside = _beside(lambda: _references(job))
    try:
        simulated = run(None, Waves(wave_file) if wave_file else None)
        references = beside.result()
    except BaseException:
        # No half of a waveform stays.
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    aborted = [] if abort_after is None else [simulated.programs.pop(0)]
    if any(ran.fault is not Fault.ABORTED for ran in aborted):
        raise CheckError(f"a program that was to be stopped after {abort_after} cycles was not")
    seconds = simulated.seconds or perf_counter() - started
    results = [
        Step(
            expected,
            measured_times(job.program, ran),
            check_trace(job.program, expected, ran, times),
        )
        for expected, ran in zip(references, simulated.programs, strict=True)
    ]
    differ = _parameters_that_differ(job, simulated)
    name = network.name if isinstance(network, Network) else str(network)
    mismatch = _first_mismatch(job, results, differ, run, f"{name} on {array[0]}x{array[1]}")
    if mismatch is not None:
        again = again or (
            f"eoq cosim --network {name} --array {array[0]}x{array[1]} --sim {simulator} "
            f"--steps {steps} --batch {batch} --seed {seed}"
        )
        mismatch += f"; again with: {again}"
    return CosimResult(
        name, job.config, batch, seed, simulator, version, job.program, times, results, differ,
        [ran.counters for ran in simulated.programs], seconds, mismatch, wave_file, coverage_file,
        _hits(job, times, results, simulated, aborted=bool(aborted)),
    )  # fmt: skip


def _beside(work: Callable[[], _T]) -> "Future[_T]":
    """Do something while a simulation, a process of its own, runs.

    Ctrl-C does not wait for the thread, as it would for one of an executor.
    """
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _folder() -> Path:
    runs = cache_folder() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="run-", dir=runs))


def _prepare(
    network: str | Path | Network, array: tuple[int, int], steps: int, batch: int, seed: int,
    config: CoreConfig | None, halvings: int, parameters: str, abort_after: int | None, order: str,
) -> _Job:  # fmt: skip
    model = build_model(EOQ.rewrite(load_network(network)), seed)
    config = config or fit_core(model, array, batch)
    set_parameters(model, parameters, seed)
    program = dealt_ahead(compile_step(model, config, batch, halvings=halvings), order)
    codes, labels = _batches(steps, batch, seed)
    codes = codes.reshape(steps, batch, *model.network.input_shape)
    lowered = program.lowered
    outside = lowered.parameter_memory(model)
    slot = lowered.batch_size
    batches = [lowered.batch(*part) for part in zip(codes, labels, strict=True)]
    image = outside.tobytes() + b"".join(part.tobytes() for part in batches)
    image, start = append_program(image, program.words)
    actions: list[Copy | Execute] = []
    if abort_after is not None:
        actions += [Copy(len(outside), 0, slot), Execute(start, len(program.words), abort_after)]
    for step in range(steps):
        actions += [
            Copy(len(outside) + step * slot, 0, slot),
            Execute(start, len(program.words)),
        ]
    return _Job(model, config, program, codes, labels, image, actions,
                Machine(config, outside.copy()), halvings, outside, batches)  # fmt: skip


def _references(job: _Job) -> "list[StepReference]":
    """What every step has to do; trains golden's model on the way."""
    machine = job.machine
    found = []
    for codes, labels, part in zip(job.codes, job.labels, job.batches, strict=True):
        k = learning_rate_shift(len(codes))
        trace = job.model.step(codes, labels, k, job.halvings)
        machine.outside[: len(part)] = part
        found.append(reference(job.program, machine, trace))
    return found


def _hits(
    job: _Job, predicted: ProgramTimes, steps: list[Step], run: CoreRun, *, aborted: bool
) -> Hits:
    hits = job.machine.bins.hits + program_bins(job.program)
    for number, (step, ran) in enumerate(zip(steps, run.programs, strict=True)):
        if step.differences:
            # What was not done as it should be has no times to count.
            continue
        hits += time_bins(job.program, predicted, step.times, ran)
        hits["program after a program"] += number > 0
        hits["program after an abort"] += number == 0 and aborted
    return +hits


def _parameters_that_differ(job: _Job, run: CoreRun) -> list[str]:
    lowered = job.program.lowered
    outside = np.frombuffer(run.memory, dtype=np.uint8)[: len(job.outside)]
    wrong = [
        f"{layer}.{what}"
        for (layer, what), (values, momentum) in lowered.learned(outside).items()
        if (values != job.model.layers[layer].learned[what].values).any()
        or (momentum != job.model.layers[layer].learned[what].momentum).any()
    ]
    if lowered.state(outside) != job.model.state:
        wrong.append("random state")
    return wrong


def _first_mismatch(
    job: _Job, steps: list[Step], differ: list[str], run: Callable[..., CoreRun], what: str
) -> str | None:
    """Say where it went wrong first; a second simulation says which element."""
    for number, step in enumerate(steps):
        if step.reference.differences:
            return f"step {number}, program against golden: {step.reference.differences[0]}"
        if not step.differences:
            continue
        kinds = ("fault", "bits", "cycles")
        first = min(step.differences, key=lambda d: (kinds.index(d.what), d.number))
        text = f"step {number}, {first.text}"
        return text + (_element(job, number, first, run) if first.what == "bits" else "")
    return f"{what}: {differ[0]} is not golden's at the end" if differ else None


def _element(job: _Job, step: int, wrong: WordDifference, run: Callable[..., CoreRun]) -> str:
    """Which address, what was expected there and what was got, and a waveform around it."""
    machine = Machine(job.config, job.outside.copy())
    for part in job.batches[: step + 1]:
        machine.outside[: len(part)] = part
        last = part is job.batches[step]
        written = None
        for number, word in enumerate(job.program.words[:-1]):
            written = machine.execute(word)
            if last and number == wrong.number:
                break
    assert written is not None  # noqa: S101 - a program has words
    expected = {("byte", int(a)): int(v) for a, v in zip(written.addresses, written.bytes,
                                                         strict=True)}  # fmt: skip
    for word, sums in zip(written.words, written.sums, strict=True):
        for lane, value in enumerate(sums):
            expected["sum", 32 * int(word) + lane] = int(value)
    got = run(Watch(step, wrong.unit, wrong.place)).writes
    for kind, address in sorted(expected.keys() | got.keys()):
        want, found = expected.get((kind, address)), got.get((kind, address))
        if want != found:
            place = f"byte {address}" if kind == "byte" else (
                f"results word {address // 32}, lane {address % 32}"
            )  # fmt: skip
            return f"; {place}: expected {_said(want)}, got {_said(found)}"
    return ""


def _said(value: int | None) -> str:
    return "no write" if value is None else str(value)


def _batches(steps: int, batch: int, seed: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Digits for every step, in an order drawn from the seed, again from the start when used up."""
    digits = data.load("digits")
    order = np.random.default_rng(seed).permutation(len(digits.train))
    picked = np.resize(order, (steps, batch))
    codes = digits.quantize(digits.train.pixels[picked.reshape(-1)]).astype(np.int8)
    return codes.reshape(*picked.shape, *digits.shape), digits.train.labels[picked]
