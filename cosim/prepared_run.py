"""`PreparedRun`: all of a co-simulation that is known before it, and what it has to leave."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cosim.core_fit import fit_core
from cosim.core_run import Copy, CoreRun, Execute, append_program
from cosim.dealing_order import dealt_ahead
from cosim.extreme_parameters import set_parameters
from cosim.machine import Machine
from cosim.step_check import StepReference, reference
from golden import data, networks
from golden.errors import InputError
from golden.initialization import build as build_model
from golden.network import Network
from golden.schemes import EOQ
from golden.training import Model, learning_rate_shift
from hwmodel.lowering.program import StepProgram, compile_step
from rtl.config import CoreConfig

__all__ = ["PreparedRun", "configure", "parameters_that_differ", "prepare", "references"]


@dataclass
class PreparedRun:
    """A run that has not begun.

    Members
    -------
    model:
        Golden's, which `references` trains.
    config, program:
        The core and one step's program.
    codes, labels:
        Pixels (steps, batch, ...) and classes (steps, batch).
    image, actions:
        The memory behind the bus at the start, and what the host does.
    machine:
        The instruction set's model, as the core is before the first step.
    halvings:
        Of the learning rate.
    outside, batches:
        Parameters in memory, and each step's pixels and labels as they lie in front of them.
    """

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
    batches: list[NDArray[np.uint8]]


def configure(network: str | Path | Network, array: tuple[int, int], batch: int = 16) -> CoreConfig:
    """Return the smallest core of that array that trains the network on the digits.

    Raises InputError for a network that the core cannot train, or an array no core can have.
    """
    model = build_model(EOQ.rewrite(_load_network(network)), seed=0)
    return fit_core(model, array, batch)


def prepare(
    network: str | Path | Network, array: tuple[int, int], steps: int, batch: int, seed: int,
    config: CoreConfig | None, halvings: int, parameters: str, abort_after: int | None, order: str,
) -> PreparedRun:  # fmt: skip
    """Build the model and the core, compile a step, and lay the memory out.

    Parameters and errors are those of `cosim.runner.cosimulate`.
    """
    model = build_model(EOQ.rewrite(_load_network(network)), seed)
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
    return PreparedRun(model, config, program, codes, labels, image, actions,
                Machine(config, outside.copy()), halvings, outside, batches)  # fmt: skip


def references(job: PreparedRun) -> list[StepReference]:
    """What every step has to do; trains golden's model on the way."""
    machine = job.machine
    found = []
    for codes, labels, part in zip(job.codes, job.labels, job.batches, strict=True):
        k = learning_rate_shift(len(codes))
        trace = job.model.step(codes, labels, k, job.halvings)
        machine.outside[: len(part)] = part
        found.append(reference(job.program, machine, trace))
    return found


def parameters_that_differ(job: PreparedRun, run: CoreRun) -> list[str]:
    """Name what is not golden's in the memory that a run leaves; `references` comes before."""
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


def _load_network(network: str | Path | Network) -> Network:
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


def _batches(steps: int, batch: int, seed: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Digits for every step, in an order drawn from the seed, again from the start when used up."""
    digits = data.load("digits")
    order = np.random.default_rng(seed).permutation(len(digits.train))
    picked = np.resize(order, (steps, batch))
    codes = digits.quantize(digits.train.pixels[picked.reshape(-1)]).astype(np.int8)
    return codes.reshape(*picked.shape, *digits.shape), digits.train.labels[picked]
