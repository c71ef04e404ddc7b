"""What a lowered step computes with: codes in memory, and sums that are still to be quantised."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hwmodel.lowering.memory_map import Region
from hwmodel.lowering.vector_code import Grid, Plane
from rtl.config import CoreConfig

__all__ = [
    "Bias",
    "ChannelBias",
    "Codes",
    "Factor",
    "Product",
    "Scaled",
    "Sums",
    "Term",
    "Wide",
    "Windows",
    "tap",
]


@dataclass(frozen=True)
class Codes:
    """8-bit codes of a batch, sample after sample, (height, width, channels) each.

    Parameters
    ----------
    name:
        golden's name of it.
    grid:
        One sample.
    region:
        Where.
    scale:
        Table: every sample's exponent, then the bit length of every sample's largest magnitude in
        front of the rounding (0 only if all codes are zero).
    offset:
        Added to the exponents in the table.
    pixel:
        Bytes from one position to the next, where there are more than `grid` has channels.
    """

    name: str
    grid: Grid
    region: Region
    scale: Region
    offset: int = 0
    pixel: int = 0

    @property
    def pitch(self) -> int:
        """Bytes from one position to the next."""
        return self.pixel or self.grid.channels

    def address(self, sample: int) -> int:
        """First byte of a sample."""
        return self.region.address + sample * self.grid.positions * self.pitch

    def plane(self, sample: int, config: CoreConfig) -> Plane:
        """Where a sample's elements are."""
        line = self.grid.width * self.pitch
        return Plane(self.address(sample), self.pitch, line, config.columns)

    def reshaped(self, grid: Grid) -> "Codes":
        """The same bytes as another grid."""
        return replace(self, grid=grid)

    def cut(self, channels: int) -> "Codes":
        """The first channels of each position."""
        grid = replace(self.grid, channels=channels)
        return replace(self, grid=grid, pixel=self.pitch)


@dataclass(frozen=True)
class Factor:
    """A Fixup multiplier as it is used: numbers of the scalars with its code and its exponent."""

    code: int
    exponent: int


@dataclass(frozen=True)
class Bias:
    """A scalar bias: the number of the scalar that holds its 16 bits."""

    scalar: int


@dataclass(frozen=True)
class ChannelBias:
    """16-bit biases of the outputs: address of their low bytes, bytes from plane to plane."""

    address: int
    plane: int


@dataclass(frozen=True)
class Product:
    """Results of a product. `make` emits what computes a sample, and returns where its words are.

    The sum's exponent is that of `source` plus `weight_exponent`.
    """

    make: Callable[[int], Plane]
    source: Codes
    weight_exponent: int


@dataclass(frozen=True)
class Scaled:
    """Codes, times a factor if there is one, at every `stride`-th row and column."""

    codes: Codes
    factor: Factor | None = None
    stride: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Sums:
    """Sums over all positions of codes; the words are made when they are asked for."""

    codes: Codes
    shift: int


@dataclass(frozen=True)
class Windows:
    """Sums of codes over windows that do not overlap; the words are made when they are asked for.

    Parameters
    ----------
    codes, shift:
        What is summed; added to the exponent.
    grid:
        Of the windows.
    kernel, stride:
        Vertical and horizontal.
    """

    codes: Codes
    shift: int
    grid: Grid
    kernel: tuple[int, int]
    stride: tuple[int, int]

    def tap(self, sample: int, y: int, x: int, config: CoreConfig) -> Plane:
        """One element of every window."""
        return tap(self.codes, self.stride, sample, y, x, config)


def tap(
    codes: Codes, stride: tuple[int, int], sample: int, y: int, x: int, config: CoreConfig
) -> Plane:
    """Element (y, x) of every window over codes."""
    whole = codes.plane(sample, config)
    return replace(
        whole, base=whole.base + y * whole.row + x * whole.position,
        row=whole.row * stride[0], position=whole.position * stride[1],
    )  # fmt: skip


Term = Product | Scaled | Sums | Windows


@dataclass(frozen=True)
class Wide:
    """32-bit values, not computed yet: terms aligned and added, biases, ReLU, mask.

    Parameters
    ----------
    grid:
        Of one sample.
    terms:
        One or two.
    before, channel, after:
        Biases in front of a ReLU, of each output, and behind the ReLU.
    rectified:
        Name of the ReLU, "" if there is none.
    masks:
        ReLUs whose masks the value is multiplied with.
    """

    grid: Grid
    terms: tuple[Term, ...]
    before: Bias | None = None
    channel: ChannelBias | None = None
    after: Bias | None = None
    rectified: str = ""
    masks: tuple[str, ...] = field(default=())

    @property
    def sources(self) -> list[Codes]:
        """Codes that it is made of."""
        return [term.source if isinstance(term, Product) else term.codes for term in self.terms]
