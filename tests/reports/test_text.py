"""Numbers and names as people read them."""

import math

import numpy as np
import pandas as pd
import pytest

from reports.text import MISSING, axis_scale, number_format, plain_text, shorten, significant

TRUE, GUESS, RECORDED = True, False, None


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0, 3, "0"),
        (1, 3, "1.00"),
        (9.996, 3, "10.0"),
        (99.96, 3, "100"),
        (999.6, 3, "1,000"),
        (0.012345, 3, "0.0123"),
        (-2.5, 3, "\u22122.50"),
        (226_341, 3, "226,000"),
        (1.234e-7, 3, "1.23 \u00d7 10⁻⁷"),
        (1.5e18, 2, "1.5 \u00d7 10¹⁸"),
        (math.inf, 3, "∞"),
        (-math.inf, 3, "\u2212∞"),
    ],
)
def test_significant(value: float, digits: int, expected: str) -> None:
    assert significant(value, digits) == expected


@pytest.mark.parametrize(
    ("values", "unit", "exact", "header", "texts"),
    [
        ([1_814_073_344, 0, -1], "MACs", TRUE, "MACs", ["1,814,073,344", "0", "\u22121"]),
        # Exact bytes in full, modelled bytes with the digits they deserve.
        ([79_478_784], "B", TRUE, "B", ["79,478,784"]),
        ([79_478_784, 1_234_567], "B", GUESS, "MB", ["79.5", "1.23"]),
        ([999_999], "B", GUESS, "MB", ["1.00"]),
        ([0.00411, 0.0483], "J", GUESS, "mJ", ["4.11", "48.3"]),
        ([4.1e-12, 4.1], "J", GUESS, "J, prefixed", ["4.10 pJ", "4.10 J"]),
        ([0.25], "B", GUESS, "B", ["0.250"]),
        ([22_752], "um2", GUESS, "µm²", ["22,800"]),
        ([22_752], "um2", RECORDED, "µm²", ["22,752"]),
        ([7.46], "x", GUESS, "\u00d7", ["7.46"]),
        # A count that a merge turned into a float is still a count.
        ([4800.0, math.nan], "ops", TRUE, "ops", ["4,800", MISSING]),
        ([0.61803], "", RECORDED, "", ["0.6180"]),
        ([2**70], "ops", TRUE, "ops", ["1,180,591,620,717,411,303,424"]),
        ([np.int8(-128)], "", TRUE, "", ["\u2212128"]),
        ([pd.NA, None], "B", TRUE, "B", [MISSING, MISSING]),
        ([math.inf, 1.5], "s", RECORDED, "s", ["∞", "1.500"]),
    ],
)
def test_number_format(
    values: list[object], unit: str, exact: bool | None, header: str, texts: list[str]
) -> None:
    form = number_format(values, unit, exact)
    assert form.unit == header
    assert [form.write(value) for value in values] == texts


@pytest.mark.parametrize(
    ("largest", "unit", "divisor", "text"),
    [
        (5.3e9, "MACs", 1e9, "10⁹ MACs"),
        (4800, "ops", 1, "ops"),
        (79e6, "B", 1e6, "MB"),
        (0.004, "J", 1e-3, "mJ"),
        (0, "B", 1, "B"),
        (22_752, "um2", 1, "µm²"),
    ],
)
def test_axis_scale(largest: float, unit: str, divisor: float, text: str) -> None:
    assert axis_scale(largest, unit) == (pytest.approx(divisor), text)


def test_plain_text_keeps_words_and_drops_what_html_xml_and_csv_cannot_hold() -> None:
    assert plain_text("größe/卷积 <b>&amp;") == "größe/卷积 <b>&amp;"
    for bad in ("\x00", "\n", "\x1b", "\u202e", "\ufffe", "\ud800", "\u200b"):
        assert plain_text(f"a{bad}b") == "a\ufffdb"


def test_shorten_keeps_both_ends() -> None:
    assert shorten("layer1", 6) == "layer1"
    assert shorten("/model/layer1/conv1/Conv", 11) == "/mode…/Conv"
    assert len(shorten("x" * 99, 26)) == 26
