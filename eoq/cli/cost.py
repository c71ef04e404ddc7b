"""`eoq cost`: what one training step of a network costs, scheme by scheme."""

import json
import sys

import click

from eoq.api import TABLES
from eoq.cli.pricing import Pricing, pricing_options
from golden.errors import InputError

__all__ = ["cost"]


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq cost resnet18\n"
    "  eoq cost resnet18 --scheme eoq --scheme fp32-bn --batch 64 --array 32x32\n"
    "  eoq cost model.onnx --technology jouppi-7nm --json > cost.json\n"
    "  eoq cost resnet50 --csv --table ops > ledger.csv\n"
    "  eoq cost resnet18 --hardware edge.toml\n"
    "  eoq cost vgg16 --no-padding --division per-element\n"
)
@click.argument("network")
@click.option("--json", "as_json", is_flag=True, help="One object a scheme, in a list.")
@click.option("--csv", "as_csv", is_flag=True, help="One table as CSV; see --table.")
@click.option(
    "--table",
    type=click.Choice(TABLES),
    default="summary",
    show_default=True,
    help="What --csv writes.",
)
@pricing_options
def cost(network: str, as_json: bool, as_csv: bool, table: str, pricing: Pricing) -> None:
    """Price one training step of NETWORK: a built-in name or an .onnx file.

    Operations, normalisation's passes and memory are counts, exact under the conventions printed
    with them. Traffic beyond the compulsory, energy and area are estimates with the name of their
    table. docs/hardware.md describes the file of --hardware.
    """
    if as_json and as_csv:
        raise InputError("only one of --json and --csv may be given, got both")
    results = pricing.price(network)
    if as_json:
        json.dump(results.as_dicts(), sys.stdout, allow_nan=False)
        print()
    elif as_csv:
        results.table(table).to_csv(sys.stdout, index=False, lineterminator="\n")
    else:
        # rich is only for people.
        from eoq.cost_table import print_costs

        print_costs(results)
