"""What EOQ's step could do otherwise: each variant exchanges a piece of golden for another.

A variant is in force inside its `with` block. Those that exchange element-wise work keep golden to
NumPy where a compiled loop would do the original; what is right for all variants stays compiled.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np

import golden.convolution
import golden.gradients
import golden.initialization
import golden.layers
import golden.optimizer
import golden.trainer
import golden.training
from golden.acceleration import specification
from golden.formats import (
    Integers,
    bit_length,
    clamp_exponent,
    excess_bits,
    rounding_shift,
    saturate,
)
from golden.loss import ERROR_EXPONENT, LOGIT_EXPONENT, softmax_error
from golden.optimizer import MOMENTUM_SHIFT, Rate, UpdateRule
from golden.randomness import draw
from golden.training import Model
from golden.values import ERROR_ZERO_EXPONENT, Value, per_sample, quantize_samples

__all__ = ["VARIANTS", "Variant"]

Context = contextlib.AbstractContextManager


@dataclasses.dataclass(frozen=True)
class Variant:
    """One idea.

    Members
    -------
    kind:
        Which choice it varies.
    cost:
        What it changes for hardware against the recipe: bits, passes, buffers, draws.
    make:
        The block in which it is in force.
    """

    kind: str
    cost: str
    make: Callable[[], Context] = contextlib.nullcontext


def _nearest(key: int, index: Integers) -> Integers:
    """Stand in for random draws: the constant of rounding half up."""
    return np.full(np.shape(index), 0x8000, dtype=np.int32)


def _indices(values: Integers) -> Integers:
    return np.arange(values.size, dtype=np.int32).reshape(values.shape)


# Rounding


@contextlib.contextmanager
def _nearest_update() -> Iterator[None]:
    """U and the weight decay, which share a draw."""
    with patch.object(golden.optimizer, "draw", _nearest), specification():
        yield


@contextlib.contextmanager
def _nearest_gradient() -> Iterator[None]:
    def quantize(gradient: Integers, shift: int, key: int) -> Integers:
        return saturate(rounding_shift(gradient, shift), 8).astype(np.int8)

    with patch.object(golden.gradients, "quantize_gradient", quantize):
        yield


@contextlib.contextmanager
def _nearest_alignment() -> Iterator[None]:
    original = golden.gradients.align_errors

    def align(errors: Value, other: Integers | int, key: int) -> tuple[Integers, int]:
        with patch.object(golden.gradients, "draw", _nearest), specification():
            return original(errors, other, key)

    with patch.object(golden.layers, "align_errors", align):
        yield


@contextlib.contextmanager
def _stochastic_errors() -> Iterator[None]:
    """Errors rounded with random bits of PCG64, numbered by nothing but the order of the work."""
    rng = np.random.default_rng(0)

    def quantize(value: Value, zero_exponent: int) -> Value:
        if zero_exponent != ERROR_ZERO_EXPONENT:
            return quantize_samples(value, zero_exponent)
        integers = np.asarray(value.integers)
        magnitude = value.largest()
        shift = np.maximum(bit_length(magnitude) - 7, 0)
        random = rng.integers(0, 1 << 16, integers.shape, dtype=np.int32)
        codes = saturate(rounding_shift(integers, per_sample(shift, integers), random), 8)
        exponent = clamp_exponent(np.where(magnitude, value.exponent - shift, zero_exponent))
        return Value(codes.astype(np.int8), exponent, is_codes=True)

    with patch.object(golden.training, "quantize_samples", quantize):
        yield


# Exponents of A and E


def _batch_exponent(value: Value) -> int | None:
    """Exponent at which the largest of the batch's values has 7 bits; None if all are zero."""
    magnitude = value.largest()
    live = magnitude > 0
    if not live.any():
        return None
    excess = np.maximum(bit_length(magnitude[live]) - 7, 0)
    return int((value.exponent[live] - excess).min())


def _at(value: Value, exponent: int) -> Value:
    """All samples at one exponent, saturated."""
    integers = value.integers.astype(np.int64)
    shift = per_sample(value.exponent - exponent, integers)
    codes = saturate(rounding_shift(integers, shift), 8).astype(np.int8)
    exponents = np.full(len(value), clamp_exponent(exponent), dtype=np.int64)
    return Value(codes, exponents, is_codes=True)


@contextlib.contextmanager
def _batch_exponents() -> Iterator[None]:
    def quantize(value: Value, zero_exponent: int) -> Value:
        exponent = _batch_exponent(value)
        return _at(value, zero_exponent if exponent is None else exponent)

    with patch.object(golden.training, "quantize_samples", quantize):
        yield


@contextlib.contextmanager
def _lagged_exponents(margin: int) -> Iterator[None]:
    """One exponent a tensor: the one that fitted the last training step, errors with a margin."""
    known: dict[int, int] = {}
    place = {"tensor": 0, "training": False}
    forward = Model._forward

    def begin(self: Model, *arguments: Any, training: bool, **options: Any) -> Value:
        # A batch's tensors come in the same order every time.
        place.update(tensor=0, training=training)
        return forward(self, *arguments, training=training, **options)

    def quantize(value: Value, zero_exponent: int) -> Value:
        tensor = place["tensor"]
        place["tensor"] += 1
        fits = _batch_exponent(value)
        used = known.get(tensor, zero_exponent if fits is None else fits)
        if fits is not None and place["training"]:
            known[tensor] = fits - (margin if zero_exponent == ERROR_ZERO_EXPONENT else 0)
        return _at(value, used)

    with (
        patch.object(Model, "_forward", begin),
        patch.object(golden.training, "quantize_samples", quantize),
    ):
        yield


def _clipped_activations(more: int) -> Context:
    """A clipped by `more` bits: the largest values saturate, the others are that much finer."""

    def quantize(value: Value, zero_exponent: int) -> Value:
        if zero_exponent == ERROR_ZERO_EXPONENT:
            return quantize_samples(value, zero_exponent)
        magnitude = value.largest()
        shift = np.maximum(bit_length(magnitude) - 7 - more, 0)
        integers = value.integers
        codes = saturate(rounding_shift(integers, per_sample(shift, integers)), 8)
        exponent = clamp_exponent(np.where(magnitude, value.exponent - shift, zero_exponent))
        return Value(codes.astype(np.int8), exponent, is_codes=True)

    return patch.object(golden.training, "quantize_samples", quantize)


# Unsigned activations

_UNSIGNED = 254
"""Largest unsigned code: the sum of two signed ones, because products here are of signed bytes."""


def _halves(codes: Integers) -> tuple[Integers, Integers]:
    low = codes >> 1
    return low.astype(np.int8), (codes - low).astype(np.int8)


@contextlib.contextmanager
def _unsigned_activations() -> Iterator[None]:
    """8 unsigned bits for tensors without negative values: a 9-bit signed operand of the array."""
    convolve, correlate = golden.convolution._convolve, golden.convolution._correlate
    groups, product = golden.convolution.ConvolutionLayer._groups, golden.layers.matmul
    add_bias = golden.layers.add_bias

    def quantize(value: Value, zero_exponent: int) -> Value:
        integers = value.integers
        if zero_exponent == ERROR_ZERO_EXPONENT or integers.min(initial=0) < 0:
            return quantize_samples(value, zero_exponent)
        magnitude = value.largest()
        shift = np.maximum(bit_length(magnitude) - 8, 0)
        codes = rounding_shift(integers, per_sample(shift, integers))
        exponent = clamp_exponent(np.where(magnitude, value.exponent - shift, zero_exponent))
        return Value(np.minimum(codes, _UNSIGNED).astype(np.int32), exponent, is_codes=True)

    def biased(value: Value, bias: Integers) -> Value:
        if not value.is_codes or value.integers.dtype == np.int8:
            return add_bias(value, bias)
        shift = per_sample(golden.layers.BIAS_EXPONENT - value.exponent, value.integers)
        total = value.integers + rounding_shift(bias.reshape(1), shift)
        return Value(np.clip(total, -127, _UNSIGNED).astype(np.int32), value.exponent, True)

    def grouped(self: Any, planes: Integers) -> list[Integers]:
        if np.abs(planes).max(initial=0) <= 127:
            return groups(self, planes)
        last = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        return list(np.split(last, self._operator.groups, axis=-1))

    def convolved(planes: Integers, windows: Any, weights: Integers) -> Integers:
        if planes.dtype == np.int8:
            return convolve(planes, windows, weights)
        return sum(convolve(half, windows, weights) for half in _halves(planes))

    def correlated(errors: Integers, planes: Integers, windows: Any) -> Integers:
        if planes.dtype == np.int8:
            return correlate(errors, planes, windows)
        return sum(correlate(errors, half, windows) for half in _halves(planes))

    def multiplied(a: Integers, b: Integers, *rest: Any) -> Integers:
        if a.max(initial=0) > 127:
            return sum(product(half, b) for half in _halves(a))
        if b.max(initial=0) > 127:
            return sum(product(a, half) for half in _halves(b))
        return product(a, b, *rest)

    with contextlib.ExitStack() as stack:
        for owner, name, new in (
            (golden.training, "quantize_samples", quantize),
            (golden.layers, "add_bias", biased),
            (golden.convolution.ConvolutionLayer, "_groups", grouped),
            (golden.convolution, "_convolve", convolved),
            (golden.convolution, "_correlate", correlated),
            (golden.layers, "matmul", multiplied),
        ):
            stack.enter_context(patch.object(owner, name, new))
        stack.enter_context(specification())
        yield


# Gradients and momentum


@contextlib.contextmanager
def _own_exponent(magnitude: bool) -> Iterator[None]:
    """G in 8 bits with an exponent of its own, then brought to V; or its magnitude thrown away."""

    def learn(
        self: Any, gradient: Any, rate: Rate, gradient_key: int, update_key: int
    ) -> tuple[Integers, Integers]:
        excess = int(excess_bits(gradient.total))
        codes = saturate(rounding_shift(gradient.total, excess), 8)
        exponent = gradient.exponent - excess
        rule = self.rule
        # WAGE, NITI: the largest gradient moves a weight's momentum by the same at any time.
        free = not magnitude and rule.width == 8
        total = 3 if free else exponent + self.gradient_shift(rate)
        random = draw(gradient_key, _indices(codes)) if total > 0 else None
        aligned = saturate(rounding_shift(codes, total, random), 8)
        self.values, self.momentum, step = golden.gradients.update(
            self.values, self.momentum, aligned, rate, rule, key=update_key
        )
        return aligned, step

    with patch.object(golden.gradients.Learned, "learn", learn):
        yield


def _rule(**changes: int) -> Context:
    """Another rule for weights, with the recipe's weight decay if it names none."""
    weight = golden.optimizer.WEIGHT
    # It is in steps of the momentum.
    same = weight.decay + weight.fraction - changes.get("fraction", weight.fraction)
    weight = dataclasses.replace(weight, **{"decay": same} | changes)
    return patch.object(golden.initialization, "WEIGHT", weight)


@contextlib.contextmanager
def _decaying_momentum(width: int, fraction: int) -> Iterator[None]:
    """V = V - SRSH(V, 3) + G, U = SRSH(V, a + 3): the momentum decays whatever the update did."""

    def update(
        parameter: Integers, momentum: Integers, gradient: Integers, rate: Rate,
        rule: UpdateRule, *, key: int,
    ) -> tuple[Integers, Integers, Integers]:  # fmt: skip
        index = _indices(parameter)
        decay = rounding_shift(momentum, MOMENTUM_SHIFT, draw(key ^ 0x55555555, index))
        bits = rule.decay_bits(rate.k)
        random = draw(key, index)
        if bits:
            gradient = gradient + rounding_shift(parameter, bits, random)
            gradient = saturate(gradient, rule.momentum_width)
        v = saturate(momentum - decay + gradient, rule.momentum_width)
        shift = rule.applied_shift(rate.halvings) + MOMENTUM_SHIFT
        u = saturate(rounding_shift(v, shift, random), rule.width)
        return saturate(parameter - u, rule.width), v, u

    with (
        _rule(momentum_width=width, fraction=fraction),
        patch.object(golden.gradients, "update", update),
        _wide_gradients(width),
    ):
        yield


@contextlib.contextmanager
def _wide_gradients(width: int) -> Iterator[None]:
    """G as wide as the momentum, where that has more fraction bits."""

    def quantize(gradient: Integers, shift: int, key: int) -> Integers:
        random = draw(key, _indices(gradient)) if shift > 0 else None
        return saturate(rounding_shift(gradient, shift, random), width).astype(np.int32)

    with patch.object(golden.gradients, "quantize_gradient", quantize):
        yield


@contextlib.contextmanager
def _wide_momentum() -> Iterator[None]:
    with _rule(momentum_width=16, fraction=8), _wide_gradients(16):
        yield


@contextlib.contextmanager
def _momentum(shift: int, fraction: int) -> Iterator[None]:
    """Hand over 2**-shift of the momentum a step, at the same rate in the long run."""
    with (
        patch.object(golden.optimizer, "MOMENTUM_SHIFT", shift),
        _rule(fraction=fraction),
    ):
        yield


# Loss


def _squared_hinge(logits: Integers, exponent: Integers | int, labels: Integers) -> Integers:
    """-t * max(1 - t * z, 0), t = 1 for the class and -1 for the others."""
    shift = np.broadcast_to(np.asarray(exponent) - LOGIT_EXPONENT, (len(logits),))
    z = saturate(rounding_shift(logits, shift[:, None]), 16).astype(np.int64)
    sign = np.where(np.arange(z.shape[1]) == np.asarray(labels)[:, None], 1, -1)
    missing = np.maximum((1 << LOGIT_EXPONENT) - sign * z, 0)
    return saturate(-sign * missing << 6, 17)


def _p_minus_onehot(logits: Integers, exponent: Integers | int, labels: Integers) -> Integers:
    """The true class's error from its own rounded probability: not exactly zero when right."""
    classes = logits.shape[1]
    error = softmax_error(logits, exponent, labels)
    true = np.arange(classes) == np.asarray(labels)[:, None]
    # A class that is not the true one has its probability as its error.
    probability = softmax_error(logits, exponent, (np.asarray(labels) + 1) % classes)
    return np.where(true, probability - (1 << ERROR_EXPONENT), error)


# Rates, ranges, first values


def _rate(by: int) -> Context:
    original = golden.training.learning_rate_shift
    return patch.object(golden.trainer, "learning_rate_shift", lambda batch: original(batch) + by)


def _schedule(*percent: int) -> Context:
    return patch.object(golden.trainer, "_ANNEAL_PERCENT", percent)


@contextlib.contextmanager
def _room(deviations: int, fraction: int) -> Iterator[None]:
    with patch.object(golden.initialization, "_ROOM", deviations), _rule(fraction=fraction):
        yield


def _scalars(slower: int) -> Context:
    scalar = dataclasses.replace(golden.optimizer.SCALAR, slower=slower)
    return patch.object(golden.initialization, "SCALAR", scalar)


def _fixed_multiplier() -> Context:
    def used(multiplier: Integers) -> tuple[Integers, int]:
        return saturate(rounding_shift(multiplier, 7), 8), golden.layers.MULTIPLIER_EXPONENT - 7

    return patch.object(golden.layers, "used_multiplier", used)


@contextlib.contextmanager
def _classifier(scale: float) -> Iterator[None]:
    """The classifier starts with He's deviation times `scale` instead of zero."""
    original = golden.initialization.branch_scales

    class Scales(dict[str, float]):
        def __setitem__(self, name: str, value: float) -> None:
            super().__setitem__(name, scale if name not in self else value)

    with patch.object(
        golden.initialization, "branch_scales", lambda network: Scales(original(network))
    ):
        yield


VARIANTS = {
    "eoq": Variant("recipe", "-"),
    "update-nearest": Variant(
        "rounding", "one draw a parameter fewer", _nearest_update
    ),
    "gradient-nearest": Variant(
        "rounding", "one draw a parameter fewer", _nearest_gradient
    ),
    "alignment-nearest": Variant(
        "rounding", "one draw an error fewer", _nearest_alignment
    ),
    "error-stochastic": Variant(
        "rounding", "one draw an error more", _stochastic_errors
    ),
    "gradient-own-exponent": Variant(
        "gradient", "a second pass over G, its 32-bit sums wait; 8 exponent bits a tensor",
        lambda: _own_exponent(True),
    ),
    "gradient-magnitude-free": Variant(
        "gradient", "a second pass over G, its 32-bit sums wait", lambda: _own_exponent(False)
    ),
    "exponent-batch": Variant(
        "exponents", "the whole batch's 32-bit results wait", _batch_exponents
    ),
    "exponent-lagged": Variant(
        "exponents", "one pass, nothing waits; 8 bits a tensor kept",
        lambda: _lagged_exponents(0),
    ),
    "exponent-lagged-margin": Variant(
        "exponents", "one pass, nothing waits; 8 bits a tensor kept",
        lambda: _lagged_exponents(1),
    ),
    "activation-clipped": Variant("activations", "none", lambda: _clipped_activations(1)),
    "activation-unsigned": Variant(
        "activations", "9-bit signed operand in the array: a ninth more multiplier",
        _unsigned_activations,
    ),
    "momentum-16-bits": Variant(
        "momentum", "8 bits a weight more, 16-bit G", _wide_momentum
    ),
    "momentum-decaying-16-bits": Variant(
        "momentum", "8 bits a weight more, 16-bit G, one draw more",
        lambda: _decaying_momentum(16, 8),
    ),
    "momentum-decaying-8-bits": Variant(
        "momentum", "one draw a parameter more", lambda: _decaying_momentum(8, 4)
    ),
    "momentum-15/16": Variant("momentum", "none", lambda: _momentum(4, 3)),
    "momentum-3/4": Variant("momentum", "none", lambda: _momentum(2, 4)),
    "momentum-fraction-3": Variant("momentum", "none", lambda: _rule(fraction=3)),
    "no-weight-decay": Variant(
        "momentum", "one pass of the update's rounding fewer", lambda: _rule(decay=0)
    ),
    "weight-decay-2**-12": Variant("momentum", "none", lambda: _rule(decay=8)),
    "loss-squared-hinge": Variant("loss", "no tables, no multiplier", lambda: patch.object(
        golden.training, "softmax_error", _squared_hinge)),
    "loss-p-minus-onehot": Variant("loss", "one subtraction instead of a sum", lambda: patch.object(
        golden.training, "softmax_error", _p_minus_onehot)),
    "room-4": Variant("range", "none", lambda: _room(4, 3)),
    "room-16": Variant("range", "none", lambda: _room(16, 4)),
    "multiplier-fixed-exponent": Variant(
        "range", "no leading one of Fixup's multipliers", _fixed_multiplier
    ),
    "rate-doubled": Variant("rate", "none", lambda: _rate(-1)),
    "rate-halved": Variant("rate", "none", lambda: _rate(1)),
    "scalars-4x-slower": Variant("rate", "none", lambda: _scalars(2)),
    "scalars-16x-slower": Variant("rate", "none", lambda: _scalars(4)),
    "schedule-60-80-95": Variant("rate", "none", lambda: _schedule(60, 80, 95)),
    "schedule-30-60-80": Variant("rate", "none", lambda: _schedule(30, 60, 80)),
    "classifier-he/2": Variant("first values", "none", lambda: _classifier(0.5)),
}  # fmt: skip
