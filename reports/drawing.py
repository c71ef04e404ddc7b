"""One look for all figures: fonts, lines, and the way from a matplotlib figure to SVG and PNG."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from reports.palette import GRID, INK, MUTED, PAPER
from reports.svg import standalone_svg
from reports.tables import Table, check_key
from reports.text import axis_scale, significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Sheet

__all__ = [
    "HALF",
    "WIDE",
    "Figure",
    "bar_label",
    "draw",
    "log_scale",
    "scale_axis",
    "style_axes",
]

# Widths in inches. A half figure stands beside another one on a desk and alone on a phone, and its
# ten-point letters stay readable at both; a wide one scrolls inside its box on a phone.
HALF = 5.2
WIDE = 10.0

STYLE: dict[str, Any] = {
    # The first font ships with matplotlib, so the layout is the same on every machine. The text in
    # the SVG stays text; the other fonts are narrower and never run out of the room it measured.
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica Neue", "Arial", "sans-serif"],
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 10.0,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.handlelength": 1.0,
    "legend.handleheight": 0.9,
    "legend.columnspacing": 1.4,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    # A dollar sign in a layer name is a dollar sign.
    "text.parse_math": False,
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing for a report.

    Parameters
    ----------
    key:
        Names the files and the place in the page; unique among the figures of a report.
    title, caption:
        What it shows; unit, table and convention.
    svg:
        The drawing as a standalone SVG document.
    png:
        The same drawing as PNG bytes, if wanted.
    table:
        Key of the table that holds its numbers, which the page links to.
    exact:
        The weakest claim among the columns drawn: see `reports.tables.Table`.
    wide:
        Takes the whole width of the page.
    """

    key: str
    title: str
    caption: str
    svg: str
    png: bytes | None = None
    table: str | None = None
    exact: bool | None = None
    wide: bool = False

    def __post_init__(self) -> None:
        """Check that the key can be a file name."""
        check_key(self.key, "figure")


def draw(
    table: Table,
    columns: list[str],
    paint: "Callable[[Sheet], None]",
    *,
    key: str,
    title: str,
    caption: str,
    height: float,
    wide: bool = False,
    png: bool = True,
) -> Figure:
    """Call `paint` with an empty sheet and return what it drew from `columns` of `table`."""
    check_key(key, "figure")
    if table.frame.empty:
        raise ValueError(f"figure {key!r} needs at least one row; table {table.key!r} is empty")
    # matplotlib takes 0.3 s to import, which a command that only prints numbers should not pay.
    import matplotlib.style
    from matplotlib.figure import Figure as Sheet

    svg, image = io.StringIO(), io.BytesIO()
    with (
        # From the defaults, so that a user's matplotlibrc does not change the bytes.
        matplotlib.style.context(["default", STYLE | {"svg.hashsalt": key}]),
        warnings.catch_warnings(),
    ):
        # A name in letters this font lacks: the SVG holds text, and the reader's fonts have them.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        sheet = Sheet(figsize=(WIDE if wide else HALF, height), layout="constrained")
        paint(sheet)
        sheet.savefig(svg, format="svg", metadata={"Date": None})
        if png:
            # The layout stands; to compute it again takes as long as to draw.
            sheet.set_layout_engine("none")
            sheet.savefig(image, format="png", dpi=160, metadata={"Software": None})
        # A sheet is full of cycles and holds its pixels: not to wait for the collector.
        sheet.clear()
    return Figure(
        key=key,
        title=title,
        caption=caption,
        svg=standalone_svg(svg.getvalue()),
        png=image.getvalue() if png else None,
        table=table.key,
        exact=table.claim(columns),
        wide=wide,
    )


def style_axes(axes: "Axes", *, grid: str) -> None:
    """Draw grid lines along `grid` ("x", "y" or "both") and drop the spine that they replace."""
    axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
    if grid == "x":
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="both", length=0)
    elif grid == "y":
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)


def log_scale(panel: "Axes", direction: Literal["x", "y"], decades: float) -> None:
    """Make an axis logarithmic; where it spans few decades, with ticks at 1, 2 and 5 of each."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis = panel.xaxis if direction == "x" else panel.yaxis
    (panel.set_xscale if direction == "x" else panel.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,), numticks=12))
    axis.set_minor_locator(NullLocator())


def scale_axis(axis: "Axis", largest: float, quantity: str, unit: str) -> float:
    """Label `axis` with the quantity and its scaled unit; return the divisor of its tick labels."""
    divisor, text = axis_scale(largest, unit)
    axis.set_major_formatter(lambda value, _: f"{value / divisor:,.6g}".replace("-", "−"))  # noqa: RUF001
    # A column that is just called "count" says what it counts in its unit.
    quantity = "" if quantity == "count" and text else quantity
    axis.set_label_text(f"{quantity} ({text})" if quantity and text else quantity or text)
    return divisor


def bar_label(value: float, divisor: float) -> str:
    """Return the number written at the end of a bar."""
    return significant(value / divisor, 3)
