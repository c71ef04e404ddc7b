"""`eoq rtl`: Verilog of the training core, or of one block, and what goes with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from eoq.cli.parameters import ARRAY, NEW_FOLDER
from rtl.blocks import BLOCKS, COMPARISON_BLOCKS

__all__ = ["rtl"]


def _memory(name: str, default: int, text: str) -> Callable[[Any], Any]:
    return click.option(
        name, type=int, default=default, show_default=True, help=f"{text} A power of two."
    )


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq rtl --array 4x4 -o build/core\n"
    "  eoq rtl --array 16x16 -o build/core --accumulator-bits 24 --json\n"
    "  eoq rtl --block fp32_add -o build/adder\n"
    "  verilator --lint-only -Wall -F build/core/files.f\n"
)
@click.option("--array", type=ARRAY, help="Rows x columns of the MAC array.")
@click.option(
    "--block",
    type=click.Choice(list(BLOCKS)),
    metavar="NAME",
    help=f"One block instead of the core: {', '.join(BLOCKS)}. Those of no size need no --array.",
)
@click.option(
    "-o",
    "--output",
    type=NEW_FOLDER,
    required=True,
    help="Folder; made if it is not there.",
)
@click.option(
    "--accumulator-bits", type=int, default=32, show_default=True, help="Bits of a partial sum."
)
@_memory("--scratchpad-pages", 4, "Pages of the scratchpad, 2 to 16.")
@_memory("--scratchpad-page-bytes", 1 << 16, "Bytes of each, 64 to 1048576.")
@_memory("--results-pages", 2, "Pages of the results memory, 2 or 4.")
@_memory("--results-page-depth", 2048, "Words of each, 2 to 16384.")
@click.option(
    "--loss-classes", type=int, default=64, show_default=True, help="Most classes of a loss."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rtl(
    array: tuple[int, int] | None,
    block: str | None,
    output: Path,
    as_json: bool,
    **sizes: int,
) -> None:
    """Write the Verilog of the training core, with its file list, lint waivers, FuseSoC
    description, and pages of its ports, registers, instructions and memories; or that of one
    block, with its file list and lint waivers."""
    from golden.errors import InputError
    from rtl.config import CoreConfig

    if array is None:
        if block not in COMPARISON_BLOCKS:
            raise click.MissingParameter(param_hint="--array", param_type="option")
        array = 1, 1
    rows, columns = array
    if block == "core":
        # It has files that no other block has.
        block = None
    try:
        config = CoreConfig(rows=rows, columns=columns, **sizes)
    except ValueError as error:
        raise InputError(str(error)) from error

    # Slow to load, and only now known to be needed.
    from rtl.ip_package import TOP, package
    from rtl.verilog import emit_block, write

    paths = write(emit_block(block, config) if block else package(config), output)
    if block:
        top = paths[0].stem
        if as_json:
            click.echo(
                json.dumps({"block": block, "top": top, "files": list(map(str, paths))}, indent=2)
            )
            return
        click.echo(f"{top}:")
        _print_files(paths, output)
        return
    if as_json:
        result = {
            "array": f"{rows}x{columns}",
            "top": TOP,
            "accumulator_bits": config.accumulator_bits,
            "largest_reduction": config.largest_reduction,
            "files": [str(path) for path in paths],
        }
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"{TOP}, {rows}x{columns}, sums of up to {config.largest_reduction} products:")
    _print_files(paths, output)


def _print_files(paths: list[Path], output: Path) -> None:
    for path in paths:
        click.echo(f"  {path}  {path.stat().st_size:,} bytes")
    click.echo(f"Check it: verilator --lint-only -Wall -F {output / 'files.f'}")
