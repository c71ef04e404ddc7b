"""Channels of a real step in every unit's formats, and what they cost its gates."""

from collections.abc import Callable

import numpy as np
import pytest

from cosim import normalization_energy, normalization_operands
from cosim.normalization_energy import ChannelEnergy, channel_energy
from cosim.normalization_operands import BATCH, pieces
from golden.data import Dataset, load
from golden.errors import CheckError
from golden.network import Network
from golden.networks import load as load_network
from hwmodel.normalization_units import UNITS
from rtl import cell_library
from rtl.config import CoreConfig
from rtl.fixup_unit import FixupUnit
from rtl.synthesis import synthesize

pytestmark = pytest.mark.usefixtures("synthesis_cache")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(scope="module")
def network(digits: Dataset) -> Network:
    return load_network("resnet8", input_shape=digits.shape, classes=10)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization_operands, "_STEPS", 2)


LIMITS = {
    "bn_fp32": (0, (1 << 32) - 1),
    "bn_wageubn": (-(1 << 15), (1 << 15) - 1),
    "bn_range": (-128, 127),
    "fixup": (-127, 127),
}


@pytest.mark.parametrize("unit", UNITS)
def test_every_channel_once_in_the_unit_s_format(
    unit: str, network: Network, digits: Dataset
) -> None:
    found = pieces(unit, network, digits)
    if unit == "fixup":
        assert len(found) == 3 * BATCH
        assert {len(piece.x) for piece in found} == {1024, 512, 256}
        assert all(set(piece.scalars) == {"multiplier", "bias", "shift"} for piece in found)
    else:
        assert len(found) == 3 * 16 + 2 * 32 + 2 * 64
        assert {len(piece.x) for piece in found} == {64 * BATCH, 16 * BATCH, 4 * BATCH}
        assert all(set(piece.scalars) == {"gamma", "beta"} for piece in found)
    low, high = LIMITS[unit]
    x = np.concatenate([piece.x for piece in found])
    assert low <= x.min() < x.max() <= high
    if unit != "bn_fp32":
        # The range is used: at least six bits and a sign.
        assert x.max() - x.min() > (high - low) / 3
    errors = np.concatenate([piece.error for piece in found])
    assert len(errors) == len(x)
    assert len(set(errors.tolist())) > 20


def test_codes_of_binary32_are_floats_of_order_one(network: Network, digits: Dataset) -> None:
    for piece in pieces("bn_fp32", network, digits)[::40]:
        x, gamma = (
            np.array(codes).astype(np.uint32).view(np.float32)
            for codes in (piece.x, piece.scalars["gamma"])
        )
        assert 0.01 < x.std() < 10
        assert 0.5 < gamma < 2


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalization_energy, "_SIZES", (16, 48))
    monkeypatch.setattr(normalization_energy, "_CHECKED", 32)
    monkeypatch.setattr(normalization_energy, "_FITTED", 2)
    monkeypatch.setattr(normalization_energy, "_HELD_OUT", 1)


def measure(
    unit: str, network: Network, digits: Dataset, mini: cell_library.CellLibrary,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, ChannelEnergy]:  # fmt: skip
    synthesis = synthesize(unit, CoreConfig(rows=1, columns=1), mini)
    found = channel_energy(synthesis, mini, network, digits, tell=tell)
    return {each.direction: each for each in found}


@pytest.mark.parametrize("unit", ["fixup", pytest.param("bn_range", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("small")
def test_a_channel_is_its_elements_and_a_constant(
    unit: str, network: Network, digits: Dataset, mini: cell_library.CellLibrary
) -> None:
    found = measure(unit, network, digits, mini)
    assert list(found) == ["forward", "backward"]
    synthesis = synthesize(unit, CoreConfig(rows=1, columns=1), mini)
    passes = 1 if unit == "fixup" else 2
    for each in found.values():
        assert abs(each.held_out_error) < 0.3
        # The clock is that of every register in every cycle: 0.16 pJ in this library.
        clock = synthesis.flip_flops * 0.16
        assert each.element_clock_pj == pytest.approx(passes * clock)
        if unit == "fixup":
            cycles = FixupUnit.cycles(16) - 16
            assert each.channel_clock_pj == pytest.approx(cycles * clock)
        assert each.element_pj > each.element_clock_pj


@pytest.mark.usefixtures("small")
def test_it_is_kept_and_gates_that_differ_are_told(
    network: Network, digits: Dataset, mini: cell_library.CellLibrary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    told: list[str] = []
    first = measure("fixup", network, digits, mini)
    assert measure("fixup", network, digits, mini, told.append) == first
    assert told == []
    # Under another key, so that it is simulated again.
    monkeypatch.setattr(normalization_energy, "_sources", lambda: ["other"])
    real = normalization_energy.replayed

    def wrong(synthesis, library, inputs, outputs, **options):
        outputs["o__payload"] = [value ^ 1 for value in outputs["o__payload"]]
        return real(synthesis, library, inputs, outputs, **options)

    monkeypatch.setattr(normalization_energy, "replayed", wrong)
    with pytest.raises(CheckError, match=r"^block fixup, forward: the gates differ from the RTL"):
        measure("fixup", network, digits, mini)
