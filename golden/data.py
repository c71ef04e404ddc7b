"""Images to train on, as unsigned bytes, split once and for all.

A choice between variants is made on the validation part; the test part is read once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.formats import saturate

__all__ = ["INPUT_EXPONENT", "Dataset", "Images", "load"]

INPUT_EXPONENT = 5
"""Exponent of a quantised pixel: (byte - mean) / 2 * 2**-5, so that inputs are of order one."""

_SPLIT_SEED = 2105
"""Seed of the shuffle that splits a data set which comes without a test part."""


@dataclass(frozen=True)
class Images:
    """Images, bytes of shape (n, channels, height, width), and their classes, shape (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


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

    def quantize(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """8-bit network input with exponent `INPUT_EXPONENT`."""
        return saturate((pixels.astype(np.int64) - self.mean) >> 1, 8)


def _digits() -> Dataset:
    """1,797 handwritten digits of 8x8 pixels from scikit-learn's wheel (UCI, Alpaydin 1998)."""
    # Imported here because it takes a second, and most commands do not train.
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # 0..16 to bytes.
    pixels = np.minimum(bunch.images * 16, 255).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    train, validation, test = (
        Images(pixels[part], labels[part]) for part in np.split(order, [1257, 1437])
    )
    mean = round(float(train.pixels.mean()))
    return Dataset("digits", 10, train, validation, test, mean)


_LOADERS = {"digits": _digits}


def load(name: str) -> Dataset:
    """Return the data set called `name`."""
    if name not in _LOADERS:
        raise InputError(f"data set must be one of {', '.join(_LOADERS)}, not {name!r}")
    return _LOADERS[name]()
