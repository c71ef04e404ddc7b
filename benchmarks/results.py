"""The results table: scheme x network x batch on two data sets, several seeds a cell.

    python benchmarks/results.py                     train what docs/results.csv lacks, then print
    python benchmarks/results.py --print             only print the table, as docs/results.md has it
    python benchmarks/results.py --again --data digits --network resnet8 --scheme eoq --batch 64
                                                     train these rows anew and compare

`--data`, `--network`, `--scheme`, `--batch` and `--seed` may be repeated and choose rows. Every
finished row is written at once (to a temporary name, then renamed), so that a run that is killed
continues. The rule for what is a row is below; choices of the recipe were made elsewhere, on
validation images, and the test part is read once a run, after the last epoch.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from row_table import read, write

# One thread a process: results do not depend on it, and two rows at a time fill two cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "EOQ_THREADS"):
    os.environ.setdefault(_variable, "1")

TABLE = Path(__file__).parent.parent / "docs" / "results.csv"

SCHEMES = ("eoq", "fp32-fixup", "fp32-bn", "wageubn", "range-bn")
DECAYING = ("fp32-fixup-decay", "fp32-bn-decay")
"""With EOQ's weight decay, which no scheme but EOQ has otherwise; ResNet-8 alone."""

NETWORKS = ("resnet8", "resnet20")
BATCHES = (1, 4, 16, 64)
SEEDS = (0, 1, 2)

DIVERGED = "diverged"
"""In place of a digest: the run ended in parameters that are not finite."""


IMAGES = {"digits": None, "fashion-mnist": 5000}
"""Training images of a row: all, or the first so many (of Fashion-MNIST, so that a step for every
image still ends)."""

EPOCHS = {
    ("digits", 64): 16, ("digits", 16): 16, ("digits", 4): 8, ("digits", 1): 4,
    ("fashion-mnist", 64): 8, ("fashion-mnist", 16): 4, ("fashion-mnist", 4): 2,
    ("fashion-mnist", 1): 1,
}  # fmt: skip
"""By data set and batch. Small batches take more steps an epoch and get fewer epochs: a column
compares the schemes, a line does not compare the batches."""

FULL = [
    ("fashion-mnist", "resnet8", scheme, 64, 10)
    for scheme in ("eoq", "fp32-fixup", "fp32-bn", *DECAYING)
]
"""On all training images: (data, network, scheme, batch, epochs)."""


@dataclass(frozen=True)
class Row:
    """One run. `images` is what it trains on; accuracies are shares of 1."""

    data: str
    images: int
    network: str
    scheme: str
    batch: int
    epochs: int
    seed: int
    validation_accuracy: float = float("nan")
    test_accuracy: float = float("nan")
    parameters_sha256: str = ""

    @property
    def key(self) -> tuple:
        """What names the run, without its outcome."""
        return (
            self.data, self.images, self.network, self.batch, self.epochs, self.scheme, self.seed
        )  # fmt: skip

    @property
    def outcome(self) -> tuple:
        """What came of it, as text: a run that has no accuracy equals itself."""
        return (
            str(self.validation_accuracy), str(self.test_accuracy), self.parameters_sha256
        )  # fmt: skip


def plan() -> list[Row]:
    """All rows, in the order in which they are trained."""
    from golden import data

    sizes = {name: len(data.load(name).train) for name in IMAGES}
    rows = [
        Row(name, sizes[name], network, scheme, batch, epochs, seed)
        for name, network, scheme, batch, epochs in FULL
        for seed in SEEDS
    ]
    # Large batches are quick, and come first.
    rows += [
        Row(name, images or sizes[name], network, scheme, batch, EPOCHS[name, batch], seed)
        for network in NETWORKS
        for batch in reversed(BATCHES)
        for name, images in IMAGES.items()
        for scheme in (*SCHEMES, *(DECAYING if network == "resnet8" else ()))
        for seed in SEEDS
    ]
    return rows


def train(row: Row) -> Row:
    """Train one row."""
    from golden import data, networks, trainer
    from golden.errors import InputError

    dataset = data.load(row.data)
    if row.images < len(dataset.train):
        # Test and validation part stay whole; the mean pixel is that of what is trained on.
        dataset = data.make_dataset(
            dataset.name, dataset.train[slice(row.images)], dataset.validation, dataset.test
        )
    network = networks.load(row.network, input_shape=dataset.shape, classes=dataset.classes)
    try:
        outcome = trainer.train(
            network, dataset, scheme=row.scheme, epochs=row.epochs, batch=row.batch, seed=row.seed
        )
    except InputError as error:
        if "finite" not in str(error):
            raise
        # A float scheme ran away: that is a result, and has no accuracy.
        return replace(row, parameters_sha256=DIVERGED)
    return replace(
        row,
        validation_accuracy=outcome.curve[-1],
        test_accuracy=outcome.test_accuracy,
        parameters_sha256=outcome.parameters_sha256,
    )


def markdown(rows: Iterable[Row]) -> str:
    """Mean and standard error of the test accuracy, one table a network and part of a data set."""
    tables: dict[tuple, dict[tuple, list[Row]]] = {}
    for row in sorted(rows, key=lambda row: row.key):
        table = tables.setdefault((row.data, row.images, row.network), {})
        table.setdefault((row.scheme, row.batch, row.epochs), []).append(row)
    lines = []
    for (data, images, network), table in tables.items():
        columns = sorted({(batch, epochs) for _, batch, epochs in table})
        lines += [
            f"### {network}, {data}, {images:,} training images", "",
            "| scheme | " + " | ".join(
                f"batch {batch}, {epochs} epoch{'s' * (epochs > 1)}" for batch, epochs in columns
            ) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]  # fmt: skip
        for scheme in (*SCHEMES, *DECAYING):
            texts = [_cell(table.get((scheme, *column), [])) for column in columns]
            if any(texts):
                lines.append(f"| {scheme} | " + " | ".join(texts) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(rows: list[Row]) -> str:
    values = [100 * row.test_accuracy for row in rows if row.parameters_sha256 != DIVERGED]
    text = f"{statistics.mean(values):.2f}" if values else ""
    if len(values) > 1:
        text += f" ± {statistics.stdev(values) / len(values) ** 0.5:.2f}"
    notes = [f"of {len(values)}"] if 0 < len(values) != len(SEEDS) else []
    notes += [f"{len(rows) - len(values)} diverged"] if len(rows) > len(values) else []
    return text + (f" ({', '.join(notes)})" if notes else "")


def main() -> None:
    """Train, or compare, or print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--print", action="store_true", dest="only_print")
    parser.add_argument("--again", action="store_true", help="train anew and compare")
    parser.add_argument("--workers", type=int, default=2)
    for name, kind in (("data", str), ("network", str), ("scheme", str), ("batch", int),
                       ("seed", int), ("images", int)):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, action="append")
    options = parser.parse_args()
    known = read(TABLE, Row)
    if options.only_print:
        print(markdown(known.values()))
        return
    chosen = [
        row for row in plan()
        if all(getattr(row, name) in wanted
               for name in ("data", "network", "scheme", "batch", "seed", "images")
               if (wanted := getattr(options, name)))
        and (options.again == (row.key in known))
    ]  # fmt: skip
    print(f"{len(chosen)} rows to train, {len(known)} in {TABLE.name}", flush=True)
    different = 0
    with ProcessPoolExecutor(options.workers, max_tasks_per_child=1) as pool:
        for future in as_completed([pool.submit(train, row) for row in chosen]):
            row = future.result()
            line = (f"{row.data} {row.images} {row.network} {row.scheme} batch {row.batch} seed "
                    f"{row.seed}: test {100 * row.test_accuracy:.2f} %")  # fmt: skip
            if options.again:
                same = known[row.key].outcome == row.outcome
                different += not same
                line += " as in the table" if same else f", the table has {known[row.key]}"
            else:
                # Read again: another process may have added rows in the meantime.
                known = read(TABLE, Row) | {row.key: row}
                write(TABLE, Row, known.values())
            print(line, flush=True)
    if not options.again:
        print(markdown(known.values()))
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
