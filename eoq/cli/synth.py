"""`eoq synth`: area, critical path and energy of blocks, and the price of batch normalisation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from eoq.cli.parameters import ARRAY, NEW_FILE
from eoq.progress import Progress

__all__ = ["synth"]

_USUAL = ("pe", "mac_array", "quantizer", "update_unit", "vector_unit", "core")


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq synth --array 4x4\n"
    "  eoq synth --block pe --block quantizer --json\n"
    "  eoq synth --liberty my_cells.lib.gz --block mac_array --array 16x16\n"
    "  eoq synth --bn\n"
    "  eoq synth --calibrate -o osu018.toml\n"
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
@click.option("--no-energy", is_flag=True, help="Do not simulate gates for energy.")
@click.option(
    "--delays", is_flag=True, help="Give cells delays in the simulation: hazards count as toggles."
)
@click.option(
    "--data", default="digits", show_default=True, help="Data set that the operands come from."
)
@click.option(
    "--network", default="resnet8", show_default=True, help="Network that is trained for them."
)
@click.option(
    "--bn",
    is_flag=True,
    help="The price of batch normalisation instead of blocks: units, whole steps, the paper's "
    "claim. Takes minutes the first time.",
)
@click.option(
    "--calibrate",
    is_flag=True,
    help="Write a technology file for eoq cost --technology instead: fitted areas and energies, "
    "held against sizes and layers that were not fitted. Takes minutes the first time.",
)
@click.option(
    "-o",
    "--output",
    type=NEW_FILE,
    help="File of --calibrate, .toml.",
)
@click.option(
    "--node-nm", type=float, default=180, show_default=True,
    help="Node of --calibrate's library: memories, which it has not, are scaled by it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def synth(
    array: tuple[int, int],
    liberty: Path | None,
    blocks: tuple[str, ...],
    accumulator_bits: int,
    recipe: str,
    no_energy: bool,
    delays: bool,
    data: str,
    network: str,
    bn: bool,
    calibrate: bool,
    output: Path | None,
    node_nm: float,
    as_json: bool,
) -> None:
    """Synthesise blocks of the core with Yosys: area, NAND2 equivalents, critical path, energy.

    Cells and pin loads are counted; wires, memories and the clock tree are not. Energy is that of
    the gates (Icarus) at work on operands of a real training step, with uniform noise beside it.
    What was computed before with the same Verilog, library and tools comes from the cache.
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
    from eoq.synthesis import synthesis_table
    from rtl.cell_library import default_liberty, load_library

    path = liberty or default_liberty()
    if calibrate:
        if blocks or bn or no_energy or delays or as_json or output is None:
            raise InputError(
                "--calibrate requires -o FILE.toml and none of --block, --bn, --no-energy, "
                "--delays and --json"
            )
        if path is None:
            raise InputError("--calibrate requires a Liberty file: install qflow-tech-osu018 "
                             "(Debian, Ubuntu) or name one with --liberty")  # fmt: skip
        _calibrate(path, output, node_nm)
        return
    if bn:
        if blocks or no_energy or delays:
            raise InputError("--bn must stand without --block, --no-energy and --delays")
        if path is None:
            raise InputError("--bn requires a Liberty file: install qflow-tech-osu018 (Debian, "
                             "Ubuntu) or name one with --liberty")  # fmt: skip
        _price(path, recipe, network, data, as_json)
        return
    library = load_library(path) if path else None
    chosen = list(dict.fromkeys(blocks or _USUAL))
    operands = None if no_energy else (network, data)
    with Progress(stages=len(chosen)) as progress:
        rows, notes = synthesis_table(
            chosen,
            config,
            library,
            recipe=recipe,
            operands=operands,
            delays=delays,
            stage=progress.stage,
            tell=progress.say,
        )
    where = str(path) if path else None
    if as_json:
        summary = {
            "liberty": where,
            "voltage_v": library.voltage if library else None,
            "array": f"{array[0]}x{array[1]}",
            "blocks": rows,
        }
        click.echo(json.dumps(summary | {"notes": notes}, indent=2))
    else:
        # All its numbers hold at this voltage alone.
        what = f"{where} at {library.voltage:g} V" if library else "no library: gate equivalents"
        _show(f"{what}, {array[0]}x{array[1]} array", rows, notes)


def _price(path: Path, recipe: str, network: str, data: str, as_json: bool) -> None:
    from eoq.cli.price_table import price_lines
    from eoq.normalization_price import STAGES, normalization_price
    from rtl.cell_library import load_library

    with Progress(stages=STAGES) as progress:
        price = normalization_price(
            load_library(path), recipe=recipe, network=network, dataset=data,
            stage=progress.stage, tell=progress.say,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(asdict(price), indent=2))
    else:
        click.echo("\n".join(price_lines(price)))


def _calibrate(path: Path, output: Path, node_nm: float) -> None:
    from eoq.calibration import STAGES, calibrate
    from eoq.versions import command_line
    from golden.errors import InputError
    from reports.files import write_files
    from rtl.cell_library import load_library

    if output.suffix != ".toml" or node_nm <= 0:
        raise InputError(f"-o must end in .toml and --node-nm be above 0, got {str(output)!r} and "
                         f"{node_nm:g}")  # fmt: skip
    with Progress(stages=STAGES) as progress:
        text = calibrate(
            load_library(path), name=output.stem, node_nm=node_nm, command=command_line(),
            stage=progress.stage, tell=progress.say,
        )  # fmt: skip
    write_files(output.parent, {output.name: text.encode()})
    click.echo(output)


def _show(title: str, rows: list[dict[str, Any]], notes: list[str]) -> None:
    click.echo(title)
    click.echo(f"{'block':<14}{'um2':>12}{'NAND2':>10}{'ns':>8}{'pJ/op':>8}{'FFs':>8}{'cells':>9}"
               f"{'memory bits':>13}")  # fmt: skip
    for r in rows:
        area = "-" if r["area_um2"] is None else f"{r['area_um2']:,.0f}"
        delay = "-" if r["delay_ns"] is None else f"{r['delay_ns']:.2f}"
        energy = "-" if r["energy_pj"] is None else f"{r['energy_pj']:.1f}"
        click.echo(f"{r['block']:<14}{area:>12}{r['nand2']:>10,.0f}{delay:>8}{energy:>8}"
                   f"{r['flip_flops']:>8,}{r['cells']:>9,}{r['memory_bits']:>13,}")  # fmt: skip
    for r in rows:
        for phase, e in r["energy"].items():
            click.echo(f"{r['block']}, {phase}: {e['energy_pj']:.1f} pJ = cells "
                       f"{e['internal_pj']:.1f} + pins {e['net_pj']:.1f} + clock "
                       f"{e['clock_pj']:.1f}; leakage {_leakage(e)}")  # fmt: skip
    for method in dict.fromkeys(r["method"] for r in rows):
        click.echo(f"method: {method}")
    for note in notes:
        click.echo(f"note: {note}")


def _leakage(energy: dict[str, Any]) -> str:
    leak = energy["leakage_pj"]
    return "not in the library" if leak is None else f"{leak:.5f} pJ"
