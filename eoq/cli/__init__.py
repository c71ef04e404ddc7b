"""The `eoq` command. One file a verb; a verb's imports happen when it is called."""

import importlib
import sys

import click

from golden.errors import CheckError, InputError

__all__ = ["main"]

COMMANDS = {
    "demo": "The main job, small: costs, RTL, one co-simulated training step, report.",
    "cost": "Price one training step of a network.",
    "sweep": "Price a grid of designs into Parquet, and find its Pareto front.",
    "report": "Write the comparison report: HTML, CSV and figures.",
    "train": "Train a network in integers, or in one of the ways that are compared.",
    "isometry": "Measure how well each block keeps the norm of the errors that pass it.",
    "rtl": "Write the Verilog of the training core.",
    "synth": "Synthesise blocks of the core: area, critical path, energy.",
    "validate": "Hold the model against RTL, synthesis and published figures.",
    "cosim": "Run the RTL against golden (bits) and the cost model (cycles).",
    "doctor": "Say which tools were found and how to add what is missing.",
}
"""Verb -> one-line help. Kept here so that `eoq --help` imports no verb."""


class LazyGroup(click.Group):
    """A group that imports a verb's module, `eoq.cli.<verb>`, only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of use, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the verb's module and return its command."""
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"eoq.cli.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"eoq.cli.{name}.{name} must be a click command, not {command!r}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eoqkit")
def cli() -> None:
    """Design, simulate and price chips that train neural networks in 8-bit integers.

    EOQ (arXiv 2105.13890) trains without batch normalisation, with weights, activations, errors,
    gradients and updates in int8. eoq prices it beside its alternatives, writes its hardware, and
    shows on your machine that arithmetic, RTL and cost model agree.

    \b
    Start here:
      eoq demo
      eoq cost resnet18 --scheme eoq --scheme fp32-bn --array 32x32
    """


def main() -> None:
    """Run the command line; exit 0 success, 1 a check failed, 2 a user error."""
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.Abort:
        print("eoq: interrupted", file=sys.stderr)
        sys.exit(130)
    except click.ClickException as error:
        print(f"eoq: {error.format_message()}", file=sys.stderr)
        sys.exit(2)
    except (CheckError, InputError) as error:
        print("eoq: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(1 if isinstance(error, CheckError) else 2)
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"eoq: a usable file or folder is required, got {error.filename!r}: {reason}",
              file=sys.stderr)  # fmt: skip
        sys.exit(2)
    # click hands back what `ctx.exit` was given instead of raising it.
    sys.exit(status if isinstance(status, int) else 0)
