"""The forward pass as words: every layer makes codes, or values that are quantised further on."""

from dataclasses import replace

from golden.convolution import ConvolutionLayer
from golden.errors import InputError
from golden.layers import (
    AddLayer,
    BiasLayer,
    LinearLayer,
    MultiplierLayer,
    ProductLayer,
    RectifierLayer,
    ReshapeLayer,
    ShortcutLayer,
)
from golden.network import AveragePool, Layer
from golden.pooling import AveragePoolLayer, MeanLayer
from golden.values import ACTIVATION_ZERO_EXPONENT
from golden.windows import overlaps
from hwmodel.lowering.context import Context
from hwmodel.lowering.memory_map import Role
from hwmodel.lowering.parameters import ScalarPlace, VectorPlace
from hwmodel.lowering.quantize import quantize, rewrite
from hwmodel.lowering.values import (
    Bias,
    ChannelBias,
    Codes,
    Factor,
    Product,
    Scaled,
    Sums,
    Term,
    Wide,
    Windows,
)
from hwmodel.lowering.vector_code import Grid, Plane
from rtl.vector_instructions import Function

__all__ = ["Forward", "Value"]

Value = Codes | Wide

_KINDS = (
    AddLayer,
    AveragePoolLayer, BiasLayer, ConvolutionLayer, LinearLayer, MeanLayer, MultiplierLayer,
    RectifierLayer, ReshapeLayer, ShortcutLayer,
)  # fmt: skip
"""Layers that the core runs. Subclasses are other layers."""


class Forward:
    """Lowers the forward pass.

    Members
    -------
    values:
        Outputs of layers by name.
    factors:
        Multipliers as they are used, by layer.
    """

    def __init__(self, context: Context, codes: Codes) -> None:
        self.context = context
        self.values: dict[str, Value] = {"input": codes}
        self.factors: dict[str, Factor] = {}
        self._done: set[str] = set()
        network = context.model.network
        self._readers = network.consumers()
        for layer in network:
            if type(context.model.layers[layer.name]) not in _KINDS:
                raise InputError(
                    f"layer {layer.name!r}: the core has no {type(layer.operator).__name__} of "
                    "this kind"
                )

    def run(self) -> Wide:
        """Lower all layers; the result is the logits."""
        model = self.context.model
        for layer in model.network:
            value = self._layer(layer)
            if layer.name in model.coded and isinstance(value, Wide):
                value = self._quantize(layer, value)
            self.values[layer.name] = value
            self._done.add(layer.name)
            self._release()
        result = self.values[model.network.output]
        if not isinstance(result, Wide):
            raise InputError("the last layer must be a product")
        return result

    def _release(self) -> None:
        """Give back codes that nothing forward or backward reads any more."""
        made = {v.region: v for v in self.values.values() if isinstance(v, Codes)}
        kept = {codes.region for codes in self.context.saved.values()}
        for name in list(self.values):
            if name != self.context.model.network.output and self._done.issuperset(
                self._readers[name]
            ):
                del self.values[name]
        for value in self.values.values():
            sources = [value] if isinstance(value, Codes) else value.sources
            kept.update(codes.region for codes in sources)
        for region, codes in made.items():
            if region not in kept and codes.name != "input":
                self.context.release(codes)

    def _quantize(self, layer: Layer, value: Wide) -> Codes:
        context = self.context
        return quantize(
            context, value, layer.name, role=self._role(layer.name), phase="forward", tensor="A",
            zero_exponent=ACTIVATION_ZERO_EXPONENT, avoid=self._avoid(layer.name),
        )  # fmt: skip

    def _role(self, name: str) -> Role:
        """Inputs of products have pages of their own."""
        layers = self.context.model.layers
        readers = [layers[reader] for reader in self._readers[name]]
        reads = all(isinstance(reader, ProductLayer | ReshapeLayer) for reader in readers)
        return Role.INPUT if reads and readers else Role.SIDE

    def _avoid(self, name: str) -> tuple[int, ...]:
        """Pages of the weights that multiply it."""
        places, avoid = self.context.parameters, []
        pending = list(self._readers[name])
        while pending:
            reader = pending.pop()
            own = self.context.model.layers[reader]
            if isinstance(own, ProductLayer):
                avoid.append(places.weight(reader).weights.page)
            elif isinstance(own, ReshapeLayer | BiasLayer):
                pending += self._readers[reader]
        return tuple(avoid)

    def _layer(self, layer: Layer) -> Value:
        own = self.context.model.layers[layer.name]
        inputs = [self.values[name] for name in layer.inputs]
        if isinstance(own, ProductLayer):
            return self._product(layer, own, inputs[0])
        if isinstance(own, BiasLayer):
            return self._bias(layer, inputs[0])
        if isinstance(own, RectifierLayer):
            return self._rectifier(layer, inputs[0])
        if isinstance(own, MultiplierLayer):
            return self._multiplier(layer, inputs[0])
        if isinstance(own, AddLayer):
            return self._add(layer, inputs)
        if isinstance(own, ShortcutLayer):
            return self._shortcut(layer, inputs[0])
        (value,) = inputs
        if isinstance(own, AveragePoolLayer):
            return self._windows(layer, own, value)
        if isinstance(own, MeanLayer):
            codes = _codes(layer, value)
            grid = Grid(1, 1, codes.grid.channels)
            shift = (codes.grid.positions - 1).bit_length()
            return Wide(grid, (Sums(codes, shift),))
        return value

    def _product(self, layer: Layer, own: ProductLayer, value: Value) -> Wide:
        context, name = self.context, layer.name
        codes = _codes(layer, value)
        context.saved[name] = codes
        geometry = context.parameters.weight(name).geometry
        height, width = geometry.positions
        bias = context.parameters.places.get((name, "bias"))
        channel = None
        if isinstance(bias, VectorPlace):
            channel = ChannelBias(bias.value.address, bias.plane)

        def make(sample: int) -> Plane:
            return context.product_forward(name, codes, sample)

        return Wide(
            Grid(height, width, geometry.out_channels),
            (Product(make, codes, context.weight_exponent(name)),),
            channel=channel,
        )

    def _windows(self, layer: Layer, own: AveragePoolLayer, value: Value) -> Wide:
        codes = _codes(layer, value)
        operator = layer.operator
        assert isinstance(operator, AveragePool)  # noqa: S101 - for the type checker
        if overlaps(operator) or any(operator.padding) or operator.dilation != (1, 1):
            raise InputError(
                f"layer {layer.name!r}: the core pools windows that do not overlap, without "
                f"padding and dilation, not {operator}"
            )
        channels, height, width = layer.shape
        grid = Grid(height, width, channels)
        return Wide(grid, (Windows(codes, own.shift, grid, operator.kernel, operator.stride),))

    def _scalar(self, name: str, what: str) -> int:
        """Load a scalar parameter into a scalar of its own, which the caller gives back."""
        place = self.context.parameters.places[name, what]
        assert isinstance(place, ScalarPlace)  # noqa: S101 - for the type checker
        number = self.context.code.take()
        self.context.emitter.about(name, "forward", what)
        self.context.code.load(number, place.value, size=2)
        return number

    def _bias(self, layer: Layer, value: Value) -> Value:
        number = self._scalar(layer.name, "bias")
        if isinstance(value, Codes):
            codes = rewrite(
                self.context, value, layer.name, phase="forward", role=self._role(layer.name),
                avoid=self._avoid(layer.name), bias=number,
            )  # fmt: skip
            self.context.code.give(number)
            return codes
        bias = Bias(number)
        if value.rectified:
            if value.after is not None:
                raise InputError(f"layer {layer.name!r}: one bias may follow a ReLU")
            return replace(value, after=bias)
        if value.before is not None:
            raise InputError(f"layer {layer.name!r}: one bias may stand in front of a ReLU")
        return replace(value, before=bias)

    def _rectifier(self, layer: Layer, value: Value) -> Value:
        if isinstance(value, Codes):
            return rewrite(
                self.context, value, layer.name, phase="forward", role=self._role(layer.name),
                avoid=self._avoid(layer.name), rectified=layer.name,
            )  # fmt: skip
        if value.rectified:
            raise InputError(f"layer {layer.name!r}: a value is quantised between two ReLUs")
        return replace(value, rectified=layer.name)

    def _multiplier(self, layer: Layer, value: Value) -> Wide:
        """SAT8(RSH(m, excess)), and 13 - excess."""
        code = self.context.code
        codes = _codes(layer, value)
        self.context.saved[layer.name] = codes
        number = self._scalar(layer.name, "multiplier")
        exponent = code.take()
        code.compute(Function.BIT_LENGTH, exponent, number)
        code.compute(Function.ADD, exponent, exponent, value=-7)
        code.compute(Function.MAXIMUM, exponent, exponent, value=0)
        code.compute(Function.SHIFT, number, number, exponent)
        code.compute(Function.SATURATE_8, number, number)
        own = self.context.model.layers[layer.name]
        assert isinstance(own, MultiplierLayer)  # noqa: S101 - for the type checker
        with code.scalars() as fixed:
            code.constant(fixed, own.multiplier.exponent)
            code.compute(Function.SUBTRACT, exponent, fixed, exponent)
        factor = self.factors[layer.name] = Factor(number, exponent)
        return Wide(codes.grid, (Scaled(codes, factor),))

    def _add(self, layer: Layer, inputs: list[Value]) -> Wide:
        terms: list[Term] = []
        for value in inputs:
            if isinstance(value, Codes):
                terms.append(Scaled(value))
            elif len(value.terms) == 1 and value == Wide(value.grid, value.terms):
                terms += value.terms
            else:
                raise InputError(
                    f"layer {layer.name!r}: the core joins codes, multiplied codes and sums, "
                    "without biases or a ReLU in between"
                )
        if len(terms) != 2:
            raise InputError(f"layer {layer.name!r}: the core joins 2 tensors, not {len(terms)}")
        channels, height, width = layer.shape
        return Wide(Grid(height, width, channels), tuple(terms))

    def _shortcut(self, layer: Layer, value: Value) -> Wide:
        own = self.context.model.layers[layer.name]
        assert isinstance(own, ShortcutLayer)  # noqa: S101 - for the type checker
        if any(own.borders):
            raise InputError(f"layer {layer.name!r}: the core adds channels, not borders")
        codes, stride = value, own.stride
        if isinstance(value, Wide):
            (term,) = value.terms
            if not isinstance(term, Scaled) or term.factor is not None:
                raise InputError(f"layer {layer.name!r}: the core picks pixels of codes")
            codes = term.codes
            stride = (stride[0] * term.stride[0], stride[1] * term.stride[1])
        channels, height, width = layer.shape
        assert isinstance(codes, Codes)  # noqa: S101 - for the type checker
        return Wide(Grid(height, width, channels), (Scaled(codes, None, stride),))


def _codes(layer: Layer, value: Value) -> Codes:
    if not isinstance(value, Codes):
        raise InputError(f"layer {layer.name!r}: the core needs codes in front of it")
    return value
