"""The report's chapters on energy and area, and on what limits the products."""

from collections.abc import Sequence

import pandas as pd

from eoq.api import Costs
from eoq.captions import (
    LAYERS_AND_PHASES,
    chosen,
    each,
    frame_of,
    in_order,
    memories,
    technology,
)
from hwmodel.ledger import PHASES
from reports import Figure, Section, Table, figures
from reports.dots import tornado
from reports.layers import by_layer
from reports.roofline import roofline

__all__ = ["energy_section", "roofline_section"]

_BAND = {"low": "J", "nominal": "J", "high": "J"}


def energy_section(all_costs: Sequence[Costs]) -> Section:
    """Energy by scheme, by part, by layer and phase; what moves it; area."""
    first = all_costs[0][0]
    named = f"{technology(first)} {memories(first)}"
    rows, parts = [], []
    for name, cost in each(all_costs):
        values = cost.totals
        rows.append({**name, **{k: values["energy_j"][k] for k in ("low", "nominal", "high")}})
        parts += [{**name, **part._asdict()} for part in cost.energy_parts]
    energy = Table(
        key="energy",
        title="Energy of one training step",
        frame=frame_of(rows),
        caption=f"{named} Low and high are the table's own band.",
        units=_BAND,
        exact=False,
    )
    by_part = Table(
        key="energy-parts",
        title="Energy by part",
        frame=frame_of(parts),
        caption=f"{named} Clock, control, leakage and wires are not included.",
        units=_BAND,
        exact=False,
    )
    sensitivity = _sensitivity(all_costs[0])
    tables = [energy, by_part, sensitivity]
    drawn: list[Figure] = [
        figures.energy_band(energy, caption=f"{energy.caption} Joules."),
        figures.stacked_bars(
            by_part, key="energy-parts", title="Where the energy goes", category="scheme",
            stack="part", value="nominal", facet="network",
            caption=f"{named} Nominal joules.",
        ),
        tornado(
            sensitivity, key="sensitivity", title=sensitivity.title,
            caption=f"{sensitivity.caption} The line is the nominal energy.",
        ),
    ]  # fmt: skip
    for number, costs in enumerate(all_costs, start=1):
        table = _by_layer(number, costs)
        tables.append(table)
        drawn.append(
            by_layer(
                table, value="nominal", layer="product", order=PHASES, key=table.key,
                title=table.title, caption=table.caption,
            )
        )  # fmt: skip
    tables.append(_area(all_costs))
    return Section(
        key="energy",
        title="Energy and area",
        text=[
            "Estimates. Published tables differ by a factor of two and more for the same "
            "operation; compare schemes within one table, and quote no number without its table.",
        ],
        tables=tables,
        figures=drawn,
    )


def _sensitivity(costs: Costs) -> Table:
    first = costs[0]
    frames = []
    for cost in chosen(costs):
        frame = cost.sensitivity.drop(columns=["network", "batch", "table"])
        frame.insert(6, "energy_nominal_j", cost.totals["energy_j"]["nominal"])
        frames.append(frame)
    joules = ("energy_low_j", "energy_nominal_j", "energy_high_j", "swing_j")
    return Table(
        key="sensitivity",
        title=f"{first.step.network.name}: which entry of the table moves the energy most",
        frame=pd.concat(frames, ignore_index=True),
        caption=f"{technology(first)} {memories(first)} One entry at a time at the low and the "
        "high end of its band, the others nominal. Elasticity: per cent of energy for one per "
        "cent of the entry.",
        units={
            "low": "", "nominal": "", "high": "", "swing_share": "", "elasticity": "",
            **dict.fromkeys(joules, "J"),
        },
        exact=False,
        labels={
            "unit": "entry's unit", "energy_low_j": "energy at low",
            "energy_nominal_j": "energy", "energy_high_j": "energy at high", "swing_j": "swing",
        },
        first_rows=10,
    )  # fmt: skip


def _by_layer(number: int, costs: Costs) -> Table:
    first = costs[0]
    rows = []
    for cost in chosen(costs):
        sums: dict[tuple[str, str], dict[str, float]] = {}
        for one in cost.layer_energy_list:
            parts = sums.setdefault((one.layer, one.phase), {})
            parts[one.part] = parts.get(one.part, 0.0) + one.nominal
        names = ["arithmetic", *(level.name for level in cost.hierarchy.levels)]
        rows += [
            {"scheme": cost.step.scheme.name, **name,
             **{part: parts.get(part, 0.0) for part in names}, "nominal": sum(parts.values())}
            for name, parts in in_order(cost, sums)
        ]  # fmt: skip
    frame = pd.DataFrame(rows)
    return Table(
        key=f"energy-by-layer-{number}",
        title=f"{first.step.network.name}: energy by layer and phase",
        frame=frame,
        caption=f"{technology(first)} {memories(first)} {LAYERS_AND_PHASES} Nominal joules: "
        "operations, and the accesses of every memory. All schemes and bands: eoq cost --csv "
        "--table layer_energy.",
        units=dict.fromkeys(frame.columns[4:], "J"),
        exact=False,
        labels={"nominal": "energy"},
    )


def _area(all_costs: Sequence[Costs]) -> Table:
    first = all_costs[0][0]
    return Table(
        key="area",
        title="Area of the arithmetic",
        frame=frame_of(
            [
                {**name, **part._asdict()}
                for name, cost in each(all_costs[:1])
                for part in cost.area_parts
            ]
            or [
                {"network": first.step.network.name, "scheme": "", "part": "no areas in this table"}
            ]
        ),
        caption=f"{technology(first)} Array of {first.array[0]}x{first.array[1]}; without "
        "memories, control and wires.",
        units={"low": "um2", "nominal": "um2", "high": "um2"} if first.area_parts else {},
        exact=False,
    )


def roofline_section(all_costs: Sequence[Costs]) -> Section:
    """What limits every product, where the off-chip bandwidth is known."""
    tables: list[Table] = []
    drawn: list[Figure] = []
    for number, costs in enumerate(all_costs, start=1):
        shown = [cost for cost in chosen(costs) if cost.roofline_list]
        if not shown:
            continue
        first = shown[0]
        outside = first.hierarchy.off_chip
        rows, columns = first.array
        table = Table(
            key=f"roofline-{number}",
            title=f"{first.step.network.name}: roofline of the matrix products",
            frame=pd.DataFrame(
                [
                    {"scheme": cost.step.scheme.name, **point._asdict()}
                    for cost in shown
                    for point in cost.roofline_list
                ]
            ),
            caption=f"{memories(first)} Array of {rows}x{columns}, {outside.name} at "
            f"{outside.bandwidth:g} B a cycle. Bytes: modelled. Cycles: our core's instructions "
            "for eoq, a textbook weight-stationary array for others. Reached: over the longer of "
            "cycles and bytes at that bandwidth.",
            units={
                "macs": "MACs", "bytes": "B", "cycles": "cycles", "intensity": "MACs/B",
                "attainable": "MACs/cycle", "reached": "MACs/cycle",
            },
            exact={
                "macs": True, "bytes": False, "cycles": False, "intensity": False,
                "attainable": False, "reached": False,
            },
            labels={"macs": "MACs"},
        )  # fmt: skip
        tables.append(table)
        drawn.append(
            roofline(
                table, peak=rows * columns, bandwidth=outside.bandwidth or 1.0, key=table.key,
                title=table.title, caption=f"{table.caption} Named: the slowest.",
            )
        )  # fmt: skip
    return Section(
        key="roofline",
        title="What limits the products",
        text=[
            "A product left of the ridge waits for memory however large the array; one right of "
            "it is limited by the array. Distance below the roof is what filling, draining and "
            "ragged tiles cost."
        ]
        if tables
        else ["The off-chip bandwidth of this design is not given, so there is no roofline."],
        tables=tables,
        figures=drawn,
    )
