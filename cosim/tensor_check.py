"""Holds tensors in the core's memories against golden's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.formats import Integers
from golden.training import Trace
from hwmodel.lowering.emitter import Produced
from hwmodel.lowering.parameters import ParameterMap

__all__ = ["Difference", "compare", "tensor"]


@dataclass(frozen=True)
class Difference:
    """The first element of a tensor that is not golden's.

    Parameters
    ----------
    name, sample, index:
        Where: golden's name, sample of the batch, index in it.
    expected, got:
        golden's value and the core's.
    count:
        Elements that differ.
    """

    name: str
    sample: int | None
    index: tuple[int, ...]
    expected: int
    got: int
    count: int

    def __str__(self) -> str:
        where = "" if self.sample is None else f", sample {self.sample}"
        at = ", ".join(map(str, self.index))
        return (
            f"{self.name}{where}, element ({at}): expected {self.expected}, got {self.got}; "
            f"{self.count} elements differ"
        )


def tensor(
    produced: Produced, parameters: ParameterMap, memory: NDArray[np.uint8],
    results: NDArray[np.int64],
) -> Integers:  # fmt: skip
    """Return a tensor as it lies in the memories, in golden's order of dimensions.

    Parameters
    ----------
    produced:
        Which.
    parameters:
        Layouts of weights.
    memory, results:
        Bytes of the scratchpad; (words, C) of the results memory.
    """
    at, shape = produced.address, produced.shape
    match produced.kind.split():
        case ["codes"]:
            flat = memory[at : at + int(np.prod(shape))].view(np.int8).astype(np.int64)
            return flat.reshape(shape).transpose(2, 0, 1)
        case ["exponent"]:
            return memory[at : at + 1].view(np.int8).astype(np.int64)[0]
        case ["scalars"]:
            where = at + np.arange(shape[0])
            high = memory[where + produced.pitch].view(np.int8).astype(np.int64)
            return (high << 8) | memory[where]
        case ["weights", layer]:
            place = parameters.weight(layer)
            return place.unpack(memory[at : at + place.weights.size], shape)
        case ["results"]:
            height, width, channels = shape
            lanes = results.shape[1]
            blocks = -(-channels // lanes)
            # Of a linear layer the words of all samples lie between those of one.
            step = produced.pitch
            where = at + np.arange(blocks)[:, None] * step + np.arange(height * width)
            words = results[where].transpose(1, 0, 2).reshape(height * width, -1)[:, :channels]
            return words.reshape(height, width, channels).transpose(2, 0, 1)
        case ["gradient"]:
            rows, _, channels = shape
            lanes = results.shape[1]
            blocks = -(-channels // lanes)
            where = at + np.arange(blocks)[:, None] * rows + np.arange(rows)
            return results[where].transpose(1, 0, 2).reshape(rows, -1)[:, :channels]
    raise ValueError(f"kind must be one that is known, not {produced.kind!r}")


def expected(produced: Produced, parameters: ParameterMap, trace: Trace) -> Integers | None:
    """Return what golden has for it; None where its trace has no such tensor."""
    whole = trace.get(produced.name)
    if whole is None:
        return None
    if produced.kind == "gradient":
        layer = produced.name.split(".backward_weight.")[0]
        place = parameters.weight(layer)
        _, first, channels = produced.shape
        if whole.ndim == 4:
            rows = whole.transpose(2, 3, 1, 0).reshape(-1, whole.shape[0])
        else:
            inner = whole.shape[1] // int(np.prod(place.plane))
            rows = whole.reshape(len(whole), inner, -1).transpose(2, 1, 0).reshape(-1, len(whole))
        return rows[:, first : first + channels]
    if produced.sample is not None:
        whole = whole[produced.sample]
    if produced.kind in ("codes", "results"):
        height, width, channels = produced.shape
        flat = whole.reshape(-1)
        if whole.ndim == 1 and height * width == 1:
            layer = produced.name.split(".backward_data.product")[0]
            return _memory_order(flat, layer, produced.name, parameters).reshape(channels, 1, 1)
        return flat.reshape(channels, height, width)
    return whole


def _memory_order(
    flat: Integers, layer: str, name: str, parameters: ParameterMap
) -> Integers:  # fmt: skip
    """Errors of what was flattened: golden counts channel by channel, memory by position."""
    if not name.endswith(".backward_data.product"):
        return flat
    height, width = parameters.weight(layer).plane
    return flat.reshape(-1, height * width).T.reshape(-1)


def compare(
    produced: Produced, parameters: ParameterMap, trace: Trace, memory: NDArray[np.uint8],
    results: NDArray[np.int64],
) -> Difference | None:  # fmt: skip
    """Return the first difference of one tensor to golden's, None if there is none.

    KeyError if golden's trace has no such tensor.
    """
    want = expected(produced, parameters, trace)
    if want is None:
        raise KeyError(f"golden's trace has no {produced.name!r}")
    got = tensor(produced, parameters, memory, results)
    want = np.asarray(want).astype(np.int64)
    got = np.asarray(got).reshape(want.shape)
    wrong = np.argwhere(got != want)
    if not len(wrong):
        return None
    index = tuple(int(i) for i in wrong[0])
    return Difference(
        produced.name, produced.sample, index, int(want[index]), int(got[index]), len(wrong)
    )
