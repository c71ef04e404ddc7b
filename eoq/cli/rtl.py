"""`eoq rtl`: Verilog of the training core, or of one block, and what goes with it."""

import json
from pathlib import Path

import click

from eoq.cli.parameters import ARRAY
from rtl.blocks import BLOCKS, COMPARISON_BLOCKS

__all__ = ["rtl"]


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
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder; made if it is not there.",
)
@click.option(
    "--accumulator-bits", type=int, default=32, show_default=True, help="Bits of a partial sum."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rtl(
    array: tuple[int, int] | None,
    block: str | None,
    output: Path,
    accumulator_bits: int,
    as_json: bool,
) -> None:
    """Write the Verilog of the training core, with its file list, lint waivers, FuseSoC
    description, and port map; or that of one block, with its file list and lint waivers."""
    from golden.errors import InputError
    from rtl.config import CoreConfig

    if array is None:
        if block not in COMPARISON_BLOCKS:
            raise click.MissingParameter(param_hint="--array", param_type="option")
        array = 1, 1
    rows, columns = array
    try:
        config = CoreConfig(rows=rows, columns=columns, accumulator_bits=accumulator_bits)
    except ValueError as error:
        raise InputError(str(error)) from error

    # Slow to load, and only now known to be needed.
    from rtl.verilog import emit, emit_block, write

    try:
        paths = write(emit_block(block, config) if block else emit(config), output)
    except OSError as error:
        raise InputError(
            f"-o must be a folder that can be written, not {str(output)!r}: {error.strerror}"
        ) from error
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
            "top": "eoq_core",
            "accumulator_bits": config.accumulator_bits,
            "largest_reduction": config.largest_reduction,
            "files": [str(path) for path in paths],
        }
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"eoq_core, {rows}x{columns}, sums of up to {config.largest_reduction} products:")
    _print_files(paths, output)


def _print_files(paths: list[Path], output: Path) -> None:
    for path in paths:
        click.echo(f"  {path}  {path.stat().st_size:,} bytes")
    click.echo(f"Check it: verilator --lint-only -Wall -F {output / 'files.f'}")
