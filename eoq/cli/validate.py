"""`eoq validate`: the model against RTL, golden, synthesis and published figures."""

import json
import sys

import click

from eoq.progress import Progress
from eoq.validation.check import Check
from eoq.validation.run import GROUPS

__all__ = ["validate"]


@click.command(
    epilog="\b\nExamples:\n"
    "  eoq validate\n"
    "  eoq validate --json > validation.json\n"
    "  eoq validate --group published --group golden\n"
)
@click.option(
    "--group",
    "groups",
    type=click.Choice(list(GROUPS)),
    multiple=True,
    help="Only these rows; repeatable. Default: all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def validate(groups: tuple[str, ...], as_json: bool) -> None:
    """Hold the model against RTL, golden, synthesis and published figures, row by row.

    Every row has its error and the bound that it has to keep; exit status 1 when one does not.
    Cycles and operations have to be equal. Rows for which a tool is missing are shown as skipped,
    with what installs it. Simulations and syntheses come from the cache where nothing changed.
    """
    from eoq.validation.run import validate as run

    chosen = groups or tuple(GROUPS)
    with Progress(stages=len(chosen)) as progress:
        checks = run(chosen, progress.stage, progress.say)
    failed = [check for check in checks if check.status == "FAIL"]
    if as_json:
        rows = [check.as_dict() for check in checks]
        click.echo(json.dumps({"passed": not failed, "rows": rows}, indent=2, allow_nan=False))
    else:
        _show(checks)
    sys.exit(1 if failed else 0)


def _show(checks: list[Check]) -> None:
    group = ""
    width = max(len(check.what) for check in checks)
    for check in checks:
        if check.group != group:
            group = check.group
            click.echo(
                f"{group}\n{'':<{width}}{'model':>16}{'reference':>16}{'error':>9}{'bound':>8}"
            )
        if check.status == "skipped":
            click.echo(f"{check.what:<{width}}  skipped: {check.note}")
            continue
        error = "=" if check.error == 0 else f"{check.error:+.2%}"
        bound = "=" if check.bound == 0 else f"{check.bound:.2g}"
        click.echo(
            f"{check.what:<{width}}{_number(check.model):>16}{_number(check.reference):>16}"
            f"{error:>9}{bound:>8}  {check.status}  {check.unit}"
        )
    statuses = [check.status for check in checks]
    click.echo(
        f"{'FAIL' if 'FAIL' in statuses else 'PASS'}  {statuses.count('pass')} rows within their "
        f"bounds, {statuses.count('FAIL')} not, {statuses.count('skipped')} skipped"
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    whole = isinstance(value, int) or value >= 1e4
    return f"{value:,.0f}" if whole else f"{value:,.4g}"
