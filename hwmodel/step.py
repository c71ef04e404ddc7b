"""One training step as the cost model sees it: a rewritten network, a scheme, a batch.

What both the ledger and the memory model ask of the graph is answered here once: which errors are
needed at all, who reads a tensor, which layers stay in full precision.
"""

import math
from collections.abc import Iterable, Mapping
from copy import copy
from functools import cached_property
from typing import NamedTuple

from golden.errors import InputError
from golden.network import (
    ChannelBias,
    ChannelMultiplier,
    Convolution,
    Layer,
    Linear,
    Network,
    ScalarBias,
    ScalarMultiplier,
    Shape,
    Softmax,
)
from golden.schemes import Format, Normalizer, Scheme
from hwmodel.conventions import DEFAULT, Conventions
from hwmodel.dataflow import Dataflow

__all__ = ["BIASES", "MULTIPLIERS", "WEIGHTED", "Row", "Step", "total"]

WEIGHTED = (Convolution, Linear)
"""Operators that are matrix products."""

BIASES = (ScalarBias, ChannelBias)
"""Operators that add learned numbers, one or one a channel."""

MULTIPLIERS = (ScalarMultiplier, ChannelMultiplier)
"""Operators that multiply by learned numbers, one or one a channel."""

_FP32 = Format("fp32", 32)


class Row(NamedTuple):
    """So many operations of one kind: the ledger's unit. `format` is that of the operands."""

    layer: str
    phase: str
    op: str
    format: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody needs here


def total(rows: Iterable[Row], **where: str) -> int:
    """Sum of counts of the rows whose fields have the given values."""
    wanted = where.items()
    return sum(row.count for row in rows if all(getattr(row, k) == v for k, v in wanted))


class Step:
    """A training step.

    Parameters
    ----------
    network:
        As it is named; the scheme rewrites it here.
    scheme, batch, conventions:
        How it is trained, on how many samples (1 to 2**20), and how that is counted.
    """

    def __init__(
        self,
        network: Network,
        scheme: Scheme,
        batch: int = 1,
        conventions: Conventions = DEFAULT,
    ) -> None:
        if not isinstance(batch, int) or isinstance(batch, bool) or not 1 <= batch <= 1 << 20:
            raise InputError(f"batch must be a whole number from 1 to {1 << 20}, not {batch!r}")
        if not len(network):
            raise InputError(f"network {network.name!r} must have at least one layer, got none")
        self.original = network
        self.network = scheme.rewrite(network)
        self.scheme = scheme
        self.batch = batch
        self.conventions = conventions

    def forward_only(self) -> "Step":
        """The same step without any error: what running forward once more takes."""
        other = copy(self)
        for name in ("learned", "error_sources", "kinds", "dataflow"):
            other.__dict__.pop(name, None)
        other.__dict__["learned"] = frozenset()
        return other

    def elements(self, tensor: str) -> int:
        """Elements of a layer's output (or of "input") over the whole batch."""
        return self._elements[tensor]

    @cached_property
    def _elements(self) -> dict[str, int]:
        shapes = {"input": self.network.input_shape}
        shapes |= {layer.name: layer.shape for layer in self.network}
        return {name: self.batch * math.prod(shape) for name, shape in shapes.items()}

    @cached_property
    def parameters(self) -> Mapping[str, Mapping[str, Shape]]:
        """Shape of each learned tensor, by layer and name."""
        return {layer.name: layer.parameters for layer in self.network}

    @cached_property
    def dataflow(self) -> Dataflow:
        """Where an EOQ step converts to 8 bits."""
        return Dataflow(self)

    @cached_property
    def weighted(self) -> list[Layer]:
        """Layers that are matrix products, in order."""
        return [layer for layer in self.network if isinstance(layer.operator, WEIGHTED)]

    @cached_property
    def output(self) -> str:
        """Name of the layer whose output is the logits: the last but for a softmax."""
        name = self.network.output
        while name != "input" and isinstance(self.network.layers[name].operator, Softmax):
            name = self.network.layers[name].inputs[0]
        return name

    @cached_property
    def used(self) -> frozenset[str]:
        """Tensors that the loss depends on."""
        found, pending = {self.output}, [self.output]
        while pending:
            name = pending.pop()
            for source in () if name == "input" else self.network.layers[name].inputs:
                if source not in found:
                    found.add(source)
                    pending.append(source)
        return frozenset(found)

    @cached_property
    def learned(self) -> frozenset[str]:
        """Tensors that have an error: the loss depends on them, and they on a parameter."""
        found: set[str] = set()
        for layer in self.network:
            if self.parameters[layer.name] or not found.isdisjoint(layer.inputs):
                found.add(layer.name)
        return frozenset(found & self.used)

    @cached_property
    def consumers(self) -> dict[str, list[str]]:
        """Layers that read each tensor, in order; one that reads it twice is there twice."""
        return self.network.consumers()

    @cached_property
    def error_sources(self) -> dict[str, list[str]]:
        """Layers whose backward pass contributes to each tensor's error."""
        return {
            name: [c for c in consumers if c in self.learned]
            for name, consumers in self.consumers.items()
        }

    @cached_property
    def kinds(self) -> Mapping[str, tuple[object, ...]]:
        """All that a layer's own counts depend on, but for its name, by layer.

        Deep networks repeat themselves: layers of one kind are counted once.
        """
        learned, sources, used, full = (
            self.learned, self.error_sources, self.used, self.full_precision,
        )  # fmt: skip
        return {
            layer.name: (
                layer.operator,
                layer.input_shapes,
                layer.name in learned,
                tuple([source in learned for source in layer.inputs]),
                layer.name in full,
                len(sources[layer.name]),
                layer.name in used,
            )
            for layer in self.network
        }

    @cached_property
    def full_precision(self) -> frozenset[str]:
        """Weighted layers that the scheme leaves in fp32."""
        if not self.scheme.full_precision_ends or not self.weighted:
            return frozenset()
        return frozenset({self.weighted[0].name, self.weighted[-1].name})

    def format(self, kind: str, layer: Layer) -> Format:
        """Format of W, A, E or G in a weighted layer."""
        return _FP32 if layer.name in self.full_precision else self.scheme.formats[kind]

    def accumulator(self, layer: Layer) -> Format:
        """Format of a weighted layer's sums."""
        return _FP32 if layer.name in self.full_precision else self.scheme.accumulator

    @property
    def arithmetic(self) -> Format:
        """Format in which elements between matrix products are worked on."""
        return self.scheme.statistics if self.normalizes else self.scheme.accumulator

    @property
    def normalizes(self) -> bool:
        """The scheme normalises by statistics of the batch."""
        return self.scheme.normalizer is not Normalizer.NONE
