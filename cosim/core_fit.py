"""`fit_core`: the smallest memories with which a core of a given array trains a network."""

from golden.errors import InputError
from golden.training import Model, learning_rate_shift
from hwmodel.lowering.context import ResultsFullError
from hwmodel.lowering.memory_map import ScratchpadFullError
from hwmodel.lowering.step import lower
from rtl.config import CoreConfig

__all__ = ["fit_core"]

_PAGES = 16
_PAGE_BYTES = (1 << 10, 1 << 20)
_RESULTS_PAGES = 4
_RESULTS_DEPTH = (1 << 6, 1 << 14)


def fit_core(model: Model, array: tuple[int, int], samples: int) -> CoreConfig:
    """Return a core whose memories, powers of two, hold a step of so many samples.

    Parameters
    ----------
    model:
        Of the EOQ scheme.
    array:
        Rows and columns.
    samples:
        Of a batch.

    Raises
    ------
    InputError
        One line: what the core has no operation for, or has at most so much memory for.
    """
    network = model.network
    classes = network.shape_of(network.output)[0]
    page, depth = _PAGE_BYTES[0], _RESULTS_DEPTH[0]
    k = learning_rate_shift(samples)
    while True:
        try:
            config = CoreConfig(
                rows=array[0], columns=array[1], loss_classes=max(64, classes),
                scratchpad_pages=_PAGES, scratchpad_page_bytes=page,
                results_pages=_RESULTS_PAGES, results_page_depth=depth,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"a core of {array[0]}x{array[1]}: {error}") from error
        try:
            lower(model, config, samples, k)
        except ScratchpadFullError:
            if page == _PAGE_BYTES[1]:
                raise
            page *= 2
        except ResultsFullError:
            if depth == _RESULTS_DEPTH[1]:
                raise
            depth *= 2
        else:
            return config
