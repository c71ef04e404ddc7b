"""`eoq report`: the comparison report of one or more networks."""

import gc
from datetime import UTC, datetime
from pathlib import Path

import click

from eoq.cli.parameters import NEW_FOLDER
from eoq.cli.pricing import Pricing, pricing_options
from eoq.progress import Progress

__all__ = ["report"]


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq report resnet18 -o report\n"
    "  eoq report resnet18 resnet50 model.onnx --batch 64 --array 32x32 -o report\n"
)
@click.argument("networks", nargs=-1, required=True, metavar="NETWORK...")
@click.option(
    "-o",
    "--output",
    type=NEW_FOLDER,
    required=True,
    help="Folder; made if it is not there.",
)
@pricing_options
def report(networks: tuple[str, ...], output: Path, pricing: Pricing) -> None:
    """Write the comparison report of NETWORK...: HTML, CSV and figures.

    A network is a built-in name or an .onnx file. The page is one file that needs no network.
    """
    from eoq.lean_pandas import import_lean_pandas

    import_lean_pandas()
    from eoq.comparison import assumptions_section, costs_section, findings, highlights
    from eoq.hardware_chapter import hardware_section
    from eoq.recorded_sections import synthesis_section, validation_line, validation_section
    from eoq.tool_versions import tool_versions
    from eoq.verification import verification_section
    from eoq.versions import command_line, versions
    from reports import Report, write

    with Progress() as progress:
        costs = []
        for network in networks:
            progress.say(f"pricing {network}")
            costs.append(pricing.price(network))
        progress.say("drawing")
        # Drawings are full of cycles; pricing, which is done, is what goes faster without (see
        # `eoq.cli.pricing`).
        gc.enable()
        page = Report(
            title="Cost of a training step: " + ", ".join(c[0].step.network.name for c in costs),
            command=command_line(),
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            summary=[*(line for each in costs for line in findings(each)), validation_line()],
            highlights=highlights(costs[0]),
            sections=[
                costs_section(costs),
                hardware_section(costs[0][0].array),
                verification_section(),
                synthesis_section(),
                validation_section(),
                assumptions_section(costs),
            ],
            versions=versions() | tool_versions(),
        )
        path = write(page, output)
    click.echo(path)
