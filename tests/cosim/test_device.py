"""The program and its tiling against golden, on an executor made of golden's own pieces.

No simulator: what is tested is that tensors are cut, padded, ordered and put together right, and
that the program's share of the step (exponents, keys, order) is golden's.
"""

import asyncio

import numpy as np
import pytest

from cosim.device import Device, Operands, Result
from cosim.scoreboard import MismatchError, Scoreboard
from cosim.step import Program, dense_layers
from golden import data
from golden.errors import InputError
from golden.formats import Integers, QuantSpec, Rounding, excess_bits, rounding_shift, saturate
from golden.initialization import build
from golden.loss import softmax_error
from golden.networks import load
from golden.optimizer import MOMENTUM_SHIFT
from golden.randomness import draw
from golden.schemes import SCHEMES
from rtl.config import CoreConfig
from rtl.isa import Instruction, Loss, Matmul, Pre, Quantize, Shift, Status, Update


class Executor:
    """An instruction-set simulator: what each instruction does to its beats, and no more."""

    def __init__(self, config: CoreConfig) -> None:
        self.config = config

    async def execute(self, instruction: Instruction, operands: Operands, beats: int) -> Result:
        shift, zero = 0, False
        match instruction:
            case Matmul(rows=m, tiles=tiles):
                assert m <= self.config.accumulator_depth
                a = operands.a.reshape(tiles, m, self.config.rows)
                b = operands.b.reshape(tiles, self.config.rows, self.config.columns)
                out = (a @ b).sum(axis=0)
            case Quantize():
                out, shift, zero = self._quantize(instruction, operands)
            case Shift(shift=right, key=key, index=index):
                spec = QuantSpec(32, 8, Rounding.STOCHASTIC)
                out = spec.apply(operands.x, right, draw(key, self._index(operands.x, index)))
            case Update():
                out = self._update(instruction, operands)
            case Loss(classes=n, label=label, exponent=s, bias_shift=right):
                logits = saturate(operands.x + rounding_shift(operands.y, right), 32)
                error = softmax_error(logits.reshape(1, -1)[:, :n], s, np.array([label]))
                out = np.zeros(operands.x.size, dtype=np.int64)
                out[:n] = error[0]
                out = out.reshape(operands.x.shape)
            case _:
                raise AssertionError(instruction)
        assert len(out) == beats
        status = Status(opcode=instruction.opcode, shift=shift, zero=int(zero))
        # 32-bit lanes, as they leave the core.
        return Result(status, out.astype(np.int32).astype(np.int64))

    def _index(self, beats: Integers, first: int) -> Integers:
        return first + np.arange(beats.size).reshape(beats.shape)

    def _quantize(self, q: Quantize, operands: Operands) -> tuple[Integers, int, bool]:
        x = operands.x
        if q.pre in (Pre.BIAS, Pre.BIAS_RELU):
            x = saturate(x + rounding_shift(operands.y, q.pre_shift), 32)
        if q.pre is Pre.BIAS_RELU:
            x = np.maximum(x, 0)
        if q.pre is Pre.MASK:
            x = np.where(operands.y > 0, x, 0)
        shift = int(excess_bits(x))
        codes = QuantSpec().apply(x, shift)
        if q.pre is Pre.BIAS_RELU:
            codes = codes + ((x > 0) << 8)
        return codes, shift, not x.any()

    def _update(self, u: Update, operands: Operands) -> Integers:
        index = self._index(operands.x, u.index)
        g = ((operands.x & 0xFF) ^ 0x80) - 0x80
        p = operands.x >> 16
        width = 16 if u.wide else 8
        random = draw(u.key, index)
        decay = rounding_shift(p, u.decay, random) if u.decay else 0
        v = saturate(operands.y + saturate(g + decay, width), width)
        shift = u.applied + MOMENTUM_SHIFT
        step = saturate(rounding_shift(v, shift, random), width)
        v = saturate(v - (step << u.applied), width)
        new = saturate(p - step, width)
        if u.wide:
            return (new & 0xFFFF) << 16 | v & 0xFFFF
        return (new & 0xFF) << 24 | (step & 0xFF) << 16 | v & 0xFFFF


def run(config: CoreConfig, batch: int = 8, steps: int = 3) -> tuple[Scoreboard, Device]:
    digits = data.load("digits")
    model = build(SCHEMES["eoq"].rewrite(load("mlp")), seed=1)
    device, scoreboard = Device(config, Executor(config).execute), Scoreboard()
    program = Program(device, dense_layers(model), 1, scoreboard.check)
    for step in range(steps):
        pick = slice(step * batch, (step + 1) * batch)
        codes, labels = digits.quantize(digits.train.pixels[pick]), digits.train.labels[pick]
        scoreboard.expect(step, model.step(codes, labels, 1))
        asyncio.run(program.step(codes, labels, 1))
        scoreboard.finish()
    return scoreboard, device


@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 1, 64), (4, 4, 64), (3, 5, 7)])
def test_the_program_computes_goldens_step(rows: int, columns: int, depth: int) -> None:
    config = CoreConfig(
        rows=rows, columns=columns, accumulator_depth=depth, tensor_depth=-(-2048 // columns)
    )
    scoreboard, device = run(config)
    assert sum(record.mismatches for record in scoreboard.records) == 0
    # Useful MACs: three products, the first layer without backward-data; biases' sums beside.
    weights = 64 * 32 + 32 * 10
    per_sample = 3 * weights - 64 * 32 + (32 + 10)
    assert sum(record.macs for record in device.records) == 3 * 8 * per_sample


def test_a_tensor_too_large_for_the_buffer_is_refused_with_the_sizes() -> None:
    config = CoreConfig(rows=4, columns=4, tensor_depth=4)
    with pytest.raises(InputError, match=r"32 elements require a tensor_depth of 8 .* got 4"):
        run(config)


def test_scoreboard_names_the_first_difference() -> None:
    scoreboard = Scoreboard()
    scoreboard.expect(4, {"fc1.forward.A": np.zeros((2, 3), dtype=np.int64)})
    wrong = np.zeros((2, 3), dtype=np.int64)
    wrong[1, 2] = 5
    wrong[1, 1] = -1
    with pytest.raises(
        MismatchError,
        match=r"^step 4, tensor fc1.forward.A, index \[1, 1\]: expected 0, got -1 \(2 elements",
    ):
        scoreboard.check("fc1.forward.A", wrong)


def test_scoreboard_misses_what_was_never_compared() -> None:
    scoreboard = Scoreboard()
    scoreboard.expect(0, {"a": np.zeros(1, dtype=np.int64), "b": np.zeros(1, dtype=np.int64)})
    scoreboard.check("a", np.zeros(1, dtype=np.int64))
    with pytest.raises(AssertionError, match="never compared: b"):
        scoreboard.finish()
