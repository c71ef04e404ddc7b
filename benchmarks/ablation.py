"""What each choice of EOQ's step is worth, on the digits. The test part is not touched.

    python benchmarks/ablation.py [--runs 5] [--epochs 8] [--network resnet8] [VARIANT...]

Training and validation part together are cut into five; every run trains on four of them and is
measured on the fifth, with a seed of its own. The standard error is over the runs; all variants
have the same runs, so their difference is better known than each of them.
"""

import argparse
import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterator
from types import ModuleType
from unittest.mock import patch

import numpy as np

import golden.gradients
import golden.initialization
import golden.optimizer
import golden.trainer
import golden.training
from golden import data, networks
from golden.acceleration import specification
from golden.formats import Integers, rounding_shift
from golden.learners import LEARNERS
from golden.values import Value, quantize_samples

FOLDS = 5


def folds() -> Iterator[data.Dataset]:
    """Data sets that train on four fifths and "test" on the validation part, without end."""
    digits = data.load("digits")
    known = data.Images(
        np.concatenate([digits.train.pixels, digits.validation.pixels]),
        np.concatenate([digits.train.labels, digits.validation.labels]),
    )
    for turn in range(1000):
        cut = np.array_split(np.random.default_rng(turn // FOLDS).permutation(len(known)), FOLDS)
        held = known[cut[turn % FOLDS]]
        train = known[np.concatenate([p for i, p in enumerate(cut) if i != turn % FOLDS])]
        yield data.make_dataset("digits", train, held, held)


def nearest(key: int, index: Integers) -> Integers:
    """Stand in for random draws: the constant of rounding half up."""
    return np.full(np.shape(index), 0x8000, dtype=np.int32)


@contextlib.contextmanager
def no_draws(module: ModuleType) -> Iterator[None]:
    """Round to nearest where `module` draws; in NumPy, because compiled loops draw themselves."""
    with patch.object(module, "draw", nearest), specification():
        yield


def batch_exponents(value: Value, zero_exponent: int) -> Value:
    """`quantize_samples` with one exponent for the whole batch."""
    # The finest exponent of all samples first, then one shift.
    common = int(value.exponent.min())
    shift = (value.exponent - common).reshape(-1, *(1 for _ in value.integers.shape[1:]))
    whole = Value(rounding_shift(value.integers, shift)[None], np.array([common]))
    coded = quantize_samples(whole, zero_exponent)
    exponent = np.repeat(coded.exponent, len(value))
    return Value(coded.integers[0], exponent, is_codes=True)


def shifted(by: int) -> contextlib.AbstractContextManager:
    """Change the learning rate's shift."""
    original = golden.training.learning_rate_shift
    return patch.object(golden.trainer, "learning_rate_shift", lambda batch: original(batch) + by)


@contextlib.contextmanager
def momentum(shift: int) -> Iterator[None]:
    """Let the momentum decay by 1 - 2**-shift, at the same rate in the long run."""
    more = shift - golden.optimizer.MOMENTUM_SHIFT
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(golden.optimizer, "MOMENTUM_SHIFT", shift))
        for name in ("WEIGHT", "SCALAR"):
            rule = getattr(golden.initialization, name)
            slower = dataclasses.replace(rule, update_shift=rule.update_shift + more)
            stack.enter_context(patch.object(golden.initialization, name, slower))
        yield


VARIANTS: dict[str, Callable[[], contextlib.AbstractContextManager]] = {
    "eoq": contextlib.nullcontext,
    "update-nearest": lambda: no_draws(golden.optimizer),
    "alignment-nearest": lambda: no_draws(golden.gradients),
    "exponent-per-batch": lambda: patch.object(
        golden.training, "quantize_samples", batch_exponents
    ),
    "momentum-15/16": lambda: momentum(4),
    "momentum-3/4": lambda: momentum(2),
    "rate-doubled": lambda: shifted(-1),
    "rate-halved": lambda: shifted(1),
}


def main() -> None:
    """Train every variant and print a line for each."""
    others = [name for name in LEARNERS if name != "eoq"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"{[*VARIANTS, *others]}")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--network", default="resnet8")
    options = parser.parse_args()
    print(f"{options.network}, digits, {options.epochs} epochs, batch {options.batch}, "
          f"{options.runs} runs: accuracy on the held fifth, %")  # fmt: skip
    for name in options.variants or [*VARIANTS, *others]:
        found = []
        with VARIANTS.get(name, contextlib.nullcontext)():
            for seed, dataset in zip(range(options.runs), folds(), strict=False):
                network = networks.load(
                    options.network, input_shape=dataset.shape, classes=dataset.classes
                )
                outcome = golden.trainer.train(
                    network, dataset, scheme=name if name in others else "eoq",
                    epochs=options.epochs, batch=options.batch, seed=seed,
                )  # fmt: skip
                found.append(100 * outcome.curve[-1])
        error = statistics.stdev(found) / len(found) ** 0.5 if len(found) > 1 else 0.0
        runs = " ".join(f"{value:.1f}" for value in found)
        print(f"{name:<20} {statistics.mean(found):6.2f} +- {error:.2f}   {runs}", flush=True)


if __name__ == "__main__":
    main()
