"""Costs as tables on a terminal: schemes side by side, every number with its unit."""

from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hwmodel.cost import Cost
from hwmodel.hierarchy import size_text

__all__ = ["print_costs"]

Values = dict[str, Any]
Line = tuple[str, Callable[[Values], str]]

_PREFIXES = ((1e-12, "p"), (1e-9, "n"), (1e-6, "u"), (1e-3, "m"), (1.0, ""), (1e3, "k"))


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _bytes(value: int) -> str:
    size, unit = float(value), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, bigger
    return f"{value} B" if unit == "B" else f"{size:.2f} {unit}"


def _joules(band: Values) -> str:
    factor, prefix = next((p for p in reversed(_PREFIXES) if band["nominal"] >= p[0]), _PREFIXES[0])
    low, nominal, high = (band[end] / factor for end in ("low", "nominal", "high"))
    return f"{nominal:.3g} ({low:.3g} to {high:.3g}) {prefix}J"


def _square(band: Values) -> str:
    if band["nominal"] is None:
        return "not in the table"
    low, nominal, high = (band[end] / 1e6 for end in ("low", "nominal", "high"))
    return f"{nominal:.3g} ({low:.3g} to {high:.3g}) mm2"


def _share(values: Values) -> str:
    """Additions and multiplications of normalisation against all multiply-accumulates."""
    norm = values["normalization"]
    macs = values["macs"]["total"]
    return f"{100 * (norm['add'] + norm['multiply']) / macs:.2f} %" if macs else "-"


def _barriers(values: Values) -> str:
    waits = values["quantization_barriers"]
    return f"{values['normalization']['barriers']} / {waits['path']} / {waits['weight_gradient']}"


def _memory(kind: str) -> Callable[[Values], str]:
    return lambda values: _bytes(values["memory_peak_bytes"][kind])


_EXACT: dict[str, tuple[Line, ...]] = {
    "Multiply-accumulates": (
        ("forward", lambda v: _count(v["macs"]["forward"])),
        ("backward, errors", lambda v: _count(v["macs"]["backward_data"])),
        ("backward, weights", lambda v: _count(v["macs"]["backward_weight"])),
        ("total", lambda v: _count(v["macs"]["total"])),
        ("parameters", lambda v: _count(v["parameters"])),
    ),
    "Normalisation, or what replaces it": (
        ("additions", lambda v: _count(v["normalization"]["add"])),
        ("multiplications", lambda v: _count(v["normalization"]["multiply"])),
        ("both, share of MACs", _share),
        ("square roots", lambda v: _count(v["normalization"]["sqrt"])),
        ("divisions", lambda v: _count(v["normalization"]["div"])),
        ("elements read and written", lambda v: _count(v["normalization"]["element_passes"])),
        ("bytes read and written", lambda v: _bytes(v["normalization"]["bytes"])),
    ),
    "Waits for the whole batch": (("normalisation / scales / weight gradients", _barriers),),
    "Peak memory": tuple(
        (kind, _memory(kind))
        for kind in ("weights", "momentum", "activations", "gradients", "total")
    ),
}

_ESTIMATED: dict[str, tuple[Line, ...]] = {
    "One unit for normalisation, osu018": (
        ("area", lambda v: f"{v['normalization']['unit']['area_um2'] / 1e6:.3g} mm2"),
        (
            "cycles of the largest channel",
            lambda v: _count(v["normalization"]["unit"]["latency_cycles"]),
        ),
        (
            "cycles of a step, forward",
            lambda v: _count(v["normalization"]["unit"]["forward_cycles"]),
        ),
        (
            "cycles of a step, backward",
            lambda v: _count(v["normalization"]["unit"]["backward_cycles"]),
        ),
        ("energy of a step", lambda v: f"{v['normalization']['unit']['energy_j'] * 1e3:.3g} mJ"),
    ),
    "Energy": (("nominal (low to high)", lambda v: _joules(v["energy_j"])),),
    "Area of arithmetic": (("nominal (low to high)", lambda v: _square(v["area_um2"])),),
    "Cycles on our core": (
        ("cycles", lambda v: _count(v["cycles"])),
        ("utilisation", lambda v: f"{100 * v['utilization']:.1f} %" if v["cycles"] else "-"),
    ),
}


def _fit(values: Sequence[Values]) -> dict[str, tuple[Line, ...]]:
    """Does it fit the memory on chip?"""

    def answer(suffix: str) -> Callable[[Values], str]:
        def show(one: Values) -> str:
            most = one["fit"][f"largest_batch{suffix}"]
            word = "yes" if one["fit"][f"fits{suffix}"] else "no"
            return f"{word}, up to {most:,}" if most else word

        return show

    first = values[0]["fit"]
    title = f"Fits {first['memory']} of {size_text(first['bytes'])} at batch {values[0]['batch']}"
    return {title: (("whole step", answer("")), ("with recomputation", answer("_recomputing")))}


def _traffic(kind: str, values: Sequence[Values]) -> dict[str, tuple[Line, ...]]:
    """Bytes by level, the outermost first."""

    def line(level: str) -> Line:
        return level, lambda one: _bytes(one["traffic_bytes"][level][kind])

    return {f"Traffic, {kind}": tuple(map(line, values[0]["traffic_bytes"]))}


def _time(values: Sequence[Values]) -> dict[str, tuple[Line, ...]]:
    """Milliseconds of the arithmetic and of every level, where there is a clock."""

    def line(name: str) -> Line:
        def show(one: Values) -> str:
            value = one["time_s"][name]
            return "-" if value is None else f"{value * 1e3:.4g} ms"

        return name, show

    names = [name for name in values[0]["time_s"] if any(one["time_s"][name] for one in values)]
    return {"Time, each by itself; step: the longest": tuple(map(line, names))} if names else {}


def _table(title: str, groups: dict[str, tuple[Line, ...]], values: Sequence[Values]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for one in values:
        table.add_column(one["scheme"], justify="right")
    for group, lines in groups.items():
        table.add_row(Text(group, style="bold"))
        for name, show in lines:
            table.add_row(f"  {name}", *(show(one) for one in values))
    return table


def print_costs(costs: Sequence[Cost]) -> None:
    """Print costs of one network, one column a scheme."""
    values = [cost.totals for cost in costs]
    first = values[0]
    console = Console(highlight=False)
    if not console.is_terminal:
        # A pipe has no width to respect, and cut numbers are wrong numbers.
        console.width = 200
    design = first["hardware"]
    rows, columns = first["array"]
    named = "" if design["name"] == "default" else f"{design['name']}, "
    console.print(
        Text(
            f"{first['network']}, one training step, batch {first['batch']}, "
            f"{named}array {rows}x{columns}, {costs[0].technology.title}"
        ),
        style="bold",
    )
    console.print(_table("Counted", _EXACT | _fit(values) | _traffic("compulsory", values), values))
    console.print(
        _table("Estimated", _traffic("modelled", values) | _ESTIMATED | _time(values), values)
    )
    chosen = ", ".join(f"{name}={value}" for name, value in first["conventions"].items())
    console.print(Text(f"Conventions: {chosen}."))
    said: dict[str, list[str]] = {}
    for one in values:
        for text in one["assumptions"]:
            said.setdefault(text, []).append(one["scheme"])
    console.print("Assumptions:")
    for text, schemes in said.items():
        whose = "" if len(schemes) == len(values) else f" [{', '.join(schemes)}]"
        console.print(Text(f"- {text}{whose}"))
