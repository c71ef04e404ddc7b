"""`eoq doctor`: which tools were found, and the one command that adds what is missing."""

import dataclasses
import json
import sys

import click

from eoq.doctor import Check, Diagnosis, diagnose

__all__ = ["doctor"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def doctor(as_json: bool) -> None:
    """Say which tools and packages were found, and how to add what is missing.

    Exit status 0 if everything that `eoq demo` needs is there, 1 otherwise.

    \b
    Example:
      eoq doctor
      eoq doctor --json
    """
    diagnosis = diagnose()
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(diagnosis), indent=2))
    else:
        _print_table(diagnosis)
    if not diagnosis.ready:
        sys.exit(1)


def _print_table(diagnosis: Diagnosis) -> None:
    """Print a line for each check, then what is wrong and the command that mends it."""
    rows = [("", "name", "found", "needed", "what for")]
    rows += [
        (_mark(check), check.name, check.version or "-", check.needed or "any", check.purpose)
        for check in diagnosis.checks
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
    click.echo()
    for check in diagnosis.checks:
        if not check.ok and check.required:
            click.echo(check.problem)
    for check in diagnosis.checks:
        if not check.ok and not check.required:
            click.echo(f"optional: {check.name}, add it with: {check.add}")
    if diagnosis.ready:
        click.echo("ready: everything that eoq demo needs is there")
    else:
        click.echo(f"not ready, run: {diagnosis.command}")


def _mark(check: Check) -> str:
    """Return the first column: whether the check is fine."""
    if check.ok:
        return "ok"
    return "MISSING" if check.required else "optional"
