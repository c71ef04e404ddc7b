"""The Fixup unit against golden's layers, forward and backward."""

from typing import Any

import numpy as np
import pytest

from golden.gradients import Learned
from golden.layers import MultiplierLayer, add_bias, used_multiplier
from golden.optimizer import SCALAR
from golden.values import Value
from rtl.channel_simulation import Channel, run
from rtl.fixup_unit import FixupUnit


@pytest.mark.parametrize("idle", [0.0, 0.4])
def test_it_is_goldens_layers(idle: float, corners: Any) -> None:
    rng = np.random.default_rng(3)
    unit = FixupUnit(count_bits=8)
    work, multipliers = [], []
    for count in (1, 2, 7, 60, 4, 9, 255, 3):
        multiplier, bias = corners(rng, (2,), 16)
        multipliers.append(multiplier)
        codes, _ = used_multiplier(np.array([multiplier]))
        begin = {
            "backward": int(rng.integers(0, 2)),
            "count": count,
            "multiplier": codes.item(),
            "bias": bias.item(),
            "shift": int(
                rng.choice([-128, -17, -15, -1, 0, 1, 5, 16, 127, *rng.integers(-16, 20, 9)])
            ),
        }
        x, saved = np.clip(corners(rng, (2, count), 8), -127, 127)
        work.append(Channel(begin, {"x": x, "saved": saved}, 1))
    assert len({channel.begin["backward"] for channel in work}) == 2
    runs = run(unit, work, idle=idle, seed=1)
    for channel, multiplier, found in zip(work, multipliers, runs, strict=True):
        begin, columns = channel.begin, channel.columns
        learned = Learned.fresh(np.array([multiplier]), 14, SCALAR)
        layer = MultiplierLayer("scale", learned)
        x, saved = (columns[name][None, None].astype(np.int32) for name in ("x", "saved"))
        # The bias's exponent is 12: this sample's makes the shift what it is.
        exponent = np.array([12 - begin["shift"]])
        if begin["backward"]:
            layer.forward([Value(saved, exponent, is_codes=True)])
            error = Value(x, exponent, is_codes=True)
            (result,) = layer.backward(error)
            assert found.report["bias"] == x.sum()
            gradient = (x * saved).sum()
            assert found.report["multiplier"] == gradient
        else:
            product = layer.forward([Value(x, exponent, is_codes=True)])
            result = add_bias(Value(product.integers, exponent), np.array([begin["bias"]]))
        assert found.outputs["o"] == result.integers.ravel().tolist()
        assert (found.cycles == unit.cycles(begin["count"])) or idle


def test_sums_of_the_longest_tensor_do_not_wrap() -> None:
    begin = {"backward": 1, "count": 15, "multiplier": 0, "bias": 0, "shift": 0}
    codes = np.full(15, -127)
    (found,) = run(FixupUnit(count_bits=4), [Channel(begin, {"x": codes, "saved": codes}, 1)])
    assert found.report == {"multiplier": 15 * 127 * 127, "bias": -15 * 127}


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_count_bits_are_checked() -> None:
    with pytest.raises(ValueError, match=r"^count_bits must be 4 to 32, not 33$"):
        FixupUnit(count_bits=33)
