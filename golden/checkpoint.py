"""A training run on disk: one .npz file, replaced whole or not at all.

The file holds the arrays of a learner's state and a header in JSON that says which run they belong
to. Nothing in it is pickled. It is written beside the old one, flushed to the disk and moved over
it, so that at any instant of a kill one complete checkpoint is there.
"""

import dataclasses
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.archive import read_array
from golden.errors import InputError
from golden.files import whole_file
from golden.learner import State, sha256

__all__ = ["FILE_NAME", "Checkpoint", "Run", "read", "read_run", "write"]

FILE_NAME = "checkpoint.npz"

_FORMAT = "eoqkit checkpoint 1"
_HEADER = "header"
_MAX_CURVE = 100_000


@dataclass(frozen=True)
class Run:
    """What makes two training runs the same one.

    Members
    -------
    network, network_sha256:
        Name, and digest of its layers.
    data, data_sha256:
        Name, and digest of its images.
    scheme, epochs, batch, seed:
        How it is trained. The epochs are part of it because the learning rate's schedule is.
    """

    network: str
    network_sha256: str
    data: str
    data_sha256: str
    scheme: str
    epochs: int
    batch: int
    seed: int


@dataclass(frozen=True)
class Checkpoint:
    """The state after a number of epochs, with the validation accuracy after each."""

    run: Run
    curve: list[float]
    state: State

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.curve)


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint into `folder` over the one that is there."""
    header = {
        "format": _FORMAT,
        "run": dataclasses.asdict(checkpoint.run),
        "curve": checkpoint.curve,
        "sha256": sha256(checkpoint.state),
    }
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with whole_file(folder / FILE_NAME, alone=True) as file:
        np.savez(file, allow_pickle=False, **{_HEADER: text}, **checkpoint.state)


def read_run(folder: Path) -> Run:
    """Return which run a folder's checkpoint is of.

    Raises InputError when there is none, or it is damaged.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"checkpoint {path}: required a file that `eoq train` wrote, got none")
    try:
        with zipfile.ZipFile(path) as archive:
            found = _header(read_array(archive, _HEADER, path), path)["run"]
    except zipfile.BadZipFile as error:
        raise InputError(f"checkpoint {path}: required a complete file, got: {error}") from error
    kinds = {field.name: field.type for field in dataclasses.fields(Run)}
    if found.keys() != kinds.keys() or any(
        type(found[name]) is not kind for name, kind in kinds.items()
    ):
        raise InputError(f"checkpoint {path}: required the header of {_FORMAT!r}, got another")
    return Run(**found)


def read(folder: Path, run: Run, like: State) -> Checkpoint | None:
    """Return the checkpoint of a run; None where there is none yet.

    Parameters
    ----------
    folder:
        Where `write` put it.
    run:
        It must be a checkpoint of this run.
    like:
        A state with the names, shapes and types that it must have.

    Raises
    ------
    InputError
        One line: it is damaged, or of another run. The file stays as it is.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            header = _header(read_array(archive, _HEADER, path), path)
            _compare(header["run"], dataclasses.asdict(run), path)
            state = {name: read_array(archive, name, path) for name in like}
    except zipfile.BadZipFile as error:
        raise InputError(f"checkpoint {path}: required a complete file, got: {error}") from error
    for name, array in like.items():
        found = state[name]
        if (found.shape, found.dtype) != (array.shape, array.dtype):
            raise InputError(
                f"checkpoint {path}: {name} must be {array.dtype} of shape {array.shape}, "
                f"not {found.dtype} of shape {found.shape}"
            )
    if sha256(state) != header["sha256"]:
        raise InputError(f"checkpoint {path}: required arrays of the header's digest, got others")
    return Checkpoint(run, header["curve"], state)


def _header(text: NDArray, path: Path) -> dict:
    """Return the header, with the fields that it must have."""
    try:
        header = json.loads(text.astype(np.uint8).tobytes())
        complete = header["format"] == _FORMAT and isinstance(header["run"], dict)
        curve = header["curve"]
        complete &= isinstance(header["sha256"], str) and 0 < len(curve) <= _MAX_CURVE
        complete &= all(isinstance(value, float) and 0 <= value <= 1 for value in curve)
    except (ValueError, KeyError, TypeError, RecursionError):
        complete = False
    if not complete:
        raise InputError(f"checkpoint {path}: required the header of {_FORMAT!r}, got another")
    return header


def _compare(found: dict, wanted: dict[str, object], path: Path) -> None:
    for field, value in wanted.items():
        if found.get(field) != value:
            what = field.replace("_sha256", "'s content (SHA-256)")
            raise InputError(
                f"checkpoint {path}: {what} must be {value}, not {str(found.get(field))[:80]}; "
                "give another folder or the settings it was made with"
            )
