"""`eoq cost`: what one training step of a network costs, scheme by scheme."""

import json
import re
import sys
from typing import Any

import click

from eoq.api import TABLES
from eoq.api import cost as price
from eoq.cli.parameters import Array
from golden.errors import InputError
from golden.schemes import SCHEMES
from hwmodel.conventions import CHOICES, DEFAULT, Conventions
from hwmodel.cost import ARRAY_MAX
from hwmodel.traffic import Hierarchy
from rtl.config import SIZE_MAX

__all__ = ["cost"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class _Size(click.ParamType):
    """Bytes with an optional K, M or G (powers of 1024): 512K."""

    name = "BYTES"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse `value`."""
        match = re.fullmatch(r"([0-9]{1,12})([KMG]?)(?:i?B)?", str(value))
        if not match:
            raise InputError(f"--buffer must be bytes like 65536, 512K or 2M, not {value!r}")
        return int(match[1]) * _UNITS[match[2]]


def _choice(name: str, flag: str, text: str) -> Any:
    return click.option(
        flag,
        name,
        type=click.Choice(CHOICES[name]),
        default=getattr(DEFAULT, name),
        show_default=True,
        help=text,
    )


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq cost resnet18\n"
    "  eoq cost resnet18 --scheme eoq --scheme fp32-bn --batch 64 --array 32x32\n"
    "  eoq cost model.onnx --technology jouppi-7nm --json > cost.json\n"
    "  eoq cost resnet50 --csv --table ops > ledger.csv\n"
    "  eoq cost vgg16 --no-padding --division per-element\n"
)
@click.argument("network")
@click.option(
    "--scheme",
    "schemes",
    multiple=True,
    metavar="|".join(SCHEMES),
    help="Way of training; repeat for several. Default: all.",
)
@click.option("--batch", type=int, default=1, show_default=True, help="Samples a step.")
@click.option(
    "--array",
    type=Array(ARRAY_MAX),
    default="16x16",
    show_default=True,
    help=f"Rows x columns, up to {ARRAY_MAX}x{ARRAY_MAX}; cycles up to {SIZE_MAX}x{SIZE_MAX}.",
)
@click.option(
    "--technology",
    default="horowitz-45nm",
    show_default=True,
    help="Energy and area table: horowitz-45nm, jouppi-7nm or a .toml file.",
)
@click.option(
    "--buffer", type=_Size(), default="512K", show_default=True, help="On-chip buffer, bytes."
)
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
    "--padding/--no-padding",
    default=DEFAULT.padding,
    show_default=True,
    help="Count taps that fall on zero padding.",
)
@_choice("strided_backward", "--strided-backward", "Error of a strided convolution.")
@_choice("division", "--division", "Divisions of a normalisation.")
@_choice("variance", "--variance", "Variance of batch normalisation.")
@_choice("exponents", "--exponents", "EOQ: what shares an exponent, and so waits.")
@_choice("gradients", "--gradients", "How long weight gradients live.")
@click.option(
    "--fused-statistics/--no-fused-statistics",
    default=DEFAULT.fused_statistics,
    show_default=True,
    help="The producer sums the mean while it writes.",
)
@click.option(
    "--fused-scalars/--no-fused-scalars",
    default=DEFAULT.fused_scalars,
    show_default=True,
    help="Fixup's scalars are applied while a tensor passes by.",
)
@click.option(
    "--range-chunks",
    type=int,
    default=DEFAULT.range_chunks,
    show_default=True,
    help="Range BN: chunks whose extremes are averaged.",
)
def cost(
    network: str,
    schemes: tuple[str, ...],
    batch: int,
    array: tuple[int, int],
    technology: str,
    buffer: int,
    as_json: bool,
    as_csv: bool,
    table: str,
    **conventions: Any,
) -> None:
    """Price one training step of NETWORK: a built-in name or an .onnx file.

    Operations, normalisation's passes and memory are counts, exact under the conventions printed
    with them. Traffic beyond the compulsory, energy and area are estimates with the name of their
    table.
    """
    if as_json and as_csv:
        raise InputError("only one of --json and --csv may be given, got both")
    results = price(
        network,
        schemes or tuple(SCHEMES),
        batch=batch,
        array=array,
        technology=technology,
        conventions=Conventions(**conventions),
        hierarchy=Hierarchy(buffer),
    )
    if as_json:
        json.dump(results.as_dicts(), sys.stdout, allow_nan=False)
        print()
    elif as_csv:
        results.table(table).to_csv(sys.stdout, index=False, lineterminator="\n")
    else:
        # rich is only for people.
        from eoq.cost_table import print_costs

        print_costs(results)
