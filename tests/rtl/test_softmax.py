"""Exponentials and probabilities, against golden's tables and exact logarithms."""

import math
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden.loss import LOGIT_EXPONENT, softmax_error
from rtl.softmax import TOTAL_DROPPED, SoftmaxStages

CLASSES = 8


def run(words: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """(word, top, total) for five cycles each: exponential and probability after them."""
    dut = SoftmaxStages(classes=CLASSES)
    results = []

    async def bench(ctx: Any) -> None:
        for word, top, total in words:
            ctx.set(dut.word, word & 0xFFFF)
            ctx.set(dut.top, top)
            ctx.set(dut.total, total >> TOTAL_DROPPED)
            await ctx.tick().repeat(5)
            results.append((ctx.get(dut.exponential), ctx.get(dut.probability)))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def test_exponentials_fall_by_the_logits_difference() -> None:
    drops = [*range(0, 3000, 7), 4096, 32767, 65535]
    got = run([(32767 - drop, 32767, 1 << 15) for drop in drops])
    for drop, (exponential, _) in zip(drops, got, strict=True):
        exact = 2**15 * math.exp(-drop / 2**LOGIT_EXPONENT)
        # One step of the table's 1/32, and the fraction that the shift drops.
        assert abs(exponential - exact) <= 0.03 * exact + 1


@pytest.mark.parametrize("seed", range(4))
def test_they_make_golden_s_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.integers(-32767, 32768, CLASSES) >> rng.integers(0, 8)
    top = int(z.max())
    exponentials = [e for e, _ in run([(int(word), top, 1 << 15) for word in z])]
    probabilities = [p for _, p in run([(e, top, sum(exponentials)) for e in exponentials])]
    error = softmax_error(z[None].astype(np.int32), LOGIT_EXPONENT, np.array([0]))[0]
    assert probabilities[1:] == error[1:].tolist()
