"""Figures: each takes a `Table` whose columns it names and gives a drawing of its numbers."""

import math
from typing import TYPE_CHECKING

from reports.bars import (
    ROW,
    axis_name,
    facets_of,
    grouped_bars,
    legend,
    panels_of,
    stacked_bars,
    sums_by,
    values_in_order,
)
from reports.drawing import HALF, Figure, bar_label, draw, log_scale, scale_axis, style_axes
from reports.palette import INK, MUTED, PAPER, PROBLEM, colours
from reports.tables import Table
from reports.text import is_missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

__all__ = [
    "Figure",
    "cycles_agreement",
    "energy_band",
    "grouped_bars",
    "macs_by_layer",
    "macs_by_phase",
    "memory_by_kind",
    "normalization_cost",
    "stacked_bars",
]

NAMED_LAYERS = 64  # more layers than this are drawn by position, without names
POSITIONS = 500  # more layers than this are drawn summed in bins: a page is about this many pixels


def macs_by_phase(
    table: Table,
    *,
    network: str = "network",
    phase: str = "phase",
    count: str = "count",
    key: str = "macs-by-phase",
    title: str = "MACs of a training step by phase",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw the multiply-accumulates of a training step by phase, one bar a network."""
    return stacked_bars(
        table,
        key=key,
        title=title,
        category=network,
        stack=phase,
        value=count,
        caption=caption,
        png=png,
    )


def memory_by_kind(
    table: Table,
    *,
    network: str = "network",
    scheme: str = "scheme",
    kind: str = "kind",
    size: str = "bytes",
    key: str = "memory-by-kind",
    title: str = "Peak memory of a training step by kind",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw what fills the memory at its peak, one bar a scheme and one panel a network."""
    return stacked_bars(
        table,
        key=key,
        title=title,
        category=scheme,
        stack=kind,
        value=size,
        facet=network,
        caption=caption,
        png=png,
    )


def normalization_cost(
    table: Table,
    *,
    network: str = "network",
    scheme: str = "scheme",
    passes: str = "element_passes",
    size: str = "bytes",
    key: str = "normalization-cost",
    title: str = "What normalisation moves in a training step",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw the element passes and the bytes of normalisation of every scheme."""
    return grouped_bars(
        table,
        key=key,
        title=title,
        group=network,
        series=scheme,
        values=[passes, size],
        caption=caption,
        png=png,
    )


def energy_band(
    table: Table,
    *,
    network: str = "network",
    scheme: str = "scheme",
    low: str = "low",
    nominal: str = "nominal",
    high: str = "high",
    key: str = "energy-band",
    title: str = "Energy of a training step",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw low to high as a band around the nominal value, one a scheme, one panel a network."""
    facets = facets_of(table, network)
    rows = [len(frame) for _, frame in facets]

    def paint(sheet: "Sheet") -> None:
        panels = panels_of(sheet, [name for name, _ in facets], rows)
        for panel, (_, frame) in zip(panels, facets, strict=True):
            names = [str(name) for name in frame[scheme]]
            colour = colours(names)
            bands = list(zip(frame[low], frame[nominal], frame[high], strict=True))
            smallest, largest = float(frame[low].min()), float(frame[high].max())
            quantity = f"{table.label(nominal)}, {table.label(low)} to {table.label(high)}"
            if panel is not panels[-1]:
                quantity = ""
            logarithmic = smallest > 0 and largest / smallest > 30
            if logarithmic:
                log_scale(panel, "x", math.log10(largest / smallest))
            divisor = scale_axis(panel.xaxis, largest, quantity, table.units[nominal])
            for place, (name, (start, middle, end)) in enumerate(zip(names, bands, strict=True)):
                panel.plot(
                    [start, end], [place, place], color=colour[name], linewidth=7, alpha=0.45
                )
                panel.plot(middle, place, "o", color=colour[name], markersize=8)
                panel.annotate(
                    bar_label(middle, divisor),
                    (end, place),
                    (8, 0),
                    textcoords="offset points",
                    va="center",
                )
            panel.set_yticks(range(len(names)), [axis_name(name) for name in names])
            panel.set_ylim(len(names) - 0.4, -0.6)
            if logarithmic:
                panel.set_xlim(smallest / 1.5, largest * (largest / smallest) ** 0.17)
            else:
                panel.set_xlim(0, largest * 1.18)
            style_axes(panel, grid="x")

    height = 0.45 + sum(0.45 + 1.4 * ROW * count for count in rows)
    return draw(
        table,
        [low, nominal, high],
        paint,
        key=key,
        title=title,
        caption=caption,
        height=height,
        png=png,
    )


def macs_by_layer(
    table: Table,
    *,
    layer: str = "layer",
    phase: str = "phase",
    count: str = "count",
    key: str = "macs-by-layer",
    title: str = "MACs by layer and phase",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw the work of every layer in order: named bars, or steps where names do not fit."""
    layers, phases = values_in_order(table.frame[layer]), values_in_order(table.frame[phase])
    colour = colours(phases)
    sums = sums_by(table.frame, [layer, phase], count)
    stacks = {name: [sums.get((place, name), 0) for place in layers] for name in phases}
    each = -(-len(layers) // POSITIONS)
    if each > 1:
        stacks = {
            name: [sum(column[start : start + each]) for start in range(0, len(column), each)]
            for name, column in stacks.items()
        }
        caption = f"{caption} Each step is the sum of {each} neighbouring layers.".strip()
    named = len(layers) <= NAMED_LAYERS

    def paint(sheet: "Sheet") -> None:
        panel = sheet.subplots()
        largest = max(map(sum, zip(*stacks.values(), strict=True)))
        start = [0.0] * len(next(iter(stacks.values())))
        handles: list[object] = []
        for name, column in stacks.items():
            end = [below + number for below, number in zip(start, column, strict=True)]
            if named:
                handles.append(
                    panel.bar(
                        range(len(layers)),
                        column,
                        bottom=start,
                        width=0.8,
                        color=colour[name],
                        edgecolor=PAPER,
                        linewidth=0.4,
                    )
                )
            else:
                edges = [index * each + 0.5 for index in range(len(column) + 1)]
                handles.append(
                    panel.stairs(end, edges, baseline=start, fill=True, color=colour[name])
                )
            start = end
        scale_axis(panel.yaxis, largest, table.label(count), table.units[count])
        panel.set_ylim(0, largest * 1.04 or 1)
        if named:
            panel.set_xticks(
                range(len(layers)),
                [axis_name(name) for name in layers],
                rotation=90 if len(layers) > 12 else 0,
                fontsize=8 if len(layers) > 32 else 9,
            )
            panel.set_xlim(-0.6, len(layers) - 0.4)
            panel.tick_params(axis="x", length=0)
        else:
            panel.set_xlabel(f"{table.label(layer)}, position in the network")
            panel.set_xlim(0.5, len(start) * each + 0.5)
        style_axes(panel, grid="y")
        legend(sheet, handles, phases)

    return draw(
        table,
        [count],
        paint,
        key=key,
        title=title,
        caption=caption,
        height=4.2 if named else 3.4,
        wide=True,
        png=png,
    )


def cycles_agreement(
    table: Table,
    *,
    instruction: str = "instruction",
    simulated: str = "cycles_rtl",
    modelled: str = "cycles_model",
    key: str = "cycles-agreement",
    title: str = "Cycles of every instruction: RTL against model",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw simulated against modelled cycles: agreement is the diagonal, the rest is named."""
    frame = table.frame
    pairs = list(zip(frame[instruction], frame[modelled], frame[simulated], strict=True))
    off = [pair for pair in pairs if pair[1] != pair[2]]

    def paint(sheet: "Sheet") -> None:
        panel = sheet.subplots()
        values = [v for _, *both in pairs for v in both if not is_missing(v)]
        smallest, largest = min(values, default=0), max(values, default=1)
        if smallest > 0 and largest / smallest > 30:
            log_scale(panel, "x", math.log10(largest / smallest))
            log_scale(panel, "y", math.log10(largest / smallest))
            ends = (smallest / 1.6, largest * 1.6)
        else:
            margin = max(0.06 * (largest - smallest), 1)
            ends = (smallest - margin, largest + margin)
        panel.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        same = sorted({(model, rtl) for _, model, rtl in pairs if model == rtl})
        if same:
            panel.plot(*zip(*same, strict=True), "o", color=INK, markersize=5, alpha=0.75)
        for name, model, rtl in off[:20]:
            if is_missing(model) or is_missing(rtl):
                continue
            panel.plot(model, rtl, "X", color=PROBLEM, markersize=8)
            # Away from the diagonal, where the points that agree are.
            above = rtl > model
            panel.annotate(
                axis_name(str(name)),
                (model, rtl),
                (-8, 3) if above else (8, -9),
                textcoords="offset points",
                ha="right" if above else "left",
                color=PROBLEM,
            )
        agreeing = f"{len(pairs) - len(off):,} of {len(pairs):,} on the diagonal"
        panel.set_title(agreeing, color=PROBLEM if off else INK)
        scale_axis(panel.xaxis, largest, table.label(modelled), table.units[modelled])
        scale_axis(panel.yaxis, largest, table.label(simulated), table.units[simulated])
        panel.set_xlim(*ends)
        panel.set_ylim(*ends)
        style_axes(panel, grid="both")

    return draw(
        table,
        [simulated, modelled],
        paint,
        key=key,
        title=title,
        caption=caption,
        height=0.72 * HALF,
        png=png,
    )
