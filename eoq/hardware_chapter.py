"""The report's chapter on the core that a report is about, without making it."""

import pandas as pd

from eoq.api import Costs
from hwmodel.core_area import BLOCK_PARTS, PARTS
from hwmodel.technology import load_technology
from reports import Section, Table
from rtl.config import SIZE_MAX, CoreConfig

__all__ = ["core_section"]

_TABLE = "osu018"


def core_section(costs: Costs) -> Section:
    """Say what the core of the report's array is made of, and what it takes."""
    rows, columns = costs[0].array
    key, title = "hardware", "Hardware"
    try:
        config = CoreConfig(rows=rows, columns=columns)
    except ValueError:
        return Section(
            key=key, title=title,
            text=[f"No core has an array of {rows}x{columns}: rows and columns are 1 to "
                  f"{SIZE_MAX}. What is priced is the array's arithmetic."],
        )  # fmt: skip
    technology = load_technology(_TABLE)
    frame = pd.DataFrame(
        [
            {"block": block, **{part: PARTS[part](config) for part in ("element", "column", "row")},
             "area": technology.block_area(block, config).nominal}
            for block in BLOCK_PARTS
        ]
    )  # fmt: skip
    return Section(
        key=key,
        title=title,
        text=[
            f"An int8 training core with a {rows}x{columns} weight-stationary array, 32-bit sums "
            f"(none of up to {config.largest_reduction:,} products overflows), a vector unit of "
            f"{columns} lanes with loss unit, a scratchpad that is read {config.line_bytes} bytes "
            "at a time, results memory, DMA and sequencer. It executes every operation of the EOQ "
            f"step. eoq rtl --array {rows}x{columns} -o DIR writes its Verilog.",
        ],
        tables=[
            Table(
                key="core-blocks",
                title="What the core is made of",
                frame=frame,
                caption=f"mac_array is part of product_unit. Area by table {_TABLE} "
                f"({technology.title}), fitted to synthesis; memories, DMA, sequencer and wires "
                "are not in it.",
                units={"element": "", "column": "", "row": "", "area": "um2"},
                exact={"element": True, "column": True, "row": True, "area": False},
                labels={"element": "elements", "column": "columns", "row": "rows"},
            )
        ],
    )
