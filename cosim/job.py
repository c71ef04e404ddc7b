"""What a simulation is asked to do and what it found: files between runner and simulator."""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Job", "Outcome", "read_batches", "read_job", "read_outcome", "write", "write_batches"]


@dataclass(frozen=True)
class Job:
    """A run of training steps on one built core.

    Parameters
    ----------
    network, batch, steps, seed:
        Built-in name or .onnx path; power of two; training steps; seed of data order, initial
        weights, random bits and stalls.
    config:
        Keyword arguments of `rtl.config.CoreConfig`.
    idle, stall:
        Chance, per cycle, of an idle source and of back-pressure.
    """

    network: str
    batch: int
    steps: int
    seed: int
    config: dict[str, int]
    idle: float = 0.0
    stall: float = 0.0


@dataclass
class Outcome:
    """What the simulation found.

    Members
    -------
    mismatch:
        First difference, in words, or None.
    mismatches:
        Elements that differ in that tensor.
    instructions, tensors:
        Rows of `cosim.device.Record` and `cosim.scoreboard.TensorRecord`.
    cycles, seconds:
        All clock cycles simulated after reset, and the wall time they took.
    """

    mismatch: str | None = None
    mismatches: int = 0
    instructions: list[dict[str, Any]] = field(default_factory=list)
    tensors: list[dict[str, Any]] = field(default_factory=list)
    cycles: int = 0
    seconds: float = 0.0


def write(value: Job | Outcome, path: Path) -> None:
    """Write as JSON, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(dataclasses.asdict(value)))
    temporary.replace(path)


def write_batches(codes: NDArray[np.int8], labels: NDArray[np.int64], folder: Path) -> None:
    """Write the inputs (steps, batch, ...) and classes (steps, batch) of a job."""
    np.savez(folder / "batches.npz", codes=codes, labels=labels)


def read_batches(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what `write_batches` wrote: the simulator need not load a data set's library."""
    with np.load(folder / "batches.npz", allow_pickle=False) as stored:
        return stored["codes"].astype(np.int64), stored["labels"]


def read_job(path: Path) -> Job:
    """Return the job in a file that `write` made."""
    return Job(**json.loads(path.read_text()))


def read_outcome(path: Path) -> Outcome:
    """Return the outcome in a file that `write` made."""
    return Outcome(**json.loads(path.read_text()))
