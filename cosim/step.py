"""One EOQ training step as a program for the core: what is computed when, on which tensors.

Arithmetic on tensors happens on the device. What happens here is the sequencer's share: exponents
(sums, minima, clamps of a few bytes), random keys, and the order. golden's step is written
independently of this one; the scoreboard holds every tensor of the two together.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cosim.device import Device
from golden.data import INPUT_EXPONENT
from golden.errors import InputError
from golden.formats import EXPONENT_MAX, EXPONENT_MIN, LEFT_SHIFT_MAX, Integers
from golden.gradients import Learned
from golden.layers import BIAS_EXPONENT, LinearLayer, RectifierLayer, ReshapeLayer
from golden.loss import ERROR_EXPONENT
from golden.optimizer import Rate
from golden.randomness import first_state, next_state, tensor_key
from golden.training import Model, draw_number
from golden.values import ACTIVATION_ZERO_EXPONENT, ERROR_ZERO_EXPONENT
from rtl.isa import Pre

__all__ = ["Check", "Dense", "Program", "dense_layers"]

Check = Callable[[str, Integers], None]
"""Takes each tensor as it is finished; raises to end the run."""

_RIGHT_SHIFT_MAX = 63
"""Right shifts beyond this give the same bits (`golden.formats.rounding_shift`)."""


def _shift(value: int) -> int:
    return min(max(value, -LEFT_SHIFT_MAX), _RIGHT_SHIFT_MAX)


def _clamped(exponent: int) -> int:
    return min(max(exponent, EXPONENT_MIN), EXPONENT_MAX)


@dataclass
class Dense:
    """A linear layer and the ReLU behind it, if there is one.

    Members
    -------
    name, number:
        golden's, and its place in the network, which the random keys depend on.
    rectifier:
        Name of the ReLU, empty for the classifier.
    weight, bias:
        What it learns, as the core left it: shape (out, in), a bias with one input.
    """

    name: str
    number: int
    rectifier: str
    weight: Learned
    bias: Learned


def dense_layers(model: Model) -> list[Dense]:
    """Return the model as the core runs it today: a chain of linear layers with ReLU between.

    The parameters are copies. Raises InputError that names the first layer that does not fit.
    """
    result: list[Dense] = []
    previous = "input"
    for number, layer in enumerate(model.network):
        own = model.layers[layer.name]
        last = layer.name == model.network.output
        chained = layer.inputs == (previous,)
        previous = layer.name
        if chained and isinstance(own, LinearLayer) and own.bias is not None:
            weight, bias = (
                replace(
                    learned,
                    values=learned.values.reshape(len(learned.values), -1).copy(),
                    momentum=learned.momentum.reshape(len(learned.values), -1).copy(),
                )
                for learned in (own.weight, own.bias)
            )
            result.append(Dense(layer.name, number, "", weight, bias))
        elif chained and isinstance(own, RectifierLayer) and result and not last:
            result[-1].rectifier = layer.name
        elif not (chained and isinstance(own, ReshapeLayer) and not result):
            raise InputError(
                f"network {model.network.name!r}, layer {layer.name!r}: the core requires a chain "
                f"of Linear (with bias) and ReLU layers, got {type(layer.operator).__name__}"
            )
    if any(not dense.rectifier for dense in result[:-1]):
        raise InputError(
            f"network {model.network.name!r}: the core requires a ReLU between linear layers"
        )
    return result


@dataclass(frozen=True)
class _Coded:
    """8-bit codes (samples, features), one exponent a sample, and the ReLU's mask if it had one."""

    codes: Integers
    exponent: Integers
    mask: Integers


class Program:
    """Trains a chain of linear layers on a device.

    Parameters
    ----------
    device:
        What computes.
    layers:
        From `dense_layers`; updated as the core learns.
    seed:
        Of the random source.
    check:
        Called with every tensor under golden's name for it.
    """

    def __init__(self, device: Device, layers: list[Dense], seed: int, check: Check) -> None:
        self.device = device
        self.layers = layers
        self.state = first_state(seed)
        self._check = check

    async def step(
        self, codes: Integers, labels: NDArray[np.int64], k: int, halvings: int = 0
    ) -> None:
        """Train on one batch, as `golden.training.Model.step`."""
        samples = len(codes)
        flat = codes.reshape(samples, -1)
        inputs = [_Coded(flat, np.full(samples, INPUT_EXPONENT), np.ones_like(flat))]
        for layer in self.layers[:-1]:
            inputs.append(await self._forward(layer, inputs[-1]))
        error = await self._loss(self.layers[-1], inputs[-1], labels)
        rate = Rate(samples.bit_length() - 1, k, halvings)
        one = np.ones((samples, 1), dtype=np.int64)
        ones = _Coded(one, np.zeros(samples, dtype=np.int64), one)
        for number in reversed(range(len(self.layers))):
            layer, above = self.layers[number], error
            if number:
                # The error goes down through the weights as they were in the forward pass.
                error = await self._backward(layer, self.layers[number - 1], above, inputs[number])
            await self._learn(layer, "weight", inputs[number], above, rate)
            await self._learn(layer, "bias", ones, above, rate)
        self.state = next_state(self.state)

    async def _product(
        self, name: str, a: Integers, b: Integers, shape: tuple[int, ...]
    ) -> Integers:
        self.device.tensor = name
        product = await self.device.matmul(a, b)
        self._check(name, product.reshape(shape))
        return product

    async def _quantize(
        self, name: str, values: Integers, exponent: Integers, zero_exponent: int, pre: Pre,
        others: Integers | None = None,
    ) -> _Coded:  # fmt: skip
        """One instruction a sample: nothing waits for the batch."""
        self.device.tensor = name
        codes, mask = np.empty_like(values), np.empty_like(values)
        exponents = np.empty(len(values), dtype=np.int64)
        for n, sample in enumerate(values):
            codes[n], mask[n], shift, zero = await self.device.quantize(
                sample,
                None if others is None else others[n],
                pre=pre,
                pre_shift=_shift(BIAS_EXPONENT - int(exponent[n])),
            )
            exponents[n] = _clamped(zero_exponent if zero else int(exponent[n]) - shift)
        self._check(name, codes)
        self._check(f"{name}_exponent", exponents)
        return _Coded(codes, exponents, mask)

    async def _forward(self, layer: Dense, below: _Coded) -> _Coded:
        weight, bias = layer.weight.values, layer.bias.values[:, 0]
        shape = len(below.codes), len(weight)
        product = await self._product(f"{layer.name}.forward.product", below.codes, weight.T, shape)
        return await self._quantize(
            f"{layer.rectifier}.forward.A", product, below.exponent + layer.weight.exponent,
            ACTIVATION_ZERO_EXPONENT, Pre.BIAS_RELU, np.broadcast_to(bias, shape),
        )  # fmt: skip

    async def _loss(self, layer: Dense, below: _Coded, labels: NDArray[np.int64]) -> _Coded:
        weight, bias = layer.weight.values, layer.bias.values[:, 0]
        product = await self._product(
            f"{layer.name}.forward.product", below.codes, weight.T, (len(labels), len(weight))
        )
        self.device.tensor = "loss.error"
        error = np.empty_like(product)
        for n, sample in enumerate(product):
            s = int(below.exponent[n]) + layer.weight.exponent
            error[n] = await self.device.loss(
                sample, bias, _shift(BIAS_EXPONENT - s), s, int(labels[n])
            )
        self._check("loss.error", error)
        return await self._quantize(
            f"{layer.name}.backward_data.E", error, np.full(len(error), ERROR_EXPONENT),
            ERROR_ZERO_EXPONENT, Pre.NONE,
        )  # fmt: skip

    async def _backward(self, layer: Dense, lower: Dense, above: _Coded, below: _Coded) -> _Coded:
        product = await self._product(
            f"{layer.name}.backward_data.product", above.codes, layer.weight.values,
            below.codes.shape,
        )  # fmt: skip
        return await self._quantize(
            f"{lower.name}.backward_data.E", product, above.exponent + layer.weight.exponent,
            ERROR_ZERO_EXPONENT, Pre.MASK, below.mask,
        )  # fmt: skip

    async def _learn(
        self, layer: Dense, kind: str, below: _Coded, above: _Coded, rate: Rate
    ) -> None:
        parameter: Learned = getattr(layer, kind)
        keys = {
            what: tensor_key(self.state, draw_number(layer.number, f"{kind}.{what}"))
            for what in "EGU"
        }
        # A bias is a vector to golden, a matrix of one column here.
        shape = parameter.values.shape if kind == "weight" else (len(parameter.values),)
        name = f"{layer.name}.backward_weight.{kind}"

        aligned, common = await self._align(f"{name}.E_aligned", above, below.exponent, keys["E"])
        product = await self._product(f"{name}.product", aligned.T, below.codes, shape)
        self.device.tensor = f"{name}.G"
        total = common + parameter.gradient_shift(rate)
        # Outputs are numbered fastest, so a matrix goes through the core by its inputs.
        gradient = (await self.device.align(product.T, _shift(total), keys["G"], 0)).T
        self._check(f"{name}.G", gradient.reshape(shape))

        name = f"{layer.name}.update.{kind}"
        self.device.tensor = f"{name}.P"
        updated = await self.device.update(
            parameter.values.T, parameter.momentum.T, gradient.T, parameter.rule, rate, keys["U"]
        )
        parameter.values, parameter.momentum, update = (array.T for array in updated)
        self._check(f"{name}.V", parameter.momentum.reshape(shape))
        self._check(f"{name}.U", update.reshape(shape))
        self._check(f"{name}.P", parameter.values.reshape(shape))

    async def _align(
        self, name: str, above: _Coded, other_exponent: Integers, key: int
    ) -> tuple[Integers, int]:
        self.device.tensor = name
        total = above.exponent + other_exponent
        live: Integers = np.asarray(above.codes.any(axis=1))
        common = min((int(t) for t in total[live]), default=0)
        aligned = np.empty_like(above.codes)
        for n, sample in enumerate(above.codes):
            right = _shift(int(total[n]) - common) if live[n] else 0
            aligned[n] = await self.device.align(sample, right, key, n * len(sample))
        self._check(name, aligned)
        return aligned, common
