"""The report's chapter on other designs: a small sweep of array and buffer, and its front."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from eoq.api import Costs
from eoq.captions import conventions, technology
from golden.errors import InputError
from hwmodel.designs import Designs
from hwmodel.pareto import front
from reports import Section, Table
from reports.pareto import pareto

__all__ = ["designs_section"]

_SIDES = (4, 8, 16, 32)
_BUFFERS = tuple(1 << bits for bits in range(16, 23))


def designs_section(all_costs: Sequence[Costs]) -> Section | None:
    """Arrays from 4x4 to 32x32 and buffers from 64 KiB to 4 MiB under EOQ; None without it."""
    costs = all_costs[0]
    cost = next((one for one in costs if one.step.scheme.name == "eoq"), None)
    if cost is None:
        return None
    grid = np.array(list(product(_SIDES, _SIDES, _BUFFERS)), dtype=np.int64)
    rows, columns, buffers = grid.T
    step = cost.step
    try:
        designs = Designs(step.original, step.scheme, step.batch, cost.technology, step.conventions)
    except InputError:
        # More than 2**52 multiply-accumulates: too many for array arithmetic.
        return None
    found = designs.evaluate(rows, columns, buffers)
    criteria = ["cycles", "energy_nominal_j"]
    if cost.area_parts:
        criteria.append("area_nominal_um2")
    points = np.stack([found[name].astype(float) for name in criteria], axis=1)
    on = np.zeros(len(grid), dtype=bool)
    on[front(points)] = True
    frame = pd.DataFrame(
        {
            "array": [f"{r}x{c}, {b // 1024} KiB" for r, c, b in grid],
            "rows": rows,
            "columns": columns,
            "buffer": buffers,
            "cycles": found["cycles"],
            "utilization": found["utilization"],
            "dram": found["dram_traffic_bytes"],
            "energy_nominal_j": found["energy_nominal_j"],
            "area_nominal_um2": found["area_nominal_um2"]
            if cost.area_parts
            else (rows * columns).astype(float),
            "on_front": on,
        }
    )
    frame = frame.sort_values(["on_front", "energy_nominal_j"], ascending=[False, True])
    third = "area of the arithmetic" if cost.area_parts else "multipliers"
    table = Table(
        key="designs",
        title=f"{step.original.name}, eoq: {len(grid)} designs of array and buffer",
        frame=frame,
        caption=f"Batch {step.batch}; one buffer between array and DRAM. {technology(cost)} On the "
        f"front: none has fewer cycles, less energy and less {third} at once; the buffer's own "
        f"area is in no table. More designs: eoq sweep. {conventions(cost)}",
        units={
            "rows": "", "columns": "", "buffer": "B", "cycles": "cycles", "utilization": "",
            "dram": "B", "energy_nominal_j": "J",
            "area_nominal_um2": "um2" if cost.area_parts else "",
        },
        exact={
            "rows": True, "columns": True, "buffer": True, "cycles": False, "utilization": False,
            "dram": False, "energy_nominal_j": False, "area_nominal_um2": False,
        },
        labels={
            "array": "design", "utilization": "MAC utilisation", "dram": "DRAM traffic",
            "energy_nominal_j": "energy", "on_front": "on the front",
            "area_nominal_um2": "area" if cost.area_parts else third,
        },
    )  # fmt: skip
    return Section(
        key="designs",
        title="Other designs",
        text=[
            "The same training step on smaller and larger arrays and buffers: what more silicon "
            "buys, and which designs nothing beats."
        ],
        tables=[table],
        figures=[
            pareto(
                table,
                title=f"{step.original.name}, eoq: energy against cycles",
                caption=f"Joules (nominal) and cycles of a step. Batch {step.batch}; "
                f"{technology(cost)} Colour: {third}, in fifths. Rim: on the front.",
            )
        ],
    )
