"""Lagged correlation of the positional random bits, beside NumPy's PCG64.

Prints the root mean square and the largest z score over keys, per lag, for the shipped number of
rounds, for one round fewer, and for a random permutation: python benchmarks/randomness.py
"""

from collections.abc import Callable

import numpy as np

from golden import randomness

COUNT = 1 << 16
KEYS = 60
LAGS = (1, 2, 3, 4, 7, 8, 16, 32, 64, 100, 128, 256, 512, 1000, 1024)


def scores(sequence: Callable[[int], np.ndarray]) -> np.ndarray:
    """Z score of the correlation, shape (keys, lags)."""
    rows = []
    for key in range(KEYS):
        centred = sequence(key) - (COUNT - 1) / 2
        variance = (centred**2).mean()
        rows.append(
            [(centred[:-n] * centred[n:]).mean() / variance * np.sqrt(COUNT - n) for n in LAGS]
        )
    return np.array(rows)


def positional(key: int) -> np.ndarray:
    """Draws of one tensor."""
    tensor_key = randomness.tensor_key(randomness.first_state(key), key % 11)
    return randomness.draw(tensor_key, np.arange(COUNT)).astype(float)


def main() -> None:
    """Print the table."""
    print("lag                " + "".join(f"{lag:>6}" for lag in LAGS) + "   max")
    full = randomness.ROUND_KEY_BITS
    for name, rounds in (("as shipped", full), ("one round fewer", full[:-1])):
        randomness.ROUND_KEY_BITS = rounds
        report(f"{name} ({len(rounds)})", scores(positional))
    randomness.ROUND_KEY_BITS = full
    report("PCG64 permutation", scores(lambda k: np.random.default_rng(k).permutation(COUNT)))


def report(name: str, z: np.ndarray) -> None:
    """Print one row."""
    rms = "".join(f"{value:>6.1f}" for value in np.sqrt((z**2).mean(axis=0)))
    print(f"{name:<19}{rms}{np.abs(z).max():>6.1f}")


if __name__ == "__main__":
    main()
