"""Random passes and losses: strides of both signs, every setting, operands anywhere."""

from dataclasses import replace

import numpy as np

from cosim.random_draft import Draft
from cosim.random_words import WORD_STREAMS, draw_word
from rtl.vector_instructions import (
    MASK_BEATS,
    Addend,
    Loops,
    Loss,
    Operand,
    Pass,
    Stream,
    Stride,
)

__all__ = ["loss", "random_pass"]


_CLEAR = 32
"""Bytes at a page's end that no beat begins in: its lanes would leave the page."""


def random_pass(d: Draft, *, beats: int = 40) -> Pass:
    """Set up a pass over random bytes or words, with random settings, and return it.

    Beside others (`Draft.free`) it reads pages 0 and 1 and writes the lower half of page 2, and
    reads the lower half of the results' page 0 and writes page 1.
    """
    config, lanes = d.config, d.config.columns
    channels = d.number(1, 3 * lanes)
    blocks = -(-channels // lanes)
    positions = d.number(1, max(1, min(20, beats // blocks)))
    rows = d.number(1, max(1, beats // blocks // positions))
    loops = draw_word(d.rng, Loops, config, positions=positions, rows=rows, channels=channels)
    if d.number(0, 1):
        loops = replace(loops, addend_channels=d.number(0, channels))
    fixed = _what(d)
    settings = _settings(d, fixed)
    d.set_up(loops)
    _bytes(d, loops, -(-blocks * rows * positions // MASK_BEATS) * lanes, fixed)
    _words(d, loops, fixed)
    index = d.number(0, 7) << 21
    d.set_up(_written(d, Stream.INDEX, loops, index, index + (1 << 21) - 1, fixed))
    return draw_word(d.rng, Pass, config, **fixed, **settings)


def _bytes(d: Draft, loops: Loops, masks: int, fixed: dict[str, int]) -> None:
    """Set up the streams of the scratchpad: what is written has a page of its own."""
    own = 2 if d.free else d.number(0, d.pages - 1)
    others = [page for page in range(2 if d.free else d.pages) if page != own]
    room = d.page - _CLEAR
    for stream in (Stream.X, Stream.Y):
        start = d.one_of(others) * d.page
        d.set_up(_stride(d, stream, loops, start, start + room))
    start = own * d.page
    end = start + (d.page // 2 - _CLEAR if d.free else room)
    # Masks that are written lie in front of the bytes.
    ahead = masks if fixed["mask_out"] else 0
    d.set_up(_written(d, Stream.OUTPUT, loops, start + ahead, end, fixed))
    if not fixed["mask_out"]:
        start = d.one_of(others) * d.page + d.number(0, room - masks)
    d.set_up(draw_word(d.rng, Stride, d.config, stream=Stream.MASK, base=start))


def _words(d: Draft, loops: Loops, fixed: dict[str, int]) -> None:
    """Set up the streams of the results memory: what is written has a page of its own."""
    depth, pages = d.config.results_page_depth, d.config.results_pages
    own = 1 if d.free else d.number(0, pages - 1)
    start = (0 if d.free else d.one_of([page for page in range(pages) if page != own])) * depth
    last = start + (depth // 2 if d.free else depth) - 1
    d.set_up(_stride(d, Stream.RESULTS_IN, loops, start, last))
    last = (own + 1) * depth - 1
    d.set_up(_written(d, Stream.RESULTS_OUT, loops, own * depth, last, fixed))


def _written(
    d: Draft, stream: Stream, loops: Loops, first: int, last: int, fixed: dict[str, int]
) -> Stride:
    """Set up a stream that goes on with the results. A block's sum is one, at its last beat."""
    if not fixed["accumulate"]:
        return _stride(d, stream, loops, first, last)
    once = replace(loops, positions=1, rows=1)
    return replace(_stride(d, stream, once, first, last), position=0, row=0)


def _stride(d: Draft, stream: Stream, loops: Loops, first: int, last: int) -> Stride:
    """Addresses from `first` to `last`; strides that are never taken have any value."""
    counts = {"block": -(-loops.channels // d.config.columns), "row": loops.rows,
              "position": loops.positions}  # fmt: skip
    room, low, steps = last - first, 0, {}
    for name, count in counts.items():
        most = room // (count - 1) if count > 1 else 0
        steps[name] = step = d.number(-most, most)
        room -= abs(step) * (count - 1)
        low += min(step * (count - 1), 0)
    base = first - low + d.number(0, room)
    regular = Stride.regular(stream, base, loops, **steps)
    drawn = draw_word(d.rng, Stride, d.config, stream=stream, base=base)
    unused = [name for name, count in counts.items() if count == 1]
    return replace(regular, **{name: getattr(drawn, name) for name in unused})


def _what(d: Draft) -> dict[str, int]:
    """Draw what a pass does; the rest of its word may be anything."""
    operand = Operand(d.number(0, max(Operand)))
    byte = operand in (Operand.X, Operand.X_FACTOR, Operand.X_Y)
    addend = d.one_of([a for a in Addend if not (byte and a is Addend.Y_X)])
    accumulate = addend is not Addend.SCALAR and d.number(0, 4) == 0
    masks = (0, 0) if accumulate else d.one_of([(0, 0), (0, 0), (0, 1), (1, 0)])
    return {
        "operand": operand, "addend": addend, "mask_in": masks[0], "mask_out": masks[1],
        "accumulate": int(accumulate),
    }  # fmt: skip


def _settings(d: Draft, fixed: dict[str, int]) -> dict[str, int]:
    """Set the scalars of a pass, so that 32 bits hold everything; return their numbers."""
    of_results, sums = fixed["operand"] == Operand.RESULTS, fixed["accumulate"]
    bits = _bits(d)
    least = max(-15, bits - 31) if of_results else -15
    if sums:
        # 2**6 beats of 2**24 each.
        least = max(least, bits - 24 if of_results else -8)
    u_shift = d.number(least, d.number(max(least, 0), 40))
    v_shift = d.number(-8 if sums else -15, 20)
    if d.number(0, 7) == 0:
        # Beyond what a shift is limited to.
        u_shift, v_shift = d.number(40, 1 << 20), d.number(20, 1 << 20)
        if least == -15 and not sums:
            u_shift, v_shift = -u_shift, -v_shift
    if fixed["addend"] == Addend.SCALAR:
        v_shift = _wide(d)
    d.taken.clear()
    return {
        "u_shift": d.put(u_shift), "v_shift": d.put(v_shift),
        "factor": d.put(d.number(-127, 127)), "bias": d.put(0 if sums else _wide(d)),
        "shift": d.put(d.number(-3, d.number(0, 63))), "key": d.put(_wide(d)),
    }  # fmt: skip


def _wide(d: Draft) -> int:
    """Draw 32 bits or less, signed."""
    return d.number(-(1 << 31), (1 << 31) - 1) >> d.number(0, d.number(0, 31))


def _bits(d: Draft) -> int:
    """Of the largest magnitude in the results memory."""
    return int(np.abs(d.machine.results).max()).bit_length()


def loss(d: Draft) -> None:
    """Take the error of random sums as logits."""
    config = d.config
    d.taken.clear()
    classes = d.number(2, config.loss_classes)
    # Around that which leaves a few fraction bits of the largest logit; or any.
    exponent = d.put(_bits(d) - d.number(0, 12) if d.number(0, 3) else d.number(-50, 70))
    label = d.put(d.number(0, classes - 1))
    loops = Loops(positions=1, channels=classes)
    page, depth = d.number(0, config.results_pages - 1), config.results_page_depth
    for stream in WORD_STREAMS:
        d.set_up(_stride(d, stream, loops, page * depth, (page + 1) * depth - 1))
        page = (page + 1) % config.results_pages
    d.run(draw_word(d.rng, Loss, config, classes=classes, label=label, exponent=exponent))
