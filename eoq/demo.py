"""The main job at small size: price, generate, simulate, report."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from eoq.api import Costs, cost
from golden.errors import InputError

if TYPE_CHECKING:
    from cosim.cosim_result import CosimResult

__all__ = ["ARRAY", "STAGES", "DemoResult", "default_onnx", "run"]

ARRAY = (4, 4)
NETWORK = "mlp"
BATCH = 16
SEED = 1

STAGES = 6
"""Calls of `stage` in one run."""


class _Teller(Protocol):
    def stage(self, message: str) -> None: ...
    def say(self, message: str) -> None: ...


@dataclass(frozen=True)
class DemoResult:
    """What the demo found and where its report is."""

    passed: bool
    report: Path
    costs: list[Costs]
    runs: "list[CosimResult]"
    verilog_bytes: int


def default_onnx() -> Path:
    """Return a real architecture that comes with the onnx package: ResNet-50, without weights."""
    spec = find_spec("onnx")
    if spec is None or spec.origin is None:
        raise InputError("the package onnx is required, got none; install with: pip install onnx")
    return Path(spec.origin).parent / "backend/test/data/light/light_resnet50.onnx"


def run(output: Path, onnx: Path | None, teller: _Teller) -> DemoResult:
    """Do it all; the report goes to `output`, the Verilog to `output`/rtl.

    Raises
    ------
    InputError
        Before any work, when a simulator is missing or the .onnx file cannot be used.
    """
    from cosim.core_build import SIMULATORS, require
    from cosim.prepared_run import configure
    from cosim.runner import cosimulate
    from eoq.comparison import assumptions_section, costs_section, findings, highlights
    from eoq.hardware_chapter import hardware_section
    from eoq.recorded_sections import synthesis_section, validation_line, validation_section
    from eoq.simulated_steps import simulated_section, verification_line
    from eoq.tool_versions import tool_versions
    from eoq.verification import verification_section
    from eoq.versions import command_line, versions
    from reports import Report, write

    teller.stage("looking for simulators")
    for simulator in SIMULATORS:
        require(simulator)

    teller.stage("pricing resnet18")
    costs = [cost("resnet18")]
    onnx = onnx or default_onnx()
    teller.stage(f"pricing {onnx.name}")
    costs.append(cost(onnx))

    teller.stage("generating the core")
    # Amaranth takes a while to load; a wrong file name should not wait for it.
    from rtl.ip_package import package
    from rtl.verilog import write as write_verilog

    config = configure(NETWORK, ARRAY, BATCH)
    sources = package(config)
    write_verilog(sources, output / "rtl")

    teller.stage(f"training on the RTL in {' and '.join(SIMULATORS)}")

    def simulate(simulator: str) -> "CosimResult":
        return cosimulate(
            network=NETWORK,
            array=ARRAY,
            simulator=simulator,
            batch=BATCH,
            seed=SEED,
            config=config,
            tell=teller.say,
        )

    # Side by side: each is a process of its own, and one compiles while the other runs.
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(simulate, SIMULATORS))

    teller.stage("drawing the report")
    passed = all(result.summary()["passed"] for result in runs)
    page = Report(
        title="eoq demo: from arithmetic to hardware, one training step",
        command=command_line(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        verdict="PASS" if passed else "FAIL",
        summary=[
            *(line for each in costs for line in findings(each)),
            *(f"{verification_line(result)}." for result in runs),
            validation_line(),
        ],
        highlights=highlights(costs[0]),
        sections=[
            costs_section(costs),
            hardware_section(config, sources),
            verification_section([simulated_section(runs)]),
            synthesis_section(),
            validation_section(),
            assumptions_section(costs),
        ],
        versions=versions() | tool_versions(),
    )
    path = write(page, output)
    return DemoResult(passed, path, costs, runs, len(sources["eoq_core.v"].encode()))
