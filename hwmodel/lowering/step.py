"""`lower`: one training step of a network as a program for the core, and its memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.batch import check_codes, check_labels
from golden.data import INPUT_EXPONENT
from golden.errors import InputError
from golden.formats import Integers, bit_length, largest_magnitude
from golden.gradients import Learned
from golden.layers import BIAS_EXPONENT, LinearLayer
from golden.loss import ERROR_EXPONENT
from golden.optimizer import MAX_HALVINGS, Rate
from golden.training import Model
from hwmodel.lowering.backward import Backward
from hwmodel.lowering.context import Context
from hwmodel.lowering.emitter import Emitter, Entry, scratchpad
from hwmodel.lowering.evaluate import Evaluator
from hwmodel.lowering.forward import Forward
from hwmodel.lowering.memory_map import Region, Role, Scratchpad
from hwmodel.lowering.parameters import ParameterMap
from hwmodel.lowering.values import Codes, Product, Wide
from hwmodel.lowering.vector_code import Grid, Plane, VectorCode
from rtl.config import CoreConfig
from rtl.dma_instructions import Load, Store
from rtl.vector_instructions import Function, Output, Pass

__all__ = ["BATCH_MAX", "Lowered", "lower"]

BATCH_MAX = 64
"""Most samples: their sums and exponents are scalars at the same time."""


@dataclass(frozen=True)
class Part:
    """Bytes that the DMA moves: where they are outside and in the scratchpad."""

    outside: int
    region: Region


@dataclass
class Lowered:
    """A step's program in the order of the computation, and the memory outside.

    Members
    -------
    entries:
        Acting words, without waits and signals.
    parameters:
        Where they are.
    kept, given:
        What is read at the start and written back at the end; what is only read.
    codes, labels, tables:
        Inputs, classes (2 bytes each), and the inputs' exponents.
    """

    config: CoreConfig
    samples: int
    entries: list[Entry]
    parameters: ParameterMap
    parts: list[Part]
    outside_bytes: int
    codes: Codes
    labels: Region
    model: Model

    def _at(self, region: Region) -> int:
        return next(part.outside for part in self.parts if part.region == region)

    def parameter_memory(self, model: Model) -> NDArray[np.uint8]:
        """Return the memory outside with a model's parameters, momentum and random state."""
        outside = np.zeros(self.outside_bytes, dtype=np.uint8)
        inside = np.zeros(1 << self.config.scratchpad_address_bits, dtype=np.uint8)
        self.parameters.write(inside, model)
        for part in self.parts:
            region = part.region
            data = inside[region.address : region.end]
            outside[part.outside : part.outside + region.size] = data
        return outside

    def batch(self, codes: Integers, labels: Sequence[int] | Integers) -> NDArray[np.uint8]:
        """Return a batch as it lies at the beginning of the memory outside: `batch_size` bytes.

        Parameters
        ----------
        codes, labels:
            As `golden.training.Model.step` takes them.
        """
        check_codes(self.model.network, codes)
        check_labels(self.model.network, np.asarray(labels), len(codes))
        if len(codes) != self.samples:
            raise InputError(f"the program is for {self.samples} samples, not {len(codes)}")
        pixels = codes.transpose(0, 2, 3, 1) if codes.ndim == 4 else codes
        tops = bit_length(largest_magnitude(codes, tuple(range(1, codes.ndim))))
        table = np.concatenate([np.full(self.samples, INPUT_EXPONENT), tops]).astype(np.uint8)
        result = np.zeros(self.batch_size, dtype=np.uint8)
        for region, data in (
            (self.codes.region, pixels.astype(np.int8).tobytes()),
            (self.codes.scale, table.tobytes()),
            (self.labels, np.asarray(labels).astype("<u2").tobytes()),
        ):
            at = self._at(region)
            result[at : at + len(data)] = np.frombuffer(data, np.uint8)
        return result

    @property
    def batch_size(self) -> int:
        """Bytes at the beginning of the memory outside that a batch changes, in whole lines."""
        return self.codes.region.size + self.codes.scale.size + self.labels.size

    def learned(self, outside: NDArray[np.uint8]) -> dict[tuple[str, str], tuple]:
        """(values, momentum) of everything that is learned, from the memory outside."""
        inside = np.zeros(1 << self.config.scratchpad_address_bits, dtype=np.uint8)
        for part in self.parts:
            region = part.region
            inside[region.address : region.end] = outside[part.outside : part.outside + region.size]
        known: dict[tuple[str, str], Learned] = {
            (name, what): learned
            for name, layer in self.model.layers.items()
            for what, learned in layer.learned.items()
        }
        return {(name, what): (v, m) for name, what, v, m in self.parameters.read(inside, known)}

    def state(self, outside: NDArray[np.uint8]) -> int:
        """Random state, from the memory outside."""
        scalars = self.parameters.scalars
        at = self._at(scalars) + self.parameters.state - scalars.address
        return int(outside[at : at + 4].view("<u4")[0])


def lower(model: Model, config: CoreConfig, samples: int, k: int, halvings: int = 0) -> Lowered:
    """Lower one training step (`golden.training.Model.step`).

    Parameters
    ----------
    model:
        Shapes and static exponents; parameters come with the memory.
    config:
        Size of the core.
    samples:
        Of the batch: a power of two, at most `BATCH_MAX`.
    k, halvings:
        Learning rate in shifts.

    Raises
    ------
    InputError
        One line: an operator that the core does not have, a tensor that a memory has no room for.
    """
    if samples < 1 or samples & (samples - 1) or samples > BATCH_MAX:
        raise InputError(f"batch must be a power of two up to {BATCH_MAX}, not {samples!r}")
    if not 0 <= halvings <= MAX_HALVINGS:
        raise InputError(f"halvings must be 0 to {MAX_HALVINGS}, not {halvings!r}")
    network = model.network
    classes = network.shape_of(network.output)[0]
    if not 2 <= classes <= config.loss_classes:
        raise InputError(f"classes must be 2 to loss_classes = {config.loss_classes}, "
                         f"not {classes}")  # fmt: skip
    emitter = Emitter()
    code = VectorCode(emitter, config)
    margin = max(
        (
            layer.operator.padding[1] * layer.input_shapes[0][0]
            for layer in network
            if hasattr(layer.operator, "padding") and len(layer.input_shapes[0]) == 3
        ),
        default=0,
    )
    memory = Scratchpad(config, margin)
    parameters = ParameterMap(model, config, memory)
    rate = Rate(samples.bit_length() - 1, k, halvings)
    context = Context(model, config, samples, rate, emitter, code, memory, parameters)
    first = next((layer for layer in network if model.layers[layer.name].learned), None)
    avoid = () if first is None else (parameters.weight(first.name).weights.page,)
    channels, height, width = (*network.input_shape, 1, 1)[:3]
    codes = context.new_codes("input", Grid(height, width, channels), Role.INPUT, avoid)
    labels = memory.allocate(2 * samples, Role.TABLE)

    regions = [codes.region, codes.scale, labels, *parameters.regions()]
    parts, outside = [], 0
    for region in regions:
        parts.append(Part(outside, region))
        outside += region.size
    emitter.about("", "load", "")
    for part in parts:
        emitter.act(
            Load(outside=part.outside, scratchpad=part.region.address, bytes=part.region.size),
            writes=[scratchpad(part.region.address, part.region.size)],
        )
    emitter.about("", "begin", "state")
    context.twelve, context.state = code.take(), code.take()
    code.constant(context.twelve, BIAS_EXPONENT)
    code.load(context.state, parameters.state, size=4, unsigned=True)

    forward = Forward(context, codes)
    logits = forward.run()
    loss = _loss(context, logits, labels, classes)
    Backward(context, forward).run(loss)

    emitter.about("", "end", "state")
    code.compute(Function.XORSHIFT, context.state, context.state)
    code.store(context.state, parameters.state, size=4)
    for part in parts[3:]:
        emitter.about("", "store", "")
        emitter.act(
            Store(outside=part.outside, scratchpad=part.region.address, bytes=part.region.size),
            reads=[scratchpad(part.region.address, part.region.size)],
        )
    return Lowered(config, samples, emitter.entries, parameters, parts, outside, codes, labels,
                   model)  # fmt: skip


def _loss(context: Context, logits: Wide, labels: Region, classes: int) -> Wide:
    """Logits with their biases as words, then the error; its exponent is a constant."""
    code, config, n = context.code, context.config, context.samples
    model = context.model
    if not isinstance(model.layers[model.network.output], LinearLayer):
        raise InputError("the last layer must be linear")
    blocks = -(-classes // config.columns)
    name = model.network.output
    # Beside the product's words, where the array does not work until they are read.
    evaluator = Evaluator(context, logits)
    grid = logits.grid
    base = None
    label = code.take()
    scale = context.memory.allocate(2 * n, Role.TABLE)
    with code.scalars(2) as e:
        code.constant(e, ERROR_EXPONENT)
        for sample in range(n):
            code.store(e, scale.address + sample)
    for sample in range(n):
        evaluation = evaluator.sample(sample, None)
        if base is None:
            words = 2 * n * blocks
            base = context.results_page_beside(words, f"layer {name!r}, loss")
        z = base + sample * 2 * blocks
        context.emitter.about("loss", "forward", "error", sample)
        code.run(
            Pass(**evaluation.fields, output=Output.RESULTS), grid,
            x=evaluation.planes.get("x"), y=evaluation.planes.get("y"),
            z=evaluation.planes.get("z"), w=Plane(z, 0, 0, 1),
        )  # fmt: skip
        code.load(label, labels.address + 2 * sample, size=2, unsigned=True)
        code.loss(classes=classes, label=label, exponent=evaluation.exponent,
                  source=Plane(z, 0, 0, 1), target=Plane(z + blocks, 0, 0, 1))  # fmt: skip
    code.give(label)
    evaluator.close()
    start = base or 0
    error = Codes("loss", grid, scale, scale)

    def make(sample: int) -> Plane:
        return Plane(start + sample * 2 * blocks + blocks, 0, 0, 1)

    return Wide(grid, (Product(make, error, 0),))
