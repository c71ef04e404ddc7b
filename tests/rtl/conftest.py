"""What the core must give for a job, and random jobs with corners."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.random import Generator

from golden.formats import Integers, QuantSpec, Rounding, excess_bits, rounding_shift, saturate
from golden.loss import softmax_error
from golden.optimizer import Rate, UpdateRule, update
from golden.randomness import draw
from rtl.config import CoreConfig
from rtl.isa import Loss, Matmul, Pre, Quantize, Shift, Update
from rtl.simulation import Job

Expected = tuple[Integers, int, int]
"""Beats, shift, zero."""


def with_corners(rng: Generator, shape: tuple[int, ...], width: int) -> Integers:
    """Integers of all magnitudes below 2**(width - 1), some of them extreme, -2**(w-1) included."""
    values = rng.integers(-(1 << (width - 1)), 1 << (width - 1), shape)
    values >>= rng.integers(0, width, shape)
    corners = [0, 1, -1, (1 << (width - 1)) - 1, -(1 << (width - 1)), 1 << (width - 2)]
    return np.where(rng.random(shape) < 0.15, rng.choice(corners, shape), values)


class JobMaker:
    """Random jobs for one core; each kind with every option it has."""

    def __init__(self, config: CoreConfig, seed: int) -> None:
        self.config, self.rng = config, np.random.default_rng(seed)

    def _key(self) -> int:
        return int(self.rng.integers(0, 1 << 32))

    def _index(self, beats: int) -> int:
        # Sometimes close to where 24 bits wrap.
        return int(self.rng.choice([0, self.rng.integers(0, 1 << 24), (1 << 24) - beats]))

    def _rounding(self) -> Rounding:
        return Rounding.STOCHASTIC if self.rng.random() < 0.5 else Rounding.HALF_UP

    def _shift(self) -> int:
        common, rare = self.rng.integers(-6, 26), self.rng.integers(-128, 128)
        return int(common if self.rng.random() < 0.7 else rare)

    def matmul(self, rows: int | None = None, tiles: int | None = None) -> Job:
        m = rows or int(self.rng.integers(1, self.config.accumulator_depth + 1))
        t = tiles or int(self.rng.integers(1, 5))
        return Job(
            Matmul(rows=m, tiles=t),
            a=self.rng.integers(-128, 128, (t * m, self.config.rows)),
            b=self.rng.integers(-128, 128, (t * self.config.rows, self.config.columns)),
        )

    def quantize(self, pre: Pre | None = None, beats: int | None = None) -> Job:
        n = beats or int(self.rng.integers(1, self.config.tensor_depth + 1))
        shape = n, self.config.columns
        pre = Pre(int(self.rng.integers(0, 4))) if pre is None else pre
        instruction = Quantize(
            beats=n, pre=pre, pre_shift=self._shift(), rounding=self._rounding(),
            key=self._key(), index=self._index(n),
        )  # fmt: skip
        # A tensor's own scale differs from one to the next.
        x = with_corners(self.rng, shape, 32) >> int(self.rng.choice([0, 4, 12, 24, 31]))
        y = with_corners(self.rng, shape, 16)
        return Job(instruction, x=x, y=y if pre else y[:0])

    def shift(self, beats: int | None = None) -> Job:
        n = beats or int(self.rng.integers(1, 12))
        instruction = Shift(
            beats=n, shift=self._shift(), rounding=self._rounding(), key=self._key(),
            index=self._index(n),
        )  # fmt: skip
        return Job(instruction, x=with_corners(self.rng, (n, self.config.columns), 32))

    def update(self, beats: int | None = None) -> Job:
        n = beats or int(self.rng.integers(1, 12))
        shape, wide = (n, self.config.columns), bool(self.rng.integers(0, 2))
        instruction = Update(
            beats=n, applied=int(self.rng.integers(0, 8)),
            decay=int(self.rng.integers(0, 16)), key=self._key(), index=0, wide=wide,
        )  # fmt: skip
        gradient = with_corners(self.rng, shape, 8)
        parameter = with_corners(self.rng, shape, 16 if wide else 8)
        # Bits 15 to 8 are nobody's.
        rubbish = self.rng.integers(0, 256, shape)
        x = parameter << 16 | rubbish << 8 | gradient & 0xFF
        return Job(instruction, x=x, y=with_corners(self.rng, shape, 16))

    def loss(self, classes: int | None = None) -> Job:
        n = classes or int(self.rng.integers(2, self.config.loss_classes + 1))
        shape = -(-n // self.config.columns), self.config.columns
        instruction = Loss(
            classes=n, label=int(self.rng.integers(0, n)),
            exponent=int(self.rng.choice([8, 9, 15, 20, -128, -120, -112, 0, 127])),
            bias_shift=self._shift(),
        )  # fmt: skip
        x = with_corners(self.rng, shape, 32) >> int(self.rng.choice([0, 8, 16, 20]))
        return Job(instruction, x=x, y=with_corners(self.rng, shape, 16) >> 8)

    def any(self) -> Job:
        kinds = (self.matmul, self.quantize, self.shift, self.update, self.loss)
        return kinds[int(self.rng.integers(0, len(kinds)))]()


def expected_of(job: Job, config: CoreConfig) -> Expected:
    """What golden says that the core gives for a job."""
    i = job.instruction
    index = np.arange(job.x.size).reshape(job.x.shape)
    match i:
        case Matmul():
            a = job.a.reshape(i.tiles, i.rows, config.rows)
            b = job.b.reshape(i.tiles, config.rows, config.columns)
            return (a @ b).sum(axis=0), 0, 0
        case Quantize():
            x = job.x
            if i.pre in (Pre.BIAS, Pre.BIAS_RELU):
                x = saturate(x + rounding_shift(job.y, i.pre_shift), 32)
            if i.pre is Pre.BIAS_RELU:
                x = np.maximum(x, 0)
            if i.pre is Pre.MASK:
                x = np.where(job.y > 0, x, 0)
            shift = int(excess_bits(x))
            codes = QuantSpec(rounding=i.rounding).apply(x, shift, draw(i.key, i.index + index))
            mask = (x > 0) << 8 if i.pre is Pre.BIAS_RELU else 0
            return codes + mask, shift, int(not x.any())
        case Shift():
            spec = QuantSpec(rounding=i.rounding)
            return spec.apply(job.x, i.shift, draw(i.key, i.index + index)), 0, 0
        case Update():
            g = ((job.x & 0xFF) ^ 0x80) - 0x80
            bits = 16 if i.wide else 8
            rule = UpdateRule(width=bits, momentum_width=bits, fraction=i.applied, slower=0,
                              decay=i.decay)  # fmt: skip
            # Flat: the instruction numbers its elements lane by lane, beat by beat.
            flat = (array.ravel() for array in (job.x >> 16, job.y, g))
            p, v, u = (
                array.reshape(job.x.shape) for array in update(*flat, Rate(), rule, key=i.key)
            )
            high = p & 0xFFFF if i.wide else (p & 0xFF) << 8 | u & 0xFF
            return (high << 16 | v & 0xFFFF).astype(np.int32).astype(np.int64), 0, 0
        case Loss():
            logits = saturate(job.x + rounding_shift(job.y, i.bias_shift), 32)
            flat = logits.reshape(1, -1)[:, : i.classes]
            out = np.zeros(job.x.size, dtype=np.int64)
            out[: i.classes] = softmax_error(flat, i.exponent, np.array([i.label]))
            return out.reshape(job.x.shape), 0, 0
    raise TypeError(f"instruction must be one of the core's, not {i!r}")


def through_pipeline(dut: Any, inputs: dict[str, Integers], output: str, latency: int) -> Integers:
    """`output` of `dut`, `latency` cycles after each set of inputs; 0 is without a clock."""
    simulator = Simulator(dut)
    if latency:
        simulator.add_clock(1e-8)
    columns = {name: np.asarray(values).tolist() for name, values in inputs.items()}
    length = len(next(iter(columns.values())))
    got: list[int] = []

    async def bench(ctx: Any) -> None:
        ports = [(getattr(dut, name), values) for name, values in columns.items()]
        source = getattr(dut, output)
        for k in range(length + latency):
            if k < length:
                for port, values in ports:
                    ctx.set(port, values[k])
            if k >= latency:
                got.append(ctx.get(source))
            if latency:
                await ctx.tick()

    simulator.add_testbench(bench)
    simulator.run()
    return np.array(got, dtype=np.int64)


@pytest.fixture
def pipeline() -> Callable[[Any, dict[str, Integers], str, int], Integers]:
    return through_pipeline


@pytest.fixture
def corners() -> Callable[[Generator, tuple[int, ...], int], Integers]:
    return with_corners


@pytest.fixture
def job_maker() -> type[JobMaker]:
    return JobMaker


@pytest.fixture
def expected() -> Callable[[Job, CoreConfig], Expected]:
    return expected_of
