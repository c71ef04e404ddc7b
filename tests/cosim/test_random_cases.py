"""Random networks on random cores: every bit and every cycle of whole training steps.

A sample; `test_full_list` has them all.
"""

import pytest

from cosim.core_build import build_core
from cosim.random_cases import CORES, RandomCase, random_case
from cosim.runner import cosimulate
from golden.network import Convolution
from golden.schemes import EOQ

CASES = 200
SAMPLE_CORE = 2
SAMPLE = range(SAMPLE_CORE, CASES, CASES // 5)


def check(case: RandomCase) -> None:
    result = cosimulate(**case.arguments())
    assert result.passed, result.mismatch
    assert all(step.times.cycles == result.times.cycles > 0 for step in result.steps)
    frame = result.instructions
    assert (frame.cycles_rtl == frame.cycles_model).all()


@pytest.mark.parametrize("number", SAMPLE)
def test_a_sample_on_one_core(number: int) -> None:
    check(random_case(number))


@pytest.mark.slow
def test_cases_reach_every_kind_of_layer_and_core() -> None:
    cases = [random_case(number) for number in range(CASES)]
    assert len({case.config for case in cases}) == len(CORES)
    arrays = [(core.rows, core.columns) for core in CORES]
    assert (1, 1) in arrays
    assert (16, 16) in arrays
    assert sum(rows != columns for rows, columns in arrays) >= 5
    assert {case.batch for case in cases} == {1, 2, 4}
    assert {case.latency for case in cases} >= {0, 1, 57}
    convolutions = [
        layer for case in cases for layer in case.network
        if isinstance(layer.operator, Convolution)
    ]  # fmt: skip
    kinds = {(c.operator.kernel[0], c.operator.stride[0]) for c in convolutions}
    assert kinds == {(1, 1), (1, 2), (3, 1), (3, 2)}
    assert {c.operator.padding[0] for c in convolutions} == {0, 1}
    names = {layer.name for case in cases for layer in EOQ.rewrite(case.network)}
    for name in ("block0.subsample", "block1.widen", "block0.conv2.multiplier", "pool",
                 "hidden0.norm.bias"):  # fmt: skip
        assert name in names


def test_a_number_names_a_case() -> None:
    first, again = random_case(17), random_case(17)
    assert list(first.network) == list(again.network)
    assert (first.batch, first.latency, first.config) == (again.batch, again.latency, again.config)
    assert list(first.network) != list(random_case(27).network)
    assert first.arguments()["again"] == "eoq cosim --random 17"


def test_a_core_is_built_once_for_all_its_cases() -> None:
    config = CORES[SAMPLE_CORE]
    lines = (1 << 20) // config.line_bytes
    check(random_case(SAMPLE_CORE))
    assert build_core(config, "verilator", lines=lines).cached
