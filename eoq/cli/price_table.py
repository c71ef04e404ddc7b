"""The price of batch normalisation as lines of text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from eoq.normalization_price import CHANNEL, CLAIM, RATE, Price

__all__ = ["price_lines"]

_Row = Mapping[str, Any]
_Column = tuple[str, Callable[[_Row], str]]


def _number(key: str, scale: float = 1.0, form: str = ",.4g") -> Callable[[_Row], str]:
    def show(row: _Row) -> str:
        return "-" if row[key] is None else format(row[key] * scale, form)

    return show


def _word(key: str) -> Callable[[_Row], str]:
    return lambda row: row[key] or "-"


def _table(rows: Sequence[_Row], columns: Sequence[_Column]) -> Iterator[str]:
    cells = [[head for head, _ in columns], *([show(row) for _, show in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        first, *rest = zip(line, widths, strict=True)
        texts = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in rest)]
        yield "  ".join(texts)


def price_lines(price: Price) -> Iterator[str]:
    """Tables one under the other, then what they rest on."""
    yield price.liberty
    yield ""
    yield f"One unit; a channel has {CHANNEL} elements; energy an element and a channel"
    yield from _table(
        price.units,
        [
            ("unit", _word("unit")), ("um2", _number("area_um2", form=",.0f")),
            ("NAND2", _number("nand2", form=",.0f")), ("ns", _number("delay_ns", form=".2f")),
            ("latency us", _number("latency_ns", 1e-3, ".2f")),
            ("M elements/s", _number("elements_per_s", 1e-6, ".1f")),
            ("forward pJ", _number("forward_element_pj", form=",.1f")),
            ("backward pJ", _number("backward_element_pj", form=",.1f")),
            ("channel fwd pJ", _number("forward_channel_pj", form=",.0f")),
            ("channel bwd pJ", _number("backward_channel_pj", form=",.0f")),
            ("held out fwd", _number("forward_held_out_error", form="+.1%")),
            ("held out bwd", _number("backward_held_out_error", form="+.1%")),
        ],
    )  # fmt: skip
    yield ""
    yield f"As many units as train {RATE / 1e9:.0f} G elements/s"
    yield from _table(
        price.equal_throughput,
        [
            ("unit", _word("unit")), ("units", _number("units", form=".1f")),
            ("mm2", _number("area_mm2", form=".2f")), ("W", _number("power_w", form=".3f")),
            ("x area", _number("area_mm2_times_fixup", form=".1f")),
            ("x power", _number("power_w_times_fixup", form=".1f")),
        ],
    )  # fmt: skip
    yield ""
    yield "As many units as fit the area of one bn_fp32"
    yield from _table(
        price.equal_area,
        [
            ("unit", _word("unit")), ("units", _number("units", form=".1f")),
            ("M elements/s", _number("elements_per_s", 1e-6, ".1f")),
            ("W", _number("power_w", form=".3f")),
            ("x speed", _number("elements_per_s_times_fixup", form=".3f")),
            ("x power", _number("power_w_times_fixup", form=".2f")),
        ],
    )  # fmt: skip
    yield ""
    yield "A training step's share of one image, one unit"
    yield from _table(
        price.steps,
        [
            ("network", _word("network")), ("scheme", _word("scheme")),
            ("cycles", _number("cycles", form=",.0f")), ("ms", _number("seconds", 1e3, ",.3f")),
            ("mJ", _number("energy_j", 1e3, ",.4f")),
            ("x time", _number("seconds_times_eoq", form=".2f")),
            ("x energy", _number("energy_j_times_eoq", form=".2f")),
            ("MACs mJ", _number("mac_j", 1e3, ",.2f")),
            ("conversions mJ", _number("conversion_j", 1e3, ",.3f")),
        ],
    )  # fmt: skip
    yield ""
    yield "Operators"
    yield from _table(
        price.operators,
        [
            ("block", _word("block")), ("um2", _number("area_um2", form=",.0f")),
            ("ns", _number("delay_ns", form=".2f")), ("pJ", _number("energy_pj", form=",.1f")),
        ],
    )  # fmt: skip
    yield ""
    yield (f"The paper's claim: more than {CLAIM['power']} times less power, "
           f"more than {CLAIM['speed']} times the speed")  # fmt: skip
    yield from _table(
        price.claim,
        [
            ("level", _word("level")), ("power", _number("power", form=".1f")),
            ("", _word("power_claim")), ("speed", _number("speed", form=".1f")),
            ("", _word("speed_claim")),
        ],
    )  # fmt: skip
    levels: dict[str, list[str]] = {}
    for row in price.claim:
        levels.setdefault(f"{row['compared']}; {row['assuming']}", []).append(row["level"])
    for text, names in levels.items():
        yield f"- {'; '.join(names)}: {text}"
    yield "Assumptions:"
    for text in price.assumptions:
        yield f"- {text}"
