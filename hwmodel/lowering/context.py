"""`Context`: what all parts of a lowering share."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from golden.errors import InputError
from golden.layers import ProductLayer
from golden.optimizer import Rate
from golden.randomness import TENSOR_STRIDE
from golden.training import Model, draw_number
from hwmodel.lowering.emitter import Emitter, Produced, results, scratchpad
from hwmodel.lowering.memory_map import Region, Role, Scratchpad
from hwmodel.lowering.parameters import ParameterMap
from hwmodel.lowering.values import Codes
from hwmodel.lowering.vector_code import Grid, Plane, VectorCode, mask_bytes
from rtl.config import CoreConfig
from rtl.product_words import Geometry, backward_data, backward_weight, forward
from rtl.vector_instructions import Function

__all__ = ["Context", "ResultsFullError"]


class ResultsFullError(InputError):
    """A step needs a larger results memory."""


_MASK32 = 0xFFFFFFFF


@dataclass
class Mask:
    """ReLU masks of a batch: one sample after the other."""

    region: Region
    size: int

    def address(self, sample: int) -> int:
        """First byte of a sample's masks."""
        return self.region.address + sample * self.size


@dataclass
class Context:
    """A step being lowered.

    Parameters
    ----------
    model:
        golden's; only shapes and static exponents are used.
    samples:
        Of the batch.
    rate:
        Learning rate in shifts.
    """

    model: Model
    config: CoreConfig
    samples: int
    rate: Rate
    emitter: Emitter
    code: VectorCode
    memory: Scratchpad
    parameters: ParameterMap
    twelve: int = 0
    """Scalar that holds the biases' exponent."""
    state: int = 0
    """Scalar that holds the random state."""
    masks: dict[str, Mask] = field(default_factory=dict)
    saved: dict[str, Codes] = field(default_factory=dict)
    """What each product and multiplier read forward."""
    later: list[Callable[[], None]] = field(default_factory=list)
    """Work of the vector unit that the array does not wait for, in parts."""
    unread: set[int] = field(default_factory=set)
    """First words of pages with a weight gradient that a part of that work has yet to read."""
    _page: int = 0
    _gradient_page: int = 0
    _linear_words: int = 0

    def do_later_part(self) -> None:
        """Emit one part of the work that can wait."""
        if self.later:
            self.later.pop(0)()

    # Memory.

    def new_codes(self, name: str, grid: Grid, role: Role, avoid: tuple[int, ...] = ()) -> Codes:
        """Codes of a batch and their table."""
        region = self.memory.allocate(self.samples * grid.elements, role, avoid)
        scale = self.memory.allocate(2 * self.samples, Role.TABLE)
        return Codes(name, grid, region, scale)

    def release(self, codes: Codes) -> None:
        """Give codes and their table back."""
        self.memory.release(codes.region)
        self.memory.release(codes.scale)

    def new_mask(self, name: str, grid: Grid) -> Mask:
        """Masks of a ReLU."""
        size = mask_bytes(grid, self.config)
        mask = Mask(self.memory.allocate(self.samples * size, Role.TABLE), size)
        self.masks[name] = mask
        return mask

    def results_page(self, words: int, what: str) -> int:
        """First word of the next page for results that are soon read.

        ResultsFullError if a page is too short.
        """
        depth = self.config.results_page_depth
        if words > depth:
            raise ResultsFullError(
                f"{what}: a page of the results memory must have {words} words, not {depth}"
            )
        self._page = (self._page + 1) % self._shared_pages
        return self._page * depth

    def results_page_beside(self, words: int, what: str) -> int:
        """First word of a page for results that are made while the page given last is read.

        Of two pages that is the weight gradients': there must be none yet.
        """
        z = self.results_page(words, what)
        return z if self._shared_pages > 1 else self.gradient_page()

    @property
    def _shared_pages(self) -> int:
        """All but those of weight gradients."""
        pages = self.config.results_pages
        return pages // 2 if pages >= 4 else pages - 1

    def gradient_page(self) -> int:
        """First word of the next page for weight gradients, once what is in it has been read."""
        first = self._shared_pages
        self._gradient_page = (self._gradient_page + 1) % (self.config.results_pages - first)
        z = (first + self._gradient_page) * self.config.results_page_depth
        while z in self.unread:
            self.do_later_part()
        return z

    # Scalars.

    def key(self, d: int, layer: str, what: str) -> None:
        """Random key of one of a layer's tensors, into a scalar."""
        number = draw_number(list(self.model.layers).index(layer), what)
        self.code.key(d, self.state, (number * TENSOR_STRIDE) & _MASK32)

    def load_exponents(self, d: int, codes: Codes) -> None:
        """All samples' exponents into scalars d, d + 1, ..."""
        self.code.load(d, codes.scale.address, count=self.samples)
        self.add_to_all(d, codes.offset)

    def load_tops(self, d: int, codes: Codes) -> None:
        """All samples' bit lengths."""
        self.code.load(d, codes.scale.address + self.samples, count=self.samples)

    def add_to_all(self, d: int, value: int) -> None:
        """Add a constant to one scalar a sample."""
        if value:
            self.code.compute(Function.ADD, d, d, value=value, count=self.samples, walk="a")

    def load_scale(self, e: int, codes: Codes, sample: int) -> None:
        """One sample's exponent and bit length into scalars e and e + 1."""
        self.code.load(e, codes.scale.address + sample, count=2, step=self.samples)
        if codes.offset:
            self.code.compute(Function.ADD, e, e, value=codes.offset)

    def aligned_bias(self, d: int, bias: int, exponent: int) -> None:
        """d = RSH(16-bit bias, its exponent - exponent)."""
        self.code.compute(Function.SUBTRACT, d, self.twelve, exponent)
        self.code.compute(Function.SHIFT, d, bias, d)

    # Products.

    def product_forward(self, name: str, source: Codes, sample: int) -> Plane:
        """Multiply one sample, or of a linear layer all of them with the first; their words."""
        place = self.parameters.weight(name)
        geometry = place.geometry
        height, width = geometry.positions
        blocks = -(-geometry.out_channels // self.config.columns)
        product = self.model.layers[name]
        assert isinstance(product, ProductLayer)  # noqa: S101 - for the type checker
        if _is_linear(geometry):
            return self._linear(
                name, "forward", sample, geometry.channels, blocks,
                lambda g, z: forward(g, self.config, a=source.region.address,
                                     b=place.weights.address, z=z),
                source,
            )  # fmt: skip
        z = self.results_page(blocks * height * width, f"layer {name!r}, forward")
        self.emitter.about(name, "forward", "product", sample)
        address = source.address(sample)
        self.emitter.product(
            forward(geometry, self.config, a=address, b=place.weights.address, z=z),
            reads=[
                scratchpad(address, geometry.input_bytes),
                scratchpad(place.weights.address, place.weights.size),
            ],
            writes=[results(z, blocks * height * width)],
        )
        grid = Grid(height, width, geometry.out_channels)
        self.emitter.produce(
            Produced(f"{name}.forward.product", sample, z, (height, width, grid.channels),
                     "results", grid.positions)
        )  # fmt: skip
        return Plane.words(z, grid)

    def _linear(
        self, name: str, phase: str, sample: int, inner: int, blocks: int, make: Callable,
        source: Codes,
    ) -> Plane:  # fmt: skip
        """One product for the whole batch, when its first sample is asked for."""
        place = self.parameters.weight(name)
        samples = self.samples
        if sample == 0:
            words = samples * blocks
            z = self.results_page(words, f"layer {name!r}, {phase}")
            self._linear_words = z
            geometry = _batched(place.geometry, samples)
            self.emitter.about(name, phase, "product")
            self.emitter.product(
                make(geometry, z),
                reads=[
                    scratchpad(source.region.address, samples * inner),
                    scratchpad(place.weights.address, place.weights.size),
                ],
                writes=[results(z, words)],
            )
            outputs = place.geometry.out_channels if phase == "forward" else place.geometry.channels
            name_of = f"{name}.{phase}.product"
            for k in range(samples):
                self.emitter.produce(
                    Produced(name_of, k, z + k, (1, 1, outputs), "results", samples)
                )
        return Plane(self._linear_words + sample, 1, 1, samples)

    def product_backward(self, name: str, error: Codes, sample: int) -> Plane:
        """Error of a product's input for one sample."""
        place = self.parameters.weight(name)
        geometry = place.geometry
        blocks = -(-geometry.channels // self.config.columns)
        if _is_linear(geometry):
            return self._linear(
                name, "backward_data", sample, geometry.out_channels, blocks,
                lambda g, z: backward_data(g, self.config, a=error.region.address,
                                           b=place.weights.address, z=z),
                error,
            )  # fmt: skip
        words = blocks * geometry.height * geometry.width
        z = self.results_page(words, f"layer {name!r}, backward")
        self.emitter.about(name, "backward_data", "product", sample)
        address = error.address(sample)
        self.emitter.product(
            backward_data(geometry, self.config, a=address, b=place.weights.address, z=z),
            reads=[
                scratchpad(address, geometry.output_bytes),
                scratchpad(place.weights.address, place.weights.size),
            ],
            writes=[results(z, words)],
        )
        grid = Grid(geometry.height, geometry.width, geometry.channels)
        self.emitter.produce(
            Produced(f"{name}.backward_data.product", sample, z,
                     (grid.height, grid.width, grid.channels), "results", grid.positions)
        )  # fmt: skip
        return Plane.words(z, grid)

    def product_weight(
        self, name: str, source: Codes, aligned: Region, first: int, blocks: int, z: int
    ) -> None:
        """Weight gradient of `blocks` blocks of outputs from block `first` on, to word z."""
        place = self.parameters.weight(name)
        geometry = place.geometry
        columns = self.config.columns
        outputs = min(geometry.out_channels - first * columns, blocks * columns)
        if _is_linear(geometry):
            geometry = _batched(geometry, self.samples)
            samples = 1
        else:
            samples = self.samples
        words = backward_weight(
            geometry, self.config, a=source.region.address,
            b=aligned.address + first * columns, z=z, samples=samples,
            blocks=blocks,
        )  # fmt: skip
        self.emitter.about(name, "backward_weight", "product")
        self.emitter.product(
            words,
            reads=[
                scratchpad(source.region.address, source.region.size),
                scratchpad(aligned.address, aligned.size),
            ],
            writes=[results(z, blocks * geometry.weight_rows)],
        )
        self.emitter.produce(
            Produced(f"{name}.backward_weight.weight.product", None, z,
                     (geometry.weight_rows, first * columns, outputs), "gradient",
                     geometry.weight_rows)
        )  # fmt: skip

    def weight_exponent(self, name: str) -> int:
        """Static exponent of a product's weights."""
        product = self.model.layers[name]
        assert isinstance(product, ProductLayer)  # noqa: S101 - for the type checker
        return product.weight.exponent

    def margin_of(self, name: str) -> int:
        """Bytes in front of a product's input that its window may name."""
        geometry = self.parameters.weight(name).geometry
        return geometry.padding[1] * geometry.channels


def _is_linear(geometry: Geometry) -> bool:
    """Whether a layer has one position, and multiplies it as it is."""
    pixels = geometry.height * geometry.width
    return pixels == 1 and geometry.kernel == (1, 1) and not any(geometry.padding)


def _batched(geometry: Geometry, samples: int) -> Geometry:
    """A linear layer whose positions are the samples, one a line."""
    return replace(geometry, height=samples, stride=(1, 1))
