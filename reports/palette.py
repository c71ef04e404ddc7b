"""Colours: one per scheme, phase and memory kind, told apart with any common colour vision."""

from collections.abc import Iterable, Mapping

__all__ = ["DARK", "GRID", "INK", "MUTED", "PAPER", "PROBLEM", "colours", "css_variable"]

INK = "#1c2126"
MUTED = "#59626c"
GRID = "#dde1e6"
PAPER = "#ffffff"
PROBLEM = "#c1121f"

# Okabe and Ito's set for the schemes, Tol's high-contrast, bright and muted sets for the others.
NAMED: Mapping[str, str] = {
    "eoq": "#0072b2",
    "wageubn": "#e69f00",
    "range-bn": "#009e73",
    "fp32-bn": "#cc79a7",
    "forward": "#004488",
    "backward_data": "#ddaa33",
    "backward_weight": "#bb5566",
    "normalization": "#228833",
    "quantization": "#66ccee",
    "update": "#aa3377",
    "recomputation": "#8c8c00",
    "weights": "#332288",
    "momentum": "#88ccee",
    "activations": "#44aa99",
    "gradients": "#cc6677",
    "others": "#8c8c00",
    "masks": "#ddcc77",
    "statistics": "#aa4499",
    "exponents": "#117733",
    "accumulators": "#999933",
    "mac": "#004488",
    "elements": "#ddaa33",
    "buffer": "#8c8c8c",
    "dram": "#bb5566",
}

# For series that have no colour of their own.
CYCLE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#59626c")

# What each colour becomes on a dark page.
DARK: Mapping[str, str] = {
    INK: "#e4e7ea",
    MUTED: "#a3abb4",
    GRID: "#353b42",
    PAPER: "#15181b",
    PROBLEM: "#ff6b6b",
    "#0072b2": "#4ba6dd",
    "#e69f00": "#f0b437",
    "#009e73": "#2fc096",
    "#cc79a7": "#d98fb8",
    "#004488": "#6a9fdc",
    "#ddaa33": "#e3b956",
    "#bb5566": "#da7f8d",
    "#228833": "#57b266",
    "#66ccee": "#7fd4f0",
    "#aa3377": "#d070a5",
    "#332288": "#8c80d8",
    "#88ccee": "#94d1f0",
    "#44aa99": "#58bbab",
    "#cc6677": "#dc8490",
    "#56b4e9": "#6dbfee",
    "#d55e00": "#ee8136",
    "#8c8c00": "#b9b93c",
    "#ddcc77": "#e3d58f",
    "#aa4499": "#cf7cc2",
    "#117733": "#4fae70",
    "#999933": "#bdbd62",
    "#8c8c8c": "#a9a9a9",
    "#440154": "#8d5aa0",
    "#3b528b": "#6f86c0",
    "#21918c": "#3fb5b0",
    "#5ec962": "#7fd983",
    "#fde725": "#fdec5c",
}


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for every name: its own if it has one, otherwise the next free one."""
    names = list(dict.fromkeys(names))
    taken = {NAMED[name] for name in names if name in NAMED}
    free = [colour for colour in CYCLE if colour not in taken] or list(CYCLE)
    unknown = [name for name in names if name not in NAMED]
    chosen = {name: free[index % len(free)] for index, name in enumerate(unknown)}
    return {name: NAMED.get(name) or chosen[name] for name in names}


def css_variable(colour: str) -> str:
    """Return the name of the CSS variable that holds `colour` in the page."""
    return f"--c-{colour.lstrip('#')}"
