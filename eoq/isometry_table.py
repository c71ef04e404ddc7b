"""Block isometry as tables on a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eoq.isometry import Measured
from golden.linearization import ARITHMETICS

__all__ = ["print_measured"]


def _with_error(value: float, error: float) -> str:
    return f"{value:.4g}" + (f" +- {error:.1g}" if error else "")


def _verdict(word: str) -> Text:
    return Text(word, style="" if word.startswith("near") else "yellow")


def _table(one: Measured) -> Table:
    stage = f"after {one.epochs} epochs" if one.epochs else "at initialisation"
    title = f"{one.network} on {one.data}, {one.scheme}, {one.arithmetic}, {stage}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("block")
    for name in ("n_in", "n_out", "phi", "variance"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("phi, arriving", justify="right")
    table.add_column("verdict")
    for block in one.blocks:
        spectrum = block.spectrum
        table.add_row(
            block.block,
            str(block.n_in),
            str(block.n_out),
            _with_error(spectrum.phi, spectrum.phi_error),
            _with_error(spectrum.variance, spectrum.variance_error),
            _verdict(block.verdict),
            _with_error(block.arriving, block.arriving_error),
            _verdict(block.arriving_verdict),
        )
    return table


def print_measured(measured: Sequence[Measured]) -> None:
    """Print one table a network, arithmetic and stage, and what the columns are."""
    console = Console(highlight=False)
    if not console.is_terminal:
        # A pipe has no width to respect, and cut numbers are wrong numbers.
        console.width = 200
    for one in measured:
        console.print(_table(one))
        far, arriving = (", ".join(names) or "none" for names in (one.far, one.far_arriving))
        console.print(
            Text(
                f"Far from 1: {far}; for the errors that arrive: {arriving}.\n"
                f"Squared norm of an error below all blocks that pass it over that above them: "
                f"{one.gain:.4g}; product of the blocks' tr(JJ')/n_out: {one.expected_gain:.4g}.\n"
            )
        )
    settings = measured[0].settings
    for name in dict.fromkeys(one.arithmetic for one in measured):
        console.print(Text(f"{name}: {ARITHMETICS[name]}."))
    tolerance = settings.tolerance
    console.print(
        Text(
            f"phi and variance: of the squared singular values of a block's Jacobian at "
            f"{settings.images} images; exact, or +- one standard error from {settings.probes} "
            "random errors.\n"
            "phi, arriving: |J'e|^2 / |e|^2 on the same scale, for errors e that start at random "
            "at the\noutput (or below the last block that passes none) and come down to it.\n"
            f"Far from 1: phi above {tolerance:g} or below {1 / tolerance:.3g} by more than two "
            "standard errors. Spread: variance above phi^2."
        )
    )
