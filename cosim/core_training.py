"""`train_on_core`: a network learns on the simulated core, epoch by epoch, beside golden.

No tensor is compared on the way: after every epoch the parameters that the core left in memory are
golden's or the run ends. The cycles of every step are the model's or the run ends.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosim.core_build import require
from cosim.core_fit import fit_core
from cosim.core_run import Copy, CoreRun, Execute, append_program, simulate
from golden import checkpoint
from golden.checkpoint import Checkpoint, Run
from golden.data import Dataset
from golden.errors import CheckError, InputError
from golden.learner import IntegerLearner, sha256
from golden.network import Network
from golden.optimizer import MAX_HALVINGS
from golden.trainer import (
    Outcome,
    accuracy,
    annealing_shift,
    check_seed,
    epoch_order,
    network_sha256,
    resume,
)
from golden.training import learning_rate_shift
from hwmodel.lowering.program import StepProgram, compile_step
from hwmodel.program_cycles import BUS_LATENCY
from rtl.config import CoreConfig

__all__ = ["Epoch", "TrainedOnCore", "train_on_core"]


@dataclass(frozen=True)
class Epoch:
    """One epoch on the core.

    Members
    -------
    validation_accuracy:
        With the parameters that the core has learned.
    parameters_sha256:
        `golden.learner.sha256` of them; golden's are the same.
    cycles:
        Of the core, over all steps; the model's are the same.
    seconds:
        Of the simulator.
    """

    validation_accuracy: float
    parameters_sha256: str
    cycles: int
    seconds: float


@dataclass(frozen=True)
class TrainedOnCore:
    """A finished run.

    Members
    -------
    outcome:
        As of a run without the core, with the core's parameters.
    config:
        The core.
    simulator, simulator_version:
        What simulated it.
    epochs:
        Those of this run, behind the ones that a checkpoint had done.
    """

    outcome: Outcome
    config: CoreConfig
    simulator: str
    simulator_version: str
    epochs: list[Epoch]


def train_on_core(
    network: Network,
    dataset: Dataset,
    *,
    array: tuple[int, int],
    epochs: int,
    batch: int = 16,
    seed: int = 0,
    simulator: str = "verilator",
    folder: Path | None = None,
    report: Callable[[int, int, float | None], None] | None = None,
) -> TrainedOnCore:
    """Train on the core as `golden.trainer.train` does: order, schedule and checkpoints are its.

    Parameters
    ----------
    network, dataset, epochs, batch, seed, folder:
        As there.
    array:
        Rows and columns of the core.
    simulator:
        One of `cosim.core_build.SIMULATORS`.
    report:
        Told after every epoch: epochs done, epochs in all, validation accuracy.

    Raises
    ------
    InputError
        One line, before any work: what the core cannot run or a parameter that is out of range.
    CheckError
        The core's parameters are not golden's after an epoch, or its cycles not the model's.
    """
    version = require(simulator)
    check_seed(seed)
    if epochs < 1:
        raise InputError(f"epochs must be at least 1, not {epochs}")
    k, steps = learning_rate_shift(batch), len(dataset.train) // batch
    if not steps:
        raise InputError(f"batch must be at most {len(dataset.train)} images, not {batch}")
    core, golden = (IntegerLearner(network, dataset, seed) for _ in range(2))
    config = fit_core(core.model, array, batch)
    programs = [
        compile_step(core.model, config, batch, k=k, halvings=halvings)
        for halvings in range(MAX_HALVINGS + 1)
    ]
    predicted = [program.times().cycles for program in programs]
    run = Run(
        network.name, network_sha256(network), dataset.name, dataset.fingerprint, "eoq", epochs,
        batch, seed,
    )  # fmt: skip
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    curve = resume(core, run, folder)
    golden.restore(core.state())
    resumed, done = len(curve), []
    for epoch in range(resumed, epochs):
        order = epoch_order(seed, epoch, len(dataset.train))
        picks = [order[step * batch : (step + 1) * batch] for step in range(steps)]
        halvings = [annealing_shift(epoch * steps + step, epochs * steps) for step in range(steps)]

        def learn(picks: list = picks, halvings: list = halvings) -> None:
            for pick, halved in zip(picks, halvings, strict=True):
                golden.train(dataset.train[pick], k, halved)

        with ThreadPoolExecutor(max_workers=1) as pool:
            beside = pool.submit(learn)
            ran = _epoch(core, dataset, picks, halvings, programs, simulator)
            beside.result()
        for step, (program, halved) in enumerate(zip(ran.programs, halvings, strict=True)):
            if program.fault or program.cycles != predicted[halved]:
                raise CheckError(
                    f"epoch {epoch + 1}, step {step}: fault {program.fault.name}, "
                    f"{program.cycles} cycles; the model says {predicted[halved]}"
                )
        _keep(core, programs[0], ran)
        digest = sha256(core.parameters())
        if digest != sha256(golden.parameters()) or core.model.state != golden.model.state:
            raise CheckError(f"epoch {epoch + 1}: the core's parameters are not golden's")
        curve.append(accuracy(core, dataset.validation))
        cycles = sum(predicted[halved] for halved in halvings)
        done.append(Epoch(curve[-1], digest, cycles, ran.seconds))
        if folder is not None:
            checkpoint.write(folder, Checkpoint(run, curve, core.state()))
        if report is not None:
            report(epoch + 1, epochs, curve[-1])
    outcome = Outcome(
        accuracy(core, dataset.test), curve, sha256(core.parameters()), steps,
        len(dataset.train) - steps * batch, resumed, core.state(),
    )  # fmt: skip
    return TrainedOnCore(outcome, config, simulator, version, done)


def _epoch(
    core: IntegerLearner, dataset: Dataset, picks: list, halvings: list[int],
    programs: list[StepProgram], simulator: str,
) -> CoreRun:  # fmt: skip
    """All steps of an epoch in one simulation."""
    lowered = programs[0].lowered
    shape = (-1, *core.model.network.input_shape)
    parts = []
    for pick in picks:
        codes = dataset.quantize(dataset.train.pixels[pick]).astype(np.int8).reshape(shape)
        parts.append(lowered.batch(codes, dataset.train.labels[pick]))
    outside = lowered.parameter_memory(core.model)
    image = outside.tobytes() + b"".join(part.tobytes() for part in parts)
    where = {}
    for halved in sorted(set(halvings)):
        image, where[halved] = append_program(image, programs[halved].words)
    actions: list[Copy | Execute] = []
    for step, halved in enumerate(halvings):
        size = lowered.batch_size
        actions += [
            Copy(len(outside) + step * size, 0, size),
            Execute(where[halved], len(programs[halved].words)),
        ]
    return simulate(
        lowered.config, image, actions, simulator=simulator, latency=BUS_LATENCY, observed=False,
        optimized=True,
    )  # fmt: skip


def _keep(core: IntegerLearner, program: StepProgram, ran: CoreRun) -> None:
    """Take the parameters that the core left in memory."""
    lowered = program.lowered
    outside = np.frombuffer(ran.memory, dtype=np.uint8)[: lowered.outside_bytes]
    for (layer, what), (values, momentum) in lowered.learned(outside).items():
        learned = core.model.layers[layer].learned[what]
        learned.values = values.astype(learned.values.dtype)
        learned.momentum = momentum.astype(learned.momentum.dtype)
    core.model.state = lowered.state(outside)
