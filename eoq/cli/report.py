"""`eoq report`: the comparison report of one or more networks."""

from datetime import UTC, datetime
from pathlib import Path

import click

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
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder; made if it is not there.",
)
@pricing_options
def report(networks: tuple[str, ...], output: Path, pricing: Pricing) -> None:
    """Write the comparison report of NETWORK...: HTML, CSV and figures.

    A network is a built-in name or an .onnx file. The page is one file that needs no network.
    """
    from eoq.comparison import assumptions_section, cost_sections, findings, highlights
    from eoq.versions import command_line, versions
    from reports import Report, write

    with Progress() as progress:
        costs = []
        for network in networks:
            progress.say(f"pricing {network}")
            costs.append(pricing.price(network))
        progress.say("drawing")
        page = Report(
            title="Cost of a training step: " + ", ".join(c[0].step.network.name for c in costs),
            command=command_line(),
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            summary=[line for each in costs for line in findings(each)],
            highlights=highlights(costs[0]),
            sections=[*cost_sections(costs), assumptions_section(costs)],
            versions=versions(),
        )
        path = write(page, output)
    click.echo(path)
