"""The forward pass as stages, by the rules of `hwmodel.lowering.forward`.

Operators that the core has no words for are element work: their operations of the ledger, C of them
a cycle.
"""

import math
from collections.abc import Mapping

from golden.network import (
    Activation,
    Add,
    AveragePool,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
)
from hwmodel.stages import products
from hwmodel.stages.stage import Stage, conversion, evaluate, rewriting
from hwmodel.stages.values import Codes, Scaled, Sums, Term, Wide, Words, grid_of
from hwmodel.stages.vector import PassSize, VectorWork
from hwmodel.step import WEIGHTED, Step
from hwmodel.windows import chooses, overlaps

__all__ = ["Forward", "Value", "has_words", "is_shortcut"]

Value = Codes | Wide


def is_shortcut(layer: Layer) -> bool:
    """Whether it only picks pixels or adds channels."""
    operator = layer.operator
    if isinstance(operator, Pad):
        return not any(operator.amounts[1:])
    return isinstance(operator, MaxPool | AveragePool) and chooses(operator)


def has_words(layer: Layer) -> bool:
    """Whether `hwmodel.lowering` has words for a layer."""
    operator = layer.operator
    if isinstance(operator, Activation):
        return operator == Activation()
    if isinstance(operator, Add):
        return True
    if isinstance(operator, AveragePool) and not chooses(operator):
        plain = not any(operator.padding) and operator.dilation == (1, 1)
        return plain and not overlaps(operator)
    kinds = (ScalarBias, ScalarMultiplier, GlobalAveragePool, Flatten, Reshape, *WEIGHTED)
    return isinstance(operator, kinds) or is_shortcut(layer)


class Forward:
    """Stages of the forward pass and the loss.

    Parameters
    ----------
    step:
        Of the scheme eoq.
    elements:
        Counts of the ledger's element operations by (layer, direction), for operators that the core
        has no words for.

    Members
    -------
    stages:
        In order.
    saved:
        Codes that products and multipliers read.
    """

    def __init__(self, step: Step, elements: Mapping[tuple[str, str], list[int]]) -> None:
        self.step, self._elements = step, elements
        self.stages: list[Stage] = []
        self.saved: dict[str, Codes] = {}
        self._converted = frozenset(step.dataflow.activations)
        self._before = VectorWork()
        self._values: dict[str, Value] = {"input": Codes("input")}
        for layer in step.network:
            if layer.name in step.used:
                self._values[layer.name] = self._converted_value(layer, self._value(layer))
        self._add(self._loss(self._values[step.output]))

    def _add(self, stage: Stage) -> None:
        stage.once.add(self._before)
        self._before = VectorWork()
        self.stages.append(stage)

    def _converted_value(self, layer: Layer, value: Value) -> Value:
        if layer.name not in self._converted or isinstance(value, Codes):
            return value
        self._add(conversion(layer, value, makes=layer.name))
        return Codes(layer.name)

    def _codes(self, value: Value) -> Codes:
        """Codes where a layer reads them; golden's rules have made them."""
        return value if isinstance(value, Codes) else Codes("input")

    def _value(self, layer: Layer) -> Value:
        inputs = [self._values[name] for name in layer.inputs]
        operator, value = layer.operator, inputs[0]
        if isinstance(operator, WEIGHTED):
            codes = self.saved[layer.name] = self._codes(value)
            made = tuple(products.forward(self.step, layer))
            biased = "bias" in self.step.parameters[layer.name]
            return Wide((Words(codes.name, layer.name, "forward", made),), channel=biased)
        if not has_words(layer):
            return self._element_work(layer, inputs)
        if isinstance(operator, ScalarBias):
            return self._bias(layer, value)
        if isinstance(operator, Activation):
            return self._rectifier(layer, value)
        if isinstance(operator, ScalarMultiplier):
            return self._multiplier(layer, value)
        if isinstance(operator, Add):
            return Wide(tuple(term for each in inputs for term in _terms(each)))
        if isinstance(operator, GlobalAveragePool):
            codes = self._codes(value)
            return Wide((Sums(codes, grid_of(layer.input_shapes[0])),))
        if is_shortcut(layer):
            return Wide(_terms(value))
        if isinstance(operator, AveragePool):
            elements = math.prod(operator.kernel)
            return Wide((Sums(self._codes(value), grid_of(layer.shape), elements),))
        return value

    def _bias(self, layer: Layer, value: Value) -> Value:
        self._before.load(size=2)
        if isinstance(value, Wide):
            return Wide(value.terms, value.biases + 1, value.channel, value.rectified)
        name, grid = layer.name, grid_of(layer.shape)
        self._add(rewriting(name, "normalization", grid, value, makes=name, biased=True))
        return Codes(name)

    def _rectifier(self, layer: Layer, value: Value) -> Value:
        if isinstance(value, Wide):
            return Wide(value.terms, value.biases, value.channel, rectified=True)
        name, grid = layer.name, grid_of(layer.shape)
        self._add(rewriting(name, "forward", grid, value, makes=name, masks=True))
        return Codes(name)

    def _multiplier(self, layer: Layer, value: Value) -> Wide:
        codes = self.saved[layer.name] = self._codes(value)
        # Its code and its exponent.
        self._before.load(size=2)
        self._before.scalar(7)
        return Wide((Scaled(codes, factor=True),))

    def _element_work(self, layer: Layer, inputs: list[Value]) -> Value:
        stage = Stage(layer.name, "forward", makes=layer.name)
        for value in inputs:
            stage.read(Wide(_terms(value)))
        stage.once.elements += self._elements.get((layer.name, "forward"), [])
        self._add(stage)
        keeps = layer.name not in self._converted
        if keeps and all(isinstance(value, Codes) for value in inputs):
            return Codes(layer.name)
        return Wide((Words(layer.name),))

    def _loss(self, logits: Value) -> Stage:
        """Logits with their biases as words, then the error, sample by sample."""
        step = self.step
        layer = step.network.layers[step.output]
        grid = grid_of(layer.shape)
        wide = Wide(_terms(logits)) if isinstance(logits, Codes) else logits
        stage = Stage("loss", "forward", makes="loss")
        # The error's exponent is the same for all samples.
        stage.once.scalar()
        stage.once.store(words=step.batch)
        work = stage.sample
        stage.ahead = evaluate(work, wide, grid)
        work.run(PassSize(*grid, same_page=wide.channel), 2 + 2 * wide.channel)
        work.load(size=2)
        work.loss(max(grid.positions * grid.channels, 2))
        stage.read(wide)
        return stage


def _terms(value: Value) -> tuple[Term, ...]:
    return (Scaled(value),) if isinstance(value, Codes) else value.terms
