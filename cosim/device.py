"""Whole-tensor operations as instructions: tiling, padding, packing, and back again.

`Device` knows the core's instruction set and array size and nothing of any simulator: it is given a
function that executes one instruction. What it returns was computed by whatever that function
drives. Every instruction is kept, with the cycles it took and those the model predicts.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from golden.errors import CheckError, InputError
from golden.formats import Integers, Rounding
from golden.optimizer import Rate, UpdateRule
from hwmodel.cycles import instruction_cycles
from rtl.config import CoreConfig
from rtl.isa import Instruction, Loss, Matmul, Pre, Quantize, Shift, Status, Update

__all__ = ["Device", "Operands", "Record", "Result"]


@dataclass(frozen=True)
class Operands:
    """Beats for each operand stream, arrays of (beats, lanes); empty where a stream is not used."""

    a: Integers = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    b: Integers = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    x: Integers = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    y: Integers = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))


@dataclass(frozen=True)
class Result:
    """What one instruction gave: its status record and its beats as signed int32 lanes."""

    status: Status
    beats: Integers


Execute = Callable[[Instruction, Operands, int], Awaitable[Result]]
"""Executes an instruction with its operands and expects that many beats of result."""


@dataclass(frozen=True)
class Record:
    """One executed instruction. `macs` counts useful multiply-accumulates, without padding."""

    step: int
    tensor: str
    opcode: str
    instruction: str
    cycles_rtl: int
    cycles_model: int
    macs: int


def _padded(matrix: Integers, rows: int, columns: int) -> Integers:
    """`matrix` with zeros behind and below up to the given shape."""
    result = np.zeros((rows, columns), dtype=np.int64)
    result[: matrix.shape[0], : matrix.shape[1]] = matrix
    return result


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


class Device:
    """A core that executes tensor operations.

    Parameters
    ----------
    config:
        Its size.
    execute:
        Runs one instruction.

    Members
    -------
    step, tensor:
        Where the work is; set by the program and written into each record.
    records:
        Every instruction executed.
    """

    def __init__(self, config: CoreConfig, execute: Execute) -> None:
        self.config = config
        self.step = 0
        self.tensor = ""
        self.records: list[Record] = []
        self._execute = execute

    async def _run(
        self, instruction: Instruction, operands: Operands, beats: int, macs: int = 0
    ) -> Result:
        result = await self._execute(instruction, operands, beats)
        if result.status.error:
            raise CheckError(
                f"{self.tensor}: the core refused {instruction} with error {result.status.error}"
            )
        self.records.append(
            Record(
                self.step, self.tensor, instruction.opcode.name, repr(instruction),
                result.status.cycles, int(instruction_cycles(instruction, self.config)), macs,
            )
        )  # fmt: skip
        return result

    def _lanes(self, values: Integers) -> Integers:
        """Flatten in C order and cut into beats; the last beat is padded with zeros."""
        beats = _ceil(values.size, self.config.columns)
        return _padded(values.reshape(1, -1), 1, beats * self.config.columns).reshape(beats, -1)

    def _held(self, values: Integers) -> Integers:
        """As `_lanes`, for an instruction that holds the whole tensor on chip."""
        beats = self._lanes(values)
        if len(beats) > self.config.tensor_depth:
            raise InputError(
                f"{self.tensor}: {values.size} elements require a tensor_depth of {len(beats)} "
                f"beats, got {self.config.tensor_depth}"
            )
        return beats

    async def matmul(self, a: Integers, b: Integers) -> Integers:
        """`a @ b` for 8-bit (m, k) and (k, n): one instruction a block of rows and columns."""
        rows, columns = self.config.rows, self.config.columns
        (m, k), n = a.shape, b.shape[1]
        tiles, blocks = _ceil(k, rows), _ceil(n, columns)
        wide_a = _padded(a, m, tiles * rows)
        wide_b = _padded(b, tiles * rows, blocks * columns)
        result = np.empty((m, blocks * columns), dtype=np.int64)
        for block in range(blocks):
            lanes = slice(block * columns, (block + 1) * columns)
            for start in range(0, m, self.config.accumulator_depth):
                part = wide_a[start : start + self.config.accumulator_depth]
                # Beats of one tile after another: (tiles * rows of part, rows of the array).
                beats = part.reshape(len(part), tiles, rows).transpose(1, 0, 2).reshape(-1, rows)
                useful = len(part) * k * (min(n, lanes.stop) - lanes.start)
                got = await self._run(
                    Matmul(rows=len(part), tiles=tiles),
                    Operands(a=beats, b=wide_b[:, lanes]),
                    len(part),
                    useful,
                )
                result[start : start + len(part), lanes] = got.beats
        return result[:, :n]

    async def quantize(
        self, values: Integers, other: Integers | None = None, *, pre: Pre, pre_shift: int = 0
    ) -> tuple[Integers, Integers, int, bool]:
        """Codes, mask, the shift found, and whether all was zero, for one sample or tensor.

        `other` is the bias, or the mask (positive: keep), of `values`' size. The mask that is
        returned says where a ReLU's input was positive; without a ReLU it is zero.
        """
        beats = self._held(values)
        got = await self._run(
            Quantize(beats=len(beats), pre=pre, pre_shift=pre_shift),
            Operands(x=beats, y=beats[:0] if other is None else self._lanes(other)),
            len(beats),
        )
        lanes = got.beats.reshape(-1)[: values.size].reshape(values.shape)
        # With a ReLU the codes are not negative, and the mask is the bit above them.
        mask = (lanes >> 8) & 1 if pre is Pre.BIAS_RELU else np.zeros_like(lanes)
        return lanes - (mask << 8), mask, got.status.shift, bool(got.status.zero)

    async def align(self, values: Integers, shift: int, key: int, index: int) -> Integers:
        """8-bit codes of values shifted with stochastic rounding; `index` is the first one's."""
        beats = self._lanes(values)
        got = await self._run(
            Shift(
                beats=len(beats), shift=shift, rounding=Rounding.STOCHASTIC, key=key, index=index
            ),
            Operands(x=beats),
            len(beats),
        )
        return got.beats.reshape(-1)[: values.size].reshape(values.shape)

    async def loss(
        self, product: Integers, bias: Integers, bias_shift: int, exponent: int, label: int
    ) -> Integers:
        """Error of one sample from its product (classes,) and the classifier's bias."""
        beats = self._lanes(product)
        got = await self._run(
            Loss(classes=product.size, label=label, exponent=exponent, bias_shift=bias_shift),
            Operands(x=beats, y=self._lanes(bias)),
            len(beats),
        )
        return got.beats.reshape(-1)[: product.size]

    async def update(
        self,
        parameter: Integers,
        momentum: Integers,
        gradient: Integers,
        rule: UpdateRule,
        rate: Rate,
        key: int,
    ) -> tuple[Integers, Integers, Integers]:
        """Parameter, momentum and update after one step of 8-bit gradients."""
        wide = rule.width > 8
        beats = self._lanes((parameter << 16) | (gradient & 0xFF))
        got = await self._run(
            Update(
                beats=len(beats), applied=rule.applied_shift(rate.halvings),
                decay=rule.decay_bits(rate.k), key=key, wide=wide,
            ),
            Operands(x=beats, y=self._lanes(momentum)),
            len(beats),
        )  # fmt: skip
        packed = got.beats.reshape(-1)[: parameter.size].reshape(parameter.shape)
        v = _signed(packed, 0, 16)
        if wide:
            # The wide result has no room for the update, which is what the parameter lost.
            new = _signed(packed, 16, 16)
            return new, v, parameter - new
        return _signed(packed, 24, 8), v, _signed(packed, 16, 8)


def _signed(packed: Integers, offset: int, width: int) -> Integers:
    """Signed field of each element of `packed`."""
    value = (packed >> offset) & ((1 << width) - 1)
    return value - ((value >> (width - 1)) << width)
