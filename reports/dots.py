"""Dots on a scale: schemes against a baseline, and a band's two ends around its middle."""

from typing import TYPE_CHECKING

from reports.bars import axis_name, facets_of, legend, panels_of, values_in_order
from reports.drawing import Figure, bar_label, draw, log_scale, scale_axis, style_axes
from reports.palette import INK, MUTED, PAPER, colours
from reports.roofline import MARKERS
from reports.tables import Table
from reports.text import is_missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

__all__ = ["ratios", "tornado"]

_LINE = 0.36  # inches of height for one line of dots


def ratios(
    table: Table,
    *,
    quantity: str = "quantity",
    series: str = "scheme",
    ratio: str = "ratio",
    facet: str = "network",
    key: str = "scheme-comparison",
    title: str = "Schemes against the baseline",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw one line a quantity with a dot a series: how many times the baseline, on a log scale."""
    facets = facets_of(table, facet)
    names = values_in_order(table.frame[series])
    colour = colours(names)
    rows = [len(values_in_order(frame[quantity])) for _, frame in facets]

    def paint(sheet: "Sheet") -> None:
        present = [v for v in table.frame[ratio] if not is_missing(v) and v > 0]
        low, high = min([*present, 1.0]), max([*present, 1.0])
        handles: dict[str, object] = {}
        panels = panels_of(sheet, [name for name, _ in facets], rows)
        for panel, (_, frame) in zip(panels, facets, strict=True):
            quantities = values_in_order(frame[quantity])
            log_scale(panel, "x", 2)
            panel.axvline(1, color=INK, linewidth=1)
            for place, name in enumerate(names):
                part = frame[frame[series].astype(str) == name]
                values = dict(zip(part[quantity].astype(str), part[ratio], strict=True))
                points = [
                    (values[q], line)
                    for line, q in enumerate(quantities)
                    if q in values and not is_missing(values[q]) and values[q] > 0
                ]
                (handles[name],) = panel.plot(
                    [x for x, _ in points], [y for _, y in points],
                    MARKERS[place % len(MARKERS)], color=colour[name], markersize=9,
                    markeredgecolor=PAPER, markeredgewidth=0.7, linestyle="none",
                )  # fmt: skip
            # Nothing at all has no place on a logarithmic scale: it is said in words.
            for line, wanted in enumerate(quantities):
                part = frame[frame[quantity].astype(str) == wanted]
                nothing = [
                    axis_name(str(name))
                    for name, value in zip(part[series], part[ratio], strict=True)
                    if not is_missing(value) and value == 0
                ]
                if nothing:
                    panel.annotate(
                        f"{', '.join(nothing)}: none", (0, line), (4, 0),
                        xycoords=("axes fraction", "data"), textcoords="offset points",
                        va="center", fontsize=8.5, color=MUTED,
                    )  # fmt: skip
            panel.set_yticks(range(len(quantities)), [axis_name(q, 34) for q in quantities])
            panel.set_ylim(len(quantities) - 0.4, -0.6)
            panel.set_xlim(low / 1.8, high * 1.5)
            scale_axis(
                panel.xaxis, 1, table.label(ratio) if panel is panels[-1] else "",
                table.units[ratio] if panel is panels[-1] else "",
            )  # fmt: skip
            style_axes(panel, grid="both")
        legend(sheet, list(handles.values()), list(handles))

    height = 0.9 + sum(0.35 + _LINE * count for count in rows)
    return draw(
        table, [ratio], paint, key=key, title=title, caption=caption, height=height, wide=True,
        png=png,
    )  # fmt: skip


def tornado(
    table: Table,
    *,
    entry: str = "entry",
    low: str = "energy_low_j",
    high: str = "energy_high_j",
    nominal: str = "energy_nominal_j",
    facet: str = "scheme",
    most: int = 6,
    key: str = "sensitivity",
    title: str = "Which entry of the table moves the energy most",
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw, one line an entry, the result with the entry at its low and at its high end."""
    facets = [(name, frame.head(most)) for name, frame in facets_of(table, facet)]
    rows = [len(frame) for _, frame in facets]

    def paint(sheet: "Sheet") -> None:
        panels = panels_of(sheet, [name for name, _ in facets], rows)
        for panel, (name, frame) in zip(panels, facets, strict=True):
            colour = colours([name])[name] if name else MUTED
            ends = [*frame[low], *frame[high], *frame[nominal]]
            smallest, largest = float(min(ends)), float(max(ends))
            last = panel is panels[-1]
            divisor = scale_axis(
                panel.xaxis, largest, table.label(nominal) if last else "", table.units[nominal]
            )
            middle = float(frame[nominal].iloc[0])
            panel.axvline(middle, color=INK, linewidth=1)
            for line, (a, b) in enumerate(zip(frame[low], frame[high], strict=True)):
                panel.barh(line, float(b) - float(a), left=float(a), height=0.62, color=colour)
                for value, side in ((float(a), -1), (float(b), 1)):
                    if abs(value - middle) < 0.002 * middle:
                        continue
                    panel.annotate(
                        bar_label(value, divisor), (value, line), (4 * side, 0),
                        textcoords="offset points", va="center",
                        ha="left" if side > 0 else "right", fontsize=9,
                    )  # fmt: skip
            panel.set_yticks(range(len(frame)), [axis_name(str(e)) for e in frame[entry]])
            panel.set_ylim(len(frame) - 0.4, -0.6)
            margin = 0.16 * max(largest - smallest, 0.02 * middle)
            panel.set_xlim(smallest - margin, largest + margin)
            style_axes(panel, grid="x")

    height = 0.5 + sum(0.45 + 0.27 * count for count in rows)
    return draw(
        table, [low, high, nominal], paint, key=key, title=title, caption=caption, height=height,
        png=png,
    )  # fmt: skip
