"""How numbers, units and foreign names are written for people."""

import math
import numbers
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "MISSING",
    "NumberFormat",
    "axis_scale",
    "is_missing",
    "is_number",
    "number_format",
    "plain_text",
    "shorten",
    "significant",
    "unit_text",
]

MISSING = "–"  # noqa: RUF001 - an en dash is the usual mark for "no value" in a data sheet

# An estimate rests on table entries that differ by tens of percent: three digits flatter it.
ESTIMATE_DIGITS = 3
RECORDED_DIGITS = 4

# Units that take an SI prefix. Counts and areas do not: people compare "4,800" and "22,752 µm²".
PREFIXED_UNITS = frozenset({"B", "B/s", "Hz", "J", "W", "s"})
PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
PREFIXES |= {15: "P", 18: "E"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNIT_SYMBOLS = {"x": "×", "um": "µm", "um2": "µm²", "mm2": "mm²", "us": "µs", "uJ": "µJ"}  # noqa: RUF001

# Control characters are illegal in XML; the bidirectional ones can make one name pass for another.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def plain_text(value: object) -> str:
    """Return `value` as one line of printable text, anything else replaced by U+FFFD.

    This is not HTML escaping: that is the template's work. It makes one spelling of a name that is
    legal in HTML, XML and CSV alike, so that the page, the figures and the files agree.
    """
    return _UNPRINTABLE.sub("\ufffd", str(value))


def shorten(text: str, limit: int) -> str:
    """Cut the middle out of a longer `text`: both ends of a layer name matter."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[-(limit - 1 - head) :]}"


def is_missing(value: object) -> bool:
    """Tell whether `value` stands for no value (None, NaN, NA, NaT)."""
    return value is None or value is pd.NA or value is pd.NaT or value != value


def is_number(value: object) -> bool:
    """Tell whether `value` is an integer or a real number; a truth value is neither."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def unit_text(unit: str) -> str:
    """Return `unit` as it is printed ("um2" as "µm²")."""
    return UNIT_SYMBOLS.get(unit, unit)


def significant(value: float, digits: int) -> str:
    """Write `value` rounded to `digits` significant digits, with thousands separators."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"  # noqa: RUF001
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    if not -5 <= exponent < 15:
        mantissa, _, power = f"{rounded:.{digits - 1}e}".partition("e")
        text = f"{mantissa} × 10{str(int(power)).translate(SUPERSCRIPTS)}"  # noqa: RUF001
    else:
        text = f"{rounded:,.{max(0, digits - 1 - exponent)}f}"
    return text.replace("-", "−")  # noqa: RUF001


def _power_of_1000(magnitude: float) -> int:
    """Return the exponent of ten, a multiple of three within the SI prefixes, that suits it."""
    if not 0 < magnitude < math.inf:
        return 0
    exponent = 3 * math.floor(math.log10(float(f"{magnitude:.2e}")) / 3)
    return min(max(exponent, min(PREFIXES)), max(PREFIXES))


def _prefix_power(magnitude: float, unit: str) -> int:
    power = _power_of_1000(magnitude)
    return max(power, 0) if unit in {"B", "B/s"} else power


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of one column are written.

    Parameters
    ----------
    unit:
        The unit as printed in the header, prefix included; with `each` the prefix is in the cells.
    digits:
        Significant digits, or None for whole numbers in full.
    power:
        The numbers are divided by ten to this power before they are written.
    base:
        The unit without prefix.
    each:
        Every cell chooses its own prefix, because the column spans too many decades for one.
    """

    unit: str
    digits: int | None
    power: int = 0
    base: str = ""
    each: bool = False

    def write(self, value: Any) -> str:
        """Return the text for one number; missing values become a dash."""
        if is_missing(value):
            return MISSING
        if self.digits is None:
            return f"{int(value):,}".replace("-", "−")  # noqa: RUF001
        number = float(value)
        if not self.each:
            return significant(number / 10.0**self.power, self.digits)
        power = _prefix_power(abs(number), self.base)
        return f"{significant(number / 10.0**power, self.digits)} {PREFIXES[power]}{self.base}"


def _is_whole(value: Any) -> bool:
    if isinstance(value, numbers.Integral):
        return True
    # A count that went through a merge comes back as a float; past 2**53 it may have been rounded.
    return abs(value) <= 2**53 and float(value).is_integer()


def number_format(values: Iterable[Any], unit: str, exact: bool | None) -> NumberFormat:
    """Choose how a column of numbers is written.

    Whole numbers that are exact or recorded are written in full. Everything else is rounded to the
    digits it deserves, with one SI prefix for the column where the unit takes one.
    """
    present = [value for value in values if not is_missing(value)]
    if exact is not False and all(_is_whole(value) for value in present):
        return NumberFormat(unit_text(unit), None, base=unit)
    digits = ESTIMATE_DIGITS if exact is False else RECORDED_DIGITS
    if unit not in PREFIXED_UNITS:
        return NumberFormat(unit_text(unit), digits, base=unit)
    sizes = [abs(float(value)) for value in present if 0 < abs(float(value)) < math.inf]
    if sizes and max(sizes) / min(sizes) >= 1e5:
        return NumberFormat(f"{unit}, prefixed", digits, base=unit, each=True)
    power = _prefix_power(max(sizes, default=0.0), unit)
    return NumberFormat(f"{PREFIXES[power]}{unit}", digits, power, unit)


def axis_scale(largest: float, unit: str) -> tuple[float, str]:
    """Return the divisor and the unit text for an axis that reaches up to `largest`."""
    if unit in PREFIXED_UNITS:
        power = _prefix_power(abs(largest), unit)
        return 10.0**power, f"{PREFIXES[power]}{unit}"
    power = _power_of_1000(abs(largest))
    if -3 <= power <= 3:
        return 1.0, unit_text(unit)
    return 10.0**power, f"10{str(power).translate(SUPERSCRIPTS)} {unit_text(unit)}".rstrip()
