"""Fashion-MNIST, from the four idx files in which it is published.

The format follows "the IDX file format" on the MNIST page (LeCun, Cortes, Burges): two zero bytes,
the type (8: unsigned byte), the number of dimensions, each dimension as 32 bits big-endian, data.
"""

import gzip
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.data import Dataset, Images, make_dataset, parts
from golden.errors import InputError

__all__ = ["DEBIAN_FOLDER", "FOLDER_VARIABLE", "fashion_mnist", "read_idx"]

DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"
"""Where Debian's package dataset-fashion-mnist puts the files."""

FOLDER_VARIABLE = "EOQ_FASHION_MNIST"
"""Environment variable that names another folder."""

_VALIDATION = 5000
"""Images of the training files that are kept for validation (our choice)."""

_MAX_BYTES = 1 << 30
_MAX_SIDE = 1024


def fashion_mnist(folder: str | None = None) -> Dataset:
    """Return Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747) or any set in its files.

    Of the 60,000 training images 5,000, always the same, are the validation part.

    Parameters
    ----------
    folder:
        With train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two for t10k, compressed
        (.gz) or not. By default what `FOLDER_VARIABLE` says, otherwise `DEBIAN_FOLDER`.
    """
    path = Path(folder or os.environ.get(FOLDER_VARIABLE) or DEBIAN_FOLDER)
    if not path.is_dir():
        raise InputError(
            f"fashion-mnist requires the folder of its idx files: install the Debian package "
            f"dataset-fashion-mnist, set {FOLDER_VARIABLE}, or give fashion-mnist:DIR; "
            f"{str(path)[:200]!r} is no folder"
        )
    known, test = (_images(path, prefix) for prefix in ("train", "t10k"))
    if len(known) <= _VALIDATION:
        raise InputError(
            f"fashion-mnist must have more than {_VALIDATION} training images, not {len(known)}"
        )
    train, validation = parts(len(known), len(known) - _VALIDATION)
    # Sorted, so that an image keeps its place among its neighbours; epochs shuffle anyway.
    return make_dataset("fashion-mnist", known[np.sort(train)], known[np.sort(validation)], test)


def _images(folder: Path, prefix: str) -> Images:
    pixels = read_idx(_find(folder, f"{prefix}-images-idx3-ubyte"), 3)
    path = _find(folder, f"{prefix}-labels-idx1-ubyte")
    labels = read_idx(path, 1)
    if len(labels) != len(pixels):
        raise InputError(f"{path}: required {len(pixels)} labels, got {len(labels)}")
    return Images(pixels[:, None], labels.astype(np.int64))


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise InputError(f"fashion-mnist requires {name} or {name}.gz in {str(folder)[:200]!r}")


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the bytes of an idx file, compressed if its name ends in .gz.

    Raises InputError when it is not of unsigned bytes in so many `dimensions`, or is damaged.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            magic = file.read(4)
            if magic != bytes([0, 0, 8, dimensions]):
                raise InputError(
                    f"{path}: required an idx file of bytes in {dimensions} dimension(s), "
                    f"got one that begins with {magic.hex() or 'nothing'}"
                )
            header = file.read(4 * dimensions)
            shape = tuple(np.frombuffer(header[: len(header) // 4 * 4], ">u4").tolist())
            size = int(np.prod([1, *shape], dtype=object))
            if len(shape) < dimensions or not size or size > _MAX_BYTES:
                raise InputError(f"{path}: required 1 to {_MAX_BYTES} bytes, got shape {shape}")
            if any(side > _MAX_SIDE for side in shape[1:]):
                raise InputError(f"{path}: images must be at most {_MAX_SIDE} wide, not {shape}")
            # One byte more than there must be: a longer file is not what its header says.
            data = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: required a complete gzip file, got: {error}") from error
    if len(data) != size:
        got = "more" if len(data) > size else str(len(data))
        raise InputError(f"{path}: required {size} bytes of data, got {got}")
    return np.frombuffer(data, np.uint8).reshape(shape)
