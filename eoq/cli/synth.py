"""`eoq synth`: area and critical path of the core's blocks, in a cell library or in gates."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eoq.cli.parameters import ARRAY
from eoq.progress import Progress

if TYPE_CHECKING:
    from rtl.synthesis import Synthesis

__all__ = ["synth"]

_USUAL = ("pe", "mac_array", "quantizer", "update_unit", "core")


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq synth --array 4x4\n"
    "  eoq synth --block pe --block quantizer --json\n"
    "  eoq synth --liberty my_cells.lib.gz --block mac_array --array 16x16\n"
)
@click.option("--array", type=ARRAY, default="4x4", show_default=True, help="Rows x columns.")
@click.option(
    "--liberty",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Cell library, .lib or .lib.gz [default: Debian's osu018 where it is installed, else "
    "gate equivalents without a library].",
)
@click.option(
    "--block", "blocks", multiple=True, metavar="NAME", help="Block; repeatable. 'list' lists them."
)
@click.option(
    "--accumulator-bits", type=int, default=32, show_default=True, help="Bits of a partial sum."
)
@click.option(
    "--recipe", default="stock", show_default=True, metavar="stock|balanced|speed|fast-adders",
    help="How logic is mapped.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def synth(
    array: tuple[int, int],
    liberty: Path | None,
    blocks: tuple[str, ...],
    accumulator_bits: int,
    recipe: str,
    as_json: bool,
) -> None:
    """Synthesise blocks of the core with Yosys: area, NAND2 equivalents, critical path, cells.

    Cells and pin loads are counted; wires, memories and the clock tree are not. What was computed
    before with the same Verilog, library and tools comes from the cache.
    """
    from golden.errors import InputError
    from rtl.blocks import BLOCKS
    from rtl.config import CoreConfig

    if blocks == ("list",):
        click.echo("\n".join(BLOCKS))
        return
    for block in blocks:
        if block not in BLOCKS:
            raise InputError(f"--block must be one of {', '.join(BLOCKS)}, not {block!r}")
    try:
        config = CoreConfig(rows=array[0], columns=array[1], accumulator_bits=accumulator_bits)
    except ValueError as error:
        raise InputError(str(error)) from error

    # Slow to load, and only now known to be needed.
    from rtl.cell_library import default_liberty, load_library
    from rtl.synthesis import synthesize

    path = liberty or default_liberty()
    library = load_library(path) if path else None
    chosen = list(dict.fromkeys(blocks or _USUAL))
    results = []
    with Progress(stages=len(chosen)) as progress:
        for block in chosen:
            progress.stage(block)
            results.append(synthesize(block, config, library, recipe=recipe, tell=progress.say))
    if as_json:
        click.echo(json.dumps(_summary(array, path, results), indent=2))
    else:
        _show(array, path, results)


def _summary(
    array: tuple[int, int], path: Path | None, results: "list[Synthesis]"
) -> dict[str, object]:
    return {
        "liberty": str(path) if path else None,
        "array": f"{array[0]}x{array[1]}",
        "blocks": [
            {
                "block": r.block, "area_um2": r.area_um2, "nand2": round(r.nand2, 1),
                "delay_ns": r.delay_ns, "from_registers_ns": r.from_registers_ns,
                "energy_pj": None, "flip_flops": r.flip_flops, "cells": r.cells,
                "memory_bits": r.memory_bits, "method": r.method,
            }
            for r in results
        ],
    }  # fmt: skip


def _show(array: tuple[int, int], path: Path | None, results: "list[Synthesis]") -> None:
    where = str(path) if path else "no library: gate equivalents"
    click.echo(f"{where}, {array[0]}x{array[1]} array")
    click.echo(f"{'block':<14}{'um2':>12}{'NAND2':>10}{'ns':>8}{'FFs':>8}{'cells':>9}"
               f"{'memory bits':>13}")  # fmt: skip
    for r in results:
        area = "-" if r.area_um2 is None else f"{r.area_um2:,.0f}"
        delay = "-" if r.delay_ns is None else f"{r.delay_ns:.2f}"
        click.echo(f"{r.block:<14}{area:>12}{r.nand2:>10,.0f}{delay:>8}{r.flip_flops:>8,}"
                   f"{r.cells:>9,}{r.memory_bits:>13,}")  # fmt: skip
    for method in dict.fromkeys(r.method for r in results):
        click.echo(f"method: {method}")
