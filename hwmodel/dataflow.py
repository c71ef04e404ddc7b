"""Where an EOQ step converts 32-bit sums to 8 bits, by the rules of `golden.training`."""

from functools import cached_property
from typing import TYPE_CHECKING

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
    Linear,
    MaxPool,
    Multiply,
    Operator,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
)
from hwmodel.windows import chooses, overlaps

if TYPE_CHECKING:
    from hwmodel.step import Step

__all__ = ["Dataflow"]

_NEEDS_CODES = (
    AveragePool,
    ChannelMultiplier,
    Concat,
    Convolution,
    Dropout,
    GlobalAveragePool,
    GlobalMaxPool,
    Linear,
    MaxPool,
    Multiply,
    ScalarMultiplier,
)
"""Operators that read 8-bit codes, and whose output's error must be codes.

As in `golden.layers`, `golden.pooling`, `golden.concatenation` and `golden.dropout`.
"""

_BIASES = (ScalarBias, ChannelBias)

_KEEPS_CODES = (
    Activation,
    ChannelShuffle,
    Concat,
    Dropout,
    Flatten,
    GlobalMaxPool,
    MaxPool,
    Pad,
    Reshape,
)

_KEEPS_ERROR = (*_KEEPS_CODES, *_BIASES, Add, AveragePool, GlobalAveragePool)
"""Operators whose backward pass hands codes on as codes. A mean spreads its error; the division is
in the exponent."""


def _widens(operator: Operator) -> bool:
    """A leaky activation makes 32 bits of codes and loses nothing (`golden.activations`)."""
    return isinstance(operator, Activation) and operator.slope > 0


def _needs_codes(operator: Operator) -> bool:
    return isinstance(operator, _NEEDS_CODES) and not chooses(operator)


class Dataflow:
    """Tensors that are converted.

    Forward, where a tensor forks or its reader needs codes, unless it still has them. Backward,
    where a layer needs codes, or only passes its error on to one that does.
    """

    def __init__(self, step: "Step") -> None:
        self.step = step

    @cached_property
    def activations(self) -> list[str]:
        """Tensors converted forward (A)."""
        step, layers = self.step, self.step.network.layers
        points = []
        codes = {"input": True}
        for layer in step.network:
            name, operator = layer.name, layer.operator
            keeps = isinstance(operator, (*_KEEPS_CODES, *_BIASES)) or chooses(operator)
            keeps = keeps and not _widens(operator)
            codes[name] = keeps and all(codes[source] for source in layer.inputs)
            readers = step.consumers[name]
            wanted = len(readers) > 1 or any(_needs_codes(layers[r].operator) for r in readers)
            if wanted and not codes[name] and name != step.output:
                points.append(name)
                codes[name] = True
        return points

    @cached_property
    def errors(self) -> list[str]:
        """Tensors whose error is converted backward (E), in the order of the backward pass."""
        step, layers = self.step, self.step.network.layers
        wanted: set[str] = set()
        for layer in step.network:
            passes = isinstance(layer.operator, (*_BIASES, Add))
            if _needs_codes(layer.operator) or (passes and wanted.intersection(layer.inputs)):
                wanted.add(layer.name)
        points = []
        codes: dict[str, bool] = {}
        for layer in reversed(list(step.network)):
            name = layer.name
            if name not in step.learned:
                continue
            sources = step.error_sources[name]
            codes[name] = False
            if len(sources) == 1:
                reader = layers[sources[0]].operator
                sums = isinstance(reader, MaxPool | AveragePool) and overlaps(reader)
                kept = isinstance(reader, _KEEPS_ERROR) and not sums and not _widens(reader)
                codes[name] = kept and codes[sources[0]]
            if name in wanted and not codes[name]:
                points.append(name)
                codes[name] = True
        return points
