"""Fields: what is put in comes out, and what does not fit is named."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.fields import Field

FIELDS = st.builds(
    Field, offset=st.integers(0, 100), width=st.integers(1, 48), signed=st.booleans()
)


@given(FIELDS, st.data())
def test_values_come_back_and_touch_no_other_bits(field: Field, data: st.DataObject) -> None:
    value = data.draw(st.integers(*field.limits))
    word = field.insert("it", value)
    assert field.extract(word) == value
    assert word & ~(((1 << field.width) - 1) << field.offset) == 0
    others = data.draw(st.integers(0, (1 << 160) - 1))
    assert field.extract(others & ~(((1 << field.width) - 1) << field.offset) | word) == value


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (Field(8, 16), 65536, "it must be 0 to 65535, not 65536"),
        (Field(8, 16), -1, "it must be 0 to 65535, not -1"),
        (Field(0, 8, signed=True), 128, "it must be -128 to 127, not 128"),
        (Field(0, 8, signed=True), -129, "it must be -128 to 127, not -129"),
    ],
)
def test_what_does_not_fit_is_named(field: Field, value: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        field.insert("it", value)


def test_other_types_are_named() -> None:
    with pytest.raises(TypeError, match=r"^it must be an integer, not 1\.5$"):
        Field(0, 8).insert("it", 1.5)  # type: ignore[arg-type]


def test_encoding_and_configuration_load_no_amaranth() -> None:
    """`eoq cost` and the cycle model import these."""
    names = "sys, rtl.fields, rtl.config, hwmodel.product_cycles, hwmodel.lowering.program"
    code = f"import {names}; assert 'amaranth' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
