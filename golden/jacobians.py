"""Jacobians of a network's blocks, as golden's backward pass applies them to errors.

A block's Jacobian J takes a small change of its input to the change of its output; its backward
pass takes an error e of the output to J'e. Nothing here differentiates anything: what is looked at
is what training does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from golden.blocks import Block
from golden.float_layers import DropoutLayer, Floats
from golden.float_model import FloatModel
from golden.formats import Integers
from golden.layers import ReshapeLayer
from golden.network import Dropout, Network, Normalization
from golden.training import Model
from golden.values import ERROR_ZERO_EXPONENT, Value, join, quantize_samples

__all__ = [
    "E",
    "FloatJacobians",
    "IntegerJacobians",
    "Jacobians",
    "Matrix",
    "widened",
]

Matrix = NDArray[np.float64]

E = TypeVar("E", Floats, Value)
"""An error of a batch: (samples, ...)."""

_PROBE_EXPONENT = 6
"""A probe of +-1 is a code of +-64."""


class Jacobians(ABC, Generic[E]):
    """The blocks of one network, linearised at one batch of inputs.

    Members
    -------
    samples:
        Inputs in the batch.
    network:
        As the scheme rewrote it.
    linear:
        Backward is linear in the error; otherwise it rounds, and only an error as dense as those of
        training says what rounding does to them.
    """

    linear: bool

    def __init__(self, network: Network, samples: int) -> None:
        self.network = network
        self.samples = samples

    def couples(self, block: Block) -> bool:
        """Return whether samples act on each other, through the statistics of the batch."""
        return any(isinstance(layer.operator, Normalization) for layer in block.layers)

    @abstractmethod
    def probe(self, values: Floats) -> E:
        """Return an error for 0 and +-1, (samples, ...)."""

    @abstractmethod
    def real(self, error: E) -> Matrix:
        """Return an error's real values, (samples, elements)."""

    @abstractmethod
    def pull(self, block: Block, error: E) -> E:
        """Return the error of a block's input from that of its output: J' times it."""


def _pull(
    block: Block, error: E, step: Callable[[str, list[E]], list[E]], total: Callable[[list[E]], E]
) -> E:
    """Walk a block's layers backwards; an error with several readers is the total of theirs."""
    errors: dict[str, list[E]] = {block.output: [error]}
    for layer in reversed(block.layers):
        for name, part in zip(layer.inputs, step(layer.name, errors.pop(layer.name)), strict=True):
            errors.setdefault(name, []).append(part)
    return total(errors[block.source])


def _dropouts(network: Network) -> list[str]:
    return [layer.name for layer in network if isinstance(layer.operator, Dropout)]


class FloatJacobians(Jacobians[Floats]):
    """Of a floating-point model in training: normalisation is by the batch's own statistics.

    Parameters
    ----------
    model:
        Its layers keep this batch until another forward pass; running averages move. Dropout is
        taken out of it.
    inputs:
        (samples, ...), in the type in which to compute.
    linear:
        False for a scheme that quantises errors.
    """

    def __init__(self, model: FloatModel, inputs: Floats, *, linear: bool = True) -> None:
        super().__init__(model.network, len(inputs))
        self.linear = linear
        self._layers = model.layers
        self._kind = inputs.dtype
        for name in _dropouts(model.network):
            model.layers[name] = DropoutLayer(0.0, model.noise)
        model.noise.begin(0)
        model.logits(inputs, training=True)

    def probe(self, values: Floats) -> Floats:
        """Return them in the model's type."""
        return values.astype(self._kind)

    def real(self, error: Floats) -> Matrix:
        """Return them as rows."""
        return error.reshape(len(error), -1).astype(np.float64)

    def pull(self, block: Block, error: Floats) -> Floats:
        """Run the layers' backward passes."""

        def total(parts: Sequence[Floats]) -> Floats:
            return sum(parts[1:], start=parts[0])

        def step(name: str, parts: list[Floats]) -> list[Floats]:
            return self._layers[name].backward(total(parts), True)

        return _pull(block, error, step, total)


class IntegerJacobians(Jacobians[Value]):
    """Of EOQ's integers: errors are brought to 8 bits wherever a training step does it.

    Straight-through: the mask of a ReLU is the integers' own, and the rounding of activations has
    no derivative of its own, as in training.

    Parameters
    ----------
    model:
        Its layers keep this batch until another forward pass. Dropout is taken out of it.
    codes:
        8-bit inputs.

    Members
    -------
    coded:
        Names of the layers whose output's error is brought to 8 bits.
    """

    linear = False

    def __init__(self, model: Model, codes: Integers) -> None:
        super().__init__(model.network, len(codes))
        self._layers = model.layers
        self.coded = model.coded_errors
        for name in _dropouts(model.network):
            model.layers[name] = ReshapeLayer(name, model.network.shape_of(name))
        model.logits(codes)

    def probe(self, values: Floats) -> Value:
        """Return codes of +-64 with exponent 6."""
        codes = values.astype(np.int32) << _PROBE_EXPONENT
        return Value(codes, np.full(len(codes), _PROBE_EXPONENT, np.int64), is_codes=True)

    def real(self, error: Value) -> Matrix:
        """Return integers times the power of two of each sample."""
        rows = error.integers.reshape(len(error), -1).astype(np.float64)
        return rows * np.exp2(-error.exponent.astype(np.float64))[:, None]

    def pull(self, block: Block, error: Value) -> Value:
        """Run the layers' backward passes with the quantisers between them."""

        def step(name: str, parts: list[Value]) -> list[Value]:
            joined = join(parts)
            if name in self.coded and not joined.is_codes:
                joined = quantize_samples(joined, ERROR_ZERO_EXPONENT)
            return self._layers[name].backward(joined)

        return _pull(block, error, step, join)


def widened(model: FloatModel) -> FloatModel:
    """Turn a model's parameters and averages into float64, in place, and return it."""
    for layer in model.layers.values():
        for tensors in (layer.learned, layer.running):
            tensors.update({name: values.astype(np.float64) for name, values in tensors.items()})
    return model
