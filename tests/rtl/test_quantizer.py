"""The quantiser against `QuantSpec`: exhaustive at 8 bits, random with corners above."""

from typing import Any

import numpy as np
import pytest

from golden.formats import QuantSpec, Rounding
from rtl import quantizer
from rtl.quantizer import Quantizer


def run(pipeline: Any, spec: QuantSpec, x: Any, shift: Any, random: Any = None, **kw: Any) -> Any:
    inputs = {"x": x, "shift": shift, "enable": np.ones_like(x)}
    if random is not None:
        inputs["random"] = random
    return pipeline(Quantizer(spec=spec, **kw), inputs, "o", 2)


@pytest.mark.parametrize("width_out", [2, 5, 8])
def test_every_8_bit_operand_and_every_shift(width_out: int, pipeline: Any) -> None:
    spec = QuantSpec(width_in=8, width_out=width_out)
    shifts = np.r_[-128, -17:26, 62:66, 127]
    x, shift = (grid.ravel() for grid in np.meshgrid(np.arange(-128, 128), shifts))
    np.testing.assert_array_equal(run(pipeline, spec, x, shift), spec.apply(x, shift))


@pytest.mark.parametrize(("width_in", "width_out"), [(32, 8), (32, 16), (16, 16), (17, 2), (48, 8)])
def test_wide_operands(width_in: int, width_out: int, pipeline: Any, corners: Any) -> None:
    rng = np.random.default_rng(width_in + width_out)
    spec = QuantSpec(width_in, width_out, Rounding.STOCHASTIC)
    x = corners(rng, (4000,), width_in)
    shift = np.where(rng.random(4000) < 0.9, rng.integers(-17, 50, 4000), corners(rng, (4000,), 8))
    random = rng.choice([0, 0xFFFF, 0x8000, 0x7FFF, 0x1234], 4000)
    got = run(pipeline, spec, x, shift, random)
    np.testing.assert_array_equal(got, spec.apply(x, shift, random))


def test_a_narrow_operand_of_a_wide_format(pipeline: Any) -> None:
    spec = QuantSpec(width_in=16, width_out=16)
    x, shift = (g.ravel() for g in np.meshgrid(np.arange(-128, 128), np.arange(-16, 10)))
    got = run(pipeline, spec, x, shift, operand_bits=8)
    np.testing.assert_array_equal(got, spec.apply(x, shift))


def test_half_up_needs_no_random_bits(pipeline: Any) -> None:
    spec = QuantSpec(width_in=8, width_out=4)
    got = run(pipeline, spec, np.array([24, 25]), np.array([4, 4]))
    assert got.tolist() == [2, 2]


def test_the_pipeline_holds_while_it_is_not_enabled(pipeline: Any) -> None:
    x = np.array([100, 200, 300, 400, 0, 0, 0])
    enable = np.array([1, 0, 1, 0, 0, 1, 1])
    got = pipeline(
        Quantizer(spec=QuantSpec()),
        {"x": x, "shift": np.full(7, 2), "enable": enable},
        "o",
        1,
    )
    # Operand k is taken where enabled: 25 leaves at the second enabled step, then 75.
    assert got.tolist() == [0, 0, 25, 25, 25, 75, 0]


def test_a_wrong_rounding_constant_is_noticed(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constant is read when the hardware is elaborated, and the checks above see it."""
    monkeypatch.setattr(quantizer, "ROUND_HALF", 0x7FFF)
    spec = QuantSpec(width_in=8, width_out=8)
    x = np.arange(-128, 128)
    shift = np.ones_like(x)
    assert (run(pipeline, spec, x, shift) != spec.apply(x, shift)).any()


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_operand_bits_are_within_the_format() -> None:
    with pytest.raises(ValueError, match=r"^operand_bits must be 2 to 16, not 17$"):
        Quantizer(spec=QuantSpec(width_in=16, width_out=8), operand_bits=17)
