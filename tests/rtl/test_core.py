"""The core in Amaranth's simulator, bit for bit against golden."""

from typing import Any

import numpy as np
import pytest

from rtl.config import CoreConfig
from rtl.isa import INSTRUCTION_FIELDS, Error, Loss, Matmul, Opcode, Pre, Quantize, Shift, Update
from rtl.simulation import Job, Outcome, run

SIZES = [(1, 1), (1, 3), (3, 2), (4, 4)]


def small(rows: int, columns: int) -> CoreConfig:
    """A core whose memories are small enough to be filled."""
    return CoreConfig(
        rows=rows, columns=columns, accumulator_depth=9, tensor_depth=7, loss_classes=11
    )


def check(jobs: list[Job], outcomes: list[Outcome], expected: Any, config: CoreConfig) -> None:
    for number, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
        beats, shift, zero = expected(job, config)
        message = f"job {number}: {job.instruction}"
        np.testing.assert_array_equal(outcome.beats, beats, err_msg=message)
        status = outcome.status
        assert (status.error, status.shift, status.zero) == (0, shift, zero), message
        assert status.opcode == job.instruction.opcode, message


def every_kind(maker: Any) -> list[Job]:
    """Every option and the smallest and largest sizes, then a random mixture."""
    config = maker.config
    jobs = [maker.matmul(m, t) for m in (1, 2, config.accumulator_depth) for t in (1, 2, 4)]
    jobs += [maker.quantize(pre, n) for pre in Pre for n in (1, config.tensor_depth)]
    jobs += [maker.shift(), maker.update(1), maker.update(), maker.update()]
    jobs += [maker.loss(n) for n in (2, config.columns + 1, config.loss_classes)]
    return jobs + [maker.any() for _ in range(15)]


@pytest.mark.parametrize(("rows", "columns"), SIZES)
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.4, 0.5)])
def test_every_instruction_is_goldens(
    rows: int, columns: int, idle: float, stall: float, job_maker: Any, expected: Any
) -> None:
    config = small(rows, columns)
    jobs = every_kind(job_maker(config, seed=rows * 8 + columns))
    check(jobs, run(config, jobs, idle=idle, stall=stall), expected, config)


def test_zero_and_extreme_tensors(expected: Any) -> None:
    config = small(2, 3)
    jobs = []
    for value in (0, 1, -1, 127, 128, -128, -129, 2**31 - 1, -(2**31), -(2**30)):
        x = np.zeros((2, 3), dtype=np.int64)
        x[1, 2] = value
        jobs.append(Job(Quantize(beats=2), x=x))
    outcomes = run(config, jobs)
    check(jobs, outcomes, expected, config)
    assert [o.status.shift for o in outcomes] == [0, 0, 0, 0, 1, 1, 1, 24, 25, 24]
    assert [o.status.zero for o in outcomes] == [1] + [0] * 9


def test_results_do_not_depend_on_lanes(job_maker: Any) -> None:
    """The same elements on one, two and three lanes give the same bits, stochastic ones too."""
    maker = job_maker(small(1, 1), seed=1)
    x = maker.rng.integers(-(2**20), 2**20, 6)
    y = maker.rng.integers(-(2**15), 2**15, 6)
    seen = []
    for columns in (1, 2, 3):
        beats = 6 // columns
        lanes = (beats, columns)
        instruction = Update(beats=beats, applied=6, decay=13, key=6, index=77)
        (outcome,) = run(
            small(1, columns), [Job(instruction, x=x.reshape(lanes), y=y.reshape(lanes))]
        )
        seen.append(outcome.beats.reshape(-1))
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])


ILLEGAL = [
    (0, Error.OPCODE),
    (6, Error.OPCODE),
    (15, Error.OPCODE),
    (Matmul(rows=0, tiles=1), Error.FIELD),
    (Matmul(rows=10, tiles=1), Error.FIELD),
    (Matmul(rows=1, tiles=0), Error.FIELD),
    (Quantize(beats=0), Error.FIELD),
    (Quantize(beats=8), Error.FIELD),
    (Shift(beats=0, shift=1), Error.FIELD),
    (Update(beats=0, applied=0, key=0), Error.FIELD),
    (Loss(classes=1, label=0, exponent=8), Error.FIELD),
    (Loss(classes=12, label=0, exponent=8), Error.FIELD),
    (Loss(classes=3, label=3, exponent=8), Error.FIELD),
]


def test_what_is_illegal_is_refused_and_the_next_instruction_runs(expected: Any) -> None:
    config = small(2, 2)
    legal = Job(Quantize(beats=1), x=np.array([[1000, -3]]))
    outcomes = run(config, [job for word, _ in ILLEGAL for job in (Job(word), legal)])
    for k, (word, error) in enumerate(ILLEGAL):
        refused, after = outcomes[2 * k], outcomes[2 * k + 1]
        opcode = word if isinstance(word, int) else word.opcode
        assert (refused.status.opcode, refused.status.error) == (opcode, error), word
        assert (refused.status.shift, refused.status.zero, len(refused.beats)) == (0, 0, 0), word
        check([legal], [after], expected, config)


def test_unused_bits_of_the_instruction_are_ignored(job_maker: Any, expected: Any) -> None:
    config = small(2, 2)
    job = job_maker(config, seed=3).shift(2)
    word = job.instruction.pack()
    for name in ("wide", "pre", "applied", "decay"):
        field = INSTRUCTION_FIELDS[name]
        word |= ((1 << field.width) - 1) << field.offset
    plain, noisy = run(config, [job, Job(word, x=job.x)])
    np.testing.assert_array_equal(plain.beats, noisy.beats)
    assert plain.status == noisy.status
    assert plain.status.opcode == Opcode.SHIFT


def test_accumulators_narrower_than_32_bits_wrap_and_sign_extend() -> None:
    config = CoreConfig(rows=1, columns=1, accumulator_bits=16)
    # 2 * 127 * 127 fits 16 bits, three do not.
    jobs = [
        Job(Matmul(rows=1, tiles=t), a=np.full((t, 1), 127), b=np.full((t, 1), -127))
        for t in (2, 3)
    ]
    fits, wraps = run(config, jobs)
    assert fits.beats.tolist() == [[-32258]]
    assert wraps.beats.tolist() == [[65536 - 48387]]
    assert config.largest_reduction == 2
