"""Operations of every operator, forward and backward, but for normalisation and quantisation.

One function an operator, in a dispatch table: an operator that is not in it has no cost and is
refused by name. All counts are over the whole batch; n is the elements of a layer's output.

A backward pass is counted only towards inputs that have an error (`Step.learned`), so the first
weighted layer has no backward_data. Where a tensor is read by k layers, its k errors are summed:
(k-1) n additions, counted to the layer that made the tensor.
"""

import math
from collections.abc import Callable, Iterator

from golden.errors import InputError
from golden.network import (
    Activation,
    Add,
    AveragePool,
    ChannelBias,
    ChannelMultiplier,
    ChannelShuffle,
    Concat,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    Linear,
    LocalResponseNormalization,
    MaxPool,
    Multiply,
    Normalization,
    Operator,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
    Softmax,
)
from hwmodel.step import Row, Step
from hwmodel.windows import chooses, overlaps, product_macs, taps, window_axes

__all__ = ["OPERATORS", "layer_operations", "loss_operations"]

Rows = Iterator[Row]


def _backward(step: Step, layer: Layer) -> bool:
    """The layer has an error, and its first input needs one."""
    return layer.name in step.learned and layer.inputs[0] in step.learned


def _matrix_product(step: Step, layer: Layer) -> Rows:
    """Three products (`hwmodel.windows.product_macs`); biases are additions.

    Forward n additions, backward_weight n - channels: the sum of the errors of each channel.
    """
    name, macs = layer.name, step.batch
    weight, error = step.format("W", layer).operand, step.format("E", layer).operand
    narrow = layer.name not in step.full_precision
    wide_error = step.scheme.weight_gradient_error.operand if narrow else error
    activation = step.format("A", layer).operand
    products = [("forward", weight, activation)]
    if _backward(step, layer):
        products.append(("backward_data", weight, error))
    if name in step.learned:
        products.append(("backward_weight", activation, wide_error))
    for phase, left, right in products:
        count = macs * product_macs(layer, phase, step.conventions)
        yield Row(name, phase, "mac", left if left == right else f"{left}x{right}", count)
    if "bias" in step.parameters[layer.name]:
        n, accumulator = step.elements(name), step.accumulator(layer).operand
        yield Row(name, "forward", "add", accumulator, n)
        if name in step.learned:
            channels = step.parameters[layer.name]["bias"][0]
            yield Row(name, "backward_weight", "add", accumulator, n - channels)


def _activation(step: Step, layer: Layer) -> Rows:
    """One compare an element (two when clipped), and again to choose the error; a leaky one also
    multiplies, both ways, or in EOQ shifts."""
    operator, n = layer.operator, step.elements(layer.name)
    assert isinstance(operator, Activation)  # noqa: S101 - for the type checker
    compares = n * (1 + (operator.maximum is not None))
    yield Row(layer.name, "forward", "compare", step.arithmetic.operand, compares)
    backward = _backward(step, layer)
    if backward:
        stored = step.scheme.formats["A"].operand
        yield Row(layer.name, "backward_data", "compare", stored, compares)
    if operator.slope:
        op = "multiply" if step.normalizes else "shift"
        for phase in ("forward", "backward_data")[: 1 + backward]:
            yield Row(layer.name, phase, op, step.arithmetic.operand, n)


def _window_taps(step: Step, layer: Layer) -> int:
    """Elements that all windows of a pooling layer read, over the batch."""
    result = step.batch * layer.shape[0]
    for axis in window_axes(layer):
        result *= axis[1] * axis[2] if step.conventions.padding else taps(*axis)
    return result


def _max_pool(step: Step, layer: Layer) -> Rows:
    """Taps - n compares; backward one addition an output where windows overlap, else a move."""
    operator = layer.operator
    assert isinstance(operator, MaxPool)  # noqa: S101 - for the type checker
    n, fmt = step.elements(layer.name), step.scheme.formats["A"].operand
    yield Row(layer.name, "forward", "compare", fmt, max(0, _window_taps(step, layer) - n))
    if _backward(step, layer) and overlaps(operator):
        yield Row(layer.name, "backward_data", "add", step.arithmetic.operand, n)


def _average_pool(step: Step, layer: Layer) -> Rows:
    """Taps - n additions and a multiplication by 1/window; backward the multiplication, and the
    taps added where windows overlap. EOQ does not multiply: its exponent moves instead. A window
    of one element chooses and computes nothing."""
    n, fmt = step.elements(layer.name), step.arithmetic.operand
    operator = layer.operator
    assert isinstance(operator, AveragePool)  # noqa: S101 - for the type checker
    if chooses(operator):
        return
    window = _window_taps(step, layer)
    yield Row(layer.name, "forward", "add", fmt, max(0, window - n))
    if step.normalizes:
        yield Row(layer.name, "forward", "multiply", fmt, n)
    if _backward(step, layer):
        if step.normalizes:
            yield Row(layer.name, "backward_data", "multiply", fmt, n)
        if overlaps(operator):
            yield Row(layer.name, "backward_data", "add", fmt, window)


def _global_average_pool(step: Step, layer: Layer) -> Rows:
    """One addition fewer than elements a channel, one multiplication each way (none in EOQ)."""
    n, fmt = step.elements(layer.name), step.arithmetic.operand
    yield Row(layer.name, "forward", "add", fmt, step.elements(layer.inputs[0]) - n)
    if step.normalizes:
        yield Row(layer.name, "forward", "multiply", fmt, n)
        if _backward(step, layer):
            yield Row(layer.name, "backward_data", "multiply", fmt, n)


def _global_max_pool(step: Step, layer: Layer) -> Rows:
    """One compare fewer than elements a channel; backward a move to the maximum's place."""
    n, fmt = step.elements(layer.name), step.scheme.formats["A"].operand
    yield Row(layer.name, "forward", "compare", fmt, step.elements(layer.inputs[0]) - n)


def _channel_bias(step: Step, layer: Layer) -> Rows:
    """One addition an element; backward the sum of each channel's errors."""
    n, fmt = step.elements(layer.name), step.arithmetic.operand
    yield Row(layer.name, "forward", "add", fmt, n)
    if layer.name in step.learned:
        yield Row(layer.name, "backward_weight", "add", fmt, n - layer.shape[0])


def _channel_multiplier(step: Step, layer: Layer) -> Rows:
    """One multiplication an element forward and one for its error; for the gradient error times
    input, summed a channel. EOQ multiplies codes, the other schemes at normalisation's precision.
    """
    n, sums = step.elements(layer.name), step.arithmetic.operand
    fmt = sums if step.normalizes else step.scheme.formats["A"].operand
    yield Row(layer.name, "forward", "multiply", fmt, n)
    if _backward(step, layer):
        yield Row(layer.name, "backward_data", "multiply", fmt, n)
    if layer.name in step.learned:
        yield Row(layer.name, "backward_weight", "multiply", fmt, n)
        yield Row(layer.name, "backward_weight", "add", sums, n - layer.shape[0])


def _add(step: Step, layer: Layer) -> Rows:
    """(inputs - 1) n additions; backward every input gets the same error."""
    count = (len(layer.inputs) - 1) * step.elements(layer.name)
    yield Row(layer.name, "forward", "add", step.arithmetic.operand, count)


def _multiply(step: Step, layer: Layer) -> Rows:
    """N multiplications forward and n for each input's error, which is summed where it was spread
    over a plane."""
    n, fmt = step.elements(layer.name), step.arithmetic.operand
    yield Row(layer.name, "forward", "multiply", fmt, n)
    for source in layer.inputs:
        if source in step.learned and layer.name in step.learned:
            yield Row(layer.name, "backward_data", "multiply", fmt, n)
            yield Row(layer.name, "backward_data", "add", fmt, n - step.elements(source))


def _dropout(step: Step, layer: Layer) -> Rows:
    """A random draw, a compare and a multiplication an element; backward the multiplication. EOQ
    scales in inference alone: backward a compare, which chooses, as a ReLU's does."""
    operator, n = layer.operator, step.elements(layer.name)
    assert isinstance(operator, Dropout)  # noqa: S101 - for the type checker
    if not operator.probability:
        return
    yield Row(layer.name, "forward", "random", "int16", n)
    yield Row(layer.name, "forward", "compare", "int16", n)
    if not step.normalizes:
        if _backward(step, layer):
            yield Row(layer.name, "backward_data", "compare", step.scheme.formats["A"].operand, n)
        return
    yield Row(layer.name, "forward", "multiply", step.arithmetic.operand, n)
    if _backward(step, layer):
        yield Row(layer.name, "backward_data", "multiply", step.arithmetic.operand, n)


def _softmax(step: Step, layer: Layer) -> Rows:
    """Nothing at the end, where it is part of the loss; elsewhere it has no cost and is refused."""
    if layer.name in step.used:
        raise InputError(
            f"network {step.network.name!r}, layer {layer.name!r}: an operator must have a cost; "
            "Softmax has one only at the end, as part of the loss"
        )
    yield from ()


def _movement(step: Step, layer: Layer) -> Rows:
    """Elements change their place or their shape: no arithmetic."""
    yield from ()


def _elsewhere(step: Step, layer: Layer) -> Rows:
    """Counted by `hwmodel.normalization`."""
    yield from ()


OPERATORS: dict[type[Operator], Callable[[Step, Layer], Rows]] = {
    Activation: _activation,
    Add: _add,
    AveragePool: _average_pool,
    ChannelBias: _channel_bias,
    ChannelMultiplier: _channel_multiplier,
    ChannelShuffle: _movement,
    Concat: _movement,
    Convolution: _matrix_product,
    Dropout: _dropout,
    Flatten: _movement,
    GlobalAveragePool: _global_average_pool,
    GlobalMaxPool: _global_max_pool,
    Linear: _matrix_product,
    LocalResponseNormalization: _elsewhere,
    MaxPool: _max_pool,
    Multiply: _multiply,
    Normalization: _elsewhere,
    Pad: _movement,
    Reshape: _movement,
    ScalarBias: _elsewhere,
    ScalarMultiplier: _elsewhere,
    Softmax: _softmax,
}
"""Operator -> its counts. By exact type: a subclass is another operator with another cost."""


def layer_operations(step: Step, layer: Layer) -> Rows:
    """Rows of one layer in the phases forward, backward_data and backward_weight."""
    try:
        count = OPERATORS[type(layer.operator)]
    except KeyError:
        raise InputError(
            f"network {step.network.name!r}, layer {layer.name!r}: an operator must have a cost "
            f"(one of {', '.join(sorted(o.__name__ for o in OPERATORS))}), "
            f"got {type(layer.operator).__name__}"
        ) from None
    yield from count(step, layer)
    sources = len(step.error_sources[layer.name])
    if layer.name in step.learned and sources > 1:
        n = step.elements(layer.name)
        fmt = step.arithmetic.operand
        yield Row(layer.name, "backward_data", "add", fmt, (sources - 1) * n)


def loss_operations(step: Step) -> Rows:
    """Softmax cross-entropy and its error, c classes a sample.

    EOQ: the integer tables of `golden.loss`, line by line. Other schemes, in fp32: c-1 compares for
    the largest logit, c subtractions, c exponentials (look-ups), c-1 additions, one division,
    c multiplications, one subtraction of the label, c multiplications by 1/batch.
    """
    classes = math.prod(step.network.shape_of(step.output))
    samples = step.batch

    def row(op: str, fmt: str, count: int) -> Row:
        return Row("loss", "forward", op, fmt, samples * count)

    c = classes
    if step.normalizes:
        yield row("compare", "fp32", c - 1)
        yield row("add", "fp32", c + (c - 1) + 1)
        yield row("lookup", "fp32", c)
        yield row("div", "fp32", 1)
        yield row("multiply", "fp32", 2 * c)
        return
    # z: shift and saturate; t: shift and clip; then the two table shifts and the mantissa's.
    yield row("shift", "int32", c + c + 1 + c)
    yield row("shift", "int16", c)
    yield row("compare", "int32", c)
    yield row("compare", "int16", (c - 1) + c)
    yield row("add", "int16", c)
    yield row("multiply", "int16", 2 * c)
    # Exponentials, the leading one of their sum, the reciprocal.
    yield row("lookup", "int16", c + 2)
    # The sum of exponentials; the sum of the wrong classes and its sign.
    yield row("add", "int32", (c - 1) + (c - 1))
