"""Which tensors exist in memory, how wide they are, and what the backward pass needs of them."""

import math
from collections.abc import Iterator

from golden.network import (
    Activation,
    Add,
    ChannelShuffle,
    Dropout,
    Flatten,
    GlobalMaxPool,
    Layer,
    LocalResponseNormalization,
    MaxPool,
    Multiply,
    Normalization,
    Pad,
    Reshape,
)
from hwmodel.step import BIASES, MULTIPLIERS, WEIGHTED, Step
from hwmodel.windows import chooses

__all__ = ["CARRIERS", "ELEMENTWISE", "Storage", "mask_bits", "needs", "octets"]

MOVES = (Flatten, Reshape, ChannelShuffle, Pad)
CARRIERS = (Activation, Dropout, *BIASES, *MOVES)
"""Layers that pass by and have no tensor of their own."""

ELEMENTWISE = (*CARRIERS, *MULTIPLIERS, Add, Normalization)
"""Layers that may write their result over an operand that dies."""


def octets(bits: int) -> int:
    """Bytes that hold so many bits."""
    return (bits + 7) // 8


class Storage:
    """Which tensors a step keeps in memory, and how wide they are."""

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
            if isinstance(operator, MOVES) or chooses(operator):
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
            return self.step.conventions.fused_scalars and isinstance(only, (Add, *CARRIERS))
        # Maxima are codes, and are stored as such.
        return isinstance(only, CARRIERS) and not isinstance(
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
        return octets(self.step.elements(name) * self.bits(name))


def needs(storage: Storage, layer: Layer) -> Iterator[str]:
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


def mask_bits(storage: Storage, layer: Layer, saved: dict[str, int]) -> int:
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
            if not isinstance(follower.operator, MOVES):
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
