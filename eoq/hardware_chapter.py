"""The report's chapter on the core that a report is about."""

import hashlib
from collections.abc import Mapping

import pandas as pd

from hwmodel.core_area import BLOCK_PARTS, PARTS
from hwmodel.technology import load_technology
from reports import Section, Table
from rtl.config import SIZE_MAX, CoreConfig

__all__ = ["hardware_section"]

_TABLE = "osu018"


def hardware_section(
    core: CoreConfig | tuple[int, int], files: Mapping[str, str] | None = None
) -> Section:
    """Say what a core is made of, and what it takes.

    Parameters
    ----------
    core:
        Its configuration, or rows and columns of the one that `eoq rtl` writes.
    files:
        Texts by name, where the core was generated with the report.
    """
    key, title = "hardware", "Hardware"
    if not isinstance(core, CoreConfig):
        rows, columns = core
        try:
            core = CoreConfig(rows=rows, columns=columns)
        except ValueError:
            return Section(
                key=key, title=title,
                text=[f"No core has an array of {rows}x{columns}: rows and columns are 1 to "
                      f"{SIZE_MAX}. What is priced is the array's arithmetic."],
            )  # fmt: skip
    generated = (
        f"eoq rtl --array {core.rows}x{core.columns} -o DIR writes its Verilog."
        if files is None
        else "Its Verilog stands beside this page; the same configuration gives the same bytes."
    )
    return Section(
        key=key,
        title=title,
        text=[
            f"An int8 training core with a {core.rows}x{core.columns} weight-stationary array, "
            f"{core.accumulator_bits}-bit sums (none of up to {core.largest_reduction:,} products "
            f"overflows), a vector unit of {core.columns} lanes with loss unit, a scratchpad of "
            f"{core.scratchpad_pages} pages of {core.scratchpad_page_bytes:,} bytes that is read "
            f"{core.line_bytes} bytes at a time, a results memory of {core.results_pages} pages of "
            f"{core.results_page_depth:,} words, DMA and sequencer. It executes every operation "
            f"of the EOQ step. {generated}",
        ],
        tables=[_blocks(core), *([] if files is None else [_files(files)])],
    )


def _blocks(core: CoreConfig) -> Table:
    technology = load_technology(_TABLE)
    frame = pd.DataFrame(
        [
            {"block": block, **{part: PARTS[part](core) for part in ("element", "column", "row")},
             "area": technology.block_area(block, core).nominal}
            for block in BLOCK_PARTS
        ]
    )  # fmt: skip
    return Table(
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


def _files(files: Mapping[str, str]) -> Table:
    contents = {name: text.encode() for name, text in files.items()}
    frame = pd.DataFrame(
        [
            {"file": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        ]
    )
    return Table(
        key="rtl-files", title="Generated files", frame=frame, units={"bytes": "bytes"}, exact=True
    )
