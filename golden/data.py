"""Images to train on, as unsigned bytes, split once and for all.

A choice between variants is made on the validation part; the test part is read once.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.formats import Integers, saturate

__all__ = ["INPUT_EXPONENT", "MAX_CLASSES", "Dataset", "Images", "load", "make_dataset", "parts"]

INPUT_EXPONENT = 5
"""Exponent of a quantised pixel: (byte - mean) / 2 * 2**-5, so that inputs are of order one."""

MAX_CLASSES = 1000
"""More classes than this are a mistake in the labels (our choice)."""

_SPLIT_SEED = 2105
"""Seed of the shuffle that splits a data set which comes without a test part."""


@dataclass(frozen=True)
class Images:
    """Images, bytes of shape (n, channels, height, width), and their classes, shape (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: NDArray[np.int64] | slice) -> "Images":
        return Images(self.pixels[part], self.labels[part])


@dataclass(frozen=True)
class Dataset:
    """A named data set in three parts; `mean` is the training part's mean pixel, rounded."""

    name: str
    classes: int
    train: Images
    validation: Images
    test: Images
    mean: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image: (channels, height, width)."""
        channels, height, width = self.train.pixels.shape[1:]
        return channels, height, width

    @property
    def fingerprint(self) -> str:
        """SHA-256 of every pixel and label in the order of the parts: what a checkpoint is for."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(repr(part.pixels.shape).encode())
            digest.update(np.ascontiguousarray(part.pixels).data)
            digest.update(part.labels.astype("<i8").data)
        return digest.hexdigest()

    def quantize(self, pixels: NDArray[np.uint8]) -> Integers:
        """8-bit network input with exponent `INPUT_EXPONENT`."""
        return saturate((pixels.astype(np.int32) - self.mean) >> 1, 8)


def make_dataset(name: str, train: Images, validation: Images, test: Images) -> Dataset:
    """Return three parts as a data set, checked.

    Raises
    ------
    InputError
        Images are no bytes, their shapes differ, a label is missing, no whole number or out of
        range, or a class is without an image to train on.
    """
    for part in (train, validation, test):
        if part.pixels.dtype != np.uint8 or part.pixels.ndim != 4:
            raise InputError(
                f"data set {name}: images must be uint8 of shape (n, channels, height, width), "
                f"not {part.pixels.dtype} of shape {part.pixels.shape}"
            )
        if part.labels.shape != part.pixels.shape[:1] or part.labels.dtype.kind not in "iu":
            raise InputError(
                f"data set {name}: labels must be {len(part.pixels)} integers, one an image, not "
                f"{part.labels.dtype} of shape {part.labels.shape}"
            )
    shapes = [part.pixels.shape[1:] for part in (train, validation, test)]
    if len(set(shapes)) != 1:
        raise InputError(f"data set {name}: all images must have one shape, not {shapes}")
    labels = np.concatenate([part.labels for part in (train, validation, test)])
    if not len(train) or not len(validation) or not len(test):
        raise InputError(f"data set {name}: every part must have an image, and {len(labels)} "
                         "in all are too few")  # fmt: skip
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or not 1 <= high < MAX_CLASSES:
        raise InputError(
            f"data set {name}: labels must be 0 to classes - 1, with 2 to {MAX_CLASSES} classes, "
            f"not {low} to {high}"
        )
    counts = np.bincount(train.labels, minlength=high + 1)
    if not counts.all():
        raise InputError(
            f"data set {name}: every class from 0 to {high} must have an image in the training "
            f"part, and class {int(counts.argmin())} has none"
        )
    return Dataset(name, high + 1, train, validation, test, round(float(train.pixels.mean())))


def parts(count: int, *sizes: int) -> list[NDArray[np.int64]]:
    """Shuffle 0..count-1, always alike, and cut it: parts of `sizes`, and one of what is left."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(count)
    return np.split(order, np.cumsum(sizes))


def _digits() -> Dataset:
    """1,797 handwritten digits of 8x8 pixels from scikit-learn's wheel (UCI, Alpaydin 1998)."""
    # `sklearn.datasets.load_digits` reads this file too; importing sklearn takes two seconds.
    wheel = find_spec("sklearn")
    if wheel is None or wheel.origin is None:
        raise InputError("data set digits: requires the package scikit-learn, got none")
    table = np.loadtxt(
        Path(wheel.origin).parent / "datasets/data/digits.csv.gz", delimiter=",", dtype=np.int64
    )
    # 0..16 to bytes.
    pixels = np.minimum(table[:, :64] * 16, 255).astype(np.uint8).reshape(-1, 1, 8, 8)
    images = Images(pixels, table[:, 64])
    train, validation, test = (images[part] for part in parts(len(images), 1257, 180))
    return make_dataset("digits", train, validation, test)


def _fashion_mnist(folder: str | None = None) -> Dataset:
    from golden.idx import fashion_mnist

    return fashion_mnist(folder)


_LOADERS: dict[str, Callable[[], Dataset]] = {"digits": _digits, "fashion-mnist": _fashion_mnist}


def load(name: str) -> Dataset:
    """Return a data set.

    Parameters
    ----------
    name:
        "digits"; "fashion-mnist", or "fashion-mnist:DIR" for a folder with its four files; or the
        path of an .npz file (`golden.archive`).

    Raises
    ------
    InputError
        One line: there is no such data set, or what is wrong with it.
    """
    if name in _LOADERS:
        return _LOADERS[name]()
    kind, colon, folder = name.partition(":")
    if kind == "fashion-mnist" and colon:
        return _fashion_mnist(folder)
    if Path(name).suffix.lower() == ".npz":
        from golden.archive import read_archive

        return read_archive(Path(name))
    raise InputError(
        f"data set must be one of {', '.join(_LOADERS)}, fashion-mnist:DIR or a path that ends in "
        f".npz, not {name[:200]!r}"
    )
