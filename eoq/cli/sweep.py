"""`eoq sweep`: a grid of designs, priced into Parquet files, and its Pareto front."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eoq.cli.parameters import NEW_FOLDER
from eoq.progress import Progress
from golden.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sweep"]

_SHOWN = 20
"""Rows of the front that are printed; all are in the file."""

_PLOTS = 6
"""Most groups whose front is drawn."""


@click.command(
    epilog="\b\nExample, in sweep.toml:\n"
    '  network = ["resnet18"]\n'
    '  scheme = ["eoq"]\n'
    "  batch = [1, 16]\n"
    "  rows = { first = 4, last = 32, step = 4 }\n"
    "  columns = [8, 16, 32]\n"
    '  buffer = { first = "64 KiB", last = "4 MiB", factor = 2 }\n'
    '  technology = ["horowitz-45nm"]\n'
    "\b\nThen:\n"
    "  eoq sweep sweep.toml -o designs\n"
    "  eoq sweep sweep.toml -o designs --workers 8\n"
    "  eoq sweep sweep.toml -o designs --dask tcp://scheduler:8786\n"
)
@click.argument("spec", metavar="SPEC.toml", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=NEW_FOLDER,
    required=True,
    help="Folder; made if it is not there, gone on with if it holds this sweep.",
)
@click.option("--workers", type=int, default=1, show_default=True, help="Local processes.")
@click.option("--dask", metavar="ADDRESS", help="Scheduler of a Dask cluster, instead.")
def sweep(spec: Path, output: Path, workers: int, dask: str | None) -> None:
    """Price every combination of SPEC.toml: arrays, buffers, batches, schemes, networks, tables.

    Results are written as they come: part-*.parquet, one row a design, each number equal to that of
    `eoq cost`. A sweep that was stopped, even by kill -9, goes on with the same command. At the end
    comes pareto.csv: designs of which none uses less energy, cycles and area; and plots of fronts.
    """
    if workers < 1:
        raise InputError(f"--workers must be at least 1, not {workers}")
    if dask is not None and workers > 1:
        raise InputError("only one of --workers and --dask may be given, got both")
    from hwmodel.grid import load_grid

    grid = load_grid(spec)
    # pandas and pyarrow take a second to import; a file that is refused does not need them.
    from hwmodel.sweep import chunk_size
    from hwmodel.sweep import sweep as run

    each, started = chunk_size(grid), [False]
    with Progress(stages=-(-len(grid) // each)) as progress:

        def show(done: int, total: int) -> None:
            if not started[0]:
                progress.stage(f"{len(grid):,} designs")
                # Parts that are there already.
                for _ in range(done):
                    progress.stage(f"{len(grid):,} designs")
            else:
                progress.stage(f"{min(done * each, len(grid)):,} of {len(grid):,} designs")
            started[0] = True

        best = run(grid, output, workers=workers, dask=dask, progress=show)
    click.echo(f"{len(grid):,} designs in {output}")
    _print_front(best, output / "pareto.csv")
    _draw(best, output)


def _draw(best: "pd.DataFrame", output: Path) -> None:
    """Write a plot of the front of the first groups that have cycles, `pareto-1.svg` and so on."""
    from hwmodel.pareto import GROUP
    from reports import Table
    from reports.files import write_files
    from reports.pareto import pareto

    there = output / "pareto-1.svg"
    if there.exists() and there.stat().st_mtime >= (output / "pareto.csv").stat().st_mtime:
        # A finished sweep has nothing left to do.
        return
    drawn: dict[str, bytes] = {}
    for _, group in best.dropna(subset=["cycles"]).groupby(list(GROUP), sort=False):
        if len(drawn) >= 2 * _PLOTS:
            break
        first = group.iloc[0]
        size = "area_nominal_um2"
        if group[size].isna().any():
            continue
        names = group.apply(
            lambda row: f"{row['rows']}x{row['columns']}, {row['buffer_bytes'] // 1024} KiB", axis=1
        )
        table = Table(
            key=f"pareto-{len(drawn) // 2 + 1}",
            title="Pareto front",
            frame=group.assign(array=names, on_front=True)[
                ["array", "cycles", "energy_nominal_j", size, "on_front"]
            ],
            units={"cycles": "cycles", "energy_nominal_j": "J", size: "um2"},
            exact=False,
            labels={"energy_nominal_j": "energy", size: "area"},
        )
        figure = pareto(
            table,
            key=table.key,
            title=f"{first['network']}, {first['scheme']}, batch {first['batch']}",
        )
        drawn[f"{table.key}.svg"] = figure.svg.encode()
        drawn[f"{table.key}.png"] = figure.png or b""
    write_files(output, drawn)
    if drawn:
        click.echo(f"plots: {', '.join(name for name in drawn if name.endswith('.svg'))}")


def _print_front(best: "pd.DataFrame", path: Path) -> None:
    """Write the front's first rows for people."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title="Pareto front: energy (estimated), cycles, area of the arithmetic (estimated)",
        box=box.SIMPLE,
        title_justify="left",
    )
    heads = ("network", "scheme", "batch", "array", "buffer", "energy", "cycles", "area", "table")
    for head in heads:
        table.add_column(head, justify="left" if head in heads[:2] else "right", no_wrap=True)
    for row in best.head(_SHOWN).to_dict("records"):
        cells = (
            row["network"],
            row["scheme"],
            f"{row['batch']}",
            f"{row['rows']}x{row['columns']}",
            f"{row['buffer_bytes'] / 1024:,.0f} KiB",
            f"{row['energy_nominal_j'] * 1e3:.4g} mJ",
            f"{row['cycles']:,.0f}".replace("nan", "-"),
            f"{row['area_nominal_um2'] / 1e6:.4g} mm2".replace("nan mm2", "-"),
            row["technology"],
        )
        table.add_row(*(Text(str(cell)) for cell in cells))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
    click.echo(f"{len(best):,} designs on the front, all of them in {path}")
