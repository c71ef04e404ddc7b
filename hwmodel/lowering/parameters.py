"""Where a network's parameters, their momentum and the random state lie between steps."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.formats import Integers
from golden.gradients import Learned
from golden.layers import LinearLayer, ProductLayer
from golden.network import Convolution
from golden.training import Model
from hwmodel.lowering.memory_map import Region, Role, Scratchpad
from rtl.config import CoreConfig
from rtl.product_words import Geometry

__all__ = ["ParameterMap", "ScalarPlace", "VectorPlace", "WeightPlace"]


@dataclass(frozen=True)
class WeightPlace:
    """Weights and their 8-bit momentum.

    Parameters
    ----------
    geometry:
        Of the convolution; a linear layer is one of 1 x 1.
    plane:
        (height, width) of what a linear layer's inputs were before they were flattened: golden
        counts them channel by channel, the memory position by position.
    weights, momentum:
        Rows of `pitch` bytes: (ky, kx, in) or (y, x, channel), outputs within.
    """

    geometry: Geometry
    plane: tuple[int, int]
    weights: Region
    momentum: Region
    pitch: int

    @property
    def rows(self) -> tuple[int, int]:
        """Outer and inner loop over rows, so that random indices are regular in both."""
        inputs = self.geometry.channels // math.prod(self.plane)
        return math.prod(self.geometry.kernel) * math.prod(self.plane), inputs

    @property
    def index_steps(self) -> tuple[int, int]:
        """What `golden.randomness.weight_index` goes up by, in the outer and the inner loop."""
        outputs, (outer, inner) = self.geometry.out_channels, self.rows
        if math.prod(self.plane) > 1:
            return outputs, outer * outputs
        return inner * outputs, outputs

    def pack(self, values: Integers) -> NDArray[np.uint8]:
        """(out, in[, ky, kx]) as the bytes of a region."""
        outputs = self.geometry.out_channels
        if values.ndim == 4:
            rows = values.transpose(2, 3, 1, 0)
        else:
            rows = values.reshape(outputs, -1, math.prod(self.plane)).transpose(2, 1, 0)
        result = np.zeros(self.weights.size, dtype=np.uint8)
        flat = rows.reshape(-1, outputs).astype(np.int8).view(np.uint8)
        for row, data in enumerate(flat):
            result[row * self.pitch : row * self.pitch + outputs] = data
        return result

    def unpack(self, data: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return the inverse of `pack`."""
        outputs, rows = self.geometry.out_channels, math.prod(shape) // self.geometry.out_channels
        where = np.arange(rows)[:, None] * self.pitch + np.arange(outputs)
        flat = data[where].view(np.int8).astype(np.int64)
        if len(shape) == 4:
            _, inputs, height, width = shape
            return flat.reshape(height, width, inputs, outputs).transpose(3, 2, 0, 1)
        inner = shape[1] // math.prod(self.plane)
        return flat.reshape(-1, inner, outputs).transpose(2, 1, 0).reshape(shape)


@dataclass(frozen=True)
class ScalarPlace:
    """One 16-bit number and its momentum: addresses of two bytes each."""

    value: int
    momentum: int


@dataclass(frozen=True)
class VectorPlace:
    """16-bit numbers in two planes of bytes, low ones first, and their momentum."""

    value: Region
    momentum: Region
    count: int

    @property
    def plane(self) -> int:
        """Bytes from a low byte to its high one."""
        return self.value.size // 2


Place = WeightPlace | ScalarPlace | VectorPlace


class ParameterMap:
    """Places of everything that is kept from step to step.

    Members
    -------
    places:
        By layer and what it learns.
    scalars:
        All scalars, the random state behind them.
    state:
        Address of the random state, 4 bytes.
    """

    def __init__(self, model: Model, config: CoreConfig, memory: Scratchpad) -> None:
        self._config, self._memory = config, memory
        self.places: dict[tuple[str, str], Place] = {}
        single = [
            (name, what)
            for name, layer in model.layers.items()
            for what, learned in layer.learned.items()
            if not isinstance(layer, ProductLayer) and learned.values.size == 1
        ]
        self.scalars = memory.allocate(4 * len(single) + 4, Role.TABLE)
        self.state = self.scalars.address + 4 * len(single)
        for k, key in enumerate(single):
            address = self.scalars.address + 4 * k
            self.places[key] = ScalarPlace(address, address + 2)
        for layer in model.network:
            own = model.layers[layer.name]
            if isinstance(own, ProductLayer):
                plane = _flattened(model, layer.name) if isinstance(own, LinearLayer) else (1, 1)
                self._product(layer.name, own, geometry_of(model, layer.name), plane)
        for name, own in model.layers.items():
            for what in own.learned:
                if (name, what) not in self.places:
                    raise InputError(
                        f"layer {name!r}: the core updates weights, biases and scalars, "
                        f"not a {what} of {own.learned[what].values.shape}"
                    )

    def _product(
        self, name: str, own: ProductLayer, geometry: Geometry, plane: tuple[int, int]
    ) -> None:
        pitch = geometry.row_pitch(self._config)
        # Lanes past the last input or output are read too. What they find must be nobody else's,
        # or their results, which nobody uses, would depend on when they are read.
        columns = self._config.columns
        rows = geometry.weight_rows + -geometry.channels % columns
        size = (rows - 1) * pitch + geometry.out_channels + -geometry.out_channels % columns
        self.places[name, "weight"] = WeightPlace(
            geometry, plane, self._memory.allocate(size, Role.WEIGHT),
            self._memory.allocate(size, Role.MOMENTUM), pitch,
        )  # fmt: skip
        if own.bias is not None:
            count = own.bias.values.size
            line = self._config.line_bytes
            size = 2 * (-(-count // line) * line)
            value, momentum = (self._memory.allocate(size, Role.TABLE) for _ in range(2))
            self.places[name, "bias"] = VectorPlace(value, momentum, count)

    def weight(self, name: str) -> WeightPlace:
        """Place of a layer's weights."""
        place = self.places[name, "weight"]
        assert isinstance(place, WeightPlace)  # noqa: S101 - for the type checker
        return place

    def regions(self) -> Iterator[Region]:
        """All regions in the order in which a step needs them: what is in tables first, because
        the vector unit writes there from the beginning; momentum last."""
        yield self.scalars
        for place in self.places.values():
            if isinstance(place, VectorPlace):
                yield from (place.value, place.momentum)
        weights = [place for place in self.places.values() if isinstance(place, WeightPlace)]
        yield from (place.weights for place in weights)
        yield from (place.momentum for place in weights)

    def write(self, memory: NDArray[np.uint8], model: Model) -> None:
        """Put a model's parameters, momentum and state into a scratchpad's bytes."""
        for (name, what), place in self.places.items():
            learned = model.layers[name].learned[what]
            if isinstance(place, WeightPlace):
                _put(memory, place.weights, place.pack(learned.values))
                _put(memory, place.momentum, place.pack(learned.momentum))
            elif isinstance(place, ScalarPlace):
                for address, value in (
                    (place.value, learned.values), (place.momentum, learned.momentum)
                ):  # fmt: skip
                    memory[address : address + 2] = value.astype("<i2").view(np.uint8)
            else:
                for region, values in (
                    (place.value, learned.values), (place.momentum, learned.momentum)
                ):  # fmt: skip
                    planes = values.astype("<i2").view(np.uint8).reshape(-1, 2).T
                    for k, plane in enumerate(planes):
                        begin = region.address + k * place.plane
                        memory[begin : begin + place.count] = plane
        memory[self.state : self.state + 4] = np.array([model.state], "<u4").view(np.uint8)

    def read(
        self, memory: NDArray[np.uint8], learned: Mapping[tuple[str, str], Learned]
    ) -> Iterator[tuple[str, str, Integers, Integers]]:
        """(layer, what, values, momentum) of everything, from a scratchpad's bytes."""
        for (name, what), place in self.places.items():
            shape = learned[name, what].values.shape
            if isinstance(place, WeightPlace):
                pair = [
                    place.unpack(memory[region.address : region.end], shape)
                    for region in (place.weights, place.momentum)
                ]
            elif isinstance(place, ScalarPlace):
                pair = [
                    memory[a : a + 2].view("<i2").astype(np.int64)
                    for a in (place.value, place.momentum)
                ]
            else:
                pair = [
                    np.stack(
                        [
                            memory[region.address + k * place.plane :][: place.count]
                            for k in range(2)
                        ],
                        axis=1,
                    )
                    .copy().view("<i2").astype(np.int64).reshape(shape)
                    for region in (place.value, place.momentum)
                ]  # fmt: skip
            yield name, what, pair[0], pair[1]


def _put(memory: NDArray[np.uint8], region: Region, data: NDArray[np.uint8]) -> None:
    memory[region.address : region.address + len(data)] = data


def _flattened(model: Model, name: str) -> tuple[int, int]:
    """(height, width) of what a linear layer's inputs were before they were flattened."""
    network = model.network
    source = network.layers[name].inputs[0]
    while source != "input" and len(network.shape_of(source)) == 1:
        layer = network.layers[source]
        if isinstance(model.layers[source], LinearLayer):
            return (1, 1)
        source = layer.inputs[0]
    shape = network.shape_of(source)
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


def geometry_of(model: Model, name: str) -> Geometry:
    """Return a product layer as a convolution. InputError where the core has no such product."""
    layer = model.network.layers[name]
    operator = layer.operator
    outputs, inputs = layer.parameters["weight"][:2]
    if isinstance(model.layers[name], LinearLayer):
        return Geometry(channels=inputs, height=1, width=1, out_channels=outputs)
    assert isinstance(operator, Convolution)  # noqa: S101 - for the type checker
    if operator.groups != 1 or tuple(operator.dilation) != (1, 1):
        raise InputError(
            f"layer {name!r}: the core convolves with groups 1 and dilation (1, 1), "
            f"not {operator.groups} and {tuple(operator.dilation)}"
        )
    _, height, width = layer.input_shapes[0]
    return Geometry(
        channels=inputs, height=height, width=width, out_channels=outputs,
        kernel=operator.kernel, stride=operator.stride, padding=operator.padding,
    )  # fmt: skip
