"""A network in floating point: forward, loss, backward. The maker decides which layers it has."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden.float_layers import FloatLayer, Floats, Noise
from golden.network import Network

__all__ = ["FloatModel"]


class FloatModel:
    """Layers in their order, with softmax cross-entropy behind them.

    Parameters
    ----------
    network:
        As a scheme rewrote it.
    layers:
        One for each of the network's, by its name.
    noise:
        Source of what is random in a step.
    """

    def __init__(self, network: Network, layers: Mapping[str, FloatLayer], noise: Noise) -> None:
        self.network = network
        self.layers = dict(layers)
        self.noise = noise
        # An error goes down only to where something can learn from it.
        self._learning: set[str] = set()
        for layer in network:
            if self.layers[layer.name].learned or self._learning.intersection(layer.inputs):
                self._learning.add(layer.name)

    def logits(self, inputs: Floats, *, training: bool = False) -> Floats:
        """Logits (samples, classes); in training with the batch's own statistics."""
        values = {"input": inputs}
        for layer in self.network:
            operands = [values[name] for name in layer.inputs]
            values[layer.name] = self.layers[layer.name].forward(operands, training)
        return values[self.network.output]

    def learn(self, inputs: Floats, labels: NDArray[np.int64]) -> float:
        """Fill every layer's gradients for the mean loss of a batch, and return that loss."""
        logits = self.logits(inputs, training=True)
        shifted = logits - logits.max(axis=1, keepdims=True)
        exponentials = np.exp(shifted)
        total = exponentials.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        loss = float((np.log(total[:, 0]) - shifted[rows, labels]).mean())
        error = exponentials / total
        error[rows, labels] -= 1
        error /= error.dtype.type(len(labels))
        errors: dict[str, Floats] = {self.network.output: error}
        for layer in reversed(list(self.network)):
            if layer.name not in self._learning:
                continue
            needed = bool(self._learning.intersection(layer.inputs))
            below = self.layers[layer.name].backward(errors.pop(layer.name), needed)
            for name, part in zip(layer.inputs, below, strict=True):
                if name in self._learning:
                    errors[name] = errors[name] + part if name in errors else part
        return loss
