"""`cosimulate`: training steps on the simulated core, held against golden and the cost model."""

import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from cosim.core_build import require
from cosim.core_run import CoreRun, Watch, Waves, simulate
from cosim.cosim_result import CosimResult, Step
from cosim.functional_bins import Hits
from cosim.mismatch import first_mismatch
from cosim.prepared_run import PreparedRun, parameters_that_differ, prepare, references
from cosim.step_check import check_trace, measured_times
from cosim.time_bins import time_bins
from cosim.value_bins import program_bins
from golden.errors import CheckError, InputError
from golden.network import Network
from golden.training import learning_rate_shift
from hwmodel.program_cycles import BUS_LATENCY, ProgramTimes
from rtl.cache import cache_folder
from rtl.config import CoreConfig
from rtl.dma_instructions import Store
from rtl.instructions import Fault

__all__ = ["cosimulate"]

_T = TypeVar("_T")


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
        One of `cosim.core_build.SIMULATORS`.
    steps, batch, seed:
        Training steps, samples a step (a power of two), and the seed of everything random.
    config:
        A core with memories of the user's own; by default the smallest that fit.
    halvings:
        How often the learning rate was halved.
    parameters:
        One of `cosim.extreme_parameters.PARAMETERS`: what the step starts from.
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
    job = prepare(network, array, steps, batch, seed, config, halvings, parameters, abort_after,
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
    beside = _beside(lambda: references(job))
    try:
        simulated = run(None, Waves(wave_file) if wave_file else None)
        expected = beside.result()
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
        Step(todo, measured_times(job.program, ran), check_trace(job.program, todo, ran, times))
        for todo, ran in zip(expected, simulated.programs, strict=True)
    ]
    differ = parameters_that_differ(job, simulated)
    name = network.name if isinstance(network, Network) else str(network)
    mismatch = first_mismatch(job, results, differ, run, f"{name} on {array[0]}x{array[1]}")
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


def _hits(
    job: PreparedRun, predicted: ProgramTimes, steps: list[Step], run: CoreRun, *, aborted: bool
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
