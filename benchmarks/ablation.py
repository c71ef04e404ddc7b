"""What each choice of EOQ's step is worth. The test part is never read.

    python benchmarks/ablation.py [VARIANT...]                  train what docs/ablation.csv lacks
    python benchmarks/ablation.py --data fashion-mnist:20000 --epochs 5 --runs 3
    python benchmarks/ablation.py --print                       only print the tables
    python benchmarks/ablation.py --list                        the variants, and what each costs

On the digits, training and validation part together are cut into five; every run trains on four of
them and is measured on the fifth, with a seed of its own. On Fashion-MNIST (or its first so many
images) a run is a seed, measured on the validation part. Every variant has the same runs, so their
differences are better known than each of them. A finished run is written at once, to a temporary
name that is then renamed: what is killed continues.
"""

import argparse
import statistics
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from row_table import read, write

from golden import data, networks, trainer
from golden.errors import InputError

TABLE = Path(__file__).parent.parent / "docs" / "ablation.csv"

REFERENCES = ("fp32-fixup", "fp32-bn")
"""Trained beside the variants: schemes of `golden.learners` by name."""

FOLDS = 5


@dataclass(frozen=True)
class Row:
    """One run. `images` is what it trains on; `accuracy` that of held-out images, a share of 1."""

    data: str
    images: int
    network: str
    batch: int
    epochs: int
    variant: str
    run: int
    accuracy: float = float("nan")
    parameters_sha256: str = ""

    @property
    def key(self) -> tuple:
        """What names the run, without its outcome."""
        return (
            self.data, self.images, self.network, self.batch, self.epochs, self.variant, self.run
        )  # fmt: skip


def _folds(digits: data.Dataset) -> Iterator[data.Dataset]:
    """Train on four fifths of what is not for the test, hold out the fifth; without end."""
    known = data.Images(
        np.concatenate([digits.train.pixels, digits.validation.pixels]),
        np.concatenate([digits.train.labels, digits.validation.labels]),
    )
    for turn in range(1000):
        cut = np.array_split(np.random.default_rng(turn // FOLDS).permutation(len(known)), FOLDS)
        held = known[cut[turn % FOLDS]]
        train = known[np.concatenate([p for i, p in enumerate(cut) if i != turn % FOLDS])]
        yield data.make_dataset("digits", train, held, held)


def dataset(name: str, run: int) -> data.Dataset:
    """Return what a run trains on; its "test part" is the held-out one.

    `name` is "digits", or "fashion-mnist" with ":IMAGES" behind it for its first images.
    """
    kind, _, images = name.partition(":")
    if kind == "digits":
        return next(islice(_folds(data.load(kind)), run, None))
    whole = data.load(kind)
    train = whole.train[slice(int(images))] if images else whole.train
    return data.make_dataset(kind, train, whole.validation, whole.validation)


def train(row: Row) -> Row:
    """Train one row."""
    from variants import VARIANTS

    it = dataset(row.data, row.run)
    network = networks.load(row.network, input_shape=it.shape, classes=it.classes)
    scheme = row.variant if row.variant in REFERENCES else "eoq"
    variant = VARIANTS["eoq" if row.variant in REFERENCES else row.variant]
    with variant.make():
        outcome = trainer.train(
            network, it, scheme=scheme, epochs=row.epochs, batch=row.batch, seed=row.run
        )
    return replace(
        row, accuracy=outcome.curve[-1], parameters_sha256=outcome.parameters_sha256
    )  # fmt: skip


def markdown(rows: Iterable[Row]) -> str:
    """One table a setting: mean and standard error, the difference to the recipe, the cost."""
    from variants import VARIANTS

    settings: dict[tuple, dict[str, dict[int, float]]] = {}
    for row in rows:
        setting = settings.setdefault(row.key[:5], {})
        setting.setdefault(row.variant, {})[row.run] = 100 * row.accuracy
    lines = []
    for (name, images, network, batch, epochs), found in sorted(settings.items()):
        lines += [
            f"### {name}: {network}, {images:,} images, batch {batch}, {epochs} epochs", "",
            "| variant | runs | accuracy, % | against the recipe, same runs | cost |",
            "|---|---|---|---|---|",
        ]  # fmt: skip
        for variant in [*VARIANTS, *REFERENCES]:
            if variant not in found:
                continue
            values, recipe = found[variant], found.get("eoq", {})
            paired = [values[run] - recipe[run] for run in values if run in recipe]
            difference = "" if variant == "eoq" else _mean(paired, sign=True)
            cost = VARIANTS[variant].cost if variant in VARIANTS else "floating point"
            lines.append(
                f"| {variant} | {len(values)} | {_mean([*values.values()])} | {difference} "
                f"| {cost} |"
            )
        lines.append("")
    return "\n".join(lines)


def _mean(values: list[float], sign: bool = False) -> str:
    if not values:
        return ""
    text = f"{statistics.mean(values):{'+' if sign else ''}.2f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values) / len(values) ** 0.5:.2f}"
    return text


def main() -> None:
    """Train what is missing, then print."""
    from variants import VARIANTS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT")
    parser.add_argument("--data", default="digits", help="digits, fashion-mnist[:IMAGES]")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--network", default="resnet8")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--list", action="store_true", dest="only_list")
    options = parser.parse_args()
    if options.only_list:
        for name, variant in VARIANTS.items():
            print(f"{name:<28}{variant.kind:<14}{variant.cost}")
        return
    if not options.only_print:
        known = [*VARIANTS, *REFERENCES]
        wanted = options.variants or known
        for name in wanted:
            if name not in known:
                sys.exit(f"variant must be one of {', '.join(known)}, not {name!r}")
        images = len(dataset(options.data, 0).train)
        plan = [
            Row(options.data, images, options.network, options.batch, options.epochs, name, run)
            for run in range(options.runs)
            for name in wanted
        ]
        missing = [row for row in plan if row.key not in read(TABLE, Row)]
        print(f"{len(missing)} of {len(plan)} runs to train", flush=True)
        with ProcessPoolExecutor(options.workers, max_tasks_per_child=1) as pool:
            for future in as_completed([pool.submit(train, row) for row in missing]):
                row = future.result()
                # Read again: another process may have added rows in the meantime.
                write(TABLE, Row, (read(TABLE, Row) | {row.key: row}).values())
                print(f"{row.variant} run {row.run}: {100 * row.accuracy:.2f} %", flush=True)
    print(markdown(read(TABLE, Row).values()))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
