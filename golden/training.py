"""One EOQ training step in integers, from pixels to updated weights.

The network's layers run in order; 8-bit quantisers stand where a product or a fork needs them.
Every tensor of a step is recorded by name in a trace, for hardware to be held against.
"""

import functools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from golden.batch import check_codes, check_labels
from golden.data import INPUT_EXPONENT
from golden.errors import InputError
from golden.formats import Integers
from golden.layers import NOTHING, IntegerLayer, ProductLayer
from golden.loss import ERROR_EXPONENT, softmax_error
from golden.network import Network
from golden.optimizer import MAX_HALVINGS, Rate
from golden.randomness import first_state, next_state, tensor_key
from golden.reductions import largest_batch
from golden.values import (
    ACTIVATION_ZERO_EXPONENT,
    ERROR_ZERO_EXPONENT,
    Value,
    join,
    quantize_samples,
)

__all__ = ["DRAWS", "Model", "Trace", "draw_number", "learning_rate_shift"]

Trace = dict[str, Integers]
"""Every tensor of one step under the name `layer.phase.tensor`."""


class _Untraced(Trace):
    """Keeps nothing."""

    def __setitem__(self, name: str, values: Integers) -> None:
        pass


DRAWS = ("weight.E", "weight.G", "weight.U", "bias.E", "bias.G", "bias.U", "multiplier.G",
         "multiplier.U")  # fmt: skip
"""What a layer draws random bits for; the place in this list is part of the tensor's number."""

_PLACES = {what: place for place, what in enumerate(DRAWS)} | {"mask": 0}
# A layer that drops elements learns nothing, so that its first number is free.


def draw_number(layer: int, what: str) -> int:
    """Number of a tensor that draws random bits, for `golden.randomness.tensor_key`."""
    return layer * len(DRAWS) + _PLACES[what]


def learning_rate_shift(batch: int) -> int:
    """Right shift k of every gradient, from the batch size: 0 at 64, 1 at 16, 2 at 4, 4 at 1.

    Our choice, tuned; `batch` must be a power of two, because its mean is a shift.
    """
    bits = batch.bit_length() - 1
    if batch < 1 or batch != 1 << bits:
        raise InputError(f"batch must be a power of two, not {batch!r}")
    return max((7 - bits) // 2, 0) + (bits == 0)


class Model:
    """A network's integers, and the state of its random source.

    Parameters
    ----------
    network:
        As the EOQ scheme rewrote it.
    layers:
        One for each of the network's, by its name; `golden.initialization.build` makes them.
    seed:
        Of the random source.
    """

    def __init__(self, network: Network, layers: Iterable[IntegerLayer], seed: int) -> None:
        self.network = network
        self.layers = {layer.name: layer for layer in layers}
        self.state = first_state(seed)
        self._largest_batch = largest_batch(network)
        self._numbers = {name: number for number, name in enumerate(self.layers)}
        consumers = network.consumers()
        # What a layer is the last to read need not be kept behind it.
        self._last_read: dict[str, list[str]] = {}
        for name, readers in consumers.items():
            if readers:
                self._last_read.setdefault(readers[-1], []).append(name)
        # A fork's tensor is kept while its branches run, and a product multiplies 8-bit codes.
        self._coded = {
            name
            for name, readers in consumers.items()
            if len(readers) > 1 or any(self.layers[reader].needs_codes for reader in readers)
        }
        # An error goes down only to where something can learn from it.
        self._learning: set[str] = set()
        # The error of a product's output must be codes, and so must what is only passed on to one.
        self._coded_errors: set[str] = set()
        for layer in network:
            own = self.layers[layer.name]
            if own.learned or self._learning.intersection(layer.inputs):
                self._learning.add(layer.name)
            below = self._coded_errors.intersection(layer.inputs)
            if own.needs_codes or (own.passes_error and below):
                self._coded_errors.add(layer.name)

    @property
    def coded_errors(self) -> frozenset[str]:
        """Names of the layers whose output's error is brought to 8 bits."""
        return frozenset(self._coded_errors)

    @property
    def coded(self) -> frozenset[str]:
        """Names of the layers whose output is brought to 8 bits."""
        return frozenset(self._coded)

    @property
    def learning(self) -> frozenset[str]:
        """Names of the layers that the error reaches."""
        return frozenset(self._learning)

    def key(self, layer: str, what: str) -> int:
        """Random key of one of a layer's tensors in the present step."""
        return tensor_key(self.state, draw_number(self._numbers[layer], what))

    def logits(self, codes: Integers) -> tuple[Integers, Integers]:
        """32-bit logits (samples, classes) and their exponents, for 8-bit inputs."""
        check_codes(self.network, codes)
        value = self._forward(codes, _Untraced(), training=False)
        return value.integers, value.exponent

    def _forward(self, codes: Integers, trace: Trace, *, training: bool) -> Value:
        exponent = np.full(len(codes), INPUT_EXPONENT, dtype=np.int64)
        values = {"input": Value(codes, exponent, is_codes=True)}
        for layer in self.network:
            own = self.layers[layer.name]
            own.begin(functools.partial(self.key, layer.name) if training else None)
            value = own.forward([values[name] for name in layer.inputs])
            for name in self._last_read.get(layer.name, ()):
                del values[name]
            if isinstance(own, ProductLayer):
                trace[f"{layer.name}.forward.product"] = own.product
                own.product = NOTHING
            if layer.name in self._coded and not value.is_codes:
                value = quantize_samples(value, ACTIVATION_ZERO_EXPONENT)
                trace[f"{layer.name}.forward.A"] = value.integers
                trace[f"{layer.name}.forward.A_exponent"] = value.exponent
            values[layer.name] = value
        return values[self.network.output]

    def step(
        self,
        codes: Integers,
        labels: NDArray[np.int64],
        k: int,
        halvings: int = 0,
        *,
        traced: bool = True,
    ) -> Trace:
        """Train on one batch and return every tensor of the step.

        Parameters
        ----------
        codes:
            8-bit inputs, (samples, ...); the number of samples is a power of two.
        labels:
            Classes, (samples,).
        k:
            Right shift of the gradients, from the batch size (`learning_rate_shift`).
        halvings:
            How often the schedule has halved the learning rate, at most `MAX_HALVINGS`.
        traced:
            Without it nothing is returned, and what a layer no longer needs makes room for the
            next: it stays in the cache.

        Raises
        ------
        InputError
            Before any work: codes or labels are not what they must be, their number is no power of
            two, a weight gradient of so many samples could pass 32 bits, or the learning rate was
            halved too often.
        """
        check_codes(self.network, codes)
        check_labels(self.network, labels, len(codes))
        if not 0 <= halvings <= MAX_HALVINGS:
            raise InputError(f"halvings must be 0 to {MAX_HALVINGS}, not {halvings}")
        if len(codes) > self._largest_batch:
            raise InputError(
                f"batch must be at most {self._largest_batch} for network {self.network.name!r}, "
                f"whose weight gradients are sums of 32 bits, not {len(codes)}"
            )
        trace: Trace = {} if traced else _Untraced()
        contributions = self._contributions(codes, labels, trace)
        rate = Rate(len(codes).bit_length() - 1, k, halvings)
        for name, contribution in contributions.items():
            self._learn(self.layers[name], contribution, rate, trace)
        self.state = next_state(self.state)
        return trace

    def _contributions(
        self, codes: Integers, labels: NDArray[np.int64], trace: Trace
    ) -> dict[str, Value]:
        """Forward and backward pass: what the samples contribute to each layer that learns."""
        logits = self._forward(codes, trace, training=True)
        wide = softmax_error(logits.integers, logits.exponent, labels)
        trace["loss.error"] = wide
        exponent = np.full(len(codes), ERROR_EXPONENT, dtype=np.int64)
        errors: dict[str, list[Value]] = {self.network.output: [Value(wide, exponent)]}
        found: dict[str, Value] = {}
        for layer in reversed(list(self.network)):
            if layer.name not in self._learning:
                continue
            own = self.layers[layer.name]
            error = join(errors.pop(layer.name))
            if layer.name in self._coded_errors and not error.is_codes:
                error = quantize_samples(error, ERROR_ZERO_EXPONENT)
                trace[f"{layer.name}.backward_data.E"] = error.integers
                trace[f"{layer.name}.backward_data.E_exponent"] = error.exponent
            if self._learning.intersection(layer.inputs):
                below = own.backward(error)
                if isinstance(own, ProductLayer):
                    trace[f"{layer.name}.backward_data.product"] = below[0].integers
                for name, part in zip(layer.inputs, below, strict=True):
                    errors.setdefault(name, []).append(part)
            if own.learned:
                found[layer.name] = own.contribution(error)
        return found

    def _learn(self, layer: IntegerLayer, contribution: Value, rate: Rate, trace: Trace) -> None:
        """Gradients and updates of one layer."""
        gradients = layer.gradients(contribution, lambda what: self.key(layer.name, what))
        for kind, learned in layer.learned.items():
            name = f"{layer.name}.backward_weight.{kind}"
            if isinstance(layer, ProductLayer):
                trace[f"{name}.E_aligned"] = layer.aligned.pop(kind)
            trace[f"{name}.product"] = gradients[kind].total
            codes, update = learned.learn(
                gradients[kind], rate,
                self.key(layer.name, f"{kind}.G"), self.key(layer.name, f"{kind}.U"),
            )  # fmt: skip
            trace[f"{name}.G"] = codes
            name = f"{layer.name}.update.{kind}"
            trace[f"{name}.V"], trace[f"{name}.U"] = learned.momentum, update
            trace[f"{name}.P"] = learned.values
