"""Bytes between DRAM, one on-chip buffer and the array in one training step.

Two numbers a level. `compulsory`: layer by layer, every distinct element that a product or an
element-wise layer touches crosses once; no tiling can do with less while layers run one after
another. `modelled`: with a buffer of finite size.

What is modelled of the matrix products: operands are cut into (tm, tk, tn) tiles, two of each
operand and the 32-bit sums must fit the buffer, and of all power-of-two tiles and of the four loop
orders that differ the one with the least traffic is taken, by exhaustive search, for each product
by itself. Convolutions are such products with each input element fetched once a pass (patches are
made on chip; rows that neighbouring tiles share are kept). Element-wise work reads and writes its
tensors; a second pass over a tensor is free if half the buffer holds it. 32-bit sums that wait for
a measured scale leave the chip where half the buffer does not hold them.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.network import (
    Add,
    AveragePool,
    ChannelBias,
    ChannelMultiplier,
    Convolution,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    LocalResponseNormalization,
    MaxPool,
    Multiply,
    Normalization,
    ScalarMultiplier,
)
from hwmodel.normalization import normalization_passes
from hwmodel.products import MatrixProduct, matrix_products
from hwmodel.quantization import waiting_tensors
from hwmodel.step import Step
from hwmodel.updates import parameter_formats
from hwmodel.windows import chooses, touched, window_axes

__all__ = [
    "Bytes",
    "Hierarchy",
    "Transfer",
    "array_traffic",
    "dram_bytes",
    "product_traffic",
    "traffic",
]

Bytes = Any
"""An int, or an int64 array where several designs are priced at once."""

_SUM_BYTES = 4


@dataclass(frozen=True)
class Hierarchy:
    """One buffer between DRAM and the array.

    Parameters
    ----------
    buffer:
        Bytes, 1 KiB to 1 GiB.
    """

    buffer: int = 512 << 10

    def __post_init__(self) -> None:
        """Refuse sizes that no buffer has."""
        if not isinstance(self.buffer, int) or not 1 << 10 <= self.buffer <= 1 << 30:
            raise InputError(f"buffer must be 1 KiB to 1 GiB, not {self.buffer!r} B")


class Transfer(NamedTuple):
    """Bytes of one tensor in one layer and phase, across one level."""

    layer: str
    phase: str
    tensor: str
    level: str
    compulsory: int
    modelled: Bytes


def _octets(elements: int, bits: int) -> int:
    return (elements * bits + 7) // 8


def _tiles(size: int) -> np.ndarray:
    """Powers of two below `size`, and `size`."""
    return np.array([*(1 << np.arange((size - 1).bit_length())), size], dtype=np.float64)


class _Frontier(NamedTuple):
    """Best tilings of one product: from so many resident bytes on, so many bytes cross.

    `crossed` has a row more than `resident`, the first: nothing fits.
    """

    resident: list[float]
    crossed: list[tuple[int, int, int]]
    resident_array: NDArray[np.float64]
    crossed_array: NDArray[np.int64]


@lru_cache(maxsize=1 << 14)
def _frontier(m: int, k: int, n: int, left: int, right: int, out: int) -> _Frontier:
    """Every tile and order of `product_traffic`, reduced to those that are best for some buffer."""
    tiles = _tiles(m), _tiles(k), _tiles(n)
    tm, tk, tn = np.ix_(*tiles)
    resident = 2 * (tm * tk * left / (m * k) + tk * tn * right / (k * n)) + tm * tn * _SUM_BYTES

    def crossing(tm: Any, tk: Any, tn: Any) -> list[tuple[Any, Any, Any]]:
        """Bytes (left, right, out) in each loop order."""
        times_m, times_k, times_n = np.ceil(m / tm), np.ceil(k / tk), np.ceil(n / tn)
        whole = times_k == 1
        sums = np.where(whole, out, (2 * times_k - 2) * m * n * _SUM_BYTES + out)
        return [
            (np.where(whole, 1, times_n) * left, times_m * right, out),
            (times_n * left, np.where(whole, 1, times_m) * right, out),
            (left, times_m * right, sums),
            (times_n * left, right, sums),
        ]

    costs = np.stack([np.broadcast_to(sum(o), resident.shape) for o in crossing(tm, tk, tn)])
    costs = costs.reshape(len(costs), -1)
    order, cost = costs.argmin(axis=0), costs.min(axis=0)
    # Of equal costs the first order, then the first tile; of all that fit, the cheapest.
    rank = np.empty(len(cost), dtype=np.int64)
    rank[np.lexsort((order, cost))] = np.arange(len(cost))
    by_size = np.argsort(resident, axis=None, kind="stable")
    best = np.minimum.accumulate(rank[by_size])
    chosen = by_size[np.flatnonzero(np.diff(best, prepend=len(cost)))]
    at = np.unravel_index(chosen, resident.shape)
    orders = crossing(*(axis[place] for axis, place in zip(tiles, at, strict=True)))
    triples = np.array([np.broadcast_arrays(*parts, at[0])[:3] for parts in orders])
    found = triples[order[chosen], :, np.arange(len(chosen))].astype(np.int64)
    # Without room for one element of each, every product's operands cross each time.
    crossed = [(left * n, right * m, out), *map(tuple, found.tolist())]
    sizes = resident.ravel()[chosen]
    return _Frontier(sizes.tolist(), crossed, sizes, np.array(crossed, dtype=np.int64))


def product_traffic(
    m: int, k: int, n: int, left: int, right: int, out: int, buffer: Bytes
) -> tuple[Bytes, Bytes, Bytes]:
    """Least modelled bytes (left, right, out) of (m, k) @ (k, n) whose operands have so many bytes.

    A loop order decides who waits. Sums stay: left crosses ceil(n/tn) times and right ceil(m/tm)
    times (once where the whole reduction fits, for the operand of the outer loop). An operand
    stays: it crosses once, the other as before, and the sums cross 2 ceil(k/tk) - 1 times as 32
    bits. Exact in float64 below 2**53 bytes. For an array of buffers each result is an array.
    """
    frontier = _frontier(m, k, n, left, right, out)
    if isinstance(buffer, int):
        return frontier.crossed[bisect_right(frontier.resident, buffer)]
    found = frontier.crossed_array[np.searchsorted(frontier.resident_array, buffer, side="right")]
    return found[:, 0], found[:, 1], found[:, 2]


def _larger(a: int, b: Bytes) -> Bytes:
    return max(a, b) if isinstance(b, int) else np.maximum(a, b)


def _if(condition: bool | NDArray[np.bool_], yes: int, no: int) -> Bytes:
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no


def _product_transfers(
    step: Step, layer: Layer, buffer: Bytes, products: list[MatrixProduct]
) -> Iterator[Transfer]:
    """Operands of a weighted layer's products."""
    name, batch = layer.name, step.batch
    weights = math.prod(step.parameters[layer.name]["weight"])
    inputs = batch * math.prod(layer.input_shapes[0])
    if isinstance(layer.operator, Convolution):
        # A strided 1x1 convolution reads a quarter of its input.
        seen = math.prod(touched(*axis) for axis in window_axes(layer))
        inputs = batch * layer.input_shapes[0][0] * seen
    outputs = step.elements(name)
    w, a, e = (step.format(kind, layer).bits for kind in "WAE")
    wide = e if name in step.full_precision else step.scheme.weight_gradient_error.bits
    result = _result_bits(step, layer)
    operands = {
        "forward": (("A", inputs, a), ("W", weights, w), ("O", outputs, result)),
        "backward_data": (("E", outputs, e), ("W", weights, w), ("E_in", inputs, e)),
        "backward_weight": (
            ("E", outputs, wide),
            ("A", inputs, a),
            ("G", weights, step.format("G", layer).bits),
        ),
    }
    for phase, tensors in operands.items():
        # The gradient of biases is summed while the errors pass by.
        shapes = [(p.m, p.k, p.n, p.repeats) for p in products if p.phase == phase and p.macs]
        if not shapes:
            continue
        sizes = [_octets(count, bits) for _, count, bits in tensors]
        modelled: list[Bytes] = [0, 0, 0]
        whole = sum(m * k * n * r for m, k, n, r in shapes)
        for m, k, n, repeats in shapes:
            # Phases of a strided product share its operands by their part of the work.
            part = m * k * n * repeats / whole
            left, right, out = (round(size * part / repeats) for size in sizes)
            crossed = product_traffic(m, k, n, left, right, out, buffer)
            modelled = [total + repeats * c for total, c in zip(modelled, crossed, strict=True)]
        for (tensor, *_), size, crossed_once in zip(operands[phase], sizes, modelled, strict=True):
            yield Transfer(name, phase, tensor, "dram", size, _larger(size, crossed_once))


def array_traffic(step: Step, columns: Bytes, depth: int) -> list[Transfer]:
    """Transfers between the buffer and an array of so many columns that keeps `depth` rows of sums.

    compulsory: each operand element of each product once, each sum once in 32 bits. modelled: the
    left operand again for every block of columns, the right one for every `depth` rows; an array
    for an array of columns.
    """
    result = []
    for p in matrix_products(step):
        layer = step.network.layers[p.layer]
        w, a, e = (step.format(kind, layer).bits for kind in "WAE")
        left, right = {
            "forward": (a, w), "backward_data": (e, w), "backward_weight": (e, a),
        }[p.phase]  # fmt: skip
        sizes = [p.repeats * _octets(p.m * p.k, left), p.repeats * _octets(p.k * p.n, right)]
        sums = p.repeats * p.m * p.n * _SUM_BYTES
        again = sizes[0] * -(-p.n // columns) + sizes[1] * -(-p.m // depth)
        result.append(Transfer(p.layer, p.phase, "operands", "buffer", sum(sizes), again))
        result.append(Transfer(p.layer, p.phase, "sums", "buffer", sums, sums))
    return result


def _result_bits(step: Step, layer: Layer) -> int:
    if layer.name == step.output:
        # The loss takes the logits as they appear; they do not leave the chip.
        return 0
    readers = (step.network.layers[r].operator for r in step.consumers[layer.name])
    if any(isinstance(reader, Normalization) for reader in readers):
        return step.scheme.normalized.bits
    return step.scheme.formats["A"].bits


def _elementwise(step: Step, layer: Layer) -> Iterator[Transfer]:
    """Joins and pooling: each tensor once. Biases and activations pass by, and so do multipliers,
    whose gradient reads their input again (`Conventions.fused_scalars`)."""
    operator, name = layer.operator, layer.name
    joins = isinstance(operator, Add | Multiply) and len(layer.inputs) > 1
    pools = isinstance(operator, MaxPool | AveragePool | GlobalAveragePool | GlobalMaxPool)
    if isinstance(operator, ChannelBias | ChannelMultiplier):
        yield from _channel_scalars(step, layer)
        return
    if not joins and (not pools or chooses(operator)):
        return
    a, e = step.scheme.formats["A"].bits, step.scheme.formats["E"].bits
    read = sum(step.elements(source) for source in layer.inputs)
    written = step.elements(name)
    size = _octets(read + written, a)
    yield Transfer(name, "forward", "elements", "dram", size, size)
    backward = [source for source in layer.inputs if source in step.learned]
    if name not in step.learned or not backward or isinstance(operator, Add):
        # The branches of a sum share its error.
        return
    size = _octets(written + sum(step.elements(source) for source in backward), e)
    if isinstance(operator, Multiply):
        size += _octets(read, a)
    yield Transfer(name, "backward_data", "elements", "dram", size, size)


def _channel_scalars(step: Step, layer: Layer) -> Iterator[Transfer]:
    """What `hwmodel.normalization` says of Fixup's scalars, for one number a channel."""
    n, multiplies = step.elements(layer.name), isinstance(layer.operator, ChannelMultiplier)
    a, e = step.scheme.formats["A"].bits, step.scheme.formats["E"].bits
    fused = step.conventions.fused_scalars
    sizes: dict[str, int] = {}
    if not fused:
        sizes["forward"] = _octets(2 * n, a)
    if layer.name in step.learned and not fused:
        sizes["backward_weight"] = _octets(n, e)
        if multiplies and layer.inputs[0] in step.learned:
            sizes["backward_data"] = _octets(n, e)
    if layer.name in step.learned and multiplies:
        sizes["backward_weight"] = sizes.get("backward_weight", 0) + _octets(n, a)
    for phase, size in sizes.items():
        yield Transfer(layer.name, phase, "elements", "dram", size, size)


def _forks(step: Step, layer: Layer) -> Iterator[Transfer]:
    """Errors of a fork: each read once, their sum written."""
    sources = len(step.error_sources[layer.name])
    if layer.name in step.learned and sources > 1:
        size = _octets((sources + 1) * step.elements(layer.name), step.scheme.formats["E"].bits)
        yield Transfer(layer.name, "backward_data", "fork", "dram", size, size)


def _normalizations(step: Step, buffer: Bytes) -> Iterator[Transfer]:
    """Passes: every distinct tensor once a direction; again where the buffer does not hold it."""
    moved: dict[tuple[str, str], int] = {}
    for one in normalization_passes(step):
        moved[one.layer, one.direction] = moved.get((one.layer, one.direction), 0) + one.bytes
    for (name, direction), size in moved.items():
        operator = step.network.layers[name].operator
        n = step.elements(name)
        tensor = _octets(n, step.scheme.normalized.bits)
        # Forward x and y; backward the error, x-hat and the error below.
        distinct = tensor * (2 if direction == "forward" else 3)
        if isinstance(operator, ScalarMultiplier):
            distinct = tensor
        elif not isinstance(operator, Normalization | LocalResponseNormalization):
            distinct = 0
        fits = 2 * tensor * (1 if direction == "forward" else 2) <= buffer
        least = min(size, distinct)
        yield Transfer(name, "normalization", direction, "dram", least, _if(fits, least, size))


def dram_bytes(step: Step, buffers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Modelled bytes across DRAM in one step, for each size of the buffer."""
    total = np.zeros(len(buffers), dtype=np.int64)
    for transfer in _transfers(step, buffers):
        total += transfer.modelled
    return total


def traffic(step: Step, hierarchy: Hierarchy) -> list[Transfer]:
    """Transfers between DRAM and the buffer in one step."""
    return list(_transfers(step, hierarchy.buffer))


def _transfers(step: Step, buffer: Bytes) -> Iterator[Transfer]:
    products: dict[str, list[MatrixProduct]] = {}
    for product in matrix_products(step):
        products.setdefault(product.layer, []).append(product)
    known: dict[tuple[object, ...], list[Transfer]] = {}
    for layer in step.network:
        kind = (*step.kinds[layer.name], layer.name in products and _result_bits(step, layer))
        if kind not in known:
            known[kind] = list(_layer_transfers(step, layer, buffer, products))
            yield from known[kind]
        else:
            for one in known[kind]:
                yield Transfer(layer.name, *one[1:])
    yield from _normalizations(step, buffer)
    for name, elements in waiting_tensors(step):
        leaves = 2 * _SUM_BYTES * elements > buffer
        if leaves if isinstance(leaves, bool) else leaves.any():
            total = 2 * _SUM_BYTES * step.elements(name)
            second = _if(leaves, total, 0)
            yield Transfer(name, "quantization", "second pass", "dram", 0, second)


def _layer_transfers(
    step: Step, layer: Layer, buffer: Bytes, products: Mapping[str, list[MatrixProduct]]
) -> Iterator[Transfer]:
    if layer.name in products:
        yield from _product_transfers(step, layer, buffer, products[layer.name])
    yield from _elementwise(step, layer)
    yield from _forks(step, layer)
    if layer.name in step.learned and step.parameters[layer.name]:
        yield _update(step, layer)


def _update(step: Step, layer: Layer) -> Transfer:
    """W, V and G read, W and V written: five words a parameter in FP32."""
    bits = 0
    for name, count, kept, _, momentum in parameter_formats(step, layer):
        gradient = (
            step.format("G", layer).bits if name == "weight" else step.scheme.formats["G"].bits
        )
        bits += count * (2 * kept + 2 * momentum + gradient)
    size = (bits + 7) // 8
    return Transfer(layer.name, "update", "W, V, G", "dram", size, size)
