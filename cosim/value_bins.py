"""Bins that the words of a program and the numbers in them decide (`cosim.functional_bins`)."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from cosim.functional_bins import Hits
from golden.formats import EXPONENT_MAX, EXPONENT_MIN, Integers
from hwmodel.lowering.emitter import Entry
from hwmodel.lowering.program import StepProgram
from rtl.config import CoreConfig
from rtl.dma_instructions import DmaWord
from rtl.matrix_instructions import ALoops, BLoops, Multiply, Window
from rtl.vector_instructions import (
    MASK_BEATS,
    Addend,
    Function,
    Loops,
    Operand,
    Output,
    Pass,
    Rectify,
    Scalar,
)

__all__ = ["ValueBins", "program_bins"]

_BURST_LINES = 64
_BOUNDARY = 4096


class ValueBins:
    """Counts what the words of `cosim.machine.Machine` do, as they are executed.

    Members
    -------
    hits:
        So far.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.hits: Hits = Counter()
        self._columns = config.columns

    def _hit(self, name: str, happened: object) -> None:
        if happened:
            self.hits[name] += 1

    def quantized(
        self, word: Pass, loops: Loops, shifts: tuple[int, int, int], wide: Integers,
        codes: Integers, positive: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Count a pass.

        Parameters
        ----------
        word, loops:
            The pass and its loops.
        shifts:
            Right shifts of both operands and of the result.
        wide, codes, positive:
            The result before and after its shift, and the signs that are the ReLU's mask, of every
            beat and lane; zero where a lane has no channel.
        """
        u_shift, v_shift, shift = shifts
        if word.output == Output.BYTES:
            self._rounding(word, wide, codes, shift)
        if word.measure:
            self._hit("tensor of zeros", not wide.any())
        if word.addend == Addend.Y and word.operand in (Operand.RESULTS, Operand.X_FACTOR):
            self._hit("join shifts the product left", u_shift < 0)
            self._hit("join shifts the product right", u_shift > 0)
            self._hit("join shifts the shortcut left", v_shift < 0)
            self._hit("join shifts the shortcut right", v_shift > 0)
            self._hit("shortcut with fewer channels", loops.addend_channels < loops.channels)
        self._hit("update is shifted left", word.negate and u_shift < 0)
        self._hit("multiplied codes", word.operand == Operand.X_FACTOR)
        self._hit("biases of channels", word.addend == Addend.Y_X)
        beats = int(np.prod(wide.shape[:-1]))
        if word.mask_in or word.mask_out:
            self._hit("last group of masks is partial", beats % MASK_BEATS)
            self._hit("last group of masks is full", beats % MASK_BEATS == 0)
        if word.mask_out and word.rectify != Rectify.NONE:
            self._hit("ReLU lets nothing through", not positive.any())
            self._hit("ReLU lets all through", positive.sum() == beats * loops.channels / -(
                -loops.channels // self._columns))  # fmt: skip
        self._hit("pass with a partial block of channels", loops.channels % self._columns)
        self._hit("sum over positions", word.accumulate and loops.positions * loops.rows > 1)

    def _rounding(self, word: Pass, wide: Integers, codes: Integers, shift: int) -> None:
        self._hit("shift of 0", shift == 0 and wide.any())
        self._hit("shift of 63", shift == 63)
        # Values have 33 bits at most: shifts beyond are the same as 40.
        near = min(shift, 40)
        low = wide >> near
        rest = wide - (low << near)
        half = (1 << near) >> 1
        if word.stochastic:
            inside = (rest != 0) & (np.abs(low) < 127)
            self._hit("random rounding goes up", (inside & (codes > low)).any())
            self._hit("random rounding goes down", (inside & (codes == low)).any())
            largest = int(np.abs(wide).max(initial=0))
            self._hit("sample shifted out", largest and shift > largest.bit_length() + 1)
            return
        tie = (rest == half) & (half > 0)
        self._hit("tie above zero", (tie & (wide > 0)).any())
        self._hit("tie below zero", (tie & (wide < 0)).any())
        rounded = low + (rest >= half) * (half > 0)
        self._hit("saturates above", (rounded > 127).any())
        self._hit("saturates below", (rounded < -127).any())

    def scalar(self, word: Scalar, a: int) -> None:
        """Count one repetition of a scalar word with first operand `a`."""
        match word.function:
            case Function.CLAMP:
                self._hit("exponent clamped below", a < EXPONENT_MIN)
                self._hit("exponent clamped above", a > EXPONENT_MAX)
            case Function.SATURATE_8:
                self._hit("scalar saturates at 8 bits", abs(a) > 127)
            case Function.SELECT:
                self._hit("zeros have no say", a == 0)


def program_bins(program: StepProgram) -> Hits:
    """Count what a program's words say, whatever the numbers are."""
    hits: Hits = Counter()
    config = program.lowered.config
    gradients: Counter[str] = Counter()
    matrix: dict[type, object] = {}
    for _, entry in program.entries():
        word = entry.word
        if isinstance(word, DmaWord):
            last = word.outside + word.bytes - 1
            if word.outside // _BOUNDARY != last // _BOUNDARY:
                hits["transfer across a boundary of 4096 bytes"] += 1
            if word.bytes > _BURST_LINES * config.line_bytes:
                hits["transfer of more than a burst"] += 1
        if isinstance(word, Multiply):
            matrix |= {type(w): w for w in entry.before}
            _product(hits, program, entry, matrix)
            gradients[entry.label.layer] += entry.label.phase == "backward_weight"
        if isinstance(word, Pass) and entry.label.phase == "update":
            # Of the passes over weights and momentum that draw, one for each P = P - U rounds U.
            hits["weight decays"] += word.stochastic and word.operand == Operand.X
            hits["weight decays"] -= word.negate and not word.u_shift
    hits["weight gradient over several pages"] += sum(n > 1 for n in gradients.values())
    return +hits


def _product(hits: Hits, program: StepProgram, entry: Entry, matrix: dict[type, object]) -> None:
    config = program.lowered.config
    a, b, window = matrix[ALoops], matrix[BLoops], matrix[Window]
    assert isinstance(a, ALoops)  # noqa: S101 - for the type checker
    assert isinstance(b, BLoops)  # noqa: S101 - for the type checker
    assert isinstance(window, Window)  # noqa: S101 - for the type checker
    geometry = program.lowered.parameters.weight(entry.label.layer).geometry
    rows, columns, phase = config.rows, config.columns, entry.label.phase
    found = []
    if b.rows_last == 0:
        found.append("backward phase without taps")
    elif b.rows_last < rows:
        found.append("partial positions" if a.transposed else "partial rows")
    if a.transposed and a.lanes_last < rows:
        found.append("partial channels, transposed")
    outputs = geometry.channels if phase == "backward_data" else geometry.out_channels
    if outputs % columns:
        found.append("partial columns")
    vectors = a.n2 * a.n1 * a.n0 * rows if a.transposed else window.m0 * window.m1
    found.append(f"{'fewer' if vectors < rows + 3 else 'more'} vectors than a tile lasts")
    if phase != "backward_data" and a.n1 == 1 and geometry.kernel[1] > 1:
        found.append("packed taps")
    if phase == "forward":
        top, left, *_ = geometry.padding
        if top and left:
            found.append("padding above and left")
        height, width = geometry.positions
        down = (height - 1) * geometry.stride[0] + geometry.kernel[0] - top
        across = (width - 1) * geometry.stride[1] + geometry.kernel[1] - left
        if down > geometry.height and across > geometry.width:
            found.append("padding below and right")
        # One product more would not be safe.
        if geometry.weight_rows >= config.largest_reduction - 1:
            found.append("reduction at the accumulator's bound")
    hits.update(found)
