"""What was simulated with a report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from reports import Section, Table, figures

if TYPE_CHECKING:
    from cosim.cosim_result import CosimResult

__all__ = [
    "simulated_section",
    "verification_line",
]


def verification_line(result: "CosimResult") -> str:
    """One line on one run."""
    s = result.summary()
    agree = "=" if s["cycles_rtl"] == s["cycles_model"] else "is not"
    line = (
        f"{s['simulator']} {s['simulator_version']}: {s['tensors']} tensors, {s['elements']:,} "
        f"elements, {s['mismatches']} mismatches; {s['cycles_rtl']:,} cycles {agree} model's "
        f"{s['cycles_model']:,} ({s['instructions']} instructions)"
    )
    return f"{line}; {s['first_mismatch']}" if s["first_mismatch"] else line


def simulated_section(results: "Sequence[CosimResult]") -> Section:
    """Return runs, every instruction's cycles, and every tensor compared."""
    first = results[0]
    keys = (
        "simulator", "simulator_version", "network", "array", "batch", "steps", "seed", "passed",
        "tensors", "elements", "mismatches", "instructions", "cycles_rtl", "cycles_model",
        "mac_utilization", "sim_cycles_per_second",
    )  # fmt: skip
    runs = pd.DataFrame([{key: result.summary()[key] for key in keys} for result in results])
    runs["passed"] = runs["passed"].map({True: "PASS", False: "FAIL"})
    instructions = pd.concat(
        [r.instructions.assign(simulator=r.simulator) for r in results], ignore_index=True
    )
    instructions.insert(0, "simulator", instructions.pop("simulator"))
    by_instruction = Table(
        key="instructions",
        title="Cycles of the instructions",
        frame=instructions,
        caption=(
            "One step, by layer, phase and kind of instruction: from the cycle in which each is "
            "taken to the one in which it is complete. RTL and model agree in each of them, or the "
            "verdict above says which does not."
        ),
        units={"count": "", "cycles_rtl": "cycles", "cycles_model": "cycles"},
        exact={"count": True, "cycles_rtl": None, "cycles_model": True},
    )
    text = [
        f"The RTL trained {len(first.steps)} step(s) of {first.network} on batches of "
        f"{first.batch} 8x8 digits: forward, loss error, error back-propagation, weight "
        "gradients, quantisation to nearest and stochastic, momentum and 8-bit update. Every "
        "tensor was compared bit for bit with golden, what every instruction wrote with the "
        "instruction set's model, and when it was taken and complete with the cost model.",
        *(f"FIRST MISMATCH: {r.mismatch}" for r in results if r.mismatch),
    ]
    return Section(
        key="runs",
        title="Simulated with this report",
        text=text,
        tables=[
            Table(
                key="runs",
                title="Co-simulated training steps",
                frame=runs,
                units={
                    **dict.fromkeys(keys[4:7], ""),
                    **dict.fromkeys(keys[8:12], ""),
                    **dict.fromkeys(("cycles_rtl", "cycles_model"), "cycles"),
                    "mac_utilization": "",
                    "sim_cycles_per_second": "Hz",
                },
                exact=None,
                labels={"mac_utilization": "MAC utilisation"},
            ),
            by_instruction,
        ],
        figures=[figures.cycles_agreement(by_instruction, instruction="instruction")],
    )
