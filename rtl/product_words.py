"""A convolution's three products as words of the matrix unit. Pure Python.

Linear layers are convolutions of 1 x 1 whose positions are the samples. In memory, activations and
errors are bytes (sample, line, pixel, channel) without gaps; weights are (ky, kx, input, output)
with `row_pitch` bytes from one input channel to the next; results are words (block of C channels,
line, pixel), and weight gradients words (block of C outputs, ky, kx, input).
"""

import math
from dataclasses import dataclass

from rtl.config import CoreConfig
from rtl.matrix_instructions import (
    ALoops,
    AStrides,
    BLoops,
    BStrides,
    MatrixWord,
    Multiply,
    Results,
    Window,
)

__all__ = ["Geometry", "backward_data", "backward_weight", "forward"]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Shape of one convolution.

    Parameters
    ----------
    channels, height, width:
        Of the input.
    out_channels:
        Of the output.
    kernel, stride:
        Vertical and horizontal.
    padding:
        Zeros above, left, below and right of the input.
    """

    channels: int
    height: int
    width: int
    out_channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def positions(self) -> tuple[int, int]:
        """Output height and width."""
        top, left, bottom, right = self.padding
        return (
            (self.height + top + bottom - self.kernel[0]) // self.stride[0] + 1,
            (self.width + left + right - self.kernel[1]) // self.stride[1] + 1,
        )

    @property
    def input_bytes(self) -> int:
        """Bytes of one sample's input."""
        return self.height * self.width * self.channels

    @property
    def output_bytes(self) -> int:
        """Bytes of one sample's output."""
        return math.prod(self.positions) * self.out_channels

    @property
    def weight_rows(self) -> int:
        """Rows of the weight matrix: taps times input channels."""
        return math.prod(self.kernel) * self.channels

    def row_pitch(self, config: CoreConfig) -> int:
        """Bytes from one row of weights to the next: the outputs, at a line's multiple plus one.

        Then the rows' columns can be read as fast as the rows.
        """
        line = config.line_bytes
        return -(-(self.out_channels - 1) // line) * line + 1


@dataclass(frozen=True)
class _Inner:
    """How a line of the window is cut into blocks of R rows: (n0, n1, rows of the last)."""

    blocks: int
    taps: int
    last: int

    @classmethod
    def of(cls, g: Geometry, rows: int) -> "_Inner":
        """Tap by tap, or all pixels of the window's line together where that takes fewer blocks."""
        one, line = -(-g.channels // rows), -(-g.channels * g.kernel[1] // rows)
        if line < one * g.kernel[1]:
            return cls(line, 1, g.channels * g.kernel[1] - (line - 1) * rows)
        return cls(one, g.kernel[1], g.channels - (one - 1) * rows)


def _input_window(g: Geometry, *, samples: bool) -> tuple[AStrides, Window]:
    line = g.width * g.channels
    height, width = g.positions
    strides = AStrides(
        x=g.stride[1] * g.channels, y=g.stride[0] * line, t1=g.channels, t2=line,
        n=g.input_bytes if samples else 0,
    )  # fmt: skip
    window = Window(
        m0=width, m1=height, y_first=-g.padding[0], y_step=g.stride[0], y_t2=1, height=g.height,
        x_first=-g.padding[1] * g.channels, line=line,
    )  # fmt: skip
    return strides, window


def forward(g: Geometry, config: CoreConfig, *, a: int, b: int, z: int) -> list[MatrixWord]:
    """Outputs of one sample from its input at byte `a` and the weights at byte `b`, to word `z`.

    Where a line of the window is cut across taps (`channels` not a multiple of R), the input must
    begin at least the padding's bytes behind the beginning of a page.
    """
    inner = _Inner.of(g, config.rows)
    pitch = g.row_pitch(config)
    height, width = g.positions
    strides, window = _input_window(g, samples=False)
    return [
        BLoops(n0=inner.blocks, n1=inner.taps, n2=g.kernel[0], rows_last=inner.last,
               nj=-(-g.out_channels // config.columns)),
        BStrides(row=pitch, t0=config.rows * pitch, t1=g.channels * pitch,
                 t2=g.kernel[1] * g.channels * pitch, j=config.columns),
        ALoops(n0=inner.blocks, n1=inner.taps, n2=g.kernel[0]),
        strides,
        window,
        Results(z_x=1, z_y=width, z_j=height * width),
        Multiply(a_base=a - g.padding[0] * g.width * g.channels, b_base=b, z_base=z),
    ]  # fmt: skip


def backward_weight(
    g: Geometry, config: CoreConfig, *, a: int, b: int, z: int, samples: int = 1,
    accumulate: bool = False, blocks: int | None = None,
) -> list[MatrixWord]:  # fmt: skip
    """Weight gradient of `samples` from inputs at byte `a` and output errors at byte `b`.

    `blocks` of C outputs, those from byte `b` on; all of them by default.
    """
    inner = _Inner.of(g, config.rows)
    positions = samples * math.prod(g.positions)
    tiles = -(-positions // config.rows)
    strides, window = _input_window(g, samples=True)
    return [
        BLoops(n0=tiles, rows_last=positions - (tiles - 1) * config.rows,
               nj=blocks or -(-g.out_channels // config.columns)),
        BStrides(row=g.out_channels, t0=config.rows * g.out_channels, j=config.columns),
        ALoops(n0=inner.blocks, n1=inner.taps, n2=g.kernel[0], transposed=1,
               lanes_last=inner.last),
        strides,
        window,
        Results(z_j=g.weight_rows),
        Multiply(a_base=a - g.padding[0] * g.width * g.channels, b_base=b, z_base=z,
                 accumulate=int(accumulate)),
    ]  # fmt: skip


def backward_data(g: Geometry, config: CoreConfig, *, a: int, b: int, z: int) -> list[MatrixWord]:
    """Error of one sample's input from that of its output at byte `a` and weights at byte `b`.

    Input pixels that a stride tells apart meet different taps: one product for each such phase, so
    that no inserted zero is multiplied. A phase without taps is a product of zeros.
    """
    words: list[MatrixWord] = []
    pitch = g.row_pitch(config)
    blocks = -(-g.out_channels // config.rows)
    last = g.out_channels - (blocks - 1) * config.rows
    out_height, out_width = g.positions
    line = out_width * g.out_channels
    down, across = g.kernel[1] * g.channels * pitch, g.channels * pitch
    for py in range(min(g.stride[0], g.height)):
        ky, y_first, n2 = _phase(py + g.padding[0], g.kernel[0], g.stride[0])
        for px in range(min(g.stride[1], g.width)):
            kx, x_first, n1 = _phase(px + g.padding[1], g.kernel[1], g.stride[1])
            taps = n1 * n2 > 0
            loops = {"n0": blocks, "n1": max(n1, 1), "n2": max(n2, 1)} if taps else {"n0": 1}
            words += [
                BLoops(**loops, rows_last=last if taps else 0, pitch=pitch // config.line_bytes,
                       nj=-(-g.channels // config.columns)),
                BStrides(row=1, t0=config.rows, t1=g.stride[1] * across, t2=g.stride[0] * down,
                         j=config.columns * pitch),
                ALoops(**loops),
                AStrides(x=g.out_channels, y=line, t1=-g.out_channels, t2=-line),
                Window(m0=-(-(g.width - px) // g.stride[1]), m1=-(-(g.height - py) // g.stride[0]),
                       y_first=y_first, y_step=1, y_t2=-1, height=out_height if taps else 0,
                       x_first=x_first * g.out_channels, line=line),
                Results(z_x=g.stride[1], z_y=g.stride[0] * g.width, z_j=g.height * g.width),
                Multiply(a_base=a + y_first * line if taps else 0,
                         b_base=b + ky * down + kx * across if taps else 0,
                         z_base=z + py * g.width + px),
            ]  # fmt: skip
    return words


def _phase(place: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """First tap that a padded input place meets, the output it meets it in, and how many taps."""
    tap = place % stride
    return tap, (place - tap) // stride, len(range(tap, kernel, stride))
