"""Bytes between the memories of a design, and to and from its array, in one training step.

Two numbers a level. `compulsory`: layer by layer, every distinct element that a product or an
element-wise layer touches crosses once; no tiling can do with less while layers run one after
another. `modelled`: with memories of finite size. A level's bytes are what crosses between it and
the next memory inside, whose size is what limits; the innermost level's are what the array reads
and writes.

What is modelled of the matrix products: each is tiled by itself, by exhaustive search, for every
memory (`hwmodel.tiling`). Convolutions are such products with each input element fetched once a
pass (patches are made on chip; rows that neighbouring tiles share are kept). Element-wise work
reads and writes its tensors; a second pass over a tensor is free if half the memory holds it.
32-bit sums that wait for a measured scale leave a memory half of which does not hold them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from hwmodel.footprint import recomputed_layers
from hwmodel.hierarchy import Hierarchy
from hwmodel.normalization import normalization_passes
from hwmodel.products import MatrixProduct, matrix_products
from hwmodel.quantization import waiting_tensors
from hwmodel.step import Step
from hwmodel.tiling import SUM_BYTES, Bytes, Tiling, nested_tilings, product_traffic
from hwmodel.updates import parameter_formats
from hwmodel.windows import chooses, touched, window_axes

__all__ = ["LayerTiling", "Transfer", "array_traffic", "dram_bytes", "tilings", "traffic"]

_Boundary = tuple[str, Bytes]
"""A level's name, and the bytes of the memory inside it."""


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


def _larger(a: int, b: Bytes) -> Bytes:
    return max(a, b) if isinstance(b, int) else np.maximum(a, b)


def _if(condition: bool | NDArray[np.bool_], yes: int, no: int) -> Bytes:
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no


class LayerTiling(NamedTuple):
    """Best tiling of a layer's product in one phase, for the memory inside one level.

    `repeats` products (m, k) @ (k, n) like this one: groups, or phases of a strided product.
    `compulsory` and `modelled` are bytes of all of them.
    """

    layer: str
    phase: str
    level: str
    m: int
    k: int
    n: int
    repeats: int
    order: str
    tm: int
    tk: int
    tn: int
    compulsory: int
    modelled: int


class _Operands(NamedTuple):
    """Tensors of a layer's product in one phase: name and bytes, left, right and result."""

    names: tuple[str, str, str]
    bytes: tuple[int, int, int]


def _operands(step: Step, layer: Layer) -> dict[str, _Operands]:
    """Operands of a weighted layer's products, by phase."""
    name, batch = layer.name, step.batch
    weights = math.prod(step.parameters[layer.name]["weight"])
    inputs = batch * math.prod(layer.input_shapes[0])
    if isinstance(layer.operator, Convolution):
        # A strided 1x1 convolution reads a quarter of its input.
        seen = math.prod(touched(*axis) for axis in window_axes(layer))
        inputs = batch * layer.input_shapes[0][0] * seen
    outputs = step.elements(name)
    w, a, e, g = (step.format(kind, layer).bits for kind in "WAEG")
    wide = e if name in step.full_precision else step.scheme.weight_gradient_error.bits
    result = _result_bits(step, layer)
    # The gradient of biases is summed while the errors pass by.
    return {
        phase: _Operands(names, (_octets(x, i), _octets(y, j), _octets(z, r)))
        for phase, names, (x, y, z), (i, j, r) in (
            ("forward", ("A", "W", "O"), (inputs, weights, outputs), (a, w, result)),
            ("backward_data", ("E", "W", "E_in"), (outputs, weights, inputs), (e, w, e)),
            ("backward_weight", ("E", "A", "G"), (outputs, inputs, weights), (wide, a, g)),
        )
    }


def _shares(
    products: Sequence[MatrixProduct], operands: _Operands
) -> Iterator[tuple[MatrixProduct, tuple[int, int, int]]]:
    """Every product of a phase with its operands' bytes.

    Phases of a strided product share their operands by their part of the work.
    """
    whole = sum(p.m * p.k * p.n * p.repeats for p in products)
    for p in products:
        part = p.m * p.k * p.n * p.repeats / whole
        left, right, out = (round(size * part / p.repeats) for size in operands.bytes)
        yield p, (left, right, out)


def _product_transfers(
    step: Step, layer: Layer, boundaries: Sequence[_Boundary], products: list[MatrixProduct]
) -> Iterator[Transfer]:
    """Operands of a weighted layer's products, across every level."""
    for phase, operands in _operands(step, layer).items():
        chosen = [p for p in products if p.phase == phase and p.macs]
        if not chosen:
            continue
        modelled: list[list[Bytes]] = [[0, 0, 0] for _ in boundaries]
        for p, sizes in _shares(chosen, operands):
            if len(boundaries) == 1:
                crossed = [product_traffic(p.m, p.k, p.n, *sizes, boundaries[0][1])]
            else:
                room = tuple(size for _, size in boundaries)
                nested = nested_tilings(p.m, p.k, p.n, *sizes, room)
                crossed = [(round(t.left), round(t.right), round(t.out)) for t in nested]
            for level, each in enumerate(crossed):
                for place, moved in enumerate(each):
                    modelled[level][place] += p.repeats * moved
        for (name, _), totals in zip(boundaries, modelled, strict=True):
            for tensor, size, total in zip(operands.names, operands.bytes, totals, strict=True):
                yield Transfer(layer.name, phase, tensor, name, size, _larger(size, total))


def tilings(step: Step, hierarchy: Hierarchy) -> Iterator[LayerTiling]:
    """Best tiling of every product for every memory, the outermost level first."""
    boundaries = _boundaries(hierarchy)
    room = tuple(size for _, size in boundaries)
    for layer, products in _by_layer(step).items():
        for phase, operands in _operands(step, step.network.layers[layer]).items():
            chosen = [p for p in products if p.phase == phase and p.macs]
            for p, sizes in _shares(chosen, operands) if chosen else ():
                found: Sequence[Tiling] = nested_tilings(p.m, p.k, p.n, *sizes, room)
                for (level, _), t in zip(boundaries, found, strict=True):
                    moved = p.repeats * round(t.left + t.right + t.out)
                    least = p.repeats * sum(sizes)
                    yield LayerTiling(
                        layer, phase, level, p.m, p.k, p.n, p.repeats, *t[:4], least, moved
                    )


def _boundaries(hierarchy: Hierarchy) -> list[_Boundary]:
    """Every level but the innermost, the outermost first, with the size of the memory inside."""
    levels = hierarchy.levels[::-1]
    return [(outer.name, inner.size or 0) for outer, inner in pairwise(levels)]


def _by_layer(step: Step) -> dict[str, list[MatrixProduct]]:
    products: dict[str, list[MatrixProduct]] = {}
    for product in matrix_products(step):
        products.setdefault(product.layer, []).append(product)
    return products


def array_traffic(step: Step, columns: Bytes, level: str = "buffer") -> list[Transfer]:
    """Transfers between the innermost memory, `level`, and an array of so many columns.

    compulsory: each operand element of each product once, each sum once in 32 bits. modelled, as
    the core of `rtl` reads: what moves through the array again for every block of columns; what
    stays in it once a product, which is weights for every sample of a convolution, and aligned
    errors for the gradient of weights. An array for an array of columns.
    """
    found = list(_array_transfers(step, columns, level))
    for one in _array_transfers(step.forward_only(), columns, level) if _again(step) else ():
        if one.layer in _again(step):
            found.append(one._replace(phase="recomputation"))
    return found


def _array_transfers(step: Step, columns: Bytes, level: str) -> Iterator[Transfer]:
    for p in matrix_products(step):
        layer = step.network.layers[p.layer]
        w, a, e = (step.format(kind, layer).bits for kind in "WAE")
        left, right = {
            "forward": (a, w), "backward_data": (e, w), "backward_weight": (e, a),
        }[p.phase]  # fmt: skip
        sizes = [p.repeats * _octets(p.m * p.k, left), p.repeats * _octets(p.k * p.n, right)]
        sums = p.repeats * p.m * p.n * SUM_BYTES
        if p.phase == "backward_weight":
            again = sizes[0] + sizes[1] * -(-p.m // columns)
        else:
            products = step.batch if isinstance(layer.operator, Convolution) else 1
            again = sizes[0] * -(-p.n // columns) + sizes[1] * products
        yield Transfer(p.layer, p.phase, "operands", level, sum(sizes), again)
        yield Transfer(p.layer, p.phase, "sums", level, sums, sums)


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
    yield Transfer(name, "forward", "elements", "", size, size)
    backward = [source for source in layer.inputs if source in step.learned]
    if name not in step.learned or not backward or isinstance(operator, Add):
        # The branches of a sum share its error.
        return
    size = _octets(written + sum(step.elements(source) for source in backward), e)
    if isinstance(operator, Multiply):
        size += _octets(read, a)
    yield Transfer(name, "backward_data", "elements", "", size, size)


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
        yield Transfer(layer.name, phase, "elements", "", size, size)


def _forks(step: Step, layer: Layer) -> Iterator[Transfer]:
    """Errors of a fork: each read once, their sum written."""
    sources = len(step.error_sources[layer.name])
    if layer.name in step.learned and sources > 1:
        size = _octets((sources + 1) * step.elements(layer.name), step.scheme.formats["E"].bits)
        yield Transfer(layer.name, "backward_data", "fork", "", size, size)


def _normalizations(step: Step, level: str, buffer: Bytes) -> Iterator[Transfer]:
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
        yield Transfer(name, "normalization", direction, level, least, _if(fits, least, size))


def dram_bytes(step: Step, buffers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Modelled bytes across DRAM in one step, for each size of the one buffer on chip."""
    total = np.zeros(len(buffers), dtype=np.int64)
    for transfer in _transfers(step, [("dram", buffers)]):
        total += transfer.modelled
    return total


def traffic(step: Step, hierarchy: Hierarchy) -> list[Transfer]:
    """Transfers of one step across every level but the innermost, the outermost first."""
    return list(_transfers(step, _boundaries(hierarchy)))


def _again(step: Step) -> frozenset[str]:
    """Layers that run forward twice."""
    none = step.conventions.recompute == "none"
    return frozenset() if none else recomputed_layers(step)


def _transfers(step: Step, boundaries: Sequence[_Boundary]) -> Iterator[Transfer]:
    yield from _once(step, boundaries)
    layers = _again(step)
    for one in _once(step.forward_only(), boundaries) if layers else ():
        if one.layer in layers:
            yield one._replace(phase="recomputation")


def _once(step: Step, boundaries: Sequence[_Boundary]) -> Iterator[Transfer]:
    products = _by_layer(step)
    known: dict[tuple[object, ...], list[tuple[Any, ...]]] = {}
    for layer in step.network:
        kind = (*step.kinds[layer.name], layer.name in products and _result_bits(step, layer))
        if kind not in known:
            found = list(_layer_transfers(step, layer, boundaries, products))
            known[kind] = [one[1:] for one in found]
            yield from found
        else:
            name = layer.name
            for rest in known[kind]:
                yield Transfer(name, *rest)
    for level, room in boundaries:
        yield from _normalizations(step, level, room)
        for name, elements in waiting_tensors(step):
            leaves = 2 * SUM_BYTES * elements > room
            if leaves if isinstance(leaves, bool) else leaves.any():
                total = 2 * SUM_BYTES * step.elements(name)
                second = _if(leaves, total, 0)
                yield Transfer(name, "quantization", "second pass", level, 0, second)


def _layer_transfers(
    step: Step,
    layer: Layer,
    boundaries: Sequence[_Boundary],
    products: Mapping[str, list[MatrixProduct]],
) -> Iterator[Transfer]:
    if layer.name in products:
        yield from _product_transfers(step, layer, boundaries, products[layer.name])
    streamed = [*_elementwise(step, layer), *_forks(step, layer)]
    if layer.name in step.learned and step.parameters[layer.name]:
        streamed.append(_update(step, layer))
    # What is not tiled crosses every level alike.
    for level, _ in boundaries:
        for one in streamed:
            yield one._replace(level=level)


def _update(step: Step, layer: Layer) -> Transfer:
    """W, V and G read, W and V written: five words a parameter in FP32."""
    bits = 0
    for name, count, kept, _, momentum in parameter_formats(step, layer):
        gradient = (
            step.format("G", layer).bits if name == "weight" else step.scheme.formats["G"].bits
        )
        bits += count * (2 * kept + 2 * momentum + gradient)
    size = (bits + 7) // 8
    return Transfer(layer.name, "update", "W, V, G", "", size, size)
