"""The report's chapters on synthesis and validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from eoq.records import COMMANDS, Record, load_record
from reports import Section, Table

__all__ = [
    "missing",
    "synthesis_section",
    "validation_line",
    "validation_section",
    "validation_table",
]

Row = Mapping[str, Any]


def missing(name: str) -> str:
    """Say that there is no such record, and what would make it."""
    return f"Nothing is recorded here; {COMMANDS[name]} computes it."


def synthesis_section() -> Section:
    """Blocks of the core, and the price of batch normalisation."""
    parts, texts = [], []
    for name, part in (("synthesis", _blocks), ("normalization_price", _price)):
        record = load_record(name)
        if record:
            parts.append(part(record))
        else:
            texts.append(missing(name))
    return Section(
        key="synthesis",
        title="Synthesis",
        text=[
            "Recorded, not computed with this report: Verilog through Yosys and abc, cells of the "
            "library, without memories, wires and clock tree. The same commands take any Liberty "
            "file.",
            *texts,
        ],
        parts=parts,
    )


def _blocks(record: Record) -> Section:
    columns = {"area_um2": "um2", "nand2": "", "delay_ns": "ns", "energy_pj": "pJ",
               "flip_flops": "", "cells": "", "memory_bits": "bits"}  # fmt: skip
    rows = record.result["blocks"]
    tables = [
        Table(
            key="synthesised-blocks",
            title="Blocks of the core",
            frame=_frame(rows, ["block", *columns]),
            caption=f"Array of {record.result['array']}. {record.source}. "
            + "; ".join(dict.fromkeys(row["method"] for row in rows[:1]))
            + ".",
            units=columns,
            exact=None,
            labels={"area_um2": "area", "nand2": "NAND2 equivalents", "delay_ns": "critical path",
                    "energy_pj": "energy an operation"},
        )
    ]  # fmt: skip
    phases = [
        {"block": row["block"], "phase": phase, **energy}
        for row in rows
        for phase, energy in row["energy"].items()
    ]
    if phases:
        parts = dict.fromkeys(
            ("energy_pj", "internal_pj", "net_pj", "clock_pj", "leakage_pj"), "pJ"
        )
        tables.append(
            Table(
                key="energy-by-phase",
                title="Energy of an operation by phase",
                frame=_frame(phases, ["block", "phase", *parts]),
                caption=f"Gates at work on a training step's operands; noise: uniform ones. "
                f"{record.source}.",
                units=parts,
                exact=None,
                labels={"energy_pj": "dynamic", "internal_pj": "in cells", "net_pj": "on pins",
                        "clock_pj": "clock", "leakage_pj": "leakage"},
            )
        )  # fmt: skip
    return Section(key="blocks", title="Blocks of the core", tables=tables)


def _price(record: Record) -> Section:
    said = record.result
    source = f"{record.source}; docs/bn-price.md says what it rests on."
    unit = {"area_um2": "um2", "delay_ns": "ns", "latency_ns": "ns", "elements_per_s": "Hz",
            "forward_element_pj": "pJ", "backward_element_pj": "pJ", "forward_channel_pj": "pJ",
            "backward_channel_pj": "pJ"}  # fmt: skip
    labels = {
        "area_um2": "area", "delay_ns": "shortest clock", "latency_ns": "latency",
        "elements_per_s": "elements", "forward_element_pj": "element forward",
        "backward_element_pj": "element backward", "forward_channel_pj": "channel forward",
        "backward_channel_pj": "channel backward",
    }  # fmt: skip
    tables = [
        Table(key="bn-units", title="One unit", frame=_frame(said["units"], ["unit", *unit]),
              caption=source, units=unit, exact=None, labels=labels)
    ]  # fmt: skip
    for key, title in (
        ("equal_throughput", "At equal throughput"), ("equal_area", "At equal area"),
        ("steps", "Whole steps"), ("claim", "The paper's claim"),
    ):  # fmt: skip
        if said.get(key):
            tables.append(_plain(f"bn-{key.replace('_', '-')}", title, said[key], source))
    return Section(key="bn-price", title="The price of batch normalisation", tables=tables)


_UNITS = {
    "power_w": "W", "area_mm2": "mm2", "energy_j": "J", "mac_j": "J", "conversion_j": "J",
    "seconds": "s", "cycles": "cycles", "elements_per_s": "Hz", "power": "x", "speed": "x",
}  # fmt: skip


def _plain(key: str, title: str, rows: Sequence[Row], caption: str) -> Table:
    """A table of the rows as they are; columns that compare are ratios."""
    frame = pd.DataFrame(rows)
    numeric = frame.select_dtypes("number").columns
    units = {name: "x" if "_times_" in name else _UNITS.get(name, "") for name in numeric}
    return Table(key=key, title=title, frame=frame, caption=caption, units=units, exact=None)


def validation_section() -> Section:
    """Every row of `eoq validate`, group by group."""
    record = load_record("validation")
    if record is None:
        return Section(key="validation", title="Validation", text=[missing("validation")])
    rows = record.result["rows"]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    return Section(
        key="validation",
        title="Validation",
        text=[
            f"Recorded: {record.source}. {_counted(rows)}. Cycles and operations have to be equal; "
            "every other row keeps the bound beside it, and was not part of what was fitted."
        ],
        tables=[
            validation_table(
                [row for row in rows if row["group"] == group], record,
                f"validation-{number}", group[0].upper() + group[1:],
            )
            for number, group in enumerate(groups, start=1)
        ],
    )  # fmt: skip


def validation_line() -> str:
    """How sure the model is, in a sentence for the first screen."""
    record = load_record("validation")
    if record is None:
        return f"How sure: {missing('validation')}"
    rows = record.result["rows"]
    exact = [row for row in rows if row["bound"] == 0 and row["status"] != "skipped"]
    equal = sum(row["error"] == 0 for row in exact)
    worst = max(
        (abs(row["error"]) for row in rows
         if row["group"].startswith("calibrated") and row["error"] is not None),
        default=None,
    )  # fmt: skip
    held = (
        ""
        if worst is None
        else f"; area and energy on held-out sizes and layers at most {worst:.1%} off"
    )
    return (
        f"How sure: {_counted(rows)}; {equal} of {len(exact)} counts and cycles equal{held} "
        f"({record.source})."
    )


def _counted(rows: Sequence[Row]) -> str:
    counts = {s: sum(row["status"] == s for row in rows) for s in ("pass", "FAIL", "skipped")}
    text = f"{counts['pass']} rows within their bounds, {counts['FAIL']} not"
    return text + (f", {counts['skipped']} skipped" if counts["skipped"] else "")


def validation_table(rows: Sequence[Row], record: Record, key: str, title: str) -> Table:
    """Show rows of `eoq validate`."""
    frame = _frame(rows, ["what", "model", "reference", "unit", "error", "bound", "status",
                          "source"])  # fmt: skip
    frame[["error", "bound"]] = 100 * frame[["error", "bound"]].astype(float)
    frame["status"] = frame["status"].map({"pass": "PASS"}).fillna(frame["status"])
    return Table(
        key=key, title=title, frame=frame, caption=f"{record.source}.",
        units={"model": "", "reference": "", "error": "%", "bound": "%"}, exact=None,
    )  # fmt: skip


def _frame(rows: Sequence[Row], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame([{name: row.get(name) for name in columns} for row in rows])
