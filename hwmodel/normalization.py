"""What normalisation costs, and what Fixup's scalars cost that stand in its place.

Four currencies: arithmetic (rows of the ledger), passes over activations (elements read and
written), bytes, and barriers: points at which nothing goes on until the whole batch has arrived.

M is the elements of one channel over the batch: batch * height * width.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from golden.network import (
    Layer,
    LocalResponseNormalization,
    Normalization,
    ScalarBias,
    ScalarMultiplier,
)
from golden.schemes import Normalizer
from hwmodel.step import Row, Step

__all__ = [
    "Pass",
    "normalization_barriers",
    "normalization_operations",
    "normalization_passes",
    "normalized_elements",
]

PHASE = "normalization"


class Pass(NamedTuple):
    """One walk over a tensor: elements read and written, and their bytes."""

    layer: str
    direction: str
    name: str
    reads: int
    writes: int
    bytes: int


def batch_normalization(
    m: int, *, division: str, variance: str, backward: bool = True
) -> dict[str, int]:
    """Operations of one channel in one training step, forward, backward and running statistics;
    without `backward` those of running forward once more.

    Two-pass forward: mean M-1 add, 1 mul; differences M add; variance M mul, M-1 add, 1 mul;
    epsilon 1 add; 1 sqrt; 1 div; normalise M mul; gamma M mul; beta M add: 4M-1 add, 3M+2 mul.
    One-pass: the sum of squares needs no differences, the correction mean**2 a multiplication and a
    subtraction more: 4M add, 3M+3 mul. Dividing per element replaces the reciprocal and M of the
    multiplications by M divisions.

    Backward: d_beta M-1 add; d_gamma M mul, M-1 add; error gamma/deviation * (e - d_beta/M -
    xhat * d_gamma/M) 2M add, 2M mul and 3 mul a channel: 4M-2 add, 3M+3 mul. Running mean and
    variance: 2 add, 4 mul.
    """
    extra = 1 if variance == "one-pass" else 0
    add, multiply, div = 4 * m - 1 + extra, 3 * m + 2 + extra, 1
    if backward:
        add += (4 * m - 2) + 2
        multiply += (3 * m + 3) + 4
    if division == "per-element":
        multiply, div = multiply - m, m
    return {"add": add, "multiply": multiply, "sqrt": 1, "div": div}


def range_normalization(
    m: int, *, division: str, chunks: int = 1, backward: bool = True
) -> dict[str, int]:
    """Operations of one channel of Range BN in one training step; without `backward` those of
    running forward once more.

    Forward: mean M-1 add, 1 mul; differences M add; extremes 2(M-chunks) compare; range 1 add,
    times C 1 mul; epsilon 1 add; 1 div; normalise and gamma 2M mul; beta M add. Against batch
    normalisation that is 2(M-1) compares in place of M mul, M-1 add and the square root. The mean
    of `chunks` extremes adds 2(chunks-1) add and 2 mul.

    Backward, through the extremes as automatic differentiation does it (our derivation): d_beta
    M-1 add; d_gamma M mul, M-1 add; error gamma*scale*(e - mean(e)) M add, M mul; the range's own
    error goes to the two extremes only, 2 add; 5 mul a channel. Running mean and range: 2 add,
    4 mul.
    """
    chunks = min(chunks, m)
    add, multiply = 3 * m + 1, 2 * m + 2
    if backward:
        add += 3 * m + 2
        multiply += (2 * m + 5) + 4
    if chunks > 1:
        add += 2 * (chunks - 1)
        multiply += 2
    div = 1
    if division == "per-element":
        multiply, div = multiply - m, m
    return {"add": add, "multiply": multiply, "compare": 2 * (m - chunks), "div": div}


def local_response(m: int, window: int, *, backward: bool = True) -> dict[str, int]:
    """AlexNet's normalisation over m elements whose windows hold `window` channels in all.

    Forward: y = x * s**-0.75, s = k + alpha/size * sum of squares: 2 mul, window sums, 1 add;
    s**0.75 as two square roots and 1 mul, 1 div, 1 mul for y. Backward:
    e * s**-0.75 - c * x * sum(e * y / s): 4 mul, 1 div, window sums, 1 add.
    """
    sums = window - m
    ways = 1 + backward
    return {"add": ways * (sums + m), "multiply": ways * 4 * m, "sqrt": 2 * m, "div": ways * m}


def _channels(step: Step, layer: Layer) -> tuple[int, int]:
    """Channels, and elements of each over the batch."""
    channels = layer.shape[0]
    return channels, step.elements(layer.name) // channels


def _window(step: Step, layer: Layer) -> int:
    """Channels that all windows of a local response normalisation reach, over all elements."""
    operator, channels = layer.operator, layer.shape[0]
    assert isinstance(operator, LocalResponseNormalization)  # noqa: S101 - for the type checker
    below, above = (operator.size - 1) // 2, operator.size // 2
    reach = sum(min(channels - 1, c + above) - max(0, c - below) + 1 for c in range(channels))
    return reach * (step.elements(layer.name) // channels)


def normalization_operations(step: Step, layer: Layer) -> Iterator[Row]:
    """Rows of one layer in the phase normalization; none for other operators."""
    conventions, fmt = step.conventions, step.scheme.statistics.operand
    operator = layer.operator
    n = step.elements(layer.name)
    # A network that is run forward once more has no errors at all (`Step.forward_only`).
    backward = bool(step.learned)
    counts: dict[str, int] = {}
    if isinstance(operator, Normalization):
        channels, m = _channels(step, layer)
        if step.scheme.normalizer is Normalizer.RANGE:
            one = range_normalization(
                m, division=conventions.division, chunks=conventions.range_chunks, backward=backward
            )
        else:
            one = batch_normalization(
                m, division=conventions.division, variance=conventions.variance, backward=backward
            )
        counts = {op: channels * count for op, count in one.items()}
    elif isinstance(operator, LocalResponseNormalization):
        counts = local_response(n, _window(step, layer), backward=backward)
    elif isinstance(operator, ScalarBias):
        # Forward one addition an element; backward the sum of the errors. Sums before and behind
        # the accumulator are both priced at its width.
        fmt = step.scheme.accumulator.operand
        counts = {"add": n + (n - 1) * (layer.name in step.learned)}
    elif isinstance(operator, ScalarMultiplier):
        # Forward z*m; backward e*m where z has an error, and the gradient sum of e*z.
        learned = layer.name in step.learned
        products = 1 + learned + (learned and layer.inputs[0] in step.learned)
        yield Row(layer.name, PHASE, "multiply", step.scheme.formats["A"].operand, products * n)
        fmt = step.scheme.accumulator.operand
        counts = {"add": (n - 1) * learned}
    for op, count in counts.items():
        yield Row(layer.name, PHASE, op, fmt, count)


def normalized_elements(step: Step) -> int:
    """Elements over the batch that the network as it is named normalises, whatever the scheme."""
    return step.batch * sum(
        math.prod(layer.shape)
        for layer in step.original
        if isinstance(layer.operator, Normalization | LocalResponseNormalization)
    )


def normalization_passes(step: Step) -> Iterator[Pass]:
    """Every pass that normalisation, or what stands in its place, makes over a tensor in one step.

    Batch normalisation with the mean summed by the producer: variance 1 read, normalise 1 read and
    1 write, the backward sums 2 reads, the error 2 reads and 1 write: 8. Without it 9; one-pass
    statistics save 1. Range BN needs no deviation and, for the error, no x-hat: 6 or 7.
    """
    for layer in step.network:
        for one in _passes(step, layer):
            if step.learned or one.direction == "forward":
                yield one


def _passes(step: Step, layer: Layer) -> Iterator[Pass]:
    conventions, scheme = step.conventions, step.scheme
    n = step.elements(layer.name)
    inner, error = scheme.normalized.bits, scheme.formats["E"].bits
    # The flag of WAGEUBN's error is 1 bit in 9; normalisation moves the byte.
    error = min(error, inner) if error == inner + 1 else error

    def walk(direction: str, name: str, reads: tuple[int, ...], writes: tuple[int, ...]) -> Pass:
        moved = n * (sum(reads) + sum(writes)) // 8
        return Pass(layer.name, direction, name, n * len(reads), n * len(writes), moved)

    operator = layer.operator
    if isinstance(operator, Normalization):
        ranged = scheme.normalizer is Normalizer.RANGE
        one_pass = ranged or conventions.variance == "one-pass"
        if not conventions.fused_statistics:
            yield walk("forward", "statistics" if one_pass else "mean", (inner,), ())
        if not one_pass:
            yield walk("forward", "variance", (inner,), ())
        yield walk("forward", "normalise", (inner,), (inner,))
        yield walk("backward", "sums", (error, inner), ())
        yield walk("backward", "error", (error,) if ranged else (error, inner), (error,))
    elif isinstance(operator, LocalResponseNormalization):
        yield walk("forward", "normalise", (inner,), (inner,))
        yield walk("backward", "error", (error, inner, inner), (error,))
    elif isinstance(operator, ScalarBias) and not conventions.fused_scalars:
        yield walk("forward", "bias", (inner,), (inner,))
        yield walk("backward", "bias gradient", (error,), ())
    elif isinstance(operator, ScalarMultiplier):
        if conventions.fused_scalars:
            yield walk("backward", "multiplier gradient", (inner,), ())
        else:
            yield walk("forward", "multiplier", (inner,), (inner,))
            yield walk("backward", "multiplier", (error, inner), (error,))


def normalization_barriers(step: Step) -> int:
    """Points a step at which normalisation waits for the whole batch.

    Two-pass statistics wait twice forward (mean, variance), one-pass and range once, and each
    normalisation waits once backward for its two sums.
    """
    layers = sum(isinstance(layer.operator, Normalization) for layer in step.network)
    once = step.scheme.normalizer is Normalizer.RANGE or step.conventions.variance == "one-pass"
    return layers * ((1 if once else 2) + 1)


def statistics_count(step: Step) -> int:
    """Numbers a step keeps for normalisation's backward pass and running averages: 4 a channel."""
    return sum(
        4 * math.prod(step.parameters[layer.name]["gamma"])
        for layer in step.network
        if isinstance(layer.operator, Normalization)
    )
