from typing import Any

import pytest

from rtl.config import CoreConfig


@pytest.mark.parametrize("bits", [16, 20, 24, 31, 32])
def test_the_largest_reduction_fits_and_one_more_does_not(bits: int) -> None:
    k = CoreConfig(rows=1, columns=1, accumulator_bits=bits).largest_reduction
    limit = 2 ** (bits - 1) - 1
    assert k * 127 * 127 <= limit < (k + 1) * 127 * 127


def test_24_bits_hold_520_products() -> None:
    assert CoreConfig(rows=8, columns=8, accumulator_bits=24).largest_reduction == 520


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 0}, "rows must be 1 to 32, not 0"),
        ({"columns": 33}, "columns must be 1 to 32, not 33"),
        ({"accumulator_bits": 33}, "accumulator_bits must be 16 to 32, not 33"),
        ({"loss_classes": 1}, "loss_classes must be 2 to 1024, not 1"),
        ({"activation_bits": 10}, "activation_bits must be 8 to 9, not 10"),
        ({"scratchpad_pages": 1}, "scratchpad_pages must be 2 to 16, not 1"),
        ({"scratchpad_page_bytes": 96}, "scratchpad_page_bytes must be a power of two, not 96"),
        ({"results_pages": 3}, "results_pages must be a power of two, not 3"),
        ({"results_page_depth": 1}, "results_page_depth must be 2 to 16384, not 1"),
        (
            {"rows": 32, "accumulator_bits": 16},
            "accumulator_bits must be at least 20 for 32 rows, not 16",
        ),
    ],
)
def test_values_out_of_range_are_named(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        CoreConfig(**({"rows": 4, "columns": 4} | wrong))


@pytest.mark.parametrize("wrong", ["4", 4.0, True, None])
def test_other_types_are_named(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"^rows must be an integer, not {wrong!r}$"):
        CoreConfig(rows=wrong, columns=4)


def test_unsigned_activations_need_a_wider_sum() -> None:
    assert CoreConfig(rows=1, columns=1, accumulator_bits=24).largest_reduction == 520
    wider = CoreConfig(rows=1, columns=1, accumulator_bits=24, activation_bits=9)
    assert wider.largest_reduction == (2**23 - 1) // (255 * 127)


@pytest.mark.parametrize(
    ("rows", "columns", "line"), [(1, 1, 4), (4, 4, 4), (5, 2, 8), (16, 16, 16), (3, 17, 32)]
)
def test_a_line_is_as_wide_as_the_array(rows: int, columns: int, line: int) -> None:
    config = CoreConfig(rows=rows, columns=columns, scratchpad_page_bytes=256)
    assert config.line_bytes == line
    assert config.scratchpad_address_bits == 10
    assert config.results_address_bits == 12
