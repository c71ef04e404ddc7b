"""What narrow formats cost: rounding, scaling, saturating, aligning, and random draws.

Everything here exists only because a format is narrow; FP32 has none of it. One conversion of one
element is a shift (with its rounding) and a compare (its saturation); one whose scale is measured
compares once more, for the largest magnitude. Random draws are 16 bits.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from golden.network import (
    Activation,
    Add,
    ChannelShuffle,
    Concat,
    Flatten,
    Layer,
    Normalization,
    Pad,
    Reshape,
)
from golden.schemes import Scaling
from hwmodel.step import BIASES, MULTIPLIERS, WEIGHTED, Row, Step

__all__ = [
    "converted_tensors",
    "quantization_barriers",
    "quantization_operations",
    "waiting_tensors",
]

PHASE = "quantization"

_MOVES = (ChannelShuffle, Flatten, Pad, Reshape)


def converted_tensors(step: Step) -> Mapping[str, int]:
    """How often each tensor is converted as such, forward (A) and in EOQ backward (E)."""
    if step.scheme.scaling is Scaling.EXPONENTS:
        return Counter((*step.dataflow.activations, *step.dataflow.errors))
    return {} if step.scheme.scaling is Scaling.NONE else dict.fromkeys(_operands(step), 1)


def quantization_operations(step: Step, layer: Layer, conversions: int) -> Iterator[Row]:
    """Rows of one layer in the phase quantization, its result being converted so many times."""
    if step.scheme.scaling is not Scaling.NONE:
        yield from _ROWS[step.scheme.scaling](step, layer, conversions)


def _convert(
    layer: str,
    fmt: str,
    n: int,
    *,
    measured: bool = True,
    clipped: bool = True,
    random: bool = False,
) -> Iterator[Row]:
    """Conversion of n elements by a power of two."""
    yield Row(layer, PHASE, "shift", fmt, n)
    compares = measured + clipped
    if compares:
        yield Row(layer, PHASE, "compare", fmt, compares * n)
    if random:
        yield Row(layer, PHASE, "random", "int16", n)


def _align(layer: str, tensors: int, n: int, samples: int) -> Iterator[Row]:
    """Join of `tensors` tensors of n elements (`golden.values.join`).

    Each element's magnitude is compared and the element shifted; the sum saturates. A sample's
    exponent takes 3 additions a tensor and 3 compares a tensor but one.
    """
    yield Row(layer, PHASE, "shift", "int32", tensors * n)
    yield Row(layer, PHASE, "compare", "int32", (tensors + 1) * n)
    yield Row(layer, PHASE, "compare", "int8", (3 * tensors - 1) * samples)
    yield Row(layer, PHASE, "add", "int8", 3 * tensors * samples)


def _eoq(step: Step, layer: Layer, conversions: int) -> Iterator[Row]:
    """A and E with an exponent a sample, G at its momentum's scale (`golden.layers`)."""
    samples, n = step.batch, step.elements(layer.name)
    measured = step.conventions.exponents != "lagged"
    for _ in range(conversions):
        yield from _convert(layer.name, "int32", n, measured=measured)
        yield Row(layer.name, PHASE, "add", "int8", samples)
    yield from _eoq_layer(step, layer)
    sources = len(step.error_sources[layer.name])
    if layer.name in step.learned and sources > 1:
        yield from _align(layer.name, sources, n, samples)


def _eoq_layer(step: Step, layer: Layer) -> Iterator[Row]:
    name, operator, samples = layer.name, layer.operator, step.batch
    n = step.elements(name)
    learned = name in step.learned
    if isinstance(operator, Add) and len(layer.inputs) > 1:
        yield from _align(name, len(layer.inputs), n, samples)
    elif isinstance(operator, Concat):
        yield Row(name, PHASE, "shift", "int8", n)
        yield Row(name, PHASE, "compare", "int8", (len(layer.inputs) - 1) * samples)
    elif isinstance(operator, Activation) and operator.maximum is not None:
        # The level comes to each sample's exponent, within 31 bits.
        yield from _convert(name, "int32", samples, measured=False)
    elif isinstance(operator, BIASES):
        # The 16-bit bias comes to each sample's exponent; the sum saturates.
        yield Row(name, PHASE, "shift", "int16", samples * step.parameters[layer.name]["bias"][0])
        yield Row(name, PHASE, "compare", "int32", n)
    elif isinstance(operator, MULTIPLIERS):
        # The 16-bit multiplier is used in 8 bits at its own scale, forward and backward.
        uses = 1 + (learned and layer.inputs[0] in step.learned)
        count = uses * step.parameters[layer.name]["multiplier"][0]
        yield from _convert(name, "int16", count)
    if isinstance(operator, (*BIASES, *MULTIPLIERS)) and learned:
        # Each sample's sums come to the batch's scale, rounded half up: one a scalar. What adds
        # them is counted with the layer.
        sums = sum(shape[0] for shape in step.parameters[layer.name].values())
        yield from _scale_samples(name, samples)
        yield from _convert(name, "int32", samples * sums, measured=False, clipped=False)
    if isinstance(operator, WEIGHTED):
        if "bias" in step.parameters[layer.name]:
            yield Row(
                name, PHASE, "shift", "int16", samples * step.parameters[layer.name]["bias"][0]
            )
            yield Row(name, PHASE, "compare", "int32", n)
        # Once for the weights, once for the biases, whose other operand is one with exponent 0.
        for _ in step.parameters[layer.name] if learned else ():
            yield from _scale_samples(name, samples)
            yield from _convert(name, "int8", n, measured=False, random=True)
    if learned:
        for shape in step.parameters[layer.name].values():
            yield from _convert(name, "int32", math.prod(shape), measured=False, random=True)


def _scale_samples(layer: str, samples: int) -> Iterator[Row]:
    """Exponents of both operands added, the least of the batch found, each one's distance to it."""
    yield Row(layer, PHASE, "add", "int8", 2 * samples)
    yield Row(layer, PHASE, "compare", "int8", samples - 1)


def _wageubn(step: Step, layer: Layer, conversions: int) -> Iterator[Row]:
    """W, gamma and beta from 24 bits (shift, clip); A (shift, not clipped); mean and deviation,
    x-hat; E behind the activation and again behind normalisation, both with a measured scale; G
    measured and stochastic."""
    name, n = layer.name, step.elements(layer.name)
    learned = name in step.learned
    if isinstance(layer.operator, Normalization):
        channels = layer.shape[0]
        yield from _convert(name, "int16", 2 * channels + n, measured=False, clipped=False)
        yield from _convert(name, "int24", 2 * channels, measured=False)
        if learned:
            yield from _convert(name, "int16", n)
            yield from _convert(name, "int16", 2 * channels, random=True)
    elif isinstance(layer.operator, WEIGHTED) and name not in step.full_precision:
        weights = math.prod(step.parameters[name]["weight"])
        yield from _convert(name, "int24", weights, measured=False)
        if learned:
            yield from _convert(name, "int16", n)
            yield from _convert(name, "int32", weights, random=True)
    for _ in range(conversions):
        yield from _convert(name, "int16", n, measured=False, clipped=False)


def _operands(step: Step) -> list[str]:
    """Tensors that quantised products read, each once, however they are reshaped on the way."""
    layers = step.network.layers
    found: dict[str, None] = {}
    for layer in step.weighted:
        source = layer.inputs[0]
        while source != "input" and isinstance(layers[source].operator, _MOVES):
            source = layers[source].inputs[0]
        if source != "input" and layer.name not in step.full_precision:
            found[source] = None
    return list(found)


def _affine(layer: str, n: int, *, measured: bool = True, random: bool = False) -> Iterator[Row]:
    """Affine conversion of one float tensor: both extremes found, one division for the scale, then
    for each element offset, scale, round and clip."""
    if measured:
        yield Row(layer, PHASE, "compare", "fp32", 2 * n)
        yield Row(layer, PHASE, "div", "fp32", 1)
    yield Row(layer, PHASE, "add", "fp32", n)
    yield Row(layer, PHASE, "multiply", "fp32", n)
    yield Row(layer, PHASE, "shift", "fp32", n)
    yield Row(layer, PHASE, "compare", "fp32", n)
    if random:
        yield Row(layer, PHASE, "random", "int16", n)


def _range_bn(step: Step, layer: Layer, conversions: int) -> Iterator[Row]:
    """Affine 8-bit conversion of W and A to nearest and of E stochastically, and once more of E to
    16 bits for the weight gradient, on the same measured range."""
    name, n = layer.name, step.elements(layer.name)
    if isinstance(layer.operator, WEIGHTED):
        yield from _affine(name, math.prod(step.parameters[name]["weight"]))
        if name in step.learned:
            below = layer.inputs[0] in step.learned
            if below:
                yield from _affine(name, n, random=True)
            yield from _affine(name, n, measured=not below)
    for _ in range(conversions):
        yield from _affine(name, n)


_ROWS = {Scaling.EXPONENTS: _eoq, Scaling.SHIFTS: _wageubn, Scaling.AFFINE: _range_bn}


def waiting_tensors(step: Step) -> Iterator[tuple[str, int]]:
    """Tensors whose 32-bit sums wait for a measured scale, and how many elements wait at a time: a
    sample's or the batch's in EOQ (`Conventions.exponents`), the batch's in the other schemes."""
    scaling = step.scheme.scaling
    if scaling is Scaling.EXPONENTS:
        if step.conventions.exponents == "lagged":
            return
        share = step.batch if step.conventions.exponents == "sample" else 1
        flow = step.dataflow
        for tensor in (*flow.activations, *flow.errors):
            yield tensor, step.elements(tensor) // share
    elif scaling is not Scaling.NONE:
        for layer in step.network:
            kinds = (*WEIGHTED, Normalization) if scaling is Scaling.SHIFTS else WEIGHTED
            measured = layer.name not in step.full_precision and layer.name in step.learned
            if measured and isinstance(layer.operator, kinds):
                yield layer.name, step.elements(layer.name)
        if scaling is Scaling.AFFINE:
            for tensor in _operands(step):
                yield tensor, step.elements(tensor)


def quantization_barriers(step: Step) -> dict[str, int]:
    """Points a step at which a conversion waits for the whole batch, by what waits.

    `path`: on the way of activations or errors. `weight_gradient`: beside it, where the errors of
    a layer wait for the batch's common scale. A gradient is complete only at the end of the batch
    in any scheme; its own scale is no barrier of its own.
    """
    scaling = step.scheme.scaling
    path = gradient = 0
    if scaling is Scaling.EXPONENTS:
        flow = step.dataflow
        if step.conventions.exponents == "batch":
            path = len(flow.activations) + len(flow.errors)
        else:
            # One product over the batch needs one scale; with an exponent a batch it has one.
            gradient = sum(len(step.parameters[layer.name]) for layer in step.network)
    elif scaling is Scaling.SHIFTS:
        path = sum(
            isinstance(layer.operator, Normalization)
            or (isinstance(layer.operator, WEIGHTED) and layer.name not in step.full_precision)
            for layer in step.network
            if layer.name in step.learned
        )
    elif scaling is Scaling.AFFINE:
        path = len(_operands(step)) + len(step.weighted)
    return {"path": path, "weight_gradient": gradient}
