"""Figures: drawn from a table, the same bytes every time, foreign names as text."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest

from reports import Figure, Table, figures
from reports.palette import DARK, NAMED, colours
from reports.svg import inline_svg

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script> $\\frac$"


def layers(count: int, name: str = "layer{}") -> Table:
    rows = [(name.format(i), p, 10 + i) for i in range(count) for p in ("forward", "update")]
    return Table(
        key="layers",
        title="Layers",
        frame=pd.DataFrame(rows, columns=["layer", "phase", "count"]),
        units={"count": "MACs"},
        exact=True,
    )


def cycles(rtl: list[object], model: list[object]) -> Table:
    names = [f"i{n}" for n in range(len(rtl))]
    frame = pd.DataFrame({"instruction": names, "cycles_rtl": rtl, "cycles_model": model})
    units = {"cycles_rtl": "cycles", "cycles_model": "cycles"}
    return Table(key="cycles", title="Cycles", frame=frame, units=units)


def texts(figure: Figure) -> list[str]:
    root = ET.fromstring(figure.svg)  # noqa: S314
    return ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]


def test_same_table_same_bytes_also_in_another_process(tmp_path: Path) -> None:
    program = (
        "import sys, pandas as pd\n"
        "from reports import Table, figures\n"
        "frame = pd.DataFrame({'layer': ['a', 'b'], 'phase': ['forward'] * 2, 'count': [1, 2]})\n"
        "table = Table(key='t', title='T', frame=frame, units={'count': 'MACs'})\n"
        "figure = figures.macs_by_layer(table)\n"
        "sys.stdout.buffer.write(figure.svg.encode() + figure.png)\n"
    )
    # A matplotlibrc of the user's own must not reach the report.
    (tmp_path / "matplotlibrc").write_text("xtick.major.pad: 30\nhatch.linewidth: 9\n")
    root = str(Path(figures.__file__).parents[1])
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            cwd=cwd,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": root},
        ).stdout
        for cwd, seed in ((None, "1"), (tmp_path, "2"))
    ]
    assert runs[0] == runs[1]
    assert b"\x89PNG" in runs[0]


def test_foreign_names_are_text() -> None:
    figure = figures.macs_by_layer(layers(2, HOSTILE + "{}"), png=False)
    root = ET.fromstring(figure.svg)  # noqa: S314
    assert not list(root.iter(f"{SVG}script"))
    assert any(text.startswith("<script>") for text in texts(figure))
    # "$" starts no formula: the name would not parse as one.
    assert any("$\\frac$" in text for text in texts(figure))


def test_no_trace_of_the_time_or_the_tool() -> None:
    svg = figures.macs_by_layer(layers(2), png=False).svg
    assert "metadata" not in svg
    assert "<style" not in svg
    assert "Matplotlib" not in svg


@pytest.mark.parametrize("count", [1, 12, 13, 64, 65, 501, 2000])
def test_layers_of_any_number(count: int) -> None:
    figure = figures.macs_by_layer(layers(count), png=False)
    named = count <= figures.NAMED_LAYERS
    assert ("layer0" in texts(figure)) == named
    assert ("Each step is the sum" in figure.caption) == (count > figures.POSITIONS)
    assert len(figure.svg) < 300_000


def test_cycles_that_agree_and_cycles_that_do_not() -> None:
    good = figures.cycles_agreement(cycles([10, 500], [10, 500]), png=False)
    assert "2 of 2 on the diagonal" in texts(good)
    bad = figures.cycles_agreement(cycles([10, 500, 7], [10, 501, 7]), png=False)
    assert {"2 of 3 on the diagonal", "i1"} <= set(texts(bad))
    missing = figures.cycles_agreement(cycles([10.0, None], [10.0, 3.0]), png=False)
    assert "1 of 2 on the diagonal" in texts(missing)


def test_several_rows_a_bar_are_added_and_a_missing_bar_says_so() -> None:
    frame = pd.DataFrame(
        {
            "network": ["a", "a", "a", "b"],
            "scheme": ["eoq", "eoq", "fp32-bn", "eoq"],
            "element_passes": [1, 2, 5, 7],
            "bytes": [1000, 2000, 5000, 7000],
        }
    )
    units = {"element_passes": "elements", "bytes": "B"}
    table = Table(key="n", title="N", frame=frame, units=units, exact=True)
    found = texts(figures.normalization_cost(table, png=False))
    assert {"3.00", "5.00", "7.00", "no value", "bytes (kB)"} <= set(found)


def test_figures_say_where_their_numbers_are_and_how_sure() -> None:
    figure = figures.macs_by_layer(layers(2), png=False)
    assert (figure.table, figure.exact, figure.png, figure.wide) == ("layers", True, None, True)


def test_energy_and_memory_by_network() -> None:
    frame = pd.DataFrame(
        {
            "network": ["a", "a", "b"],
            "scheme": ["eoq", "fp32-bn", "eoq"],
            "low": [1e-3, 2e-3, 1.0],
            "nominal": [2e-3, 3e-3, 2.0],
            "high": [3e-3, 90e-3, 3.0],
        }
    )
    table = Table(
        key="e",
        title="E",
        frame=frame,
        units={"low": "J", "nominal": "J", "high": "J"},
        exact=False,
    )
    found = texts(figures.energy_band(table, png=False))
    assert {"a", "b", "eoq", "fp32-bn", "mJ", "nominal, low to high (J)"} <= set(found)
    one = figures.memory_by_kind(table, kind="network", size="low", network="none", png=False)
    assert one.exact is False


def test_an_empty_table_has_no_figure() -> None:
    with pytest.raises(
        ValueError, match="figure 'macs-by-layer' needs at least one row; table 'lay"
    ):
        figures.macs_by_layer(layers(0))


def test_inline_drawings_share_no_id_and_follow_the_page() -> None:
    svg = figures.grouped_bars(
        layers(2), key="g", title="G", group="layer", series="phase", values=["count"], png=False
    ).svg
    one, other = inline_svg(svg, "one", 'say "x"'), inline_svg(svg, "other", "y")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, own in zip((one, other), ids, strict=True):
        wanted = set(re.findall(r"url\(#([^)]+)\)", text)) | set(
            re.findall(r'href="#([^"]+)"', text)
        )
        assert wanted
        assert wanted <= own
    assert "var(--c-1c2126, #1c2126)" in one
    assert 'aria-label="say &quot;x&quot;"' in one


def test_every_named_colour_has_a_dark_twin_and_unknown_names_get_others() -> None:
    assert set(NAMED.values()) <= set(DARK)
    chosen = colours(["eoq", "alpha", "beta", "alpha"])
    assert chosen["eoq"] == NAMED["eoq"]
    assert len(set(chosen.values())) == 3


def test_importing_the_room_is_light() -> None:
    program = "import sys, reports; print({'matplotlib', 'jinja2'} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout == "set()\n"
