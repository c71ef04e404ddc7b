"""The matrix unit's closed form against its RTL in Amaranth's simulator: equal, not close."""

from dataclasses import replace

import numpy as np
import pytest

from hwmodel.product_cycles import period, product_times, words_cycles
from rtl.config import CoreConfig
from rtl.matrix_instructions import ALoops, MatrixWord, Multiply, Window
from rtl.product_simulation import run
from rtl.product_words import Geometry, backward_data, backward_weight, forward


def some_words(rng: np.random.Generator, config: CoreConfig) -> list[MatrixWord]:
    """Products one after another, each with a semaphore of its own."""
    words: list[MatrixWord] = []
    for kind in (forward, backward_data, backward_weight):
        kernel = int(rng.integers(1, 4))
        geometry = Geometry(
            channels=int(rng.integers(1, 6)), height=int(rng.integers(3, 5)),
            width=int(rng.integers(3, 5)), out_channels=int(rng.integers(1, 6)),
            kernel=(kernel, kernel), stride=(int(rng.integers(1, 3)),) * 2,
            padding=(kernel // 2,) * 4,
        )  # fmt: skip
        words += kind(geometry, config, a=32, b=1024, z=0)
    count = 0
    for k, word in enumerate(words):
        if isinstance(word, Multiply):
            words[k] = replace(word, signal=1 << count % 8)
            count += 1
    return words


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (6, 1), (3, 2), (2, 5)])
def test_cycles_are_those_of_the_rtl(rows: int, columns: int) -> None:
    rng = np.random.default_rng([rows, columns])
    config = CoreConfig(
        rows=rows, columns=columns, scratchpad_page_bytes=1024, results_page_depth=512
    )
    words = some_words(rng, config)
    outcome = run(config, b"", words)
    assert outcome.fault == 0
    times = product_times(words, config)
    products = [k for k, word in enumerate(words) if isinstance(word, Multiply)]
    assert len(products) == len(times)
    taken, signals = [0], []
    for k, word in enumerate(words):
        time = times[products.index(k)] if isinstance(word, Multiply) else None
        if time:
            signals.append((taken[-1] + time.signalled, words[k].signal))
        taken.append(taken[-1] + (time.next_taken if time else 1))
    assert outcome.taken == taken[:-1]
    assert outcome.signals == signals
    assert outcome.beats == sum(time.vectors for time in times)
    assert taken[-1] == words_cycles(words, config)


def test_few_vectors_are_bound_by_the_array() -> None:
    config = CoreConfig(rows=4, columns=2)
    assert period(np.array([1, 6, 7, 8]), config).tolist() == [7, 7, 7, 8]


def test_one_multiplication_uses_all_that_was_set_up() -> None:
    config = CoreConfig(rows=4, columns=4)
    words = forward(Geometry(channels=4, height=1, width=9, out_channels=4), config, a=0, b=0, z=0)
    assert [type(word) for word in words if isinstance(word, ALoops | Window)] == [ALoops, Window]
    (time,) = product_times(words, config)
    assert (time.next_taken, time.signalled, time.vectors) == (11, 9 + 4 + 4 + 8, 9)
    assert words_cycles([*words, words[-1]], config) == 6 + 11 + 11
