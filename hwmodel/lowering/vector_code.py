"""`VectorCode`: writes words of the vector unit, and keeps account of its scalars."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from golden.errors import InputError
from hwmodel.lowering.emitter import Access, Emitter, results, scratchpad
from rtl.config import CoreConfig
from rtl.vector_instructions import (
    MASK_BEATS,
    SCALARS,
    Function,
    LoadScalars,
    Loops,
    Loss,
    Pass,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
)

__all__ = ["ZERO", "Grid", "Plane", "VectorCode", "mask_bytes"]

ZERO = 0
"""Number of the scalar that is always 0."""


@dataclass(frozen=True)
class Grid:
    """What a pass goes over: (height, width, channels)."""

    height: int
    width: int
    channels: int

    @property
    def positions(self) -> int:
        """Positions of a block of channels."""
        return self.height * self.width

    @property
    def elements(self) -> int:
        """All of it."""
        return self.positions * self.channels

    def blocks(self, config: CoreConfig) -> int:
        """Blocks of C channels."""
        return -(-self.channels // config.columns)


@dataclass(frozen=True)
class Plane:
    """Where the elements of a grid are: base + y * row + x * position + block * block.

    Parameters
    ----------
    base:
        Byte, word or index of the first.
    position, row, block:
        Steps.
    """

    base: int
    position: int
    row: int
    block: int

    @classmethod
    def codes(cls, base: int, grid: Grid, config: CoreConfig) -> "Plane":
        """Bytes (height, width, channels) without gaps."""
        line = grid.width * grid.channels
        return cls(base, grid.channels, line, config.columns)

    @classmethod
    def words(cls, base: int, grid: Grid) -> "Plane":
        """Words (block, height, width) without gaps."""
        return cls(base, 1, grid.width, grid.positions)

    def stride(self, stream: Stream, loops: Loops) -> Stride:
        """Return the word that sets it."""
        return Stride.regular(stream, self.base, loops, position=self.position, row=self.row,
                              block=self.block)  # fmt: skip

    def span(self, grid: Grid, blocks: int, lanes: int) -> tuple[int, int]:
        """First address, and how many from there to the last."""
        steps = (
            (grid.height - 1) * self.row,
            (grid.width - 1) * self.position,
            (blocks - 1) * self.block,
        )
        low = self.base + sum(min(step, 0) for step in steps)
        return low, self.base + sum(max(step, 0) for step in steps) + lanes - low


def mask_bytes(grid: Grid, config: CoreConfig) -> int:
    """Bytes of the masks of a pass over a grid."""
    beats = grid.positions * grid.blocks(config)
    return -(-beats // MASK_BEATS) * config.columns


class VectorCode:
    """Passes and arithmetic with scalars.

    Parameters
    ----------
    emitter:
        Takes the words.
    config:
        Size of the core.
    """

    def __init__(self, emitter: Emitter, config: CoreConfig) -> None:
        self.emitter, self.config = emitter, config
        self._free = [(1, SCALARS)]

    # Scalars.

    def take(self, count: int = 1) -> int:
        """Return the first of `count` consecutive scalars. InputError when there are none left."""
        for k, (begin, end) in enumerate(self._free):
            if end - begin >= count:
                self._free[k] = (begin + count, end)
                return begin
        raise InputError(f"a step must do with {SCALARS} scalars; {count} more are not there")

    def give(self, first: int, count: int = 1) -> None:
        """Give scalars back."""
        merged: list[tuple[int, int]] = []
        for part in sorted([*self._free, (first, first + count)]):
            if merged and merged[-1][1] == part[0]:
                merged[-1] = (merged[-1][0], part[1])
            else:
                merged.append(part)
        self._free = [part for part in merged if part[0] < part[1]]

    @contextmanager
    def scalars(self, count: int = 1) -> Iterator[int]:
        """Scalars for the time of a block."""
        first = self.take(count)
        yield first
        self.give(first, count)

    def compute(
        self, function: Function, d: int, a: int = ZERO, b: int = ZERO, c: int = ZERO, *,
        value: int | None = None, count: int = 1, walk: str = "",
    ) -> None:  # fmt: skip
        """d = function(a, b or `value`, c); `walk` names those that go on with each repetition."""
        self.emitter.act(
            Scalar(
                function=function, d=d, a=a, b=b, c=c, immediate=int(value is not None),
                value=value or 0, count=count,
                **{f"next_{name}": int(name in walk) for name in "abc"},
            )
        )  # fmt: skip

    def constant(self, d: int, value: int) -> None:
        """d = value."""
        self.compute(Function.ADD, d, value=value)

    def load(
        self, d: int, address: int, *, size: int = 1, count: int = 1, step: int = 0,
        plane: int = 1, unsigned: bool = False,
    ) -> None:  # fmt: skip
        """Read scalars."""
        step = step or size
        self.emitter.act(
            LoadScalars(d=d, count=count, address=address, size=size, unsigned=int(unsigned),
                        step=step, plane=plane),
            reads=_transfer(address, size, count, step, plane),
        )  # fmt: skip

    def store(
        self, d: int, address: int, *, size: int = 1, count: int = 1, step: int = 0, plane: int = 1
    ) -> None:
        """Write scalars."""
        step = step or size
        self.emitter.act(
            StoreScalars(d=d, count=count, address=address, size=size, step=step, plane=plane),
            writes=_transfer(address, size, count, step, plane),
        )

    def key(self, d: int, state: int, constant: int) -> None:
        """d = golden.randomness.tensor_key of the state in a scalar; `constant` is xored in."""
        signed = constant - (constant >> 31 << 32)
        self.compute(Function.XOR, d, state, value=signed)
        self.compute(Function.XORSHIFT, d, d)

    # Passes.

    def run(
        self, what: Pass, grid: Grid, *, x: Plane | None = None, y: Plane | None = None,
        output: Plane | None = None, z: Plane | None = None, w: Plane | None = None,
        index: Plane | None = None, mask: int | None = None, addend_channels: int | None = None,
    ) -> None:  # fmt: skip
        """Add a pass over a grid. Planes are given for the streams that it uses."""
        config, lanes = self.config, self.config.columns
        blocks = grid.blocks(config)
        limit = 0xFFFF if addend_channels is None else addend_channels
        loops = Loops(positions=grid.width, rows=grid.height, channels=grid.channels,
                      addend_channels=limit)  # fmt: skip
        planes = {
            Stream.X: x, Stream.Y: y, Stream.OUTPUT: output, Stream.RESULTS_IN: z,
            Stream.RESULTS_OUT: w, Stream.INDEX: index,
        }  # fmt: skip
        set_up: list[Loops | Stride] = [loops]
        reads: list[Access] = []
        writes: list[Access] = []
        once = Grid(1, 1, grid.channels) if what.accumulate else grid
        for stream, plane in planes.items():
            if plane is None:
                continue
            set_up.append(plane.stride(stream, loops))
            where = once if stream in (Stream.OUTPUT, Stream.RESULTS_OUT) else grid
            if stream in (Stream.X, Stream.Y):
                reads.append(scratchpad(*plane.span(where, blocks, lanes)))
            elif stream == Stream.OUTPUT:
                last = grid.channels - (blocks - 1) * lanes
                writes.append(scratchpad(*plane.span(where, blocks, last)))
            elif stream == Stream.RESULTS_IN:
                reads.append(results(*plane.span(where, blocks, 1)))
            elif stream == Stream.RESULTS_OUT:
                writes.append(results(*plane.span(where, blocks, 1)))
        if mask is not None:
            set_up.append(Stride(stream=Stream.MASK, base=mask))
            access = scratchpad(mask, mask_bytes(grid, config))
            (writes if what.mask_out else reads).append(access)
        self.emitter.act(what, set_up, reads=reads, writes=writes)

    def loss(
        self, *, classes: int, label: int, exponent: int, source: Plane, target: Plane
    ) -> None:
        """Add the loss of one sample; both planes are of words, one a block."""
        blocks = -(-classes // self.config.columns)
        self.emitter.act(
            Loss(classes=classes, label=label, exponent=exponent),
            [
                Stride(stream=Stream.RESULTS_IN, base=source.base, block=source.block),
                Stride(stream=Stream.RESULTS_OUT, base=target.base, block=target.block),
            ],
            reads=[results(*source.span(Grid(1, 1, classes), blocks, 1))],
            writes=[results(*target.span(Grid(1, 1, classes), blocks, 1))],
        )


def _transfer(address: int, size: int, count: int, step: int, plane: int) -> list[Access]:
    """Bytes of a transfer, plane by plane where the planes are far apart."""
    if plane == 1:
        return [scratchpad(address, (count - 1) * step + size)]
    return [scratchpad(address + byte * plane, (count - 1) * step + 1) for byte in range(size)]
