"""The report's chapters on cost: tables of several networks under several schemes, and drawings."""

from collections.abc import Mapping, Sequence

import pandas as pd

from eoq.api import Costs
from eoq.captions import conventions, each, frame_of, memories, technology
from eoq.design_chapter import designs_section
from eoq.energy_chapter import energy_section, roofline_section
from eoq.memory_chapter import memory_section, traffic_section
from reports import Figure, Highlight, Section, Table, figures
from reports.dots import ratios

__all__ = ["assumptions_section", "costs_section", "findings", "highlights"]

_PHASES = ("forward", "backward_data", "backward_weight")


def costs_section(all_costs: Sequence[Costs]) -> Section:
    """The chapter on cost, from what is counted to what is estimated."""
    designs = designs_section(all_costs)
    return Section(
        key="costs",
        title="Costs",
        parts=[
            _schemes(all_costs),
            _operations(all_costs),
            _normalization(all_costs),
            memory_section(all_costs),
            traffic_section(all_costs),
            roofline_section(all_costs),
            energy_section(all_costs),
            *([designs] if designs else []),
            _layers(all_costs),
        ],
    )


_COMPARED = {
    "peak memory": lambda cost: cost.memory_peak["total"],
    "off-chip traffic, modelled": lambda cost: cost.moved[cost.hierarchy.off_chip.name],
    "bytes of normalisation": lambda cost: cost.normalization["bytes"],
    "batch-wide waits of normalisation": lambda cost: cost.normalization["barriers"],
    "square roots and divisions": lambda cost: (
        cost.normalization["sqrt"] + cost.normalization["div"]
    ),
    "energy, nominal": lambda cost: cost.totals["energy_j"]["nominal"],
    "area of one unit for normalisation": lambda cost: cost.totals["normalization"]["unit"][
        "area_um2"
    ],
    "area of the arithmetic, nominal": lambda cost: cost.totals["area_um2"]["nominal"],
}
"""Quantity -> its number; all are better when small."""


def _schemes(all_costs: Sequence[Costs]) -> Section:
    first = all_costs[0][0]
    summary = Table(
        key="schemes",
        title="Schemes side by side",
        frame=frame_of(
            [
                {
                    **name,
                    "parameters": cost.parameters,
                    "macs": cost.macs["total"],
                    "cycles": cost.cycles,
                    "utilization": cost.utilization,
                    "memory": cost.memory_peak["total"],
                    "dram": cost.traffic_bytes[cost.hierarchy.off_chip.name]["compulsory"],
                }
                for name, cost in each(all_costs)
            ]
        ),
        caption=f"{memories(first)} Off-chip traffic: compulsory. Cycles are those of our "
        f"int8 core of {first.array[0]}x{first.array[1]}; the other schemes have no core here.",
        units={
            "parameters": "", "macs": "MACs", "cycles": "cycles", "utilization": "",
            "memory": "B", "dram": "B",
        },
        exact={
            "parameters": True, "macs": True, "cycles": False, "utilization": False,
            "memory": True, "dram": True,
        },
        labels={
            "macs": "MACs", "utilization": "MAC utilisation", "memory": "peak memory",
            "dram": "off-chip traffic",
        },
    )  # fmt: skip
    compared = _compared(all_costs)
    return Section(
        key="schemes",
        title="Schemes side by side",
        text=[
            "All schemes make the same matrix products. They differ in the width of their numbers "
            "and in what normalises, and so in memory, traffic, energy and area."
        ],
        tables=[summary, compared],
        figures=[
            ratios(
                compared,
                title=f"Schemes against {compared.frame['baseline'].iloc[0]}",
                caption=f"{compared.caption} Left is better.",
            )
        ],
    )


def _compared(all_costs: Sequence[Costs]) -> Table:
    first = all_costs[0][0]
    rows = []
    for costs in all_costs:
        names = [cost.step.scheme.name for cost in costs]
        base = "fp32-bn" if "fp32-bn" in names else names[0]
        for quantity, number in _COMPARED.items():
            against = number(costs[base])
            for cost in costs:
                value = number(cost)
                if value is None or against is None:
                    continue
                rows.append(
                    {
                        "network": cost.step.network.name,
                        "quantity": quantity,
                        "scheme": cost.step.scheme.name,
                        "ratio": value / against if against else None,
                        "baseline": base,
                    }
                )
    return Table(
        key="comparison",
        title=f"How many times {rows[0]['baseline']}",
        frame=pd.DataFrame(rows).astype({"ratio": float}),
        caption=f"{memories(first)} {technology(first)} Ratios of what the other tables say; "
        "energy, area and modelled traffic are estimates, the rest is counted.",
        units={"ratio": "x"},
        exact=False,
        labels={"ratio": "times the baseline"},
        first_rows=12,
    )


def _operations(all_costs: Sequence[Costs]) -> Section:
    first = all_costs[0][0]
    # MACs do not depend on the scheme: one row a network and phase.
    macs = Table(
        key="macs",
        title="Multiply-accumulates of one training step",
        frame=frame_of(
            [
                {
                    "network": costs[0].step.network.name,
                    "phase": phase,
                    "count": costs[0].macs[phase],
                }
                for costs in all_costs
                for phase in _PHASES
            ]
        ),
        caption=f"Batch {first.step.batch}; the same in every scheme. A MAC is one "
        f"multiply-accumulate; the first layer has no backward-data. {conventions(first)}",
        units={"count": "MACs"},
        exact=True,
    )
    return Section(
        key="operations",
        title="Operations",
        text=[
            "A training step has three matrix products a layer: forward, the error going down "
            "(backward-data), and the weight gradient (backward-weight). All four schemes make the "
            "same products; they differ in the width of their numbers and in what normalises.",
        ],
        tables=[macs],
        figures=[
            figures.macs_by_phase(macs, caption=f"Batch {first.step.batch}; one bar a network.")
        ],
    )


def _normalization(all_costs: Sequence[Costs]) -> Section:
    first = all_costs[0][0]
    fields = (
        "sqrt", "div", "add", "multiply", "compare", "element_passes", "bytes", "barriers",
    )  # fmt: skip
    table = Table(
        key="normalization",
        title="What normalisation costs, or what replaces it",
        frame=frame_of(
            [
                {**name, **{field: cost.normalization[field] for field in fields}}
                for name, cost in each(all_costs)
            ]
        ),
        caption=f"Batch {first.step.batch}. Element passes count each element read or written "
        f"once a pass; barriers are waits for the whole batch. {conventions(first)}",
        units=dict.fromkeys(fields, "") | {"bytes": "B"},
        exact=True,
    )
    units = Table(
        key="normalization-units",
        title="One unit that normalises, or Fixup's in its place",
        frame=frame_of(
            [
                {**name, **cost.totals["normalization"]["unit"]}
                for name, cost in each(all_costs)
            ]
        ),
        caption=f"Batch {first.step.batch}. Our RTL, one element a cycle; area, shortest clock and "
        "energy by eoq synth --bn in osu018 (180 nm, no wires). Latency: cycles from the first "
        "element of the largest channel (Fixup: of a sample's tensor) to its last result. Seconds: "
        "all cycles at the unit's own clock.",
        units={
            "area_um2": "um2", "delay_ns": "ns", "forward_cycles": "cycles",
            "backward_cycles": "cycles", "latency_cycles": "cycles", "seconds": "s",
            "energy_j": "J",
        },
        exact={
            "area_um2": None, "delay_ns": None, "forward_cycles": True, "backward_cycles": True,
            "latency_cycles": True, "seconds": False, "energy_j": False,
        },
        labels={
            "area_um2": "area", "delay_ns": "shortest clock", "forward_cycles": "forward",
            "backward_cycles": "backward", "latency_cycles": "latency", "energy_j": "energy",
        },
    )  # fmt: skip
    passes = pd.concat([costs.table("passes") for costs in all_costs], ignore_index=True)
    summed = (
        passes.groupby(["network", "scheme", "direction", "name"], sort=False, observed=True)[
            ["reads", "writes", "bytes"]
        ]
        .sum()
        .reset_index()
        .convert_dtypes()
    )
    listed = Table(
        key="passes",
        title="The passes over activations, one by one",
        frame=summed,
        caption="Summed over layers. Reads and writes are elements.",
        units={"reads": "elements", "writes": "elements", "bytes": "B"},
        exact=True,
    )
    return Section(
        key="normalization",
        title="What dropping batch normalisation saves",
        text=[
            "Square roots and divisions are a few thousand a step, and normalisation's additions "
            "and multiplications below one per cent of the multiply-accumulates: they are not what "
            "it costs. What it costs are passes over the activations, the wait for the whole batch "
            "in every layer, and the area of a unit that divides and takes roots. All four are "
            "below; none alone is the answer.",
        ],
        tables=[table, units, listed],
        figures=[figures.normalization_cost(table, caption=table.caption)],
    )


def _layers(all_costs: Sequence[Costs]) -> Section:
    tables: list[Table] = []
    drawn: list[Figure] = []
    for number, costs in enumerate(all_costs, start=1):
        cost = costs[0]
        name = cost.step.network.name
        rows = [row for row in cost.rows if row.op == "mac" and row.phase in _PHASES]
        table = Table(
            key=f"layers-{number}",
            title=f"{name}: multiply-accumulates by layer and phase",
            frame=frame_of([{"layer": r.layer, "phase": r.phase, "count": r.count} for r in rows]),
            caption=f"Batch {cost.step.batch}.",
            units={"count": "MACs"},
            exact=True,
        )
        tables.append(table)
        drawn.append(
            figures.macs_by_layer(
                table,
                key=f"macs-by-layer-{number}",
                title=f"{name}: MACs by layer",
                caption=f"Multiply-accumulates of a step. {table.caption}",
            )
        )
    return Section(key="layers", title="Layer by layer", tables=tables, figures=drawn)


def assumptions_section(all_costs: Sequence[Costs]) -> Section:
    """What the numbers rest on, each statement once."""
    statements: dict[str, list[str]] = {}
    for name, cost in each(all_costs):
        for text in cost.assumptions:
            statements.setdefault(text, []).append(f"{name['network']} {name['scheme']}")
    table = Table(
        key="assumptions",
        title="Assumptions",
        frame=pd.DataFrame(
            [
                {"assumption": text, "applies to": ", ".join(dict.fromkeys(where))}
                for text, where in statements.items()
            ]
        ),
    )
    return Section(
        key="assumptions",
        title="Assumptions and conventions",
        text=[conventions(all_costs[0][0])],
        tables=[table],
    )


def findings(costs: Costs) -> list[str]:
    """What a reader should remember of one network: exact first, then estimated."""
    some = costs[0]
    name = some.step.network.name
    by_scheme = {cost.step.scheme.name: cost for cost in costs}
    lines = [
        f"{name}: {some.macs['total']:,} MACs a step of {some.step.batch} image(s), the same in "
        "every scheme (exact)."
    ]
    eoq, bn = by_scheme.get("eoq"), by_scheme.get("fp32-bn")
    if eoq and bn:
        ours, theirs = eoq.normalization, bn.normalization
        saved = {key: theirs[key] - ours[key] for key in ("sqrt", "div", "barriers")}
        widths = [f"{theirs['bytes'] / 1e6:,.1f} MB in fp32"]
        if int8 := by_scheme.get("wageubn"):
            widths.append(f"{int8.normalization['bytes'] / 1e6:,.1f} MB in int8")
        lines.append(
            f"{name}: dropping BN saves {saved['sqrt']:,} square roots, {saved['div']:,} "
            f"divisions, {saved['barriers']} batch-wide waits, and passes over the activations of "
            f"{' or '.join(widths)}; Fixup adds {ours['bytes'] / 1e6:,.1f} MB (exact)."
        )
        a, b = eoq.totals["energy_j"], bn.totals["energy_j"]
        lines.append(
            f"{name}: from fp32-bn to eoq, peak memory {bn.memory_peak['total'] / 1e6:,.1f} to "
            f"{eoq.memory_peak['total'] / 1e6:,.1f} MB (exact), energy {_band(b)} to {_band(a)} mJ "
            f"(estimated, table {a['table']})."
        )
    return lines


def _band(joules: Mapping[str, float]) -> str:
    nominal, low, high = (f"{joules[key] * 1e3:.3g}" for key in ("nominal", "low", "high"))
    return f"{nominal} ({low}-{high})"


def highlights(costs: Costs) -> list[Highlight]:
    """Numbers for the first screen, of one network: what wins by how much."""
    name = costs[0].step.network.name
    result = [Highlight("MACs a step", costs[0].macs["total"], "MACs", True, name)]
    by_scheme = {cost.step.scheme.name: cost for cost in costs}
    eoq, bn = by_scheme.get("eoq"), by_scheme.get("fp32-bn")
    if not eoq or not bn:
        return result
    for label, quantity, exact, note in (
        ("Peak memory", "peak memory", True, name),
        ("Off-chip traffic", "off-chip traffic, modelled", False, f"{name}, best tiling"),
        ("Energy", "energy, nominal", False, f"{name}, table {eoq.technology.name}"),
        ("Area that normalises", "area of one unit for normalisation", None, "our RTL in osu018"),
    ):
        ours, theirs = _COMPARED[quantity](eoq), _COMPARED[quantity](bn)
        if ours and theirs:
            result.append(
                Highlight(f"{label}, fp32-bn over eoq", f"{theirs / ours:.3g}", "x", exact, note)
            )
    return result
