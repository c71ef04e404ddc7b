"""The options of every verb that prices a training step."""

import gc
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from eoq.api import Costs
from eoq.api import cost as price
from eoq.cli.parameters import Array
from golden.errors import InputError
from golden.schemes import SCHEMES
from hwmodel.conventions import CHOICES, DEFAULT, Conventions
from hwmodel.hardware import ARRAY_MAX, Hardware, load_hardware
from hwmodel.hierarchy import Hierarchy
from hwmodel.technology import BUILT_IN, Technology, load_technology
from rtl.config import SIZE_MAX

__all__ = ["Pricing", "pricing_options"]

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


class Pricing(NamedTuple):
    """What the options say."""

    schemes: tuple[str, ...]
    batch: int
    hardware: Hardware
    technology: Technology
    conventions: Conventions

    def price(self, network: str) -> Costs:
        """Price a network under every scheme."""
        return price(
            network,
            self.schemes,
            batch=self.batch,
            technology=self.technology,
            conventions=self.conventions,
            hardware=self.hardware,
        )


def _choice(name: str, flag: str, text: str) -> Any:
    return click.option(
        flag,
        name,
        type=click.Choice(CHOICES[name]),
        default=getattr(DEFAULT, name),
        show_default=True,
        help=text,
    )


def _hardware(file: Path | None, array: tuple[int, int] | None, buffer: int | None) -> Hardware:
    if file is None:
        rows, columns = array or (16, 16)
        hierarchy = Hierarchy() if buffer is None else Hierarchy(buffer)
        return Hardware(rows=rows, columns=columns, hierarchy=hierarchy)
    for flag, value in (("--array", array), ("--buffer", buffer)):
        if value is not None:
            raise InputError(f"only one of --hardware and {flag} may be given, got both")
    return load_hardware(file)


_DESIGN: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--scheme",
        "schemes",
        multiple=True,
        metavar="|".join(SCHEMES),
        help="Way of training; repeat for several. Default: all.",
    ),
    click.option("--batch", type=int, default=1, show_default=True, help="Samples a step."),
    click.option(
        "--array",
        type=Array(ARRAY_MAX),
        show_default="16x16",
        help=f"Rows x columns, up to {ARRAY_MAX}x{ARRAY_MAX}; cycles up to {SIZE_MAX}x{SIZE_MAX}.",
    ),
    click.option("--buffer", type=_Size(), show_default="512K", help="On-chip buffer, bytes."),
    click.option(
        "--hardware",
        type=click.Path(path_type=Path),
        metavar="FILE.toml",
        help="Array, clock and memories from a file, instead of --array and --buffer.",
    ),
    click.option(
        "--technology",
        default=BUILT_IN[0],
        show_default=True,
        help=f"Energy and area table: {', '.join(BUILT_IN)} or a .toml file.",
    ),
)

_CONVENTIONS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--padding/--no-padding",
        default=DEFAULT.padding,
        show_default=True,
        help="Count taps that fall on zero padding.",
    ),
    _choice("strided_backward", "--strided-backward", "Error of a strided convolution."),
    _choice("division", "--division", "Divisions of a normalisation."),
    _choice("variance", "--variance", "Variance of batch normalisation."),
    _choice("exponents", "--exponents", "EOQ: what shares an exponent, and so waits."),
    _choice("gradients", "--gradients", "How long weight gradients live."),
    _choice("recompute", "--recompute", "Run segments forward twice instead of keeping tensors."),
    click.option(
        "--fused-statistics/--no-fused-statistics",
        default=DEFAULT.fused_statistics,
        show_default=True,
        help="The producer sums the mean while it writes.",
    ),
    click.option(
        "--fused-scalars/--no-fused-scalars",
        default=DEFAULT.fused_scalars,
        show_default=True,
        help="Fixup's scalars are applied while a tensor passes by.",
    ),
    click.option(
        "--range-chunks",
        type=int,
        default=DEFAULT.range_chunks,
        show_default=True,
        help="Range BN: chunks whose extremes are averaged.",
    ),
)


def pricing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets a `Pricing` as `pricing` in their place."""

    def run(
        schemes: tuple[str, ...],
        batch: int,
        array: tuple[int, int] | None,
        buffer: int | None,
        hardware: Path | None,
        technology: str,
        **others: Any,
    ) -> None:
        # A deep network's step is a million small tuples and no cycle; to look for one among them
        # again and again takes a third of the time. The process ends with the command.
        gc.disable()
        names = DEFAULT.as_dict()
        chosen = {name: others.pop(name) for name in names}
        pricing = Pricing(
            schemes or tuple(SCHEMES),
            batch,
            _hardware(hardware, array, buffer),
            load_technology(technology),
            Conventions(**chosen),
        )
        command(pricing=pricing, **others)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    wrapped: Callable[..., None] = run
    for option in reversed((*_DESIGN, *_CONVENTIONS)):
        wrapped = option(wrapped)
    return wrapped
