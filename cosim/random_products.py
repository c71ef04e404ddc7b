"""Random products: convolutions and their gradients, anything in the fields that nothing needs."""

from collections.abc import Sequence
from dataclasses import replace

from cosim.random_draft import Draft
from cosim.random_words import draw_word
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
from rtl.product_words import Geometry, backward_data, backward_weight, forward

__all__ = ["multiply"]

_CLEAR = 64
"""Bytes of a page that operands do not begin or end in: their vectors' lanes would leave it."""


def multiply(d: Draft) -> None:
    """Multiply random bytes: a convolution, or one of its gradients.

    Beside others (`Draft.free`) the operands are in pages 0 and 1, and the sums in the upper half
    of page 0.
    """
    made: Sequence[MatrixWord] | None = None
    while made is None:
        made = _words(d, _geometry(d))
    # Nothing of A exists in every fourth: then it may be anywhere.
    nothing = d.number(0, 3) == 0
    for word in made:
        if isinstance(word, Multiply):
            drawn = draw_word(d.rng, Multiply, d.config)
            a_base = drawn.a_base if nothing else word.a_base
            d.run(replace(word, a_base=a_base, accumulate=drawn.accumulate))
        elif nothing and isinstance(word, AStrides):
            d.set_up(draw_word(d.rng, AStrides, d.config))
        elif nothing and isinstance(word, Window):
            d.set_up(draw_word(d.rng, Window, d.config, m0=word.m0, m1=word.m1, height=0))
        else:
            d.set_up(_filled(d, word, made))


def _geometry(d: Draft) -> Geometry:
    """Draw one that has an output."""

    def number(low: int, high: int) -> int:
        return d.number(low, high)

    while True:
        g = Geometry(
            channels=number(1, 7), height=number(1, 6), width=number(1, 6),
            out_channels=number(1, 7), kernel=(number(1, 3), number(1, 3)),
            stride=(number(1, 3), number(1, 3)),
            padding=(number(0, 2), number(0, 2), number(0, 2), number(0, 2)),
        )  # fmt: skip
        if min(g.positions) >= 1:
            return g


def _words(d: Draft, g: Geometry) -> Sequence[MatrixWord] | None:
    """Words for a product whose operands and results fit a page each, somewhere in them."""
    config = d.config
    which = d.one_of([forward, backward_weight, backward_data])
    samples = d.number(1, 3) if which is backward_weight else 1
    inputs, errors = samples * g.input_bytes, samples * g.output_bytes
    weights = g.weight_rows * g.row_pitch(config)
    height, width = g.positions
    outputs = -(-g.out_channels // config.columns)
    size_a, size_b, size_z = {
        forward: (inputs, weights, height * width * outputs),
        backward_weight: (inputs, errors, g.weight_rows * outputs),
        backward_data: (errors, weights, g.height * g.width * -(-g.channels // config.columns)),
    }[which]
    ahead = 2 * g.channels + 2 * config.rows + _CLEAR
    depth = config.results_page_depth
    first = depth // 2 if d.free else 0
    rooms = d.page - ahead - _CLEAR - size_a, d.page - 2 * _CLEAR - size_b, depth - size_z - first
    if min(rooms) < 0:
        return None
    page_a, page_b = d.rng.permutation(2 if d.free else d.pages)[:2]
    page_z = 0 if d.free else d.number(0, config.results_pages - 1)
    a = int(page_a) * d.page + ahead + d.number(0, rooms[0])
    b = int(page_b) * d.page + d.number(0, rooms[1])
    z = page_z * depth + first + d.number(0, rooms[2])
    if which is backward_weight:
        return backward_weight(g, config, a=a, b=b, z=z, samples=samples)
    return (forward if which is forward else backward_data)(g, config, a=a, b=b, z=z)


def _filled(d: Draft, word: MatrixWord, words: Sequence[MatrixWord]) -> MatrixWord:
    """A set-up word with any value where none of the products takes one."""
    windows = [w for w in words if isinstance(w, Window)]
    b_loops = [w for w in words if isinstance(w, BLoops)]
    transposed = any(w.transposed for w in words if isinstance(w, ALoops))
    unused: dict[str, bool] = {}
    match word:
        case BStrides():
            unused = {
                stride: all(getattr(w, count) == 1 for w in b_loops)
                for stride, count in (("t0", "n0"), ("t1", "n1"), ("t2", "n2"), ("j", "nj"))
            }
        case AStrides():
            unused = {
                "n": not transposed, "x": all(w.m0 == 1 for w in windows),
                "y": all(w.m1 == 1 for w in windows),
            }  # fmt: skip
        case ALoops():
            unused = {"lanes_last": not transposed}
        case Results():
            unused = {"z_x": transposed, "z_y": transposed}
    drawn = draw_word(d.rng, type(word), d.config)
    return replace(word, **{name: getattr(drawn, name) for name, free in unused.items() if free})
