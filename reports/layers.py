"""What every layer costs, stacked by phase, one panel a scheme."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.bars import axis_name, legend, sums_by, values_in_order
from reports.drawing import Figure, draw, scale_axis, style_axes
from reports.palette import colours
from reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

__all__ = ["by_layer"]

NAMED = 64
"""More layers than this are drawn by position, without names."""


BARS = 400
"""More layers than this are drawn summed with their neighbours."""


def by_layer(
    table: Table,
    *,
    value: str,
    key: str,
    title: str,
    layer: str = "layer",
    phase: str = "phase",
    facet: str = "scheme",
    order: Sequence[str] = (),
    caption: str = "",
    png: bool = True,
) -> Figure:
    """Draw one bar a layer, in the order of the table; phases in `order`, then as they come."""
    names = values_in_order(table.frame[facet])
    found = values_in_order(table.frame[phase])
    phases = [*(one for one in order if one in found), *(one for one in found if one not in order)]
    colour = colours(phases)
    parts = {}
    for name in names:
        frame = table.frame[table.frame[facet].astype(str) == name]
        layers, sums = values_in_order(frame[layer]), sums_by(frame, [layer, phase], value)
        each = -(-len(layers) // BARS)
        if each > 1:
            caption = f"{caption} Each bar is the sum of {each} neighbours ({name}).".strip()
            sums = _neighbours(layers, sums, each)
            layers = [str(place) for place in range(-(-len(layers) // each))]
        parts[name] = layers, sums

    def paint(sheet: "Sheet") -> None:
        panels = sheet.subplots(len(names), 1, squeeze=False)[:, 0]
        handles: dict[str, object] = {}
        for panel, name in zip(panels, names, strict=True):
            layers, sums = parts[name]
            base = [0.0] * len(layers)
            # One outline a phase, down to the axis between the bars: a patch a bar takes seconds.
            edges = [place + side for place in range(len(layers)) for side in (-0.4, 0.4)]
            for part in phases:
                top = [
                    low + sums.get((one, part), 0.0) for low, one in zip(base, layers, strict=True)
                ]
                handles[part] = panel.stairs(
                    _with_gaps(top), edges, baseline=_with_gaps(base), fill=True,
                    color=colour[part], linewidth=0,
                )  # fmt: skip
                base = top
            largest = max(base, default=0)
            scale_axis(panel.yaxis, largest, table.label(value), table.units[value])
            panel.set_ylim(0, largest * 1.06 or 1)
            panel.set_xlim(-0.6, max(len(layers) - 0.4, 0.6))
            panel.tick_params(axis="x", length=0)
            if len(layers) <= NAMED:
                panel.set_xticks(
                    range(len(layers)), [axis_name(one, 22) for one in layers],
                    rotation=90 if len(layers) > 12 else 0, fontsize=8,
                )  # fmt: skip
            else:
                panel.set_xlabel(f"{table.label(layer)}, position in the network")
            if len(names) > 1:
                panel.set_title(axis_name(name))
            style_axes(panel, grid="y")
        legend(sheet, list(handles.values()), list(handles))

    return draw(
        table,
        [value],
        paint,
        key=key,
        title=title,
        caption=caption,
        height=0.6 + 3.2 * len(names),
        wide=True,
        png=png,
    )


def _neighbours(
    layers: list[str], sums: dict[tuple[str, ...], float], each: int
) -> dict[tuple[str, ...], float]:
    """Sums of so many neighbouring layers, by their place and the phase."""
    place = {name: str(index // each) for index, name in enumerate(layers)}
    found: dict[tuple[str, ...], float] = {}
    for (name, part), number in sums.items():
        found[place[name], part] = found.get((place[name], part), 0) + number
    return found


def _with_gaps(values: list[float]) -> list[float]:
    """Zeros between the values."""
    found = [number for value in values for number in (value, 0.0)]
    return found[:-1]
