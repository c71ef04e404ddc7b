"""The report's chapters on memory and on traffic."""

from collections.abc import Sequence

import pandas as pd

from eoq.api import Costs
from eoq.captions import LAYERS_AND_PHASES, chosen, each, frame_of, in_order, memories
from hwmodel.footprint import KINDS
from hwmodel.hierarchy import size_text
from hwmodel.ledger import PHASES
from reports import Figure, Section, Table, figures
from reports.layers import by_layer
from reports.timeline import memory_course

__all__ = ["memory_section", "traffic_section"]


def memory_section(all_costs: Sequence[Costs]) -> Section:
    """What is live when, and whether it fits."""
    first = all_costs[0][0]
    peak = Table(
        key="memory",
        title="Peak memory of one training step",
        frame=frame_of(
            [
                {**name, "kind": kind, "bytes": size}
                for name, cost in each(all_costs)
                for kind, size in cost.memory_peak.items()
                if kind != "total" and size
            ]
        ),
        caption=f"Batch {first.step.batch}. Bytes by kind at the moment when most are live, layer "
        "by layer, without fragmentation.",
        units={"bytes": "B"},
        exact=True,
    )
    tables, drawn = [peak, _fit(all_costs)], [figures.memory_by_kind(peak, caption=peak.caption)]
    for number, costs in enumerate(all_costs, start=1):
        table = _course(number, costs)
        tables.append(table)
        drawn.append(_drawn_course(table, costs))
    return Section(
        key="memory",
        title="Memory",
        text=[
            "A tensor is live from the layer that makes it to its last reader, forward or "
            "backward. The peak decides whether a step fits a memory; the course shows what to cut."
        ],
        tables=tables,
        figures=drawn,
    )


def _fit(all_costs: Sequence[Costs]) -> Table:
    first = all_costs[0][0]
    level = first.hierarchy.on_chip[-1]
    return Table(
        key="fit",
        title=f"Does the step fit the {level.name} of {size_text(level.size or 0)}?",
        frame=frame_of([{**name, **cost.fit._asdict()} for name, cost in each(all_costs)]).drop(
            columns="bytes"
        ),
        caption=f"Batch {first.step.batch}. The whole step: weights, momentum, activations, "
        "gradients. With recomputation: segments run forward twice instead of being kept.",
        units={"largest_batch": "samples", "largest_batch_recomputing": "samples"},
        exact=True,
        labels={
            "fits_recomputing": "fits with recomputation",
            "largest_batch_recomputing": "largest batch with recomputation",
        },
    )


def _drawn_course(table: Table, costs: Costs) -> Figure:
    """The course; kinds too small to be seen are drawn as one."""
    largest = table.frame["total"].max()
    large = [kind for kind in KINDS if table.frame[kind].max() > 0.01 * largest]
    small = [kind for kind in KINDS if kind not in large and table.frame[kind].any()]
    rest = {"others": table.frame[small].sum(axis=1)} if small else {}
    drawn = Table(
        key=table.key,
        title=table.title,
        frame=table.frame.assign(**rest),
        units={**table.units, **dict.fromkeys(rest, "B")},
        exact=True,
    )
    level = costs[0].hierarchy.on_chip[-1]
    size = level.size or 0
    caption = f"{table.caption} Bytes; the triangle is the peak."
    if small:
        caption += f" Others: {', '.join(small)}."
    return memory_course(
        drawn,
        kinds=[*large, *rest],
        limit=(f"{level.name}, {size_text(size)}", size),
        key=table.key,
        title=table.title,
        caption=caption,
    )


def _course(number: int, costs: Costs) -> Table:
    name = costs[0].step.network.name
    rows = []
    for cost in costs:
        for place, moment in enumerate(cost.moments, start=1):
            rows.append(
                {
                    "scheme": cost.step.scheme.name,
                    "moment": place,
                    **moment._asdict(),
                    "total": moment.total,
                }
            )
    return Table(
        key=f"memory-course-{number}",
        title=f"{name}: memory over the course of a training step",
        frame=pd.DataFrame(rows),
        caption=f"Batch {costs[0].step.batch}. Bytes live while each layer works, forward, at the "
        "loss, and backward; element-wise layers in place, ReLU masks at one bit.",
        units={"moment": "", **dict.fromkeys((*KINDS, "total"), "B")},
        exact=True,
    )


def traffic_section(all_costs: Sequence[Costs]) -> Section:
    """Bytes by level, and by layer and phase across the outermost."""
    first = all_costs[0][0]
    levels = Table(
        key="traffic",
        title="Bytes moved in one training step",
        frame=frame_of(
            [
                {**name, "level": level, **sizes}
                for name, cost in each(all_costs)
                for level, sizes in cost.traffic_bytes.items()
            ]
        ),
        caption=f"{memories(first)} A level's bytes are those between it and the next memory "
        "inside, or the array. Compulsory: every tensor of a layer once. Modelled: best tiling of "
        "every product. Accesses: whole words of the modelled.",
        units={"compulsory": "B", "modelled": "B", "accesses": ""},
        exact={"compulsory": True, "modelled": False, "accesses": False},
    )
    tables: list[Table] = [levels]
    drawn: list[Figure] = [
        figures.grouped_bars(
            levels_table,
            key=f"traffic-{level}",
            title=f"Across {level}: compulsory and modelled bytes",
            group="network",
            series="scheme",
            values=["compulsory", "modelled"],
            caption=f"{memories(first)} Modelled: best tiling found.",
        )
        for level, levels_table in _outermost(levels)
    ]
    for number, costs in enumerate(all_costs, start=1):
        table = _by_layer(number, costs)
        tables.append(table)
        drawn.append(
            by_layer(
                table, value="modelled", layer="product", order=PHASES, key=table.key,
                title=table.title, caption=table.caption,
            )
        )  # fmt: skip
    return Section(
        key="traffic",
        title="Traffic",
        text=[
            "Every matrix product is tiled by itself: all tiles and loop orders are tried and the "
            "one with the least traffic is taken. No tiling can do with less than the compulsory "
            "while layers run one after another."
        ],
        tables=tables,
        figures=drawn,
    )


def _outermost(levels: Table) -> list[tuple[str, Table]]:
    """The first level's rows, under the same key: what the figure draws."""
    name = str(levels.frame["level"].iloc[0])
    frame = levels.frame[levels.frame["level"] == name]
    table = Table(
        key=levels.key, title=levels.title, frame=frame, units=levels.units, exact=levels.exact
    )
    return [(name, table)]


def _by_layer(number: int, costs: Costs) -> Table:
    network = costs[0].step.network.name
    outside = costs[0].hierarchy.off_chip.name
    rows = []
    for cost in chosen(costs):
        sums: dict[tuple[str, str], list[int]] = {}
        for transfer in cost.transfers:
            if transfer.level == outside:
                both = sums.setdefault((transfer.layer, transfer.phase), [0, 0])
                both[0] += transfer.compulsory
                both[1] += transfer.modelled
        rows += [
            {"scheme": cost.step.scheme.name, **name, "compulsory": least, "modelled": moved}
            for name, (least, moved) in in_order(cost, sums)
        ]
    return Table(
        key=f"traffic-by-layer-{number}",
        title=f"{network}: bytes across {outside} by layer and phase",
        frame=pd.DataFrame(rows),
        caption=f"{memories(costs[0])} {LAYERS_AND_PHASES} Modelled bytes, best tiling found. "
        "All schemes: eoq cost --csv --table traffic.",
        units={"compulsory": "B", "modelled": "B"},
        exact={"compulsory": True, "modelled": False},
    )
