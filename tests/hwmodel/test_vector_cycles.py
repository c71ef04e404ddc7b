"""Closed forms of the vector unit's cycles against its simulation."""

from typing import Any

import pytest

from hwmodel.vector_cycles import loss, pass_, scalar, set_up, transfer
from rtl.config import CoreConfig
from rtl.vector_instructions import (
    Function,
    LoadScalars,
    Loops,
    Loss,
    Operand,
    Pass,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
)
from rtl.vector_simulation import Job, run


@pytest.mark.parametrize(
    "columns", [1, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
def test_every_word(columns: int) -> None:
    config = CoreConfig(rows=1, columns=columns, scratchpad_pages=2, scratchpad_page_bytes=1024,
                        results_page_depth=128, loss_classes=9)  # fmt: skip
    words: list[tuple[Any, int]] = [
        (Scalar(function=Function.ADD, d=1), scalar()),
        (Scalar(function=Function.ADD, d=1, count=5), scalar(5)),
        (LoadScalars(d=1, address=0), transfer(1)),
        (LoadScalars(d=1, address=0, size=4, count=3), transfer(4, 3)),
        (StoreScalars(d=1, address=0), transfer(1, store=True)),
        (StoreScalars(d=1, address=0, size=4, count=3), transfer(4, 3, store=True)),
        (Stride(stream=Stream.X), set_up()),
    ]
    for classes in (2, 3, 9):
        words.append((Loss(classes=classes, label=0, exponent=0), loss(classes, columns)))
    for positions, rows, channels in ((1, 1, 1), (5, 2, 7), (8, 1, 2)):
        words.append((Loops(positions=positions, rows=rows, channels=channels), set_up()))
        for masks in (0, 1):
            for operand in (Operand.NONE, Operand.RESULTS, Operand.X_Y):
                word = Pass(operand=operand, mask_in=masks)
                cycles = pass_(positions * rows, channels, columns, masks=bool(masks))
                words.append((word, cycles))
        word = Pass(operand=Operand.X, mask_out=1)
        words.append((word, pass_(positions * rows, channels, columns, masks=True)))
    words.append((Stride(stream=Stream.X), set_up()))
    (got,) = run(config, [Job(words=[word for word, _ in words])])
    assert got.fault == 0
    taken = [b - a for a, b in zip(got.taken, got.taken[1:], strict=False)]
    assert taken == [cycles for _, cycles in words[:-1]]
