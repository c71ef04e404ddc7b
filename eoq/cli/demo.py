"""`eoq demo`: the main job, small."""

import sys
from pathlib import Path

import click

from eoq.cli.parameters import NEW_FOLDER
from eoq.progress import Progress

__all__ = ["demo"]


@click.command(epilog="\b\nExamples:\n  eoq demo\n  eoq demo --onnx model.onnx -o my-report\n")
@click.option(
    "--onnx",
    type=click.Path(path_type=Path),
    help="Network to price beside ResNet-18. Default: ResNet-50 from the onnx package.",
)
@click.option(
    "-o",
    "--output",
    type=NEW_FOLDER,
    default=Path("eoq-report"),
    show_default=True,
    help="Folder of the report; made if it is not there.",
)
def demo(onnx: Path | None, output: Path) -> None:
    """Price a training step, generate a core, train on it in two simulators, write a report.

    Prices ResNet-18 and one .onnx file under four schemes; generates a 4x4 int8 training core;
    runs one training step of a two-layer network on 8x8 digits on it, in Verilator and in Icarus
    Verilog, holding every tensor against the arithmetic and every cycle against the cost model.
    Exit status 1 when anything differs.
    """
    from eoq import demo as job
    from eoq.comparison import findings
    from eoq.simulated_steps import verification_line

    with Progress(job.STAGES) as progress:
        result = job.run(output, onnx, progress)
    click.echo(f"report  {result.report}")
    click.echo(f"{'PASS' if result.passed else 'FAIL'}    eoq demo")
    for costs in result.costs:
        for line in findings(costs):
            click.echo(f"cost    {line}")
    size = "x".join(map(str, job.ARRAY))
    click.echo(
        f"rtl     {size} core, {result.verilog_bytes:,} bytes of Verilog in {output / 'rtl'}"
    )
    for run in result.runs:
        click.echo(f"cosim   {verification_line(run)}")
    sys.exit(0 if result.passed else 1)
