"""Designs as a cloud, and the ones that none beats."""

import math
from typing import TYPE_CHECKING

from reports.bars import legend
from reports.drawing import Figure, draw, log_scale, scale_axis, style_axes
from reports.palette import GRID, INK, PAPER
from reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

__all__ = ["pareto"]

# Viridis in five steps: from dark to light as the eye sees it, whatever colours it knows.
STEPS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


def pareto(
    table: Table,
    *,
    x: str = "cycles",
    y: str = "energy_nominal_j",
    size: str = "area_nominal_um2",
    front: str = "on_front",
    label: str = "array",
    key: str = "pareto",
    title: str = "Designs: energy against cycles",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw every design, coloured by a third criterion; those on the front with a dark rim.

    Parameters
    ----------
    x, y, size:
        Columns of the three criteria; all are to be small.
    front:
        Column that says whether a design is on the front, of booleans.
    label:
        Column of names; the ends of the front and its middle are named.
    """
    frame = table.frame

    def paint(sheet: "Sheet") -> None:
        panel = sheet.subplots()
        xs, ys = frame[x].to_numpy(dtype=float), frame[y].to_numpy(dtype=float)
        third = frame[size].to_numpy(dtype=float)
        on = frame[front].to_numpy(dtype=bool)
        ranks = third.argsort().argsort() * len(STEPS) // max(1, len(third))
        for direction, values in (("x", xs), ("y", ys)):
            span = math.log10(max(values) / min(values)) if min(values) > 0 else 0
            if span > 0.8:
                log_scale(panel, direction, span)  # type: ignore[arg-type]
        order = [*(~on).nonzero()[0], *on.nonzero()[0]]
        for place in order:
            panel.plot(
                xs[place], ys[place], "o", color=STEPS[ranks[place]],
                markersize=8 if on[place] else 5.5,
                markeredgecolor=INK if on[place] else GRID,
                markeredgewidth=1.3 if on[place] else 0.5,
                zorder=3 if on[place] else 2,
            )  # fmt: skip
        chosen = sorted(on.nonzero()[0], key=lambda place: xs[place])
        for place in {chosen[0], chosen[len(chosen) // 2], chosen[-1]} if chosen else ():
            panel.annotate(
                str(frame[label].iloc[place]), (xs[place], ys[place]), (8, 7),
                textcoords="offset points", fontsize=9,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": PAPER, "edgecolor": "none",
                      "alpha": 0.75},
                zorder=4,
            )  # fmt: skip
        scale_axis(panel.xaxis, max(xs), table.label(x), table.units[x])
        scale_axis(panel.yaxis, max(ys), table.label(y), table.units[y])
        style_axes(panel, grid="both")
        handles = [
            panel.plot([], [], "o", color=colour, markersize=7, markeredgecolor=GRID)[0]
            for colour in STEPS
        ]
        names = [f"{table.label(size)}: least fifth", "2nd", "3rd", "4th", "most"]
        rim = panel.plot(
            [], [], "o", color=PAPER, markersize=8, markeredgecolor=INK, markeredgewidth=1.3
        )[0]
        legend(sheet, [*handles, rim], [*names, "on the front"])

    return draw(
        table, [x, y, size], paint, key=key, title=title, caption=caption, height=4.6, wide=True,
        png=png,
    )  # fmt: skip
