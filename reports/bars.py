"""Bars: the two kinds of bar chart that most figures are, for any table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing import Figure, bar_label, draw, scale_axis, style_axes
from reports.palette import PAPER, colours
from reports.tables import Table
from reports.text import is_missing, plain_text, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

__all__ = [
    "ROW",
    "axis_name",
    "facets_of",
    "grouped_bars",
    "legend",
    "panels_of",
    "stacked_bars",
    "sums_by",
    "values_in_order",
]

ROW = 0.24  # inches of height for one bar
MARGIN = 0.95  # inches for the axis below and the legend above
NAME_LIMIT = 26  # characters of a name beside an axis


def values_in_order(values: "pd.Series") -> list[str]:
    """Return the distinct values as text in order of appearance: the order of the table."""
    return [str(value) for value in dict.fromkeys(values)]


def sums_by(frame: pd.DataFrame, keys: list[str], value: str) -> dict[tuple[str, ...], float]:
    """Return the sum of `value` by `keys`; a tidy table has several rows a bar."""
    sums: dict[tuple[str, ...], float] = {}
    for *names, number in zip(*(frame[key] for key in keys), frame[value], strict=True):
        if not is_missing(number):
            place = tuple(str(name) for name in names)
            sums[place] = sums.get(place, 0) + number
    return sums


def axis_name(text: str, limit: int = NAME_LIMIT) -> str:
    """Return a name as it stands beside an axis: printable, not too long."""
    return shorten(plain_text(text), limit)


def panels_of(sheet: "Sheet", facets: list[str], rows: list[int]) -> "list[Axes]":
    """Return one panel a facet, above each other, as high as their number of rows asks for."""
    axes = sheet.subplots(
        len(facets), 1, squeeze=False, height_ratios=[count + 1 for count in rows]
    )
    panels = list(axes[:, 0])
    if len(facets) > 1:
        for panel, facet in zip(panels, facets, strict=True):
            panel.set_title(axis_name(facet))
    return panels


def facets_of(table: Table, facet: str | None) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows by `facet`, or all of them where the table has no such column."""
    if facet is None or facet not in table.columns:
        return [("", table.frame)]
    return [
        (name, table.frame[table.frame[facet].astype(str) == name])
        for name in values_in_order(table.frame[facet])
    ]


def legend(sheet: "Sheet", handles: Sequence[object], names: Sequence[str]) -> None:
    """Write the legend above the panels, in two rows where one is too long."""
    labels = [axis_name(name) for name in names]
    width = sum(len(label) + 6 for label in labels)
    columns = len(labels) if width < sheet.get_figwidth() * 13 else -(-len(labels) // 2)
    sheet.legend(handles, labels, loc="outside upper left", ncols=columns)  # type: ignore[call-overload]


def grouped_bars(
    table: Table,
    *,
    key: str,
    title: str,
    group: str,
    series: str,
    values: Sequence[str],
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw one panel a value column: bars of every `series`, in groups where there are several."""
    groups, names = values_in_order(table.frame[group]), values_in_order(table.frame[series])
    colour = colours(names)
    wide = len(values) > 1
    rows = len(groups) * (len(names) + (1 if len(groups) > 1 else 0))

    def paint(sheet: "Sheet") -> None:
        panels = sheet.subplots(1, len(values), squeeze=False)[0]
        handles: list[object] = []
        for panel, value in zip(panels, values, strict=True):
            sums = sums_by(table.frame, [group, series], value)
            largest = max(sums.values(), default=0)
            divisor = scale_axis(panel.xaxis, largest, table.label(value), table.units[value])
            handles, ticks = [], []
            for index, name in enumerate(names):
                places = [g * (len(names) + 1) + index for g in range(len(groups))]
                numbers = [sums.get((g, name)) for g in groups]
                bars = panel.barh(
                    places, [number or 0 for number in numbers], height=0.78, color=colour[name]
                )
                handles.append(bars)
                ticks += list(zip(places, [name] * len(places), strict=True))
                for place, number in zip(places, numbers, strict=True):
                    text = "no value" if number is None else bar_label(number, divisor)
                    panel.annotate(
                        text, (number or 0, place), (4, 0), textcoords="offset points", va="center"
                    )
            if len(groups) == 1:
                panel.set_yticks(
                    [place for place, _ in ticks], [axis_name(name) for _, name in ticks]
                )
            else:
                middles = [g * (len(names) + 1) + (len(names) - 1) / 2 for g in range(len(groups))]
                panel.set_yticks(middles, [axis_name(name) for name in groups])
            panel.set_xlim(0, largest * 1.2 or 1)
            panel.invert_yaxis()
            style_axes(panel, grid="x")
        if len(groups) > 1:
            legend(sheet, handles, names)

    height = MARGIN + ROW * rows if len(groups) > 1 else 0.7 + 1.3 * ROW * rows
    return draw(
        table,
        list(values),
        paint,
        key=key,
        title=title,
        caption=caption,
        height=height,
        wide=wide,
        png=png,
    )


def stacked_bars(
    table: Table,
    *,
    key: str,
    title: str,
    category: str,
    stack: str,
    value: str,
    facet: str | None = None,
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw one bar a `category`, made of the `stack` parts, with its total; one panel a `facet`."""
    facets = facets_of(table, facet)
    rows = [len(values_in_order(frame[category])) for _, frame in facets]
    parts = values_in_order(table.frame[stack])
    colour = colours(parts)

    def paint(sheet: "Sheet") -> None:
        handles: dict[str, object] = {}
        panels = panels_of(sheet, [name for name, _ in facets], rows)
        for panel, (_, frame) in zip(panels, facets, strict=True):
            sums = sums_by(frame, [category, stack], value)
            categories = values_in_order(frame[category])
            totals = [sum(sums.get((name, part), 0) for part in parts) for name in categories]
            divisor = scale_axis(panel.xaxis, max(totals), table.label(value), table.units[value])
            if panel is not panels[-1]:
                # The quantity is named once; the unit may differ from panel to panel.
                panel.set_xlabel(panel.get_xlabel().removeprefix(table.label(value)).strip(" ()"))
            left = [0.0] * len(categories)
            for part in parts:
                widths = [sums.get((name, part), 0) for name in categories]
                handles[part] = panel.barh(
                    range(len(categories)),
                    widths,
                    left=left,
                    height=0.72,
                    color=colour[part],
                    edgecolor=PAPER,
                    linewidth=0.6,
                )
                left = [start + width for start, width in zip(left, widths, strict=True)]
            for place, total in enumerate(totals):
                panel.annotate(
                    bar_label(total, divisor),
                    (total, place),
                    (4, 0),
                    textcoords="offset points",
                    va="center",
                )
            panel.set_yticks(range(len(categories)), [axis_name(name) for name in categories])
            panel.set_xlim(0, max(totals) * 1.17 or 1)
            panel.invert_yaxis()
            style_axes(panel, grid="x")
        legend(sheet, list(handles.values()), list(handles))

    height = 0.75 + sum(0.5 + 1.25 * ROW * count for count in rows)
    return draw(
        table, [value], paint, key=key, title=title, caption=caption, height=height, png=png
    )
