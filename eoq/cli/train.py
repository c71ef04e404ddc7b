"""`eoq train`: train a network in integers, or in one of the ways that are compared."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eoq.cli.parameters import ARRAY, DATA, NETWORK, NEW_FILE, NEW_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cosim.core_training import TrainedOnCore
    from golden.trainer import Report

__all__ = ["train"]


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq train --network resnet8 --data digits --scheme eoq --epochs 16\n"
    "  eoq train --network resnet20 --data fashion-mnist --epochs 10 --checkpoint run1\n"
    "  eoq train --network mlp --data images.npz --scheme fp32-bn --epochs 8 --json\n"
    "  eoq train --network resnet8_narrow --epochs 10 --core 8x8    (on the simulated RTL)\n"
)
@NETWORK
@DATA
@click.option(
    "--scheme",
    metavar="NAME",
    default="eoq",
    show_default=True,
    help="eoq, wageubn, range-bn, fp32-bn, fp32-fixup (EOQ without its integers), both also with "
    "-decay (EOQ's weight decay), or fp32-he (neither Fixup nor BN).",
)
@click.option("--epochs", type=int, default=16, show_default=True, help="Passes over the data.")
@click.option("--batch", type=int, default=16, show_default=True, help="Images a step, 2**n.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option(
    "--checkpoint",
    type=NEW_FOLDER,
    help="Folder to save every epoch in, and to continue from.",
)
@click.option(
    "--plot",
    type=NEW_FILE,
    help="Write the validation accuracy over the epochs as .svg or .png.",
)
@click.option(
    "--core",
    type=ARRAY,
    help="Train on the RTL of a core with this array, simulated, beside golden: after every epoch "
    "both have the same parameters, or the run ends with exit status 1.",
)
@click.option(
    "--sim",
    "simulator",
    metavar="verilator|icarus",
    default="verilator",
    show_default=True,
    help="Simulator for --core.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def train(
    network: str,
    data: str,
    scheme: str,
    epochs: int,
    batch: int,
    seed: int,
    checkpoint: Path | None,
    plot: Path | None,
    core: tuple[int, int] | None,
    simulator: str,
    as_json: bool,
) -> None:
    """Train a network and say how well it does.

    Every epoch shuffles the training images, always alike for one seed, and leaves out what does
    not fill a batch. The learning rate halves after 50, 75 and 90 % of the steps. The test images
    are read once, at the end. With --checkpoint the same command continues where it was stopped,
    to the same parameters.
    """
    # Imported here: `eoq train --help` needs neither arrays nor networks.
    from golden import data as datasets
    from golden import networks, trainer
    from golden.errors import InputError
    from golden.learners import format_names

    if plot is not None and plot.suffix not in {".svg", ".png"}:
        raise InputError(f"--plot must end in .svg or .png, not {str(plot)!r}")
    if plot is not None and not plot.parent.is_dir():
        raise InputError(f"--plot requires a folder that exists, not {str(plot.parent)!r}")
    dataset = datasets.load(data)
    made = networks.load(network, input_shape=dataset.shape, classes=dataset.classes)
    if core is not None and scheme != "eoq":
        raise InputError(f"--core requires the scheme eoq, not {scheme!r}")
    with Bar() as bar:
        if core is None:
            outcome = trainer.train(
                made, dataset, scheme=scheme, epochs=epochs, batch=batch, seed=seed,
                folder=checkpoint, report=bar.report,
            )  # fmt: skip
            more = {}
        else:
            from cosim.core_training import train_on_core

            on_core = train_on_core(
                made, dataset, array=core, simulator=simulator, epochs=epochs, batch=batch,
                seed=seed, folder=checkpoint, report=bar.report,
            )  # fmt: skip
            outcome, more = on_core.outcome, {"core": _core(on_core)}
    result = {
        "network": made.name,
        "data": dataset.name,
        "scheme": scheme,
        "epochs": epochs,
        "batch": batch,
        "seed": seed,
        "test_accuracy": outcome.test_accuracy,
        "validation_accuracy": outcome.curve[-1],
        "validation_curve": outcome.curve,
        "steps_per_epoch": outcome.steps,
        "images_left_out_per_epoch": outcome.left_out,
        "resumed_epochs": outcome.resumed,
        "parameters_sha256": outcome.parameters_sha256,
        "formats": format_names(scheme),
        **more,
    }
    if plot is not None:
        _plot(outcome.curve, f"{made.name} on {dataset.name}, {scheme}, batch {batch}", plot)
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        _show(result)


class Bar:
    """A progress bar on a terminal's stderr, nothing in a pipe."""

    def __init__(self) -> None:
        self._progress = None
        if sys.stderr.isatty():
            # Imported here: in a pipe nothing is shown and rich is not needed.
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeRemainingColumn as Remaining

            columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
            self._progress = Progress(*columns, Remaining(), console=Console(stderr=True))
            self._task = self._progress.add_task("training", total=None)

    def __enter__(self) -> "Bar":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    @property
    def report(self) -> "Report | None":
        """What the trainer calls after every step."""
        return self._advance if self._progress else None

    def _advance(self, done: int, steps: int, accuracy: float | None) -> None:
        text = "training" if accuracy is None else f"validation {accuracy:.2%}"
        if self._progress:
            self._progress.update(self._task, completed=done, total=steps, description=text)


def _show(result: dict) -> None:
    resumed = result["resumed_epochs"]
    before = f", {resumed} of them from the checkpoint" if resumed else ""
    rows = {
        "run": f"{result['network']} on {result['data']}, {result['scheme']}, seed "
        f"{result['seed']}: {result['epochs']} epochs of {result['steps_per_epoch']} steps, "
        f"batch {result['batch']}{before}",
        "left out": f"{result['images_left_out_per_epoch']} images an epoch that fill no batch",
        "formats": ", ".join(f"{kind} {name}" for kind, name in result["formats"].items()),
        "validation": f"{result['validation_accuracy']:.2%}",
        "test": f"{result['test_accuracy']:.2%}",
        "parameters": f"sha256 {result['parameters_sha256']}",
    }
    if core := result.get("core"):
        rows["core"] = (
            f"{core['array']}, {core['simulator']} {core['simulator_version']}: "
            f"{core['cycles']:,} cycles as the model says, parameters golden's after every epoch"
        )
    for name, text in rows.items():
        click.echo(f"{name:<12}{text}")


def _core(run: "TrainedOnCore") -> dict:
    """What a run on the core has beside its outcome."""
    return {
        "array": f"{run.config.rows}x{run.config.columns}",
        "simulator": run.simulator,
        "simulator_version": run.simulator_version,
        "cycles": sum(epoch.cycles for epoch in run.epochs),
        "seconds": sum(epoch.seconds for epoch in run.epochs),
        "epochs": [dataclasses.asdict(epoch) for epoch in run.epochs],
    }


def _plot(curve: "Sequence[float]", title: str, path: Path) -> None:
    """Draw validation accuracy over epochs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    # One name for an element on every run: the file is the same for the same run.
    with matplotlib.rc_context({"svg.hashsalt": "eoq", "svg.fonttype": "none"}):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(range(1, len(curve) + 1), [100 * a for a in curve], marker=".")
        axes.set(title=title, xlabel="epoch", ylabel="validation accuracy (%)")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, metadata=metadata)
