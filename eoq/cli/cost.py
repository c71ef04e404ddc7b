"""`eoq cost`: what one training step of a network costs, scheme by scheme."""

import json
import sys
from typing import TYPE_CHECKING

import click

from eoq.api import TABLES, Costs
from eoq.cli.pricing import Pricing, pricing_options
from golden.errors import InputError

if TYPE_CHECKING:
    from eoq.exact_cycles import ExactCycles

__all__ = ["cost"]


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq cost resnet18\n"
    "  eoq cost resnet18 --scheme eoq --scheme fp32-bn --batch 64 --array 32x32\n"
    "  eoq cost model.onnx --technology jouppi-7nm --json > cost.json\n"
    "  eoq cost resnet50 --csv --table ops > ledger.csv\n"
    "  eoq cost resnet18 --hardware edge.toml\n"
    "  eoq cost vgg16 --no-padding --division per-element\n"
    "  eoq cost resnet8 --scheme eoq --batch 16 --exact-cycles\n"
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
@click.option(
    "--exact-cycles",
    is_flag=True,
    help="EOQ: also the cycles of the core's program, for networks that the core runs.",
)
@pricing_options
def cost(
    network: str, as_json: bool, as_csv: bool, table: str, exact_cycles: bool, pricing: Pricing
) -> None:
    """Price one training step of NETWORK: a built-in name or an .onnx file.

    Operations, normalisation's passes and memory are counts, exact under the conventions printed
    with them. Traffic beyond the compulsory, energy and area are estimates with the name of their
    table. docs/hardware.md describes the file of --hardware.
    """
    if as_json and as_csv:
        raise InputError("only one of --json and --csv may be given, got both")
    if as_csv and exact_cycles:
        raise InputError("--exact-cycles requires --json or the printed table, not --csv")
    results = pricing.price(network)
    exact = _exact(results) if exact_cycles else None
    if as_json:
        found = results.as_dicts()
        for each in found:
            if exact is not None and each["scheme"] == "eoq":
                each["exact_cycles"] = exact.as_dict()
        json.dump(found, sys.stdout, allow_nan=False)
        print()
    elif as_csv:
        results.table(table).to_csv(sys.stdout, index=False, lineterminator="\n")
    else:
        # rich is only for people.
        from eoq.cost_table import print_costs

        print_costs(results)
        if exact is not None:
            print(
                f"Exact: the core's program of {exact.words:,} words takes {exact.cycles:,} "
                f"cycles, with {exact.scratchpad_bytes:,} bytes of scratchpad and "
                f"{exact.results_bytes:,} of results memory."
            )


def _exact(results: Costs) -> "ExactCycles":
    from eoq.exact_cycles import exact_cycles

    ours = next((one for one in results if one.step.scheme.name == "eoq"), None)
    if ours is None:
        raise InputError("--exact-cycles requires the scheme eoq: there is no core for others")
    return exact_cycles(ours.step.original, ours.array, ours.step.batch)
