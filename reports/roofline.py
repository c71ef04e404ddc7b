"""Roofline: work a byte against work a cycle, and the two roofs."""

import math
from typing import TYPE_CHECKING

from reports.bars import axis_name, legend, values_in_order
from reports.drawing import Figure, draw, log_scale, scale_axis, style_axes
from reports.palette import INK, MUTED, PAPER, colours
from reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

__all__ = ["MARKERS", "roofline"]

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Series are told apart by shape too, where colours are not seen."""


def roofline(
    table: Table,
    *,
    peak: float,
    bandwidth: float,
    series: str = "phase",
    intensity: str = "intensity",
    reached: str = "reached",
    layer: str = "layer",
    facet: str = "scheme",
    key: str = "roofline",
    title: str = "Roofline of the matrix products",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw every product as a point under its roof.

    Parameters
    ----------
    peak, bandwidth:
        Work a cycle at most, and bytes a cycle: the flat and the slanted roof.
    """
    frame = table.frame
    names = values_in_order(frame[series])
    panels_of = values_in_order(frame[facet])
    colour = colours(names)

    def paint(sheet: "Sheet") -> None:
        panels = list(sheet.subplots(1, len(panels_of), squeeze=False, sharey=True)[0])
        ridge = peak / bandwidth
        left = min(float(frame[intensity].min()), ridge) / 1.7
        right = max(float(frame[intensity].max()), ridge) * 1.7
        bottom = min(float(frame[reached].min()), left * bandwidth) / 1.5
        handles: dict[str, object] = {}
        for panel, facet_name in zip(panels, panels_of, strict=True):
            part = frame[frame[facet].astype(str) == facet_name]
            log_scale(panel, "x", math.log10(right / left))
            log_scale(panel, "y", math.log10(peak / bottom))
            panel.plot(
                [left, ridge, right], [left * bandwidth, peak, peak], color=INK, linewidth=1.4
            )
            panel.plot([ridge, ridge], [bottom, peak], color=MUTED, linewidth=0.8, linestyle=":")
            for place, name in enumerate(names):
                points = part[part[series].astype(str) == name]
                (handles[name],) = panel.plot(
                    points[intensity].to_numpy(dtype=float),
                    points[reached].to_numpy(dtype=float),
                    MARKERS[place % len(MARKERS)],
                    color=colour[name],
                    markeredgecolor=PAPER,
                    markeredgewidth=0.5,
                    markersize=6.5,
                    linestyle="none",
                )
            lowest = part.sort_values(reached).head(1)
            for name, x, y in zip(lowest[layer], lowest[intensity], lowest[reached], strict=True):
                panel.annotate(
                    axis_name(str(name), 18), (x, y), (7, -4), textcoords="offset points",
                    fontsize=8.5, color=MUTED,
                )  # fmt: skip
            panel.annotate(
                f"peak {peak:,.0f}", (right, peak), (-3, 4), textcoords="offset points",
                ha="right", fontsize=9,
            )  # fmt: skip
            panel.annotate(
                f"{bandwidth:,.3g} B a cycle", (left, left * bandwidth), (10, 3),
                textcoords="offset points", fontsize=9, rotation_mode="anchor",
            )  # fmt: skip
            scale_axis(panel.xaxis, 1, table.label(intensity), table.units[intensity])
            scale_axis(panel.yaxis, 1, table.label(reached), table.units[reached])
            if panel is not panels[0]:
                panel.set_ylabel("")
            panel.set_xlim(left, right)
            panel.set_ylim(bottom, peak * 1.8)
            if len(panels_of) > 1:
                panel.set_title(axis_name(facet_name))
            style_axes(panel, grid="both")
        legend(sheet, list(handles.values()), list(handles))

    return draw(
        table,
        [intensity, reached],
        paint,
        key=key,
        title=title,
        caption=caption,
        height=4.4,
        wide=True,
        png=png,
    )
