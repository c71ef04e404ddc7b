"""`eoq isometry`: how far each block of a network is from keeping its errors' norm."""

import json
from pathlib import Path

import click

from eoq.cli.parameters import DATA, NETWORK

__all__ = ["isometry"]

DEFAULT_SCHEMES = ("eoq", "fp32-fixup", "fp32-bn", "fp32-he")


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq isometry --network resnet8\n"
    "  eoq isometry --network resnet20 --scheme eoq --scheme fp32-he --epochs 4\n"
    "  eoq isometry --network resnet8 --checkpoint run1 --json\n"
)
@NETWORK
@DATA
@click.option(
    "--scheme",
    "schemes",
    metavar="NAME",
    multiple=True,
    help="eoq, fp32-fixup, fp32-bn, fp32-he (neither Fixup nor BN), wageubn or range-bn; repeat "
    "for several. Default: the first four.",
)
@click.option(
    "--epochs", type=int, default=0, show_default=True, help="Train so long and measure again."
)
@click.option("--batch", type=int, default=64, show_default=True, help="Images a step, 2**n.")
@click.option(
    "--checkpoint",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of an `eoq train --checkpoint`, to measure instead of training.",
)
@click.option("--images", type=int, default=32, show_default=True, help="Images measured at.")
@click.option(
    "--probes", type=int, default=32, show_default=True, help="Random errors a block and image."
)
@click.option(
    "--tolerance",
    type=float,
    default=1.4,
    show_default=True,
    help="phi is far from 1 above this or below its inverse, by two standard errors.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@click.option("--json", "as_json", is_flag=True, help="One object a measured network, in a list.")
@click.option("--csv", "as_csv", is_flag=True, help="One row a block.")
def isometry(
    network: str,
    data: str,
    schemes: tuple[str, ...],
    epochs: int,
    batch: int,
    checkpoint: Path | None,
    images: int,
    probes: int,
    tolerance: float,
    seed: int,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Measure the squared singular values of every block's Jacobian, before and after training.

    A block keeps the norm of the errors that go down through it when their mean, phi, is near 1
    and their variance near 0 (Block Dynamical Isometry, arXiv 2001.00254). docs/isometry.md says
    what is measured.
    """
    # Imported here: `eoq isometry --help` needs neither arrays nor networks.
    from eoq.isometry import Study, rows, study
    from eoq.progress import Progress
    from golden.errors import InputError

    if as_json and as_csv:
        raise InputError("only one of --json and --csv may be given, got both")
    if checkpoint is not None and epochs:
        raise InputError("only one of --checkpoint and --epochs may be given, got both")
    defaults = () if checkpoint else DEFAULT_SCHEMES
    settings = Study(
        network=network, data=data, schemes=schemes or defaults, epochs=epochs, batch=batch,
        images=images, probes=probes, tolerance=tolerance, seed=seed,
    )  # fmt: skip
    with Progress() as progress:
        measured = study(settings, checkpoint, progress.say)
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in measured], indent=2, allow_nan=False))
    elif as_csv:
        click.echo(rows(measured).to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        # rich is only for people.
        from eoq.isometry_table import print_measured

        print_measured(measured)
