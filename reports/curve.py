"""A quantity over the course of something: the learning curve."""

from typing import TYPE_CHECKING

from reports.drawing import Figure, draw, style_axes
from reports.palette import colours
from reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

__all__ = ["curve"]


def curve(table: Table, x: str, y: str, *, key: str, title: str, caption: str = "") -> Figure:
    """Draw column `y` over column `x`, a point a row."""

    def paint(sheet: "Sheet") -> None:
        panel = sheet.add_subplot()
        panel.plot(table.frame[x], table.frame[y], marker=".", color=colours(["one"])["one"])
        panel.set(xlabel=table.label(x), ylabel=f"{table.label(y)} ({table.units[y]})")
        style_axes(panel, grid="y")

    return draw(table, [x, y], paint, key=key, title=title, caption=caption, height=2.8)
