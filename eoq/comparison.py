"""The report's chapters on cost: tables of several networks under several schemes, and drawings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from eoq.api import Costs
from hwmodel.cost import Cost
from reports import Figure, Highlight, Section, Table, figures

__all__ = ["assumptions_section", "cost_sections", "findings", "highlights"]

_PHASES = ("forward", "backward_data", "backward_weight")


def _each(all_costs: Sequence[Costs]) -> Iterator[tuple[dict[str, Any], Cost]]:
    for costs in all_costs:
        for cost in costs:
            yield {"network": cost.step.network.name, "scheme": cost.step.scheme.name}, cost


def _frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Whole numbers stay whole beside a missing one."""
    return pd.DataFrame(rows).convert_dtypes()


def _conventions(cost: Cost) -> str:
    """Conventions of the counts, in words."""
    named = cost.step.conventions.as_dict().items()
    return "Conventions: " + ", ".join(f"{name} = {value}" for name, value in named) + "."


def cost_sections(all_costs: Sequence[Costs]) -> list[Section]:
    """Chapters: operations, normalisation, memory and traffic, energy and area, layers."""
    return [
        _operations(all_costs),
        _normalization(all_costs),
        _memory(all_costs),
        _energy(all_costs),
        _layers(all_costs),
    ]


def _operations(all_costs: Sequence[Costs]) -> Section:
    first = all_costs[0][0]
    # MACs do not depend on the scheme: one row a network and phase.
    macs = Table(
        key="macs",
        title="Multiply-accumulates of one training step",
        frame=_frame(
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
        f"multiply-accumulate; the first layer has no backward-data. {_conventions(first)}",
        units={"count": "MACs"},
        exact=True,
    )
    summary = Table(
        key="schemes",
        title="Schemes side by side",
        frame=_frame(
            [
                {
                    **name,
                    "parameters": cost.parameters,
                    "macs": cost.macs["total"],
                    "cycles": cost.cycles,
                    "utilization": cost.utilization,
                    "memory": cost.memory_peak["total"],
                    "dram": cost.traffic_bytes["dram"]["compulsory"],
                }
                for name, cost in _each(all_costs)
            ]
        ),
        caption=f"Batch {first.step.batch}. Cycles are those of our int8 core of "
        f"{first.array[0]}x{first.array[1]}; the other schemes have no core here.",
        units={
            "parameters": "",
            "macs": "MACs",
            "cycles": "cycles",
            "utilization": "",
            "memory": "B",
            "dram": "B",
        },
        exact={
            "parameters": True,
            "macs": True,
            "cycles": False,
            "utilization": False,
            "memory": True,
            "dram": True,
        },
        labels={
            "macs": "MACs",
            "utilization": "MAC utilisation",
            "memory": "peak memory",
            "dram": "compulsory DRAM traffic",
        },
    )
    return Section(
        key="operations",
        title="Operations",
        text=[
            "A training step has three matrix products a layer: forward, the error going down "
            "(backward-data), and the weight gradient (backward-weight). All four schemes make the "
            "same products; they differ in the width of their numbers and in what normalises.",
        ],
        tables=[summary, macs],
        figures=[figures.macs_by_phase(macs)],
    )


def _normalization(all_costs: Sequence[Costs]) -> Section:
    first = all_costs[0][0]
    fields = (
        "sqrt", "div", "add", "multiply", "compare", "element_passes", "bytes", "barriers",
    )  # fmt: skip
    table = Table(
        key="normalization",
        title="What normalisation costs, or what replaces it",
        frame=_frame(
            [
                {**name, **{field: cost.normalization[field] for field in fields}}
                for name, cost in _each(all_costs)
            ]
        ),
        caption=f"Batch {first.step.batch}. Element passes count each element read or written "
        f"once a pass; barriers are waits for the whole batch. {_conventions(first)}",
        units=dict.fromkeys(fields, "") | {"bytes": "B"},
        exact=True,
    )
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
        tables=[table, listed],
        figures=[figures.normalization_cost(table)],
    )


def _memory(all_costs: Sequence[Costs]) -> Section:
    first = all_costs[0][0]
    peak = Table(
        key="memory",
        title="Peak memory of one training step",
        frame=_frame(
            [
                {**name, "kind": kind, "bytes": size}
                for name, cost in _each(all_costs)
                for kind, size in cost.memory_peak.items()
                if kind != "total" and size
            ]
        ),
        caption=f"Batch {first.step.batch}. Bytes by kind at the moment when most are live, layer "
        "by layer, without fragmentation.",
        units={"bytes": "B"},
        exact=True,
    )
    traffic = Table(
        key="traffic",
        title="Bytes moved in one training step",
        frame=_frame(
            [
                {**name, "level": level, **sizes}
                for name, cost in _each(all_costs)
                for level, sizes in cost.traffic_bytes.items()
            ]
        ),
        caption=f"Compulsory: every tensor once. Modelled: best tiling of every product; "
        f"memories: {first.hierarchy.describe()}. Accesses: whole words of the modelled.",
        units={"compulsory": "B", "modelled": "B", "accesses": ""},
        exact={"compulsory": True, "modelled": False, "accesses": False},
    )
    return Section(
        key="memory",
        title="Memory and traffic",
        tables=[peak, traffic],
        figures=[figures.memory_by_kind(peak)],
    )


def _energy(all_costs: Sequence[Costs]) -> Section:
    first = all_costs[0][0]
    named = f"Table {first.technology.name}: {first.technology.title}."
    rows, parts = [], []
    for name, cost in _each(all_costs):
        values = cost.as_dict()
        rows.append({**name, **{k: values["energy_j"][k] for k in ("low", "nominal", "high")}})
        parts += [{**name, **part._asdict()} for part in cost.energy_parts]
    band = {"low": "J", "nominal": "J", "high": "J"}
    energy = Table(
        key="energy",
        title="Energy of one training step",
        frame=_frame(rows),
        caption=f"{named} Low and high are the table's own band. Batch {first.step.batch}.",
        units=band,
        exact=False,
    )
    by_part = Table(
        key="energy-parts",
        title="Energy by part",
        frame=_frame(parts),
        caption=f"{named} Clock, control, leakage and wires are not included.",
        units=band,
        exact=False,
    )
    area = Table(
        key="area",
        title="Area of the arithmetic",
        frame=_frame(
            [
                {**name, **part._asdict()}
                for name, cost in _each(all_costs[:1])
                for part in cost.area_parts
            ]
            or [
                {"network": first.step.network.name, "scheme": "", "part": "no areas in this table"}
            ]
        ),
        caption=f"{named} Array of {first.array[0]}x{first.array[1]}; without memories.",
        units={"low": "um2", "nominal": "um2", "high": "um2"},
        exact=False,
    )
    return Section(
        key="energy",
        title="Energy and area",
        text=[
            "Estimates. Published tables differ by a factor of two and more for the same "
            "operation; compare schemes within one table, and quote no number without its table.",
        ],
        tables=[energy, by_part, area],
        figures=[figures.energy_band(energy)],
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
            frame=_frame([{"layer": r.layer, "phase": r.phase, "count": r.count} for r in rows]),
            caption=f"Batch {cost.step.batch}.",
            units={"count": "MACs"},
            exact=True,
        )
        tables.append(table)
        drawn.append(
            figures.macs_by_layer(
                table, key=f"macs-by-layer-{number}", title=f"{name}: MACs by layer"
            )
        )
    return Section(key="layers", title="Layer by layer", tables=tables, figures=drawn)


def assumptions_section(all_costs: Sequence[Costs]) -> Section:
    """What the numbers rest on, each statement once."""
    statements: dict[str, list[str]] = {}
    for name, cost in _each(all_costs):
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
        text=[_conventions(all_costs[0][0])],
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
        a, b = eoq.as_dict()["energy_j"], bn.as_dict()["energy_j"]
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
    """Numbers for the first screen, of one network."""
    name = costs[0].step.network.name
    result = [Highlight("MACs a step", costs[0].macs["total"], "MACs", True, name)]
    for cost in costs:
        if cost.step.scheme.name in ("eoq", "fp32-bn"):
            result.append(
                Highlight(
                    f"Peak memory, {cost.step.scheme.name}",
                    cost.memory_peak["total"],
                    "B",
                    True,
                    name,
                )
            )
    return result
