"""Scalars, transfers, the loss and faults of the vector unit."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from golden.loss import softmax_error
from golden.randomness import tensor_key
from rtl.config import CoreConfig
from rtl.instructions import Fault, Unit
from rtl.vector_instructions import (
    VECTOR_WORDS,
    Addend,
    Bases,
    Function,
    LoadScalars,
    Loops,
    Loss,
    Operand,
    Output,
    Pass,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
)
from rtl.vector_simulation import Job, run

CONFIG = CoreConfig(rows=2, columns=3, scratchpad_pages=2, scratchpad_page_bytes=1024,
                    results_page_depth=128, loss_classes=12)  # fmt: skip


@pytest.mark.slow
def test_transfers_of_every_size_and_layout() -> None:
    memory = np.random.default_rng(0).integers(0, 256, 256).astype(np.uint8)
    words: list[Any] = []
    want = memory.copy()
    for size in (1, 2, 3, 4):
        # Bytes in planes of 8, three scalars; out again as consecutive bytes.
        words += [
            LoadScalars(d=10, count=3, address=64, size=size, plane=8, unsigned=size & 1),
            StoreScalars(d=10, count=3, address=128 + 32 * size - 32, size=4, step=4),
        ]
        for k in range(3):
            raw = bytes(memory[64 + k + 8 * byte] for byte in range(size))
            value = int.from_bytes(raw, "little", signed=not size & 1)
            at = 128 + 32 * size - 32 + 4 * k
            want[at : at + 4] = list((value & 0xFFFFFFFF).to_bytes(4, "little"))
    for stall in (0.0, 0.5):
        (got,) = run(CONFIG, [Job(words=words, memory=memory, stall=stall)])
        np.testing.assert_array_equal(got.memory[:256], want)


def test_scalar_number_0_is_0_and_repetitions_walk() -> None:
    words = [
        Scalar(function=Function.ADD, d=0, immediate=1, value=7),
        Scalar(function=Function.ADD, d=1, a=0, immediate=1, value=-5),
        Scalar(function=Function.ADD, d=2, a=1, b=1, count=3, next_a=1),
        StoreScalars(d=0, count=5, address=0, size=4, step=4, signal=2),
    ]
    (got,) = run(CONFIG, [Job(words=words)])
    assert got.memory[:20].view("<i4").tolist() == [0, -5, -10, -15, -20]
    assert [mask for _, mask in got.signals] == [2]


def test_a_key_is_an_exclusive_or_and_a_shift_register() -> None:
    state, tensor = 0x9ABCDEF1, 77
    product = (tensor * 0x01000801) & 0xFFFFFFFF
    words = [
        LoadScalars(d=1, address=0, size=4, unsigned=1),
        Scalar(function=Function.XOR, d=2, a=1, immediate=1, value=product - (product >> 31 << 32)),
        Scalar(function=Function.XORSHIFT, d=3, a=2),
        StoreScalars(d=3, address=8, size=4),
    ]
    memory = np.array([state], dtype="<u4").view(np.uint8)
    (got,) = run(CONFIG, [Job(words=words, memory=memory)])
    assert int(got.memory[8:12].view("<u4")[0]) == tensor_key(state, tensor)


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param(2, marks=pytest.mark.slow),
        pytest.param(3, marks=pytest.mark.slow),
        10,
        pytest.param(12, marks=pytest.mark.slow),
    ],
)
def test_the_loss(classes: int, corners: Any) -> None:
    rng = np.random.default_rng(classes)
    jobs, wants = [], []
    for exponent, stall in ((8, 0.0), (15, 0.5), (-120, 0.0), (40, 0.0)):
        logits = corners(rng, (1, classes), 32) >> int(rng.choice([0, 8, 16]))
        label = int(rng.integers(0, classes))
        error = softmax_error(logits, exponent, np.array([label]))
        results = np.zeros((64, 3), dtype=np.int64)
        count = -(-classes // 3)
        spread = np.zeros(count * 3, dtype=np.int64)
        spread[:classes] = logits[0]
        # Words of other samples lie between those of this one.
        results[5 : 5 + 2 * count : 2] = spread.reshape(-1, 3)
        want = results.copy()
        spread[:classes] = error[0]
        want[40 : 40 + count] = spread.reshape(-1, 3)
        wants.append(want)
        words = [
            Stride(stream=Stream.RESULTS_IN, base=5, block=2),
            Stride(stream=Stream.RESULTS_OUT, base=40, block=1),
            Scalar(function=Function.ADD, d=1, immediate=1, value=label),
            Scalar(function=Function.ADD, d=2, immediate=1, value=exponent),
            Loss(classes=classes, label=1, exponent=2, signal=4),
        ]
        jobs.append(Job(words=words, results=results, stall=stall))
    for got, want in zip(run(CONFIG, jobs), wants, strict=True):
        assert got.signals[-1][1] == 4
        np.testing.assert_array_equal(got.results[:64], want)


def scalar(d: int, value: int) -> Scalar:
    return Scalar(function=Function.ADD, d=d, immediate=1, value=value)


@pytest.mark.slow
def test_a_pass_that_is_aborted_leaves_nothing_behind(corners: Any) -> None:
    rng = np.random.default_rng(4)
    loops = Loops(positions=40, channels=3)
    z = corners(rng, (80, 3), 20)
    geometry = [
        loops,
        Stride.regular(Stream.RESULTS_IN, 0, loops, position=1),
        Stride.regular(Stream.RESULTS_OUT, 100, loops, position=1),
    ]
    long = Pass(operand=Operand.RESULTS, output=Output.RESULTS, signal=1)
    short = [Loops(positions=2, channels=3), Bases(results_in=60, results_out=200),
             Pass(operand=Operand.RESULTS, output=Output.RESULTS, signal=2)]  # fmt: skip
    for abort_at in (5, 11, 25, 40):
        (got,) = run(CONFIG, [Job(words=[*geometry, long, *short], results=z, abort_at=abort_at)])
        assert [mask for _, mask in got.signals] == [2]
        assert got.fault == 0
        np.testing.assert_array_equal(got.results[200:202], z[60:62])
        # What had been stored is right, and nothing but that.
        stored = got.results[100:140]
        right = (stored == z[:40]).all(axis=1)
        assert (right | ~stored.any(axis=1)).all()


def bad_words() -> list[tuple[Sequence[Any], Fault]]:
    loops = Loops(positions=4, channels=3)
    word = functools.partial(Pass, operand=Operand.X)
    raw = loops.pack()
    return [
        ([raw & ~0xF8], Fault.OP),
        ([raw | 0xF8], Fault.OP),
        ([raw ^ Unit.VECTOR ^ Unit.MATRIX], Fault.OP),
        ([Loops(positions=0, channels=3)], Fault.FIELD),
        ([Loops(positions=1, rows=0, channels=3)], Fault.FIELD),
        ([Loops(positions=1, channels=0)], Fault.FIELD),
        ([Loops(positions=1, channels=1, signal=1)], Fault.FIELD),
        ([word()], Fault.FIELD),
        ([loops, word(operand=5)], Fault.FIELD),
        ([loops, word(rectify=3)], Fault.FIELD),
        ([loops, word(output=3)], Fault.FIELD),
        ([loops, word(total=3)], Fault.FIELD),
        ([loops, word(mask_in=1, mask_out=1)], Fault.FIELD),
        ([loops, word(addend=Addend.Y_X)], Fault.FIELD),
        ([Stride(stream=7)], Fault.FIELD),
        ([Stride(stream=Stream.X, base=2048)], Fault.FIELD),
        ([Stride(stream=Stream.RESULTS_IN, base=256)], Fault.FIELD),
        ([Bases(output=2048)], Fault.FIELD),
        ([Scalar(function=14, d=1)], Fault.FIELD),
        ([Scalar(function=0, d=1, count=0)], Fault.FIELD),
        ([LoadScalars(d=1, address=0, size=0)], Fault.FIELD),
        ([LoadScalars(d=1, address=0, size=5)], Fault.FIELD),
        ([StoreScalars(d=1, address=0, count=0)], Fault.FIELD),
        ([Loss(classes=1, label=0, exponent=0)], Fault.FIELD),
        ([Loss(classes=13, label=0, exponent=0)], Fault.FIELD),
        ([LoadScalars(d=1, address=2048)], Fault.ADDRESS),
        ([StoreScalars(d=1, address=2047, size=2)], Fault.ADDRESS),
        ([Stride(stream=Stream.RESULTS_IN, base=255, block=1),
          Loss(classes=4, label=0, exponent=0)], Fault.ADDRESS),
        ([loops, Stride(stream=Stream.X, base=2045, position=3), word()], Fault.ADDRESS),
        ([loops, Stride(stream=Stream.X, base=3, position=-3), word()], Fault.ADDRESS),
        ([loops, Stride(stream=Stream.X), Stride(stream=Stream.OUTPUT, base=2045, position=3),
          word(output=Output.BYTES)], Fault.ADDRESS),
        ([loops, Stride(stream=Stream.X), Stride(stream=Stream.RESULTS_OUT, base=254, position=1),
          word(output=Output.RESULTS)], Fault.ADDRESS),
    ]  # fmt: skip


@pytest.mark.slow
def test_bad_words_fault_and_the_unit_goes_on_after_an_abort() -> None:
    bad = bad_words()
    good = [scalar(1, 9), StoreScalars(d=1, address=0)]
    jobs: list[Job] = []
    for words, _ in bad:
        jobs += [Job(words=[*words, *good]), Job(words=good)]
    outcomes = run(CONFIG, jobs)
    for k, (words, fault) in enumerate(bad):
        failed, fine = outcomes[2 * k], outcomes[2 * k + 1]
        assert failed.fault == fault, words
        assert not failed.signals
        assert (fine.fault, int(fine.memory[0])) == (0, 9), words


def test_words_survive_packing() -> None:
    assert len({kind.op for kind in VECTOR_WORDS}) == len(VECTOR_WORDS)
    loops = Loops(positions=5, rows=4, channels=30)
    word = Stride.regular(Stream.OUTPUT, 100, loops, position=30, row=200, block=16)
    assert Stride.unpack(word.pack()) == word
    assert (word.row, word.block) == (200 - 4 * 30, 16 - 3 * 200 - 4 * 30)
