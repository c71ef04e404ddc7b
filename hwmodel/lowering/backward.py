"""The backward pass as words: errors down, gradients and updates on the way."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from golden.errors import InputError
from golden.layers import (
    AddLayer,
    BiasLayer,
    MultiplierLayer,
    ProductLayer,
    RectifierLayer,
    ReshapeLayer,
    ShortcutLayer,
)
from golden.network import AveragePool, Layer
from golden.pooling import AveragePoolLayer, MeanLayer
from golden.values import ERROR_ZERO_EXPONENT
from hwmodel.lowering.context import Context
from hwmodel.lowering.evaluate import Bank
from hwmodel.lowering.forward import Forward
from hwmodel.lowering.learn import align, learn_scalar, learn_vector, learn_weight
from hwmodel.lowering.memory_map import Region, Role
from hwmodel.lowering.quantize import quantize, rewrite
from hwmodel.lowering.values import Codes, Product, Scaled, Term, Wide, tap
from hwmodel.lowering.vector_code import Grid, Plane
from rtl.vector_instructions import Function, Operand, Output, Pass, Total

__all__ = ["Backward"]

_SAMPLES_KEPT = 16
"""Most samples whose sums may wait: there are not scalars enough for more."""


@dataclass(frozen=True)
class _Error:
    """An error on its way down.

    Members
    -------
    value:
        Codes, or what is still to be quantised.
    summed:
        Scalar bias above a wide value, whose gradient is the sum over its words.
    """

    value: Codes | Wide
    summed: str = ""


class Backward:
    """Lowers the backward pass and the update."""

    def __init__(self, context: Context, forward: Forward) -> None:
        self.context, self.forward = context, forward
        self._errors: dict[str, list[_Error]] = {}
        self._banks: dict[str, Bank] = {}
        self._made: list[Codes] = []
        self._passed: set[str] = set()
        self._down_done: set[str] = set()
        self._waiting: dict[str, tuple[Region, int]] = {}
        self._kept = dict(context.saved)

    def run(self, loss: Wide) -> None:
        """Lower everything from the error of the logits on."""
        context, model = self.context, self.context.model
        network = model.network
        self._errors[network.output] = [_Error(loss)]
        for layer in reversed(list(network)):
            if layer.name not in model.learning or layer.name in self._passed:
                continue
            own = model.layers[layer.name]
            error = self._joined(layer, self._errors.pop(layer.name))
            if layer.name in model.coded_errors and isinstance(error.value, Wide):
                error = _Error(self._quantize(layer, error))
            aligned = None
            if isinstance(own, ProductLayer):
                codes = self._codes(layer, error)
                source = context.saved[layer.name]
                avoid = (source.region.page, codes.region.page)
                aligned = align(context, layer.name, "weight", codes, source, avoid)
                if own.bias is not None:
                    learn_vector(context, layer.name, codes)
            if model.learning.intersection(layer.inputs):
                self._down(layer, own, error)
            else:
                self._down_done.add(layer.name)
            if aligned is not None:
                self._waiting[layer.name] = aligned
            self._learn(layer, own, error)
            self._release(layer.name)
        self._flush_weights()
        while context.later:
            context.do_later_part()

    # A layer's weight gradient waits until its error has gone down, so that the next layer's errors
    # are quantised and aligned while the array works on it; and its weights, which the error needs,
    # are updated after that.

    def _flush_weights(self) -> None:
        for name in [name for name in self._waiting if name in self._down_done]:
            region, common = self._waiting.pop(name)
            learn_weight(self.context, name, self.context.saved[name], region, common)
            self._forget(name)

    def _forget(self, name: str) -> None:
        """Give back what a layer read forward, if no other layer still needs it."""
        codes = self._kept.pop(name)
        if all(other.region != codes.region for other in self._kept.values()):
            self.context.release(codes)

    def _release(self, name: str) -> None:
        """Give back masks and errors that nothing below needs."""
        context, waiting = (
            self.context,
            [error.value for errors in self._errors.values() for error in errors],
        )
        used = [
            codes.region
            for value in waiting
            for codes in ([value] if isinstance(value, Codes) else value.sources)
        ]
        for codes in [codes for codes in self._made if codes.region not in used]:
            self._made.remove(codes)
            context.release(codes)
        masked = {mask for value in waiting if isinstance(value, Wide) for mask in value.masks}
        done = [mask for mask in context.masks if mask in self._passed | {name}]
        self._passed.add(name)
        for mask in set(done) - masked:
            context.memory.release(context.masks.pop(mask).region)
        if name in self._kept and not isinstance(context.model.layers[name], ProductLayer):
            self._forget(name)

    def _each(self, _sample: int) -> None:
        self.context.do_later_part()

    def _learn_later(self, layer: str, what: str, bank: Bank) -> None:
        """Nothing waits for a scalar's update; but while it waits it keeps its sums."""
        learn = functools.partial(learn_scalar, self.context, layer, what, bank)
        if self.context.samples <= _SAMPLES_KEPT:
            self.context.later.append(learn)
        else:
            learn()

    # Errors.

    def _codes(self, layer: Layer, error: _Error) -> Codes:
        if not isinstance(error.value, Codes):
            raise InputError(f"layer {layer.name!r}: the core needs an error of codes here")
        return error.value

    def _joined(self, layer: Layer, errors: list[_Error]) -> _Error:
        if len(errors) == 1:
            return errors[0]
        if len(errors) != 2:
            raise InputError(
                f"layer {layer.name!r}: the core joins 2 errors at a fork, not {len(errors)}"
            )
        terms: list[Term] = []
        summed = ""
        # The words whose sum is wanted come first.
        for error in sorted(errors, key=lambda e: isinstance(e.value, Codes)):
            value = error.value
            if isinstance(value, Codes):
                terms.append(Scaled(value))
            elif len(value.terms) == 1 and not value.masks:
                terms += self._planes(layer, value).terms
                summed = summed or error.summed
            else:
                raise InputError(f"layer {layer.name!r}: the core joins codes and sums")
        return _Error(Wide(_grid(layer), tuple(terms)), summed)

    def _bank(self) -> Bank:
        n = self.context.samples
        return Bank(self.context.code.take(n), self.context.code.take(n))

    def _quantize(self, layer: Layer, error: _Error) -> Codes:
        context = self.context
        value = error.value
        assert isinstance(value, Wide)  # noqa: S101 - for the type checker
        own = context.model.layers[layer.name]
        grid = _grid(layer)
        summed = self._bank() if error.summed else None
        codes_sums = self._bank() if type(own) is BiasLayer else None
        codes = quantize(
            context, value, layer.name, role=Role.ERROR, phase="backward_data", tensor="E",
            zero_exponent=ERROR_ZERO_EXPONENT, avoid=self._weights_above(layer.name),
            codes_sums=codes_sums, term_sums=summed,
            each=self._each if any(isinstance(t, Product) for t in value.terms) else None,
            golden_grid=grid,
        )  # fmt: skip
        codes = codes.reshaped(grid)
        self._flush_weights()
        self._made.append(codes)
        if summed is not None:
            self._learn_later(error.summed, "bias", summed)
        if codes_sums is not None:
            self._banks[codes.name] = codes_sums
        return codes

    def _weights_above(self, name: str) -> tuple[int, ...]:
        """Pages of weights that the error of a layer's output is multiplied by."""
        places, network = self.context.parameters, self.context.model.network
        pages, pending = [], [name]
        while pending:
            layer = network.layers.get(pending.pop())
            if layer is None:
                continue
            own = self.context.model.layers[layer.name]
            if isinstance(own, ProductLayer):
                pages.append(places.weight(layer.name).weights.page)
            else:
                pending += layer.inputs
                if isinstance(own, RectifierLayer | MeanLayer):
                    continue
        return tuple(set(pages[:2]))

    def _rewritten(
        self, layer: Layer, codes: Codes, *, grid: Grid | None = None,
        plane: Callable[[int], Plane] | None = None, masked: str = "",
    ) -> Codes:  # fmt: skip
        """Codes for what is below `layer`."""
        below = layer.inputs[0]
        biased = type(self.context.model.layers.get(below)) is BiasLayer
        bank = self._bank() if biased else None
        result = rewrite(
            self.context, codes, f"{layer.name}.below", phase="backward_data", role=Role.ERROR,
            avoid=self._weights_above(below), grid=grid, plane=plane, masked=masked, sums=bank,
        )  # fmt: skip
        if bank is not None:
            self._banks[result.name] = bank
        self._made.append(result)
        return result

    # Layers.

    def _put(self, name: str, error: _Error) -> None:
        if name in self.context.model.learning:
            self._errors.setdefault(name, []).append(error)

    def _down(self, layer: Layer, own: object, error: _Error) -> None:
        context, value = self.context, error.value
        if isinstance(own, ProductLayer):
            codes = self._codes(layer, error)

            def make(sample: int) -> Plane:
                plane = context.product_backward(layer.name, codes, sample)
                if sample == context.samples - 1:
                    self._down_done.add(layer.name)
                return plane

            geometry = context.parameters.weight(layer.name).geometry
            grid = Grid(geometry.height, geometry.width, geometry.channels)
            exponent = context.weight_exponent(layer.name)
            wide = Wide(grid, (Product(make, codes, exponent),))
            self._put(layer.inputs[0], _Error(wide))
        elif type(own) is BiasLayer:
            summed = layer.name if isinstance(value, Wide) else ""
            if isinstance(value, Wide) and (error.summed or value.masks or len(value.terms) > 1):
                raise InputError(f"layer {layer.name!r}: the core sums the words of a product")
            self._put(layer.inputs[0], _Error(value, summed))
        elif isinstance(own, AddLayer):
            for name in layer.inputs:
                self._put(name, error)
        elif isinstance(own, RectifierLayer):
            if isinstance(value, Codes):
                self._put(layer.inputs[0], _Error(self._rewritten(layer, value,
                                                                  masked=layer.name)))  # fmt: skip
            else:
                planes = self._planes(layer, value)
                masked = replace(planes, masks=(*planes.masks, layer.name))
                self._put(layer.inputs[0], _Error(masked, error.summed))
        elif isinstance(own, MultiplierLayer):
            codes = self._codes(layer, error)
            wide = Wide(codes.grid, (Scaled(codes, self.forward.factors[layer.name]),))
            self._put(layer.inputs[0], _Error(wide))
        elif isinstance(own, MeanLayer):
            self._spread(layer, self._codes(layer, error))
        elif isinstance(own, AveragePoolLayer):
            self._windows(layer, own, self._codes(layer, error))
        elif isinstance(own, ReshapeLayer):
            self._put(layer.inputs[0], self._reshaped(layer, error))
        elif isinstance(own, ShortcutLayer):
            self._shortcut(layer, own, self._codes(layer, error))
        else:
            raise InputError(f"layer {layer.name!r}: the core has no way back through it")

    def _reshaped(self, layer: Layer, error: _Error) -> _Error:
        shape = (*layer.input_shapes[0], 1, 1)[:3]
        grid = Grid(shape[1], shape[2], shape[0])
        value = error.value
        # Words stay flat, in the order of the planes' bytes, until something needs planes.
        return _Error(value.reshaped(grid)) if isinstance(value, Codes) else error

    def _planes(self, layer: Layer, value: Wide) -> Wide:
        """A value with the shape of `layer`'s output."""
        grid = _grid(layer)
        return value if value.grid == grid else self._regridded(layer, value, grid)

    def _regridded(self, layer: Layer, value: Wide, grid: Grid) -> Wide:
        """Words of a flat product as those of planes: (y, x, channel) is the order in memory."""
        columns = self.context.config.columns
        (term,) = value.terms
        if not isinstance(term, Product) or grid.channels % columns:
            raise InputError(
                f"layer {layer.name!r}: the error of planes that were flattened requires a "
                f"multiple of {columns} channels, not {grid.channels}"
            )
        blocks = grid.channels // columns

        def make(sample: int) -> Plane:
            flat = term.make(sample)
            step = flat.block * blocks
            return Plane(flat.base, step, grid.width * step, flat.block)

        return replace(value, grid=grid, terms=(replace(term, make=make),))

    def _spread(self, layer: Layer, codes: Codes) -> None:
        """Of a mean: the same code at every position. Read with steps of 0 and masked at once."""
        context = self.context
        channels, height, width = layer.input_shapes[0]
        grid = Grid(height, width, channels)
        shifted = replace(codes, offset=codes.offset + (grid.positions - 1).bit_length())

        def plane(sample: int) -> Plane:
            return Plane(codes.address(sample), 0, 0, context.config.columns)

        below = layer.inputs[0]
        source = context.model.network.layers.get(below)
        masked = ""
        if source is not None and isinstance(context.model.layers[below], RectifierLayer):
            # The ReLU in front of the mean is done in the same pass.
            masked, layer = below, source
            self._passed.add(below)
        result = self._rewritten(layer, shifted, grid=grid, plane=plane, masked=masked)
        # The tables of the new codes have the shifted exponents.
        self._put(layer.inputs[0], _Error(result))

    def _shortcut(self, layer: Layer, own: ShortcutLayer, codes: Codes) -> None:
        """Cut the added channels off, put zeros between: a pass of zeros, then the codes."""
        context, code, n = self.context, self.context.code, self.context.samples
        channels, height, width = layer.input_shapes[0]
        grid = Grid(height, width, channels)
        source = codes.grid
        if own.stride == (1, 1) and source.positions == grid.positions:
            self._put(layer.inputs[0], _Error(codes.cut(channels)))
            return
        result = context.new_codes(f"{layer.name}.below", grid, Role.ERROR)
        self._zeros(layer, result)
        small = Grid(source.height, source.width, channels)
        with code.scalars(3) as e:
            for k in range(n):
                context.emitter.about(layer.name, "backward_data", "codes", k)
                context.load_scale(e, codes, k)
                code.run(
                    Pass(operand=Operand.X, output=Output.BYTES, measure=1, top=e + 1), small,
                    x=codes.plane(k, context.config),
                    output=Plane(result.address(k), own.stride[1] * channels,
                                 own.stride[0] * width * channels, context.config.columns),
                )  # fmt: skip
                code.store(e, result.scale.address + k, count=2, step=n)
        self._made.append(result)
        self._put(layer.inputs[0], _Error(result))

    def _windows(self, layer: Layer, own: AveragePoolLayer, codes: Codes) -> None:
        """Each window's error to all of its elements; what lies in no window gets zeros."""
        context, code, n = self.context, self.context.code, self.context.samples
        operator = layer.operator
        assert isinstance(operator, AveragePool)  # noqa: S101 - for the type checker
        channels, height, width = layer.input_shapes[0]
        grid = Grid(height, width, channels)
        shifted = replace(codes, offset=codes.offset + own.shift)
        result = context.new_codes(f"{layer.name}.below", grid, Role.ERROR)
        covered = operator.kernel == operator.stride and (height, width) == (
            codes.grid.height * operator.stride[0], codes.grid.width * operator.stride[1]
        )  # fmt: skip
        if not covered:
            self._zeros(layer, result)
        with code.scalars(2) as e:
            for k in range(n):
                context.emitter.about(layer.name, "backward_data", "codes", k)
                context.load_scale(e, shifted, k)
                code.store(e, result.scale.address + k, count=2, step=n)
                for place in range(operator.kernel[0] * operator.kernel[1]):
                    y, x = divmod(place, operator.kernel[1])
                    code.run(
                        Pass(operand=Operand.X, output=Output.BYTES), codes.grid,
                        x=codes.plane(k, context.config),
                        output=tap(result, operator.stride, k, y, x, context.config),
                    )  # fmt: skip
        self._made.append(result)
        self._put(layer.inputs[0], _Error(result))

    def _zeros(self, layer: Layer, codes: Codes) -> None:
        """A pass of zeros over a batch."""
        context, grid = self.context, codes.grid
        context.emitter.about(layer.name, "backward_data", "zeros")
        whole = Grid(context.samples * grid.height, grid.width, grid.channels)
        output = Plane.codes(codes.region.address, whole, context.config)
        context.code.run(Pass(operand=Operand.NONE, output=Output.BYTES), whole, output=output)

    # Gradients.

    def _learn(self, layer: Layer, own: object, error: _Error) -> None:
        if type(own) is BiasLayer and isinstance(error.value, Codes):
            bank = self._banks.pop(error.value.name, None) or self._sum(layer, error.value)
            self._learn_later(layer.name, "bias", bank)
        elif isinstance(own, MultiplierLayer):
            self._multiplier(layer, self._codes(layer, error))

    def _sum(self, layer: Layer, codes: Codes) -> Bank:
        """Sums of codes that were not summed on the way."""
        context, code = self.context, self.context.code
        bank = self._bank()
        context.load_exponents(bank.exponent, codes)
        for k in range(context.samples):
            context.emitter.about(layer.name, "backward_weight", "bias", k)
            code.run(Pass(operand=Operand.X, total=Total.T, sum=bank.sum + k), codes.grid,
                     x=codes.plane(k, context.config))  # fmt: skip
        return bank

    def _multiplier(self, layer: Layer, error: Codes) -> None:
        context, code = self.context, self.context.code
        source = context.saved[layer.name]
        bank = self._bank()
        n = context.samples
        context.load_exponents(bank.exponent, error)
        with code.scalars(n) as other:
            context.load_exponents(other, source)
            code.compute(Function.ADD, bank.exponent, bank.exponent, other, count=n, walk="ab")
        for k in range(n):
            context.emitter.about(layer.name, "backward_weight", "multiplier", k)
            code.run(
                Pass(operand=Operand.X_Y, total=Total.T, sum=bank.sum + k), error.grid,
                x=error.plane(k, context.config),
                y=source.plane(k, context.config),
            )  # fmt: skip
        self._learn_later(layer.name, "multiplier", bank)


def _grid(layer: Layer) -> Grid:
    channels, height, width = (*layer.shape, 1, 1)[:3]
    return Grid(height, width, channels)
