"""The closed forms against the core in Amaranth's simulator: equal, not close."""

import math

import numpy as np
import pytest

from hwmodel.cycles import (
    REFUSED_CYCLES,
    instruction_cycles,
    loss_cycles,
    matmul_cycles,
    quantize_cycles,
    shift_cycles,
    tile_period,
    update_cycles,
)
from rtl.config import CoreConfig
from rtl.isa import Instruction, Loss, Matmul, Pre, Quantize, Shift, Update
from rtl.simulation import Job, run


def job_of(instruction: Instruction, config: CoreConfig) -> Job:
    """Cycles do not depend on data, so the operands are zeros."""
    rows, columns = config.rows, config.columns

    def zeros(beats: int, lanes: int = columns) -> np.ndarray:
        return np.zeros((beats, lanes), dtype=np.int64)

    match instruction:
        case Matmul(rows=m, tiles=t):
            return Job(instruction, a=zeros(t * m, rows), b=zeros(t * rows))
        case Quantize(beats=n, pre=pre):
            return Job(instruction, x=zeros(n), y=zeros(n if pre else 0))
        case Loss(classes=n):
            beats = math.ceil(n / columns)
            return Job(instruction, x=zeros(beats), y=zeros(beats))
        case Update(beats=n):
            return Job(instruction, x=zeros(n), y=zeros(n))
        case Shift(beats=n):
            return Job(instruction, x=zeros(n))
    raise TypeError(instruction)


def random_instruction(rng: np.random.Generator, config: CoreConfig, kind: int) -> Instruction:
    def upto(limit: int, least: int = 1) -> int:
        return int(rng.integers(least, limit + 1))

    beats = upto(30)
    match kind:
        case 0:
            return Matmul(rows=upto(config.accumulator_depth), tiles=upto(7))
        case 1:
            return Quantize(beats=upto(config.tensor_depth), pre=Pre(upto(3, 0)))
        case 2:
            return Shift(beats=beats, shift=upto(20, -5))
        case 3:
            return Update(beats=beats, applied=0, key=0)
    return Loss(classes=upto(config.loss_classes, 2), label=0, exponent=8)


@pytest.mark.parametrize("seed", range(12))
def test_cycles_are_those_of_the_rtl(seed: int) -> None:
    """A core and eight instructions at random; every third core is a single row or column."""
    rng = np.random.default_rng(seed)
    rows, columns = (int(n) for n in rng.integers(1, 5, 2))
    if seed % 3 == 0:
        rows, columns = (1, columns + 3) if seed % 2 else (rows + 3, 1)
    config = CoreConfig(
        rows=rows,
        columns=columns,
        accumulator_depth=int(rng.integers(1, 20)),
        tensor_depth=int(rng.integers(1, 30)),
        loss_classes=int(rng.integers(2, 20)),
    )
    work = [random_instruction(rng, config, kind) for kind in (0, 0, 0, 0, 1, 2, 3, 4)]
    rng.shuffle(work)
    outcomes = run(config, [job_of(instruction, config) for instruction in work])
    got = [outcome.status.cycles for outcome in outcomes]
    assert got == [instruction_cycles(instruction, config) for instruction in work]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (2, 5)])
def test_few_rows_are_bound_by_weights_or_by_the_array(rows: int, columns: int) -> None:
    """Around the knee of max(m, R + max(C - 1, 2)), with enough tiles for a drift to show."""
    config = CoreConfig(rows=rows, columns=columns)
    period = rows + max(columns - 1, 2)
    work = [
        Matmul(rows=m, tiles=t)
        for m in sorted({1, 2, period - 1, period, period + 1})
        for t in (1, 2, 9)
    ]
    outcomes = run(config, [job_of(instruction, config) for instruction in work])
    assert [o.status.cycles for o in outcomes] == [instruction_cycles(i, config) for i in work]


def test_a_refused_instruction_takes_three_cycles() -> None:
    config = CoreConfig(rows=1, columns=1)
    outcomes = run(config, [Job(0), Job(Matmul(rows=0, tiles=0))])
    assert [o.status.cycles for o in outcomes] == [REFUSED_CYCLES] * 2


def test_forms_broadcast() -> None:
    config = CoreConfig(rows=8, columns=4)
    rows, tiles = np.arange(1, 65)[:, None], np.array([1, 10, 1000])
    table = matmul_cycles(rows, tiles, config)
    assert table.shape == (64, 3)
    assert table[63, 1] == instruction_cycles(Matmul(rows=64, tiles=10), config)
    assert tile_period(rows, config)[:, 0].tolist() == [11] * 11 + list(range(12, 65))
    beats = np.array([1, 512])
    assert quantize_cycles(beats).tolist() == [10, 1032]
    assert shift_cycles(beats).tolist() == [7, 518]
    assert update_cycles(beats).tolist() == [9, 520]
    assert loss_cycles(np.array([2, 10]), config).tolist() == [24, 60]


def test_what_is_no_instruction_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^instruction must be one of the core's, not 'x'$"):
        instruction_cycles("x", CoreConfig(rows=1, columns=1))  # type: ignore[arg-type]
