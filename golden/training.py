"""One EOQ training step in integers, from pixels to updated weights.

What runs here today is a chain of linear layers with ReLU between them: the network of the
co-simulated step. Every tensor of a step is recorded by name in a trace, for hardware to be held
against.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from golden.data import INPUT_EXPONENT
from golden.errors import InputError
from golden.formats import Integers
from golden.layers import (
    ACTIVATION_ZERO_EXPONENT,
    BIAS_EXPONENT,
    ERROR_ZERO_EXPONENT,
    Quantized,
    add_bias,
    align_errors,
    quantize_gradient,
    quantize_samples,
    rectify,
)
from golden.loss import ERROR_EXPONENT, softmax_error
from golden.matmul import matmul
from golden.network import Activation, Flatten, Linear, Network, Softmax
from golden.optimizer import SCALAR, WEIGHT, UpdateRule, update
from golden.randomness import first_state, next_state, tensor_key

__all__ = ["DenseLayer", "Draw", "Model", "Trace", "build", "learning_rate_shift"]

Trace = dict[str, Integers]
"""Every tensor of one step under the name `layer.tensor`."""

_TENSORS_A_LAYER = 8


class Draw:
    """Numbers of the tensors that draw random bits, within a layer."""

    WEIGHT_GRADIENT, WEIGHT_UPDATE, BIAS_GRADIENT, BIAS_UPDATE, WEIGHT_ERROR, BIAS_ERROR = range(6)


@dataclass
class DenseLayer:
    """A linear layer's integers.

    Members
    -------
    weight, bias:
        8-bit (out, in) with the static exponent `weight_exponent`; 16-bit (out,), exponent 12.
    weight_momentum, bias_momentum:
        16 bits, of the same shapes.
    rectified:
        A ReLU follows.
    """

    name: str
    weight: Integers
    weight_exponent: int
    bias: Integers
    rectified: bool
    weight_momentum: Integers = field(init=False)
    bias_momentum: Integers = field(init=False)

    def __post_init__(self) -> None:
        self.weight_momentum = np.zeros_like(self.weight)
        self.bias_momentum = np.zeros_like(self.bias)


def learning_rate_shift(batch: int) -> int:
    """Right shift k of every gradient, from the batch size: 0 at 64, 1 at 16, 2 at 4, 4 at 1.

    Our choice, tuned; `batch` must be a power of two, because its mean is a shift.
    """
    bits = batch.bit_length() - 1
    if batch < 1 or batch != 1 << bits:
        raise InputError(f"batch must be a power of two, not {batch!r}")
    return max((7 - bits) // 2, 0) + (bits == 0)


class Model:
    """The integers of a network and the state of its random source; made by `build`."""

    def __init__(self, name: str, layers: Sequence[DenseLayer], seed: int) -> None:
        self.name = name
        self.layers = list(layers)
        self.state = first_state(seed)

    def key(self, layer: int, kind: int) -> int:
        """Random key of one tensor in the present step."""
        return tensor_key(self.state, layer * _TENSORS_A_LAYER + kind)

    def logits(self, codes: Integers, trace: Trace | None = None) -> tuple[Integers, Integers]:
        """32-bit logits (samples, classes) and their exponents, for 8-bit inputs."""
        activation = Quantized(
            codes.reshape(len(codes), -1), np.full(len(codes), INPUT_EXPONENT, dtype=np.int64)
        )
        return self._forward(activation, {} if trace is None else trace)[1:]

    def _forward(
        self, activation: Quantized, trace: Trace
    ) -> tuple[list[Quantized], Integers, Integers]:
        inputs = []
        for layer in self.layers:
            inputs.append(activation)
            product = matmul(activation.codes, layer.weight.T)
            exponent = activation.exponent + layer.weight_exponent
            trace[f"{layer.name}.forward.product"] = product
            biased = add_bias(product, exponent, layer.bias)
            if layer.rectified:
                activation = quantize_samples(rectify(biased), exponent, ACTIVATION_ZERO_EXPONENT)
                trace[f"{layer.name}.forward.A"] = activation.codes
                trace[f"{layer.name}.forward.A_exponent"] = activation.exponent
        trace["loss.logits"] = biased
        return inputs, biased, exponent

    def step(self, codes: Integers, labels: NDArray[np.int64], k: int) -> Trace:
        """Train on one batch and return every tensor of the step.

        Parameters
        ----------
        codes:
            8-bit inputs, (samples, ...); the number of samples is a power of two.
        labels:
            Classes, (samples,).
        k:
            Learning-rate shift.
        """
        trace: Trace = {}
        samples = len(codes)
        batch_shift = samples.bit_length() - 1
        activation = Quantized(
            codes.reshape(samples, -1), np.full(samples, INPUT_EXPONENT, dtype=np.int64)
        )
        inputs, logits, exponent = self._forward(activation, trace)

        wide = softmax_error(logits, exponent, labels)
        trace["loss.error"] = wide
        error = quantize_samples(
            wide, np.full(samples, ERROR_EXPONENT, dtype=np.int64), ERROR_ZERO_EXPONENT
        )
        trace["loss.E"], trace["loss.E_exponent"] = error.codes, error.exponent

        for number in reversed(range(len(self.layers))):
            layer, below = self.layers[number], inputs[number]
            # The error goes down through the weights as they were in the forward pass.
            above, name = error, layer.name
            if number:
                product = matmul(above.codes, layer.weight)
                trace[f"{name}.backward_data.product"] = product
                masked = np.where(below.codes > 0, product, 0)
                error = quantize_samples(
                    masked, above.exponent + layer.weight_exponent, ERROR_ZERO_EXPONENT
                )
                trace[f"{name}.backward_data.E"] = error.codes
                trace[f"{name}.backward_data.E_exponent"] = error.exponent
            self._learn(number, below, above, batch_shift + k, trace)
        self.state = next_state(self.state)
        return trace

    def _learn(
        self, number: int, below: Quantized, above: Quantized, shift: int, trace: Trace
    ) -> None:
        """Weight and bias gradient of one layer, and their updates."""
        layer = self.layers[number]
        ones = Quantized(
            np.ones((len(below.codes), 1), dtype=np.int64), np.zeros_like(below.exponent)
        )
        layer.weight, layer.weight_momentum = self._learn_tensor(
            (number, "weight", Draw.WEIGHT_GRADIENT, Draw.WEIGHT_UPDATE, Draw.WEIGHT_ERROR),
            (below, above), (layer.weight, layer.weight_momentum, layer.weight_exponent),
            WEIGHT, shift, trace,
        )  # fmt: skip
        bias, momentum = self._learn_tensor(
            (number, "bias", Draw.BIAS_GRADIENT, Draw.BIAS_UPDATE, Draw.BIAS_ERROR),
            (ones, above), (layer.bias[:, None], layer.bias_momentum[:, None], BIAS_EXPONENT),
            SCALAR, shift, trace,
        )  # fmt: skip
        layer.bias, layer.bias_momentum = bias[:, 0], momentum[:, 0]

    def _learn_tensor(
        self,
        place: tuple[int, str, int, int, int],
        operands: tuple[Quantized, Quantized],
        learned: tuple[Integers, Integers, int],
        rule: UpdateRule,
        shift: int,
        trace: Trace,
    ) -> tuple[Integers, Integers]:
        """Gradient = errors' . operand at one scale, to 8 bits, into momentum and parameter.

        A bias is the weight of an input that is always one.
        """
        number, kind, gradient_draw, update_draw, error_draw = place
        below, above = operands
        parameter, momentum, exponent = learned
        name = f"{self.layers[number].name}.backward_weight.{kind}"
        aligned, common, _ = align_errors(above, below.exponent, self.key(number, error_draw))
        trace[f"{name}.E_aligned"] = aligned
        product = matmul(aligned.T, below.codes)
        trace[f"{name}.product"] = product
        gradient, excess = quantize_gradient(product)
        trace[f"{name}.G"] = gradient
        total_shift = common - excess + shift - (exponent + rule.momentum_exponent)
        parameter, momentum, step = update(
            parameter, momentum, gradient, total_shift, rule,
            gradient_key=self.key(number, gradient_draw),
            update_key=self.key(number, update_draw),
        )  # fmt: skip
        name = f"{self.layers[number].name}.update.{kind}"
        trace[f"{name}.V"], trace[f"{name}.U"], trace[f"{name}.P"] = momentum, step, parameter
        return parameter, momentum


def build(network: Network, seed: int) -> Model:
    """Integers for a network that the EOQ scheme has rewritten, at their initial values.

    Hidden layers are He-initialised, the classifier and every bias zero (Fixup). The weight's
    exponent is static: the range holds four standard deviations (our choice).

    Raises InputError for a network that is not a chain of linear layers and ReLUs.
    """
    rng = np.random.default_rng(seed)
    linear: list[tuple[str, int, int, bool]] = []
    previous = "input"
    for layer in network:
        match layer.operator:
            case _ if layer.inputs != (previous,):
                _refuse(network, layer.name, "a branch")
            case Linear(bias=True):
                outputs, inputs = layer.parameters["weight"]
                linear.append((layer.name, outputs, inputs, False))
            case Activation(maximum=None, slope=0.0) if linear and not linear[-1][-1]:
                linear[-1] = (*linear[-1][:3], True)
            case Flatten() if not linear:
                pass
            case Softmax() if layer.name == network.output:
                pass
            case operator:
                _refuse(network, layer.name, type(operator).__name__)
        previous = layer.name
    if not linear or linear[-1][-1]:
        raise InputError(
            f"network {network.name!r}: training requires a linear classifier at the end"
        )
    layers = []
    for name, outputs, inputs, rectified in linear:
        deviation = math.sqrt((2 if rectified else 1) / inputs)
        weight_exponent = math.floor(math.log2(127 / (4 * deviation)))
        weight = np.zeros((outputs, inputs), dtype=np.int64)
        if rectified:
            scaled = rng.normal(0.0, deviation, weight.shape) * 2.0**weight_exponent
            weight = np.clip(np.rint(scaled), -127, 127).astype(np.int64)
        layers.append(
            DenseLayer(name, weight, weight_exponent, np.zeros(outputs, dtype=np.int64), rectified)
        )
    return Model(network.name, layers, seed)


def _refuse(network: Network, layer: str, got: str) -> None:
    raise InputError(
        f"network {network.name!r}, layer {layer!r}: integer training requires a chain of Linear "
        f"(with bias) and ReLU layers, got {got}"
    )
