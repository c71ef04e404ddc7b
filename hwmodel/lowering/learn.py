"""Gradients and updates as words (`golden.gradients`, `golden.optimizer`)."""

import functools
from collections.abc import Iterator

from golden.layers import IntegerLayer, ProductLayer
from golden.optimizer import MOMENTUM_SHIFT, Rate
from hwmodel.lowering.context import Context
from hwmodel.lowering.emitter import Produced
from hwmodel.lowering.evaluate import Bank
from hwmodel.lowering.memory_map import Region, Role
from hwmodel.lowering.parameters import ScalarPlace, VectorPlace, WeightPlace
from hwmodel.lowering.values import Codes
from hwmodel.lowering.vector_code import Grid, Plane
from rtl.vector_instructions import (
    Addend,
    Function,
    Operand,
    Output,
    Pass,
    Scalar,
)

__all__ = ["align", "learn_scalar", "learn_vector", "learn_weight"]

_NEVER = 127
"""In place of the exponent of a sample that has no say: above all others."""

_SHIFT_MAX = 63

_PART_BEATS = 256
"""Beats of a pass of an update that is put between two samples."""


def _least(context: Context, values: int, alive: int, exponents: int) -> None:
    """values[-1] = the least of the exponents whose `alive` is not zero; uses all of `values`."""
    code, n = context.code, context.samples
    code.compute(Function.SELECT, values, alive, c=exponents, value=_NEVER, count=n, walk="ac")
    if n > 1:
        code.compute(Function.MINIMUM, values + 1, values, values + 1, count=n - 1, walk="ab")


def align(
    context: Context, layer: str, what: str, error: Codes, other: Codes | None,
    avoid: tuple[int, ...],
) -> tuple[Region, int]:  # fmt: skip
    """`golden.gradients.align_errors`: the batch's codes, and the scalar of their exponent."""
    code, n, grid = context.code, context.samples, error.grid
    emitter = context.emitter
    emitter.about(layer, "backward_weight", f"{what}.E_aligned")
    # The product reads whole vectors, lanes past the last output included.
    size = n * grid.elements + context.config.columns
    region = context.memory.allocate(size, Role.ALIGNED, avoid)
    common, key = code.take(2), code.take()
    total, tops, least = (code.take(n) for _ in range(3))
    context.load_exponents(total, error)
    if other is not None:
        context.load_exponents(least, other)
        code.compute(Function.ADD, total, total, least, count=n, walk="ab")
    context.load_tops(tops, error)
    _least(context, least, tops, total)
    code.compute(Function.ADD, common, least + n - 1)
    code.compute(Function.SUBTRACT, total, total, common, count=n, walk="a")
    code.compute(Function.MINIMUM, total, total, value=_SHIFT_MAX, count=n, walk="a")
    context.key(key, layer, f"{what}.E")
    for k in range(n):
        emitter.about(layer, "backward_weight", f"{what}.E_aligned", k)
        index = Plane(k * grid.elements, grid.channels, grid.width * grid.channels,
                      context.config.columns)  # fmt: skip
        code.run(
            Pass(operand=Operand.X, output=Output.BYTES, stochastic=1, shift=total + k, key=key),
            grid,
            x=error.plane(k, context.config),
            output=Plane.codes(region.address + k * grid.elements, grid, context.config),
            index=index,
        )
        emitter.produce(
            Produced(f"{layer}.backward_weight.{what}.E_aligned", k,
                     region.address + k * grid.elements,
                     (grid.height, grid.width, grid.channels))
        )  # fmt: skip
    for first, count in ((total, n), (tops, n), (least, n), (key, 1), (common + 1, 1)):
        code.give(first, count)
    return region, common


def _gradient_shift(context: Context, layer: IntegerLayer, what: str, d: int, common: int) -> None:
    """d = the right shift of a gradient with exponent `common`, never to the left."""
    learned = layer.learned[what]
    code = context.code
    code.compute(Function.ADD, d, common, value=learned.gradient_shift(context.rate))
    code.compute(Function.MAXIMUM, d, d, value=0)
    # Right of 63 and more is the same; a gradient of zeros has an exponent that is out of range.
    code.compute(Function.MINIMUM, d, d, value=_SHIFT_MAX)


def learn_scalar(context: Context, layer: str, what: str, bank: Bank) -> None:
    """A scalar's gradient (`golden.gradients.sum_samples`) and its update; `bank` is used up."""
    code, n = context.code, context.samples
    own = context.model.layers[layer]
    rule = own.learned[what].rule
    context.emitter.about(layer, "update", what)
    place = context.parameters.places[layer, what]
    assert isinstance(place, ScalarPlace)  # noqa: S101 - for the type checker
    least = code.take(n)
    _least(context, least, bank.sum, bank.exponent)
    common, key, shift, value, momentum, update = (code.take() for _ in range(6))
    code.compute(Function.ADD, common, least + n - 1)
    code.compute(Function.SUBTRACT, least, bank.exponent, common, count=n, walk="a")
    code.compute(Function.SHIFT, least, bank.sum, least, count=n, walk="ab")
    if n > 1:
        code.compute(Function.ADD, least + 1, least, least + 1, count=n - 1, walk="ab")
    total = least + n - 1
    _gradient_shift(context, own, what, shift, common)
    context.key(key, layer, f"{what}.G")
    code.compute(Function.SHIFT_RANDOM, total, total, shift, key)
    code.compute(Function.SATURATE_8, total, total)
    applied = rule.applied_shift(context.rate.halvings)
    code.load(momentum, place.momentum, size=2)
    code.load(value, place.value, size=2)
    context.key(key, layer, f"{what}.U")
    saturate = Function.SATURATE_16
    code.compute(Function.ADD, momentum, momentum, total)
    code.compute(saturate, momentum, momentum)
    # SHIFT_RANDOM's shift is a scalar only if its b is none; an immediate serves here.
    code.emitter.act(
        Scalar(function=Function.SHIFT_RANDOM, d=update, a=momentum, c=key, immediate=1,
               value=applied + MOMENTUM_SHIFT)
    )  # fmt: skip
    code.compute(saturate, update, update)
    code.compute(Function.SUBTRACT, value, value, update)
    code.compute(saturate, value, value)
    if applied:
        code.compute(Function.SHIFT, update, update, value=-applied)
    code.compute(Function.SUBTRACT, momentum, momentum, update)
    code.compute(saturate, momentum, momentum)
    code.store(value, place.value, size=2)
    code.store(momentum, place.momentum, size=2)
    for name, address in (("P", place.value), ("V", place.momentum)):
        context.emitter.produce(
            Produced(f"{layer}.update.{what}.{name}", None, address, (1,), "scalars", 1)
        )
    for scalar in (common, key, shift, value, momentum, update):
        code.give(scalar)
    code.give(least, n)
    code.give(bank.sum, n)
    code.give(bank.exponent, n)


def learn_weight(context: Context, layer: str, source: Codes, aligned: Region, common: int) -> None:
    """The weight gradient's product, its first pass, and the update's passes for later."""
    code, config = context.code, context.config
    own = context.model.layers[layer]
    assert isinstance(own, ProductLayer)  # noqa: S101 - for the type checker
    place = context.parameters.weight(layer)
    geometry = place.geometry
    blocks = -(-geometry.out_channels // config.columns)
    rows = geometry.weight_rows
    at_once = min(config.results_page_depth // rows, blocks)
    if at_once < 1:
        context.results_page(rows, f"layer {layer!r}, weight gradient")
    gradient = context.memory.allocate(place.weights.size, Role.TABLE)
    shift = code.take()
    _gradient_shift(context, own, "weight", shift, common)
    code.give(common)
    for first in range(0, blocks, at_once):
        count = min(at_once, blocks - first)
        z = context.gradient_page()
        context.product_weight(layer, source, aligned, first, count, z)
        context.unread.add(z)
        start = first * config.columns
        part = start, min(count * config.columns, geometry.out_channels - start)
        context.later.append(
            functools.partial(_round_gradient, context, layer, place, gradient, z, part, shift,
                              first + count >= blocks)
        )  # fmt: skip
    context.memory.release(aligned)
    _defer_update(context, layer, own, place, gradient)


def _round_gradient(
    context: Context, layer: str, place: WeightPlace, gradient: Region, z: int,
    outputs: tuple[int, int], shift: int, last: bool,
) -> None:  # fmt: skip
    """G of some outputs: from the words of the product to bytes."""
    code, config = context.code, context.config
    context.emitter.about(layer, "backward_weight", "weight.G")
    outer, inner = place.rows
    outer_index, inner_index = place.index_steps
    first, channels = outputs
    with code.scalars() as key:
        context.key(key, layer, "weight.G")
        code.run(
            Pass(operand=Operand.RESULTS, output=Output.BYTES, stochastic=1, shift=shift, key=key),
            Grid(outer, inner, channels),
            z=Plane(z, 1, inner, place.geometry.weight_rows),
            output=Plane(gradient.address + first, place.pitch, inner * place.pitch,
                         config.columns),
            index=Plane(first, inner_index, outer_index, config.columns),
        )  # fmt: skip
    context.unread.discard(z)
    if last:
        code.give(shift)
        shape = context.model.layers[layer].learned["weight"].values.shape
        context.emitter.produce(
            Produced(f"{layer}.backward_weight.weight.G", None, gradient.address, shape,
                     f"weights {layer}")
        )  # fmt: skip


def _defer_update(
    context: Context, layer: str, own: ProductLayer, place: WeightPlace, gradient: Region
) -> None:
    """Split the update by rows into parts, each of which does all its passes."""
    blocks = -(-place.geometry.out_channels // context.config.columns)
    outer, inner = place.rows
    # Parts are whole outer rows; a linear layer has one of them, which is cut by inner rows.
    parts = []
    if outer > 1:
        step = max(_PART_BEATS // (inner * blocks), 1)
        for y in range(0, outer, step):
            parts.append((y, 0, min(step, outer - y), inner))
    else:
        step = max(_PART_BEATS // blocks, 1)
        for x in range(0, inner, step):
            parts.append((0, x, 1, min(step, inner - x)))
    last = parts[-1]
    for part in parts:
        context.later.append(
            functools.partial(_update_part, context, layer, own, place, gradient, part,
                              part == last)
        )  # fmt: skip


def _update_part(
    context: Context, layer: str, own: ProductLayer, place: WeightPlace, gradient: Region,
    part: tuple[int, int, int, int], last: bool,
) -> None:  # fmt: skip
    code, config, rule = context.code, context.config, own.weight.rule
    rate: Rate = context.rate
    y, x, height, width = part
    _, inner = place.rows
    grid = Grid(height, width, place.geometry.out_channels)
    offset = (y * inner + x) * place.pitch
    outer_index, inner_index = place.index_steps
    index = Plane(y * outer_index + x * inner_index, inner_index, outer_index, config.columns)

    def plane(region: Region) -> Plane:
        return Plane(region.address + offset, place.pitch, inner * place.pitch, config.columns)

    g, w, v = plane(gradient), plane(place.weights), plane(place.momentum)
    decay = context.memory.allocate(place.weights.size, Role.SIDE)
    d = plane(decay)
    key, shift = code.take(), code.take()
    context.emitter.about(layer, "update", "weight")
    context.key(key, layer, "weight.U")
    applied, bits = rule.applied_shift(rate.halvings), rule.decay_bits(rate.k)
    rounded = {"output": Output.BYTES, "stochastic": 1, "shift": shift, "key": key}
    if bits:
        # D = SRSH(W), G = SAT8(G + D)
        code.constant(shift, bits)
        code.run(Pass(operand=Operand.X, **rounded), grid, x=w, output=d, index=index)
        code.run(
            Pass(operand=Operand.X, addend=Addend.Y, output=Output.BYTES), grid, x=g, y=d, output=g
        )
    # V = SAT8(V + G)
    code.run(
        Pass(operand=Operand.X, addend=Addend.Y, output=Output.BYTES), grid, x=g, y=v, output=v
    )
    # U = SAT8(SRSH(V))
    code.constant(shift, applied + MOMENTUM_SHIFT)
    code.run(Pass(operand=Operand.X, **rounded), grid, x=v, output=g, index=index)
    # W = SAT8(W - U)
    code.run(
        Pass(operand=Operand.X, negate=1, addend=Addend.Y, output=Output.BYTES),
        grid, x=g, y=w, output=w,
    )  # fmt: skip
    # V = SAT8(V - (U << applied))
    code.constant(shift, -applied)
    code.run(
        Pass(operand=Operand.X, negate=1, u_shift=shift, addend=Addend.Y, output=Output.BYTES),
        grid, x=g, y=v, output=v,
    )  # fmt: skip
    code.give(key)
    code.give(shift)
    context.memory.release(decay)
    if last:
        shape = own.weight.values.shape
        for name, region in (
            ("U", gradient), ("P", place.weights), ("V", place.momentum)
        ):  # fmt: skip
            context.emitter.produce(
                Produced(f"{layer}.update.weight.{name}", None, region.address, shape,
                         f"weights {layer}")
            )  # fmt: skip
        context.memory.release(gradient)


def learn_vector(context: Context, layer: str, error: Codes) -> None:
    """Biases of a product's outputs: one 16-bit number each."""
    code, config, n = context.code, context.config, context.samples
    own = context.model.layers[layer]
    place = context.parameters.places[layer, "bias"]
    assert isinstance(place, VectorPlace)  # noqa: S101 - for the type checker
    rule = own.learned["bias"].rule
    aligned, common = align(context, layer, "bias", error, None, ())
    grid = error.grid
    whole = Grid(n * grid.height, grid.width, grid.channels)
    blocks = whole.blocks(config)
    z = context.results_page(blocks, f"layer {layer!r}, gradient of biases")
    context.emitter.about(layer, "backward_weight", "bias.product")
    code.run(
        Pass(operand=Operand.X, accumulate=1, output=Output.RESULTS),
        whole, x=Plane.codes(aligned.address, whole, config), w=Plane(z, 0, 0, 1),
    )  # fmt: skip
    shift, key = code.take(), code.take()
    _gradient_shift(context, own, "bias", shift, common)
    context.key(key, layer, "bias.G")
    gradient = context.memory.allocate(place.count, Role.TABLE)
    flat = Grid(1, 1, place.count)
    context.emitter.about(layer, "backward_weight", "bias.G")
    code.run(
        Pass(operand=Operand.RESULTS, output=Output.BYTES, stochastic=1, shift=shift, key=key),
        flat, z=Plane(z, 0, 0, 1), output=Plane(gradient.address, 0, 0, config.columns),
        index=Plane(0, 0, 0, config.columns),
    )  # fmt: skip
    context.emitter.about(layer, "update", "bias")
    count, saturate = place.count, Function.SATURATE_16
    applied = rule.applied_shift(context.rate.halvings)
    context.key(key, layer, "bias.U")
    update = code.take(count)
    part = 8
    with code.scalars(2 * part) as a:
        b = a + part

        def parts() -> Iterator[tuple[int, int]]:
            for first in range(0, count, part):
                yield first, min(part, count - first)

        # V' = SAT16(V + G)
        for first, some in parts():
            at = place.momentum.address + first
            code.load(a, at, size=2, count=some, step=1, plane=place.plane)
            code.load(b, gradient.address + first, count=some)
            code.compute(Function.ADD, a, a, b, count=some, walk="ab")
            code.compute(saturate, update + first, a, count=some, walk="a")
            code.store(update + first, at, size=2, count=some, step=1, plane=place.plane)
        # U = SAT16(SRSH(V')): all at once, because the repetition is the random index.
        code.compute(Function.SHIFT_RANDOM, update, update, c=key, count=count, walk="a",
                     value=applied + MOMENTUM_SHIFT)  # fmt: skip
        code.compute(saturate, update, update, count=count, walk="a")
        for first, some in parts():
            for region, factor in ((place.value, 0), (place.momentum, applied)):
                at = region.address + first
                code.load(a, at, size=2, count=some, step=1, plane=place.plane)
                code.compute(Function.SHIFT, b, update + first, value=-factor, count=some,
                             walk="a")  # fmt: skip
                code.compute(Function.SUBTRACT, a, a, b, count=some, walk="ab")
                code.compute(saturate, a, a, count=some, walk="a")
                code.store(a, at, size=2, count=some, step=1, plane=place.plane)
    for name, region in (("P", place.value), ("V", place.momentum)):
        context.emitter.produce(
            Produced(f"{layer}.update.bias.{name}", None, region.address, (count,), "scalars",
                     place.plane)
        )  # fmt: skip
    code.give(update, count)
    for scalar in (shift, key, common):
        code.give(scalar)
    context.memory.release(aligned)
    context.memory.release(gradient)
