"""The backward pass and the update as stages, by the rules of `hwmodel.lowering.backward`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from golden.network import (
    Activation,
    Add,
    AveragePool,
    Convolution,
    Flatten,
    GlobalAveragePool,
    Layer,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
)
from hwmodel.stages import products
from hwmodel.stages.forward import Forward, Value, has_words, is_shortcut
from hwmodel.stages.stage import Deferred, Stage, Update, conversion, evaluate, rewriting
from hwmodel.stages.values import Codes, Scaled, Term, Wide, Words, grid_of
from hwmodel.stages.vector import PassSize, VectorWork
from hwmodel.step import WEIGHTED

__all__ = ["Backward"]

_SAMPLES_KEPT = 16
"""Most samples whose sums wait for a scalar's update (`hwmodel.lowering.backward`)."""

_BIASES_AT_ONCE = 8
"""Biases of outputs that are in scalars at a time (`hwmodel.lowering.learn`)."""


@dataclass(frozen=True)
class _Error:
    value: Value
    summed: str = ""


class Backward:
    """Stages of the backward pass.

    Parameters
    ----------
    forward:
        What the forward pass left.
    elements:
        As for `Forward`.

    Members
    -------
    stages:
        In order.
    """

    def __init__(self, forward: Forward, elements: Mapping[tuple[str, str], list[int]]) -> None:
        self._step, self._saved, self._elements = forward.step, forward.saved, elements
        self.stages: list[Stage] = []
        self._errors: dict[str, list[_Error]] = {}
        self._summed_codes: set[str] = set()
        self._waiting: list[Stage] = []
        self._passed: set[str] = set()
        step = self._step
        converted = frozenset(step.dataflow.errors)
        self._errors[step.output] = [_Error(Wide((Words("loss"),)))]
        for layer in reversed(list(step.network)):
            name = layer.name
            if name not in step.learned or name in self._passed or name not in self._errors:
                continue
            error = self._joined(self._errors.pop(name))
            if name in converted and isinstance(error.value, Wide):
                error = _Error(self._convert(layer, error))
            self._layer(layer, error)
        self._flush()

    def _layer(self, layer: Layer, error: _Error) -> None:
        gradient = None
        if isinstance(layer.operator, WEIGHTED):
            codes = self._codes(error)
            gradient = self._weight_gradient(layer, codes)
            if "bias" in self._step.parameters[layer.name]:
                self._learn_vector(layer, codes)
        if self._step.learned.intersection(layer.inputs):
            self._down(layer, error)
        if gradient is not None:
            self._waiting.append(gradient)
        if isinstance(layer.operator, ScalarBias) and isinstance(error.value, Codes):
            if error.value.name not in self._summed_codes:
                self._sum(layer, error.value)
            self._learn_scalar(layer)
        elif isinstance(layer.operator, ScalarMultiplier):
            self._multiplier(layer, self._codes(error))

    # A weight gradient waits until the error of its layer's input is converted.

    def _flush(self) -> None:
        self.stages += self._waiting
        self._waiting = []

    def _weight_gradient(self, layer: Layer, codes: Codes) -> Stage:
        """Align the errors now; return the product, and what follows it."""
        name = layer.name
        aligned = self._align(name, "weight", layer, codes, self._saved[name])
        shape = self._step.parameters[name]["weight"]
        outputs = shape[0]
        rows = math.prod(shape[1:])
        source, phase = self._saved[name].name, "backward_weight"
        made = Words(source, name, phase, tuple(products.backward_weight(self._step, layer)))
        stage = Stage(name, phase, made=(made,), reads=(aligned, source))
        stage.once.scalar(3)
        rounding, part = VectorWork(), VectorWork()
        size = PassSize(rows, outputs)
        rounding.scalar(2)
        rounding.run(size, 4)
        # Key and shifts; decay, its sum, momentum, update, weight, momentum again.
        part.scalar(5)
        for streams in (4, 3, 2, 3, 2, 2):
            part.run(size, streams)
        outer = math.prod(shape[2:])
        if not isinstance(layer.operator, Convolution):
            outer = self._flattened(name)
        stage.deferred = (
            Deferred(name, rounding, gradient=True),
            Deferred(name, part, update=Update(outer, rows // outer, outputs)),
        )
        return stage

    def _flattened(self, name: str) -> int:
        """Positions of what a linear layer's inputs were before they were flattened."""
        layers = self._step.network.layers
        shape = layers[name].input_shapes[0]
        source = layers[name].inputs[0]
        if len(shape) > 1:
            return 1
        while source != "input" and len(shape) == 1:
            layer = layers[source]
            if isinstance(layer.operator, WEIGHTED):
                return 1
            shape, source = layer.input_shapes[0], layer.inputs[0]
        return math.prod(shape[1:]) if len(shape) == 3 else 1

    # Errors.

    def _codes(self, error: _Error) -> Codes:
        return error.value if isinstance(error.value, Codes) else Codes("loss")

    def _joined(self, errors: list[_Error]) -> _Error:
        if len(errors) == 1:
            return errors[0]
        terms: list[Term] = []
        for error in sorted(errors, key=lambda e: isinstance(e.value, Codes)):
            value = error.value
            terms += [Scaled(value)] if isinstance(value, Codes) else value.terms
        summed = next((error.summed for error in errors if error.summed), "")
        return _Error(Wide(tuple(terms)), summed)

    def _convert(self, layer: Layer, error: _Error) -> Codes:
        value = error.value
        assert isinstance(value, Wide)  # noqa: S101 - for the type checker
        made = f"{layer.name}.error"
        codes_summed = isinstance(layer.operator, ScalarBias)
        stage = conversion(
            layer, value, makes=made, summed=bool(error.summed), codes_summed=codes_summed,
            later=any(isinstance(term, Words) for term in value.terms),
        )  # fmt: skip
        self.stages.append(stage)
        self._flush()
        if error.summed:
            self._learn_scalar(self._step.network.layers[error.summed])
        if codes_summed:
            self._summed_codes.add(made)
        return Codes(made)

    def _rewritten(self, layer: Layer, codes: Codes, *, masks: bool) -> Codes:
        """Codes for what is below `layer`."""
        below = self._step.network.layers.get(layer.inputs[0])
        summed = below is not None and isinstance(below.operator, ScalarBias)
        made = f"{layer.name}.below"
        grid = grid_of(layer.input_shapes[0])
        self.stages.append(
            rewriting(layer.name, "backward_data", grid, codes, makes=made, masks=masks,
                      summed=summed)
        )  # fmt: skip
        if summed:
            self._summed_codes.add(made)
        return Codes(made)

    def _put(self, name: str, error: _Error) -> None:
        if name in self._step.learned:
            self._errors.setdefault(name, []).append(error)

    def _down(self, layer: Layer, error: _Error) -> None:
        operator, value = layer.operator, error.value
        below = layer.inputs[0]
        if isinstance(operator, WEIGHTED):
            codes = self._codes(error)
            made = tuple(products.backward_data(self._step, layer))
            words = Words(codes.name, layer.name, "backward_data", made)
            self._put(below, _Error(Wide((words,))))
        elif not has_words(layer):
            self._element_work(layer, value)
        elif isinstance(operator, ScalarBias):
            summed = layer.name if isinstance(value, Wide) else ""
            self._put(below, _Error(value, summed))
        elif isinstance(operator, Activation):
            if isinstance(value, Codes):
                self._put(below, _Error(self._rewritten(layer, value, masks=True)))
            else:
                self._put(below, _Error(replace(value, masked=True), error.summed))
        elif isinstance(operator, ScalarMultiplier):
            self._put(below, _Error(Wide((Scaled(self._codes(error), factor=True),))))
        elif isinstance(operator, GlobalAveragePool):
            self._spread(layer, self._codes(error))
        elif isinstance(operator, Flatten | Reshape):
            self._put(below, error)
        elif is_shortcut(layer):
            self._put(below, _Error(self._shortcut(layer, self._codes(error))))
        elif isinstance(operator, AveragePool):
            self._put(below, _Error(self._windows(layer, operator, self._codes(error))))
        else:
            assert isinstance(operator, Add)  # noqa: S101 - nothing else has words
            if isinstance(value, Wide) and len(self._step.learned.intersection(layer.inputs)) > 1:
                error = _Error(self._kept(layer, value), error.summed)
            for name in layer.inputs:
                self._put(name, error)

    def _element_work(self, layer: Layer, value: Value) -> None:
        made = f"{layer.name}.below"
        stage = Stage(layer.name, "backward_data", makes=made)
        stage.read(Wide((Scaled(value),)) if isinstance(value, Codes) else value)
        stage.once.elements += self._elements.get((layer.name, "backward"), [])
        self.stages.append(stage)
        for name in layer.inputs:
            codes = isinstance(value, Codes) and name not in self._step.dataflow.errors
            self._put(name, _Error(Codes(made) if codes else Wide((Words(made),))))

    def _kept(self, layer: Layer, value: Wide) -> Wide:
        """Words in memory of a value that several layers go on with, so that it is made once."""
        stage = Stage(layer.name, "backward_data", makes=f"{layer.name}.words")
        grid = grid_of(layer.shape)
        stage.ahead = evaluate(stage.sample, value, grid)
        stage.sample.run(PassSize(*grid, value.masked), len(value.terms) + 1 + value.masked)
        stage.read(value)
        self.stages.append(stage)
        return Wide((Words(stage.makes),))

    def _spread(self, layer: Layer, codes: Codes) -> None:
        """Of a mean, with the ReLU in front of it if there is one."""
        below = self._step.network.layers.get(layer.inputs[0])
        masks = below is not None and below.operator == Activation()
        if masks and len(self._step.error_sources[layer.inputs[0]]) == 1:
            assert below is not None  # noqa: S101 - for the type checker
            self._passed.add(below.name)
            layer = below
        self._put(layer.inputs[0], _Error(self._rewritten(layer, codes, masks=masks)))

    def _shortcut(self, layer: Layer, codes: Codes) -> Codes:
        """Added channels are cut off; between picked pixels come zeros."""
        shape, n = layer.input_shapes[0], self._step.batch
        if layer.shape[1:] == shape[1:]:
            return codes
        made = f"{layer.name}.below"
        picked = grid_of(layer.shape)._replace(channels=shape[0])
        stage = rewriting(layer.name, "backward_data", picked, codes, makes=made)
        stage.once.run(PassSize(n * grid_of(shape).positions, shape[0]), 2)
        self.stages.append(stage)
        return Codes(made)

    def _windows(self, layer: Layer, operator: AveragePool, codes: Codes) -> Codes:
        """Each window's error to all of its elements; zeros to what lies in no window."""
        shape, n = layer.input_shapes[0], self._step.batch
        stage = Stage(layer.name, "backward_data", reads=(codes.name,), makes=f"{layer.name}.below")
        sizes = zip(layer.shape[1:], operator.stride, strict=True)
        whole = tuple(out * stride for out, stride in sizes) == shape[1:]
        if operator.kernel != operator.stride or not whole:
            stage.once.run(PassSize(n * grid_of(shape).positions, shape[0]), 2)
        stage.sample.load(count=2)
        stage.sample.scalar()
        stage.sample.store(count=2)
        for element in range(math.prod(operator.kernel)):
            stage.sample.run(PassSize(*grid_of(layer.shape)), 1 if element else 2)
        self.stages.append(stage)
        return Codes(stage.makes)

    # Gradients.

    def _align(self, name: str, what: str, layer: Layer, codes: Codes, other: Codes | None) -> str:
        """`hwmodel.lowering.learn.align`."""
        n, made = self._step.batch, f"{name}.{what}.aligned"
        stage = Stage(name, "quantization", reads=(codes.name,), makes=made)
        work = stage.once
        work.load(count=n, words=2)
        if other is not None:
            work.load(count=n)
            work.scalar(count=n)
        _least(work, n)
        work.scalar()
        work.scalar(2, count=n)
        work.scalar(2)
        stage.sample.run(PassSize(*grid_of(layer.shape)), 3)
        self.stages.append(stage)
        return made

    def _sum(self, layer: Layer, codes: Codes) -> None:
        stage = Stage(layer.name, "normalization", reads=(codes.name,))
        stage.once.load(count=self._step.batch)
        stage.sample.run(PassSize(*grid_of(layer.shape)), 1)
        self.stages.append(stage)

    def _multiplier(self, layer: Layer, codes: Codes) -> None:
        n = self._step.batch
        stage = Stage(layer.name, "normalization", reads=(codes.name,))
        stage.once.load(count=n, words=2)
        stage.once.scalar(count=n)
        stage.sample.run(PassSize(*grid_of(layer.shape)), 2)
        self.stages.append(stage)
        self._learn_scalar(layer)

    def _learn_scalar(self, layer: Layer) -> None:
        """`hwmodel.lowering.learn.learn_scalar`."""
        n, work = self._step.batch, VectorWork()
        _least(work, n)
        work.scalar()
        work.scalar(2, count=n)
        if n > 1:
            work.scalar(count=n - 1)
        # Its shift, two keys, gradient and update.
        work.scalar(3 + 4 + 2 + 2 + 2 + 2 + 2)
        work.load(size=2, words=2)
        work.store(size=2, words=2)
        deferred = Deferred(layer.name, work)
        stage = Stage(layer.name, "update")
        if n <= _SAMPLES_KEPT:
            stage.deferred = (deferred,)
        else:
            stage.once = work
        self.stages.append(stage)

    def _learn_vector(self, layer: Layer, codes: Codes) -> None:
        """`hwmodel.lowering.learn.learn_vector`: biases of the outputs."""
        n, grid = self._step.batch, grid_of(layer.shape)
        aligned = self._align(layer.name, "bias", layer, codes, None)
        count = self._step.parameters[layer.name]["bias"][0]
        stage = Stage(layer.name, "update", reads=(aligned,))
        work = stage.once
        work.run(PassSize(n * grid.positions, grid.channels), 3)
        work.scalar(3 + 2 + 2)
        work.run(PassSize(1, count), 4)
        whole, rest = divmod(count, _BIASES_AT_ONCE)
        for some, parts in ((_BIASES_AT_ONCE, whole), (rest, 1)):
            if not some:
                continue
            work.load(size=2, count=some, words=3 * parts)
            work.load(count=some, words=parts)
            work.store(size=2, count=some, words=3 * parts)
            work.scalar(8 * parts, count=some)
        work.scalar(2, count=count)
        self.stages.append(stage)


def _least(work: VectorWork, n: int) -> None:
    """Add the least of a batch's exponents."""
    work.scalar(count=n)
    if n > 1:
        work.scalar(count=n - 1)
