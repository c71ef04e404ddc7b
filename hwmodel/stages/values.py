"""What a step computes with, by name only: codes, and sums that are still to be quantised.

As `hwmodel.lowering.values` has them, without memory: which layer's products and whose codes.
"""

from dataclasses import dataclass
from typing import NamedTuple

from golden.network import Shape
from hwmodel.stages.products import LayerProduct

__all__ = ["Codes", "Grid", "Scaled", "Sums", "Term", "Wide", "Words", "grid_of"]


class Grid(NamedTuple):
    """Positions and channels of one sample."""

    positions: int
    channels: int


def grid_of(shape: Shape) -> Grid:
    """Return a sample's grid: planes of (channels, height, width), or rows of features."""
    if len(shape) == 3:
        return Grid(shape[1] * shape[2], shape[0])
    positions = 1
    for size in shape[:-1]:
        positions *= size
    return Grid(positions, shape[-1])


@dataclass(frozen=True)
class Codes:
    """8-bit codes of a batch: the tensor's name, forward or backward."""

    name: str


@dataclass(frozen=True)
class Words:
    """32-bit words made of the codes `name`: by products, when they are asked for, or earlier.

    Parameters
    ----------
    name:
        What is read.
    layer, phase, products:
        Who makes them.
    """

    name: str
    layer: str = ""
    phase: str = ""
    products: tuple[LayerProduct, ...] = ()


@dataclass(frozen=True)
class Scaled:
    """Codes, times a Fixup multiplier if `factor`."""

    codes: Codes
    factor: bool = False


@dataclass(frozen=True)
class Sums:
    """Sums of codes: over all positions in one pass, or over windows in one for each element.

    Parameters
    ----------
    codes:
        What is summed.
    grid:
        Of a pass.
    passes:
        Elements of a window.
    """

    codes: Codes
    grid: Grid
    passes: int = 1


Term = Words | Scaled | Sums


@dataclass(frozen=True)
class Wide:
    """32-bit values: terms aligned and added, biases, ReLU, mask.

    Parameters
    ----------
    terms:
        What is added.
    biases:
        Scalar biases in front of a ReLU and behind it.
    channel:
        Biases of the outputs.
    rectified, masked:
        A ReLU is applied; a ReLU's masks are.
    """

    terms: tuple[Term, ...]
    biases: int = 0
    channel: bool = False
    rectified: bool = False
    masked: bool = False
