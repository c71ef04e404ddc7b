"""What is live over the course of a step, stacked by kind, one panel a scheme."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.bars import axis_name, legend, values_in_order
from reports.drawing import Figure, draw, scale_axis, style_axes
from reports.palette import INK, PAPER, PROBLEM, colours
from reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

__all__ = ["memory_course"]

STEPS = 300
"""More moments than this are drawn by the largest of neighbouring ones."""


def memory_course(
    table: Table,
    *,
    kinds: Sequence[str],
    total: str = "total",
    scheme: str = "scheme",
    phase: str = "phase",
    limit: tuple[str, int] | None = None,
    key: str = "memory-course",
    title: str = "Memory over the course of a training step",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw the bytes live at each moment of the step; rows are moments in order.

    Parameters
    ----------
    kinds, total:
        Columns of bytes that are stacked, and their sum.
    phase:
        Column whose first value that is not that of the first row starts the backward pass.
    limit:
        Name and bytes of a memory that is drawn as a line.
    """
    schemes = values_in_order(table.frame[scheme])
    colour = colours(kinds)
    largest = float(table.frame[total].max())
    rows = -(-len(schemes) // 2)

    def paint(sheet: "Sheet") -> None:
        across = min(2, len(schemes))
        panels = list(sheet.subplots(rows, across, squeeze=False, sharey=True).ravel())
        for panel in panels[len(schemes) :]:
            panel.set_visible(False)
        handles: dict[str, object] = {}
        for place, name in enumerate(schemes):
            panel = panels[place]
            frame = table.frame[table.frame[scheme].astype(str) == name]
            count = len(frame)
            each = -(-count // STEPS)
            # The moment with the most of each group, so that no peak is lost.
            sums = frame[total].to_numpy(dtype=float)
            picks = [
                start + int(sums[start : start + each].argmax()) for start in range(0, count, each)
            ]
            edges = [*(start + 0.5 for start in range(0, count, each)), count + 0.5]
            base = [0.0] * len(picks)
            for kind in kinds:
                column = frame[kind].to_numpy(dtype=float)[picks]
                top = [low + more for low, more in zip(base, column, strict=True)]
                handles[kind] = panel.stairs(
                    top, edges, baseline=base, fill=True, color=colour[kind], linewidth=0
                )
                base = top
            peak = int(sums.argmax())
            scale = scale_axis(panel.yaxis, largest, table.label(total), table.units[total])
            panel.plot(peak + 1, sums[peak], "v", color=INK, markersize=6, clip_on=False)
            panel.annotate(
                f"{sums[peak] / scale:,.3g}",
                (peak + 1, sums[peak]),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
            phases = list(frame[phase])
            turn = next((i for i, value in enumerate(phases) if value != phases[0]), None)
            if turn is not None:
                panel.axvline(turn + 0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
                panel.annotate(
                    "backward →",
                    (turn + 0.5, 1),
                    (4, -2),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    va="top",
                    fontsize=8.5,
                    bbox={"boxstyle": "square,pad=0.1", "facecolor": PAPER, "edgecolor": "none",
                          "alpha": 0.7},
                )  # fmt: skip
            if limit is not None and _near(limit, largest):
                panel.axhline(limit[1], color=PROBLEM, linewidth=1.1)
                panel.annotate(
                    axis_name(limit[0]),
                    (1, limit[1]),
                    (-2, 3),
                    xycoords=("axes fraction", "data"),
                    textcoords="offset points",
                    ha="right",
                    fontsize=8.5,
                    color=PROBLEM,
                )
            panel.set_title(axis_name(name))
            panel.set_xlim(0.5, count + 0.5)
            highest = max(largest, limit[1]) if limit and _near(limit, largest) else largest
            panel.set_ylim(0, 1.32 * highest)
            if place >= len(schemes) - across:
                panel.set_xlabel("layers forward, then backward")
            if place % across:
                panel.set_ylabel("")
            style_axes(panel, grid="y")
        legend(sheet, list(handles.values()), list(handles))

    return draw(
        table,
        [total, *kinds],
        paint,
        key=key,
        title=title,
        caption=caption,
        height=0.8 + 2.5 * rows,
        wide=True,
        png=png,
    )


def _near(limit: tuple[str, int], largest: float) -> bool:
    """A line that is neither far above everything nor too close to the axis to be told from it."""
    return 0.04 * largest <= limit[1] <= 1.6 * largest
