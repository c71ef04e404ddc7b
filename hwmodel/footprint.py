"""Memory over the course of one training step, by walking it forward and backward.

A tensor lives from the layer that makes it to its last reader: forward, or, where the backward pass
needs it, backward. What is needed: the input of every weighted layer; what a normalisation
normalised (x-hat overwrites it); the sign of an activation's result, from the stored result where
that is kept anyway and otherwise one bit an element; the place of each maximum of a pooling window;
both factors of a product. Errors live from the first layer that contributes to the last that reads.

Assumptions. Element-wise layers work in place where their operand dies. Biases, activations and
reshapes pass by and have no tensor of their own. The whole batch goes through layer by layer. A
weight gradient is summed in 32 bits and lives until its layer's update (`Conventions.gradients`).
Where exponents are measured, 32-bit sums wait for their maximum: a sample's, a batch's, or none
(`Conventions.exponents`). No allocation is ever fragmented.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from golden.network import (
    Activation,
    Add,
    ChannelShuffle,
    Concat,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Layer,
    LocalResponseNormalization,
    MaxPool,
    Multiply,
    Normalization,
    Pad,
    Reshape,
)
from hwmodel.normalization import statistics_count
from hwmodel.step import BIASES, MULTIPLIERS, WEIGHTED, Step
from hwmodel.updates import parameter_formats
from hwmodel.windows import chooses

__all__ = ["KINDS", "Moment", "footprint", "peak"]

KINDS = (
    "weights",
    "momentum",
    "activations",
    "gradients",
    "masks",
    "statistics",
    "exponents",
    "accumulators",
)

_MOVES = (Flatten, Reshape, ChannelShuffle, Pad)
_CARRIERS = (Activation, Dropout, *BIASES, *_MOVES)
_ELEMENTWISE = (*_CARRIERS, *MULTIPLIERS, Add, Normalization)

Live = Callable[[str, int, int, int], None]
"""(kind, first moment, last moment, bytes)."""


class Moment(NamedTuple):
    """Bytes live while one layer works, by kind."""

    layer: str
    phase: str
    weights: int
    momentum: int
    activations: int
    gradients: int
    masks: int
    statistics: int
    exponents: int
    accumulators: int

    @property
    def total(self) -> int:
        """All kinds."""
        return sum(self[2:])


def _octets(bits: int) -> int:
    return (bits + 7) // 8


class _Storage:
    """Which tensors exist in memory, and how wide they are."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.root: dict[str, str] = {"input": "input"}
        layers = step.network.layers
        narrow = None if step.normalizes else set(step.dataflow.activations)
        for layer in step.network:
            name, operator = layer.name, layer.operator
            source = layer.inputs[0]
            readers = step.consumers[name]
            only = layers[readers[0]].operator if len(readers) == 1 else None
            fused = step.conventions.fused_scalars
            if isinstance(operator, _MOVES) or chooses(operator):
                # What passes by is stored where it is converted.
                converted = narrow is not None and name in narrow
                self.root[name] = self.root[source] or (name if converted else "")
            elif isinstance(operator, BIASES) and fused and self._stored(source):
                # Added again whenever the stored operand is read.
                self.root[name] = self.root[source]
            elif name == step.output:
                self.root[name] = name
            else:
                passes = (
                    isinstance(only, Activation | Dropout)
                    if narrow is None
                    else self._wide(layer, only, narrow)
                )
                self.root[name] = "" if passes else name

    def _stored(self, name: str) -> bool:
        return bool(self.root[name])

    def _wide(self, layer: Layer, only: object, narrow: set[str]) -> bool:
        """EOQ's 32-bit sums that pass on to the next layer without being stored."""
        if layer.name in narrow or only is None:
            return False
        if isinstance(layer.operator, MULTIPLIERS):
            return self.step.conventions.fused_scalars and isinstance(only, (Add, *_CARRIERS))
        # A mean is summed while the tensor passes by. Maxima are codes, and are stored as such.
        return isinstance(only, (*_CARRIERS, GlobalAveragePool)) and not isinstance(
            layer.operator, MaxPool | GlobalMaxPool
        )

    def stored(self, name: str) -> str:
        """Tensor in memory that holds `name`'s values, upstream of what passes by; "" if none."""
        return self.root[name]

    def bits(self, name: str) -> int:
        """Bits of an element."""
        step = self.step
        if name == step.output:
            return step.scheme.accumulator.bits
        if any(reader in step.full_precision for reader in step.consumers[name]):
            return 32
        readers = (step.network.layers[r].operator for r in step.consumers[name])
        if any(isinstance(reader, Normalization) for reader in readers):
            return step.scheme.normalized.bits
        return step.scheme.formats["A"].bits

    def bytes(self, name: str) -> int:
        """Bytes over the batch."""
        return _octets(self.step.elements(name) * self.bits(name))


def _needs(storage: _Storage, layer: Layer) -> Iterator[str]:
    """Stored tensors that a layer's backward pass reads."""
    operator = layer.operator
    if isinstance(operator, WEIGHTED):
        names: tuple[str, ...] = layer.inputs[:1]
    elif isinstance(operator, (Normalization, LocalResponseNormalization, Multiply, *MULTIPLIERS)):
        names = layer.inputs
    else:
        names = ()
    for name in names:
        if storage.stored(name):
            yield storage.stored(name)


def _mask_bits(storage: _Storage, layer: Layer, saved: dict[str, int]) -> int:
    """Bits an element that a layer keeps for its backward pass beside whole tensors."""
    operator = layer.operator
    if isinstance(operator, Activation):
        if not storage.step.normalizes:
            # The sign of the 32-bit sum, which a stored code no longer shows (`golden.layers`).
            return 1
        name = layer.name
        # Reshapes keep values: the result may be stored under a later name.
        while not storage.stored(name) and len(storage.step.consumers[name]) == 1:
            follower = storage.step.network.layers[storage.step.consumers[name][0]]
            if not isinstance(follower.operator, _MOVES):
                break
            name = follower.name
        return 0 if storage.stored(name) in saved else 1
    if isinstance(operator, Dropout):
        return 1 if operator.probability else 0
    if isinstance(operator, MaxPool):
        return (math.prod(operator.kernel) - 1).bit_length()
    if isinstance(operator, GlobalMaxPool):
        return (math.prod(layer.input_shapes[0][1:]) - 1).bit_length()
    return 0


def footprint(step: Step) -> list[Moment]:
    """Bytes live at every layer of the step, forward, at the loss, and backward.

    The layers' own parameters and their momentum live throughout.
    """
    layers = list(step.network)
    n = len(layers)
    forward = {"input": 0, **{layer.name: i for i, layer in enumerate(layers)}}
    backward = {layer.name: 2 * n - i for i, layer in enumerate(layers)}
    length = 2 * n + 2
    change = {kind: [0] * (length + 1) for kind in KINDS}

    def live(kind: str, first: int, last: int, size: int) -> None:
        """`size` bytes from `first` to `last`, both included."""
        if last >= first:
            change[kind][first] += size
            change[kind][last + 1] -= size

    storage = _Storage(step)
    saved: dict[str, int] = {}
    for layer in layers:
        if layer.name in step.learned:
            for name in _needs(storage, layer):
                saved[name] = max(saved.get(name, 0), backward[layer.name])

    last_read = {name: t for name, t in forward.items() if storage.stored(name) == name}
    for layer in layers:
        for source in layer.inputs:
            root = storage.stored(source)
            if root:
                last_read[root] = max(last_read[root], forward[layer.name])
    last_read[storage.stored(step.output) or step.output] = n
    for name, first in forward.items():
        if storage.stored(name) != name:
            continue
        last = saved.get(name, last_read.get(name, first))
        readers = step.consumers[name]
        if name not in saved and readers and last < n:
            # The last reader may write its result over this tensor.
            reader = step.network.layers[max(readers, key=lambda r: forward[r])]
            in_place = isinstance(reader.operator, _ELEMENTWISE)
            fits = storage.stored(reader.name) == reader.name
            if in_place and fits and storage.bytes(reader.name) <= storage.bytes(name):
                last = max(first, forward[reader.name] - 1)
        live("activations", first, last, storage.bytes(name))

    _errors(step, backward, live)
    for layer in layers:
        if layer.name not in step.learned:
            continue
        here, t = backward[layer.name], forward[layer.name]
        masks = _mask_bits(storage, layer, saved)
        live("masks", t, here, _octets(masks * step.elements(layer.name)))
        gradient = sum(math.prod(shape) for shape in step.parameters[layer.name].values())
        live("gradients", here, here, 4 * gradient)
        if step.conventions.gradients == "step":
            kept = step.format("G", layer).bits
            live("gradients", here + 1, length - 1, _octets(kept * gradient))
    _constant(step, live, length - 1)
    _waiting(step, forward, backward, live)
    return _moments(step, change, n)


_ERROR_PASSES = (*_CARRIERS, Add, Concat, GlobalAveragePool, GlobalMaxPool, Normalization)
"""Layers whose backward pass needs no new tensor: it masks, rescales or spreads in place."""


def _errors(step: Step, backward: dict[str, int], live: Live) -> None:
    """Each error from the first layer that contributes to it to the last that reads it.

    At a join the branches share one error; a normalisation would overwrite it, so there every
    branch but the first has a copy. At a fork the sum is made over the first contribution.
    """
    holder: dict[str, str] = {}
    lives: dict[str, list[int]] = {}
    for layer in reversed(list(step.network)):
        name = layer.name
        if name not in step.learned:
            continue
        sources = [step.network.layers[s] for s in step.error_sources[name]]
        times = [backward[s.name] for s in sources] or [len(step.network)]
        shared = [
            holder[s.name]
            for s in sources
            if isinstance(s.operator, _ERROR_PASSES)
            and not (step.normalizes and isinstance(s.operator, Add) and s.inputs[0] != name)
        ]
        if len(sources) == 1 and shared:
            holder[name] = shared[0]
        else:
            made = [t for s, t in zip(sources, times, strict=False) if holder[s.name] not in shared]
            holder[name] = name
            lives[name] = [min(made, default=max(times)), max(times)]
            for other in shared:
                lives[other][1] = max(lives[other][1], *times)
        span = lives[holder[name]]
        span[1] = max(span[1], backward[name])
    bits = step.scheme.formats["E"].bits
    for name, (first, last) in lives.items():
        live("gradients", first, last, _octets(bits * step.elements(name)))


def _constant(step: Step, live: Live, last: int) -> None:
    """Parameters, momentum, statistics and exponents, which live throughout."""
    weights = momentum = 0
    for layer in step.network:
        for _, count, kept, _, moment in parameter_formats(step, layer):
            weights += count * kept
            momentum += count * moment
    live("weights", 0, last, _octets(weights))
    live("momentum", 0, last, _octets(momentum))
    if step.normalizes:
        live("statistics", 0, last, _octets(statistics_count(step) * step.scheme.statistics.bits))
    else:
        flow = step.dataflow
        tensors = len(flow.activations) + len(flow.errors)
        live("exponents", 0, last, _octets(tensors * step.batch * step.scheme.exponent_bits))


def _waiting(step: Step, forward: dict[str, int], backward: dict[str, int], live: Live) -> None:
    """32-bit sums that wait for their maximum while a layer works."""
    if step.normalizes or step.conventions.exponents == "lagged":
        return
    share = step.batch if step.conventions.exponents == "sample" else 1
    flow = step.dataflow
    for names, when in ((flow.activations, forward), (flow.errors, backward)):
        for name in names:
            live("accumulators", when[name], when[name], 4 * step.elements(name) // share)


def _moments(step: Step, change: dict[str, list[int]], n: int) -> list[Moment]:
    layers = list(step.network)
    places = [(layer.name, "forward") for layer in layers]
    places.append(("loss", "forward"))
    # Time n is the loss; layer i goes backward at 2n - i, so the last layer at n + 1.
    places += [(layer.name, "backward") for layer in reversed(layers)]
    running = dict.fromkeys(KINDS, 0)
    moments = []
    for t, (name, phase) in enumerate(places):
        for kind in KINDS:
            running[kind] += change[kind][t]
        moments.append(Moment(name, phase, **running))
    return moments


def peak(moments: list[Moment]) -> Moment:
    """Moment at which most memory is live, the first of equals."""
    return max(moments, key=lambda m: m.total)
