"""A user's own images: an .npz file with x and y, and nothing in it that could run."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from golden.data import Dataset, Images, make_dataset, parts
from golden.errors import InputError

__all__ = ["MAX_BYTES", "read_archive", "read_array"]

MAX_BYTES = 1 << 31
"""Longest array that is read from a file (our choice)."""


def read_archive(path: Path) -> Dataset:
    """Return the images of an .npz file; a fifth is for the test, a tenth for validation.

    Parameters
    ----------
    path:
        x: whole numbers 0 to 255, (images, height, width) or (images, channels, height, width);
        y: whole numbers from 0 on, (images,). Every class has an image to train on.

    Raises
    ------
    InputError
        One line that says what is wrong with the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            x, y = (read_array(archive, name, path) for name in ("x", "y"))
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: required an .npz file, got: {error}") from error
    if np.issubdtype(x.dtype, np.floating) and np.isnan(x).any():
        raise InputError(f"{path}: x must be whole numbers 0 to 255, and has NaN")
    if not np.issubdtype(x.dtype, np.integer):
        raise InputError(f"{path}: x must be whole numbers 0 to 255 (uint8), not {x.dtype}")
    if x.ndim == 3:
        x = x[:, None]
    if x.ndim != 4 or not x.size:
        raise InputError(
            f"{path}: x must be (images, height, width) or (images, channels, height, width), "
            f"not of shape {x.shape}"
        )
    if x.dtype != np.uint8 and (x.min() < 0 or x.max() > 255):
        raise InputError(f"{path}: x must be 0 to 255, not {x.min()} to {x.max()}")
    if not np.issubdtype(y.dtype, np.integer):
        raise InputError(f"{path}: y must be whole numbers, not {y.dtype}")
    if y.shape != (len(x),):
        raise InputError(f"{path}: y must be of shape ({len(x)},) for x {x.shape}, not {y.shape}")
    if int(y.max()) > np.iinfo(np.int64).max:
        raise InputError(f"{path}: y must be labels, not {y.max()}")
    images = Images(x.astype(np.uint8), y.astype(np.int64))
    count = len(images)
    test, validation = count // 5, count // 10
    held, rest, train = parts(count, test, validation)
    return make_dataset(path.name, images[train], images[rest], images[held])


def read_array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray:
    """Return one array of an .npz file, bounded in size and without pickle."""
    member = f"{name}.npy"
    try:
        info = archive.getinfo(member)
    except KeyError:
        got = ", ".join(sorted(archive.namelist())[:8]) or "nothing"
        raise InputError(f"{path}: required an array {name}, got {got}") from None
    if info.file_size > MAX_BYTES:
        raise InputError(
            f"{path}: array {name} must be at most {MAX_BYTES} bytes, not {info.file_size}"
        )
    try:
        with archive.open(info) as file:
            shape, dtype = _header(file)
            # Checked before memory is asked for: a header may claim anything.
            if dtype.hasobject or dtype.fields:
                raise InputError(f"{path}: array {name} must be numbers, not {dtype}")
            size = int(np.prod([dtype.itemsize, *shape], dtype=object))
            if size > info.file_size:
                raise InputError(f"{path}: array {name} must have {size} bytes, and is cut short")
        with archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: array {name} is damaged: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: array {name} cannot be read: {error}") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype
