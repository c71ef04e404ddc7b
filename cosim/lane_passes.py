"""A vector lane's passes, clock by clock: operands of a training step, and what becomes of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosim.operands import Quantization, Update
from golden.formats import Integers, rounding_shift, saturate
from golden.optimizer import MOMENTUM_SHIFT
from golden.randomness import draw
from rtl.quantizer import ROUND_HALF
from rtl.vector_lane import LANE_BITS, O_STEP, LaneSettings

__all__ = ["LEAD", "LanePass", "LaneRun", "quantization_pass", "run_passes", "update_passes"]

LEAD = 16
"""Cycles in which a lane's registers become known."""

_GAP = O_STEP + 2
"""Cycles between passes: one begins when the one before has left the lane."""


@dataclass(frozen=True)
class LanePass:
    """One pass over a lane.

    Attributes
    ----------
    settings:
        Of `LaneSettings`, those that are not as in a pass that lets u and v through.
    x, y:
        Bytes from the scratchpad.
    z:
        Words from the results memory, which u is in their place, or None.
    t, o:
        32-bit values that they make, and codes of those.
    step:
        Of the random index, from one beat to the next.
    """

    settings: Mapping[str, int]
    x: Integers
    y: Integers
    z: Integers | None
    t: Integers
    o: Integers
    step: int


@dataclass(frozen=True)
class LaneRun:
    """Passes one after another.

    Attributes
    ----------
    inputs:
        Port of `rtl.vector_lane.VectorLane` -> one value a cycle.
    t:
        The 32-bit value that each cycle's operands become, 0 where there are none.
    beats:
        Values.
    """

    inputs: Mapping[str, Integers]
    t: NDArray[np.int64]
    beats: int


def update_passes(tensor: Update, lanes: int, most: int) -> Iterator[LanePass]:
    """The six passes of `hwmodel.lowering.learn` in lane 0, which has every C-th parameter.

    Parameters
    ----------
    lanes:
        C.
    most:
        At most so many parameters.
    """
    gradient: Integers
    momentum: Integers
    gradient, parameter, momentum = (
        values[::lanes][:most].astype(np.int64)
        for values in (tensor.gradient, tensor.parameter, tensor.momentum)
    )
    random = draw(tensor.key, np.arange(len(gradient)) * lanes).astype(np.int64)
    applied, right = tensor.applied, tensor.applied + MOMENTUM_SHIFT
    rounded = {"stochastic": 1, "key": tensor.key, "v_none": 1}

    def one(settings: Mapping[str, int], x: Integers, y: Integers, t: Integers) -> LanePass:
        bits = random if settings.get("stochastic") else np.full_like(t, ROUND_HALF)
        o = saturate(rounding_shift(t, settings.get("shift", 0), bits), 8)
        return LanePass(settings, x, y, None, t, o, lanes)

    yield (decay := one(rounded | {"shift": tensor.decay}, parameter, parameter, parameter))
    yield (total := one({}, gradient, decay.o, gradient + decay.o))
    yield (kept := one({}, total.o, momentum, momentum + total.o))
    yield (update := one(rounded | {"shift": right}, kept.o, kept.o, kept.o))
    yield one({"negate": 1}, update.o, parameter, parameter - update.o)
    # Turned left by `applied`: the bits above the zeros stay.
    left = {"u_turn": -applied & 31, "u_keep": (0xFFFFFFFF << applied) & 0xFFFFFFFF}
    yield one({"negate": 1} | left, update.o, kept.o, kept.o - (update.o << applied))


def quantization_pass(tensor: Quantization, lanes: int, part: slice) -> LanePass:
    """Part of a sample's results become codes, rounded half up."""
    t = tensor.values[part].astype(np.int64)
    nothing = np.zeros_like(t)
    o = saturate(rounding_shift(t, tensor.shift, np.full_like(t, ROUND_HALF)), 8)
    settings = {"u_results": 1, "factor": 0, "v_none": 1, "shift": tensor.shift}
    return LanePass(settings, nothing, nothing, t, t, o, lanes)


def run_passes(passes: Sequence[LanePass]) -> LaneRun:
    """Lay passes out over a lane's ports."""
    length = LEAD + sum(len(each.x) + _GAP for each in passes)
    names = ("x", "y", "z", "x_take", "y_take", "z_take", "mask_take", "lane", "s0_place",
             "s0_y_valid", "s3_go", "s3_again", "s4_index", "s4_next", "s5_valid", "s7_place",
             "s7_mask_take")  # fmt: skip
    inputs = {name: np.zeros(length, dtype=np.int64) for name in names}
    # More than 64 bits: Python's integers.
    settings = np.zeros(length, dtype=object)
    values = np.zeros(length, dtype=np.int64)
    layout, begin = LaneSettings(), LEAD
    # Zeros go through first, into the registers that no pass uses as well.
    for name in ("x_take", "y_take", "z_take", "mask_take", "s7_mask_take"):
        inputs[name][:LEAD] = 1
    for each in passes:
        beats = len(each.x)
        # As they are: a factor of 1, nothing turned, v where it is 15 places up.
        plain = {"factor": 1, "u_keep": 0xFFFFFFFF, "v_count": 15, "v_right": 1}
        value = layout.const(plain | dict(each.settings)).as_value().value
        settings[begin : begin + beats + _GAP] = value
        present = slice(begin, begin + beats)
        values[present] = each.t
        inputs["x"][present], inputs["y"][present] = each.x, each.y
        if each.z is None:
            inputs["x_take"][present] = 1
        else:
            inputs["z"][present], inputs["z_take"][present] = each.z, 1
        adds = not each.settings.get("v_none")
        inputs["y_take"][present] = adds
        # Operands are kept in a cycle and are in step 0 in the next.
        for step, name in ((0, "s0_y_valid"), (3, "s3_go"), (5, "s5_valid")):
            later = slice(begin + 1 + step, begin + 1 + step + beats)
            inputs[name][later] = adds if name == "s0_y_valid" else 1
        index = np.arange(beats) * each.step
        inputs["s4_index"][begin + 5 : begin + 5 + beats] = index
        inputs["s4_next"][begin + 5 : begin + 5 + beats] = (index >> LANE_BITS) + 1
        begin += beats + _GAP
    return LaneRun({**inputs, "set": settings}, values, sum(len(each.x) for each in passes))
