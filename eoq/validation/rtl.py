"""Cycles and bits of whole training steps: the model against the simulated Verilog."""

from collections.abc import Callable, Iterator
from typing import Any

from cosim.core_build import SIMULATORS, require
from cosim.cosim_result import CosimResult
from cosim.random_cases import random_case
from cosim.runner import cosimulate
from eoq.validation.check import Check, skipped
from golden.errors import InputError

__all__ = ["GROUP", "rtl_checks"]

GROUP = "model against RTL"

Say = Callable[[str], None]

_RANDOM = {"verilator": 4, "icarus": 1}
"""Simulator -> random case, whose network, core and batch are not those of the other rows."""


def _runs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, simulator and arguments of each co-simulation."""
    mlp = {"network": "mlp", "array": (4, 4), "batch": 16, "seed": 1}
    for simulator in SIMULATORS:
        yield "mlp on 4x4", simulator, mlp
    for simulator, number in _RANDOM.items():
        yield f"random case {number}", simulator, random_case(number).arguments()


def rtl_checks(tell: Say = lambda _: None) -> Iterator[Check]:
    """Simulate small steps; every row must be equal."""
    for name, simulator, arguments in _runs():
        try:
            require(simulator)
        except InputError as error:
            yield skipped(GROUP, f"{name}, {simulator}", str(error))
            continue
        tell(f"{name}: training on the RTL in {simulator}")
        yield from _rows(name, cosimulate(**arguments, simulator=simulator, tell=tell))


def _rows(name: str, result: CosimResult) -> Iterator[Check]:
    said = result.summary()
    where = f"{name}, {said['steps']} step(s) of {said['batch']}"
    source = f"{said['simulator']} {said['simulator_version']}"
    ran = sum(counters["instructions"] for counters in result.counters)
    rows = (
        ("cycles", said["cycles_model"], said["cycles_rtl"], "cycles"),
        ("instructions run", said["instructions"], ran, ""),
        ("instructions in other cycles", said["instructions_with_wrong_cycles"], 0, ""),
        (f"differences in {said['elements']:,} numbers", said["mismatches"], 0, ""),
    )
    for what, model, reference, unit in rows:
        yield Check(
            group=GROUP, what=f"{where}: {what}", model=model, reference=reference, unit=unit,
            bound=0, source=source,
        )  # fmt: skip
