"""What a training step may be given: codes and labels that the integers are proven for."""

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.formats import Integers, largest_magnitude
from golden.network import Network

__all__ = ["check_codes", "check_labels"]


def check_codes(network: Network, codes: Integers) -> None:
    """Refuse inputs of another shape or type, or past 8 bits. Raises InputError."""
    where = f"network {network.name!r}: input"
    array = np.asarray(codes)
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"{where} must be integers within +-127, not {array.dtype}")
    if not len(array.shape) or array.shape[1:] != network.input_shape or not len(array):
        raise InputError(
            f"{where} must be of shape (samples, {', '.join(map(str, network.input_shape))}), "
            f"not {array.shape}"
        )
    if largest_magnitude(array) > 127:
        raise InputError(f"{where} must be within +-127, not {array.min()} to {array.max()}")


def check_labels(network: Network, labels: NDArray[np.int64], samples: int) -> None:
    """Refuse labels that are no classes, and a batch whose mean is no shift. Raises InputError."""
    where = f"network {network.name!r}: labels"
    classes = network.shape_of(network.output)[0]
    array = np.asarray(labels)
    if array.shape != (samples,) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{where} must be {samples} integers, one a sample, not {array.dtype} of shape "
            f"{array.shape}"
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= classes:
        raise InputError(f"{where} must be 0 to {classes - 1}, not {low} to {high}")
    if samples & (samples - 1):
        raise InputError(f"batch must be a power of two, not {samples}")
