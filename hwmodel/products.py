"""A step's matrix products.

Each weighted layer has up to three products (m, k) @ (k, n), as `golden` computes them:

    forward           m = batch * positions   k = in/groups * taps    n = out/groups
    backward_data     m = batch * inputs      k = out/groups * taps   n = in/groups
    backward_weight   m = out/groups          k = batch * positions   n = in/groups * taps

one for each group. A strided backward_data is one product for each phase (`hwmodel.windows`). The
gradient of a layer's biases is a backward_weight product with n = 1, whose other operand is ones;
it counts no multiplications.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from golden.network import Convolution, Layer, Linear
from hwmodel.step import Step
from hwmodel.windows import phase_lengths, product_macs, window_axes

__all__ = ["MatrixProduct", "matrix_products"]


class MatrixProduct(NamedTuple):
    """`repeats` products (m, k) @ (k, n); `macs` useful multiply-accumulates in all of them."""

    layer: str
    phase: str
    m: int
    k: int
    n: int
    repeats: int
    macs: int


def _shapes(step: Step, layer: Layer, phase: str) -> Iterator[tuple[int, int, int, int]]:
    """(m, k, n, repeats) of one product of a layer."""
    operator = layer.operator
    if isinstance(operator, Linear):
        rows = step.elements(layer.name) // operator.out_features
        inputs, outputs, groups, taps = layer.input_shapes[0][-1], operator.out_features, 1, 1
        positions = rows
    else:
        assert isinstance(operator, Convolution)  # noqa: S101 - for the type checker
        groups = operator.groups
        inputs, outputs = layer.input_shapes[0][0] // groups, operator.out_channels // groups
        taps = math.prod(operator.kernel)
        positions = step.batch * layer.shape[1] * layer.shape[2]
        if phase == "backward_data":
            if step.conventions.strided_backward == "zero-inserted":
                plane = math.prod(layer.input_shapes[0][1:])
                yield step.batch * plane, outputs * taps, inputs, groups
                return
            rows_of, columns_of = (phase_lengths(*axis) for axis in window_axes(layer))
            for height, down in rows_of:
                for width, across in columns_of:
                    yield step.batch * height * width, outputs * down * across, inputs, groups
            return
    if phase == "forward":
        yield positions, inputs * taps, outputs, groups
    elif phase == "backward_data":
        yield positions, outputs, inputs, groups
    else:
        yield outputs, positions, inputs * taps, groups


@lru_cache(maxsize=8)
def matrix_products(step: Step) -> tuple[MatrixProduct, ...]:
    """Every matrix product of a step, in the order of layers, then phases."""
    return tuple(_products(step))


def _products(step: Step) -> Iterator[MatrixProduct]:
    known: dict[tuple[object, ...], list[MatrixProduct]] = {}
    for layer in step.weighted:
        kind = step.kinds[layer.name]
        if kind not in known:
            known[kind] = list(_of_layer(step, layer))
        for one in known[kind]:
            yield MatrixProduct(layer.name, *one[1:])


def _of_layer(step: Step, layer: Layer) -> Iterator[MatrixProduct]:
    phases = ["forward"]
    if layer.name in step.learned:
        phases += ["backward_data"] if layer.inputs[0] in step.learned else []
        phases.append("backward_weight")
    for phase in phases:
        shapes = list(_shapes(step, layer, phase))
        useful = step.batch * product_macs(layer, phase, step.conventions)
        whole = sum(m * k * n * repeats for m, k, n, repeats in shapes)
        left = useful
        for index, (m, k, n, repeats) in enumerate(shapes):
            # Phases share a layer's count by size; the last takes what rounding leaves.
            last = index == len(shapes) - 1
            macs = left if last else useful * m * k * n * repeats // whole
            left -= macs
            yield MatrixProduct(layer.name, phase, m, k, n, repeats, macs)
        if phase == "backward_weight" and "bias" in step.parameters[layer.name]:
            m, k, _, _ = shapes[0]
            outputs = step.parameters[layer.name]["bias"][0]
            yield MatrixProduct(layer.name, phase, outputs, k, 1, 1, 0)
