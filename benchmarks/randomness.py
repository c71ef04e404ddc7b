"""The positional random bits beside NumPy's PCG64: what they look like, and how they train.

    python benchmarks/randomness.py
    python benchmarks/randomness.py --training [--runs 5] [--epochs 8] [--network resnet8]

Without an option: z scores of the mean, of the correlation along lags, and of that between tensors
and between steps, for the shipped number of rounds, for one round fewer and for PCG64. Independent
bits give a root mean square of 1.

With --training: validation accuracy on the digits, each seed once with every kind of draw. The test
part is not looked at.
"""

import argparse
import contextlib
import statistics
from collections.abc import Callable, Iterator
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import golden.dropout
import golden.gradients
import golden.optimizer
from golden import data, networks, randomness
from golden.acceleration import specification
from golden.trainer import train

COUNT = 1 << 16
KEYS = 60
LAGS = (1, 2, 3, 4, 7, 8, 16, 32, 64, 100, 128, 256, 512, 1000, 1024)
PREFIX = 1000
GRID = 8

Draw = Callable[[int, NDArray[np.integer]], NDArray[np.int32]]


def pcg64(key: int, index: NDArray[np.integer]) -> NDArray[np.int32]:
    """16 bits an index, from a stream of the key's own."""
    stream = np.random.Generator(np.random.PCG64(key))
    return stream.integers(0, 1 << 16, int(index.max(initial=0)) + 1, dtype=np.int32)[index]


def tensor_keys() -> list[int]:
    """Keys of many steps and tensors."""
    first = randomness.first_state
    return [randomness.tensor_key(first(number), number % 11) for number in range(KEYS)]


def centred(draw: Draw, key: int, count: int = COUNT) -> NDArray[np.float64]:
    """Draws of one tensor about their expectation, in units of their deviation."""
    deviation = np.sqrt(((1 << 32) - 1) / 12)
    return (draw(key, np.arange(count)) - ((1 << 16) - 1) / 2) / deviation


def lag_scores(draw: Draw) -> NDArray[np.float64]:
    """Z score of the correlation, shape (keys, lags)."""
    rows = []
    for key in tensor_keys():
        x = centred(draw, key)
        rows.append([(x[:-n] * x[n:]).mean() * np.sqrt(COUNT - n) for n in LAGS])
    return np.array(rows)


def mean_scores(draw: Draw) -> NDArray[np.float64]:
    """Z score of the mean of each tensor's first draws, (keys,).

    Of 65,536 draws in a row every value comes once, so that their mean says nothing.
    """
    means = [centred(draw, key, PREFIX).mean() for key in tensor_keys()]
    return np.array(means) * np.sqrt(PREFIX)


def pair_scores(draw: Draw) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Z scores of the correlation between tensors of one step, and between steps of one tensor."""
    states = [randomness.first_state(9)]
    while len(states) < GRID:
        states.append(randomness.next_state(states[-1]))
    keys = [[randomness.tensor_key(state, tensor) for tensor in range(GRID)] for state in states]
    x = np.array([[centred(draw, key) for key in row] for row in keys])
    pairs = np.triu_indices(GRID, 1)
    tensors = np.concatenate([(row @ row.T)[pairs] for row in x])
    steps = np.concatenate([(row @ row.T)[pairs] for row in x.transpose(1, 0, 2)])
    return tensors / np.sqrt(COUNT), steps / np.sqrt(COUNT)


def root_mean_square(z: NDArray[np.float64]) -> float:
    """1 for independent draws."""
    return float(np.sqrt((z**2).mean()))


def show_statistics() -> None:
    """Print the two tables."""
    full = randomness.ROUND_KEY_BITS
    print("lag                " + "".join(f"{lag:>6}" for lag in LAGS) + "   max")
    others = []
    for name, rounds, draw in (
        ("as shipped (5)", full, randomness.draw),
        ("one round fewer (4)", full[:-1], randomness.draw),
        ("PCG64", full, pcg64),
    ):
        with patch.object(randomness, "ROUND_KEY_BITS", rounds):
            z = lag_scores(draw)
            others.append((name, mean_scores(draw), *pair_scores(draw)))
        cells = "".join(f"{root_mean_square(column):>6.1f}" for column in z.T)
        print(f"{name:<19}{cells}{np.abs(z).max():>6.1f}")
    print("\nrms and max of z     mean        tensors     steps")
    for name, *scores in others:
        cells = "".join(f"{root_mean_square(z):>6.2f}{np.abs(z).max():>5.1f} " for z in scores)
        print(f"{name:<19}{cells}")


@contextlib.contextmanager
def drawing(draw: Draw) -> Iterator[None]:
    """Let training draw its bits elsewhere; compiled loops would draw their own."""
    with specification(), contextlib.ExitStack() as stack:
        for module in (golden.gradients, golden.optimizer, golden.dropout):
            stack.enter_context(patch.object(module, "draw", draw))
        yield


def show_training(network: str, runs: int, epochs: int, batch: int) -> None:
    """Print an accuracy a kind and seed, and the difference of each seed's two."""
    digits = data.load("digits")
    print(
        f"{network}, digits, {epochs} epochs, batch {batch}, {runs} seeds: validation accuracy, %"
    )
    found: dict[str, list[float]] = {}
    for name, draw in (("positional", randomness.draw), ("PCG64", pcg64)):
        with drawing(draw):
            found[name] = [
                100
                * train(
                    networks.load(network, input_shape=digits.shape, classes=digits.classes),
                    digits, epochs=epochs, batch=batch, seed=seed,
                ).curve[-1]
                for seed in range(runs)
            ]  # fmt: skip
        report(name, found[name])
    report("difference", [a - b for a, b in zip(*found.values(), strict=True)])


def report(name: str, values: list[float]) -> None:
    """Print mean and standard error."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    each = " ".join(f"{value:.1f}" for value in values)
    print(f"{name:<12} {statistics.mean(values):6.2f} +- {error:.2f}   {each}", flush=True)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--network", default="resnet8")
    options = parser.parse_args()
    if options.training:
        show_training(options.network, options.runs, options.epochs, options.batch)
    else:
        show_statistics()


if __name__ == "__main__":
    main()
