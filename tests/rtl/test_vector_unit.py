"""Passes of the vector unit against golden's arithmetic, with memories that let it wait."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from golden.formats import Integers, QuantSpec, Rounding, bit_length, rounding_shift, saturate
from golden.randomness import draw
from rtl.config import CoreConfig
from rtl.vector_instructions import (
    Addend,
    LoadScalars,
    Loops,
    Operand,
    Output,
    Pass,
    Rectify,
    StoreScalars,
    Stream,
    Stride,
    Total,
)
from rtl.vector_simulation import Job, Outcome, run

X, Y, OUT, MASK, SCALARS, STORED = 0, 512, 1024, 1536, 1792, 1920
"""Where everything is in memory."""
NAMES = ("u_shift", "v_shift", "factor", "bias", "shift", "key")
TOP, SUM = 20, 22


def config(columns: int, **sizes: int) -> CoreConfig:
    return CoreConfig(rows=2, columns=columns, scratchpad_pages=2, scratchpad_page_bytes=1024,
                      results_page_depth=128, **sizes)  # fmt: skip


@dataclass
class Case:
    """One pass: its word, geometry, operands (rows, positions, channels) and scalars."""

    what: dict[str, int]
    x: Integers
    y: Integers
    z: Integers
    scalars: dict[str, int]
    addend_channels: int = 0xFFFF
    index: int = 0
    mask: Integers = field(default_factory=lambda: np.zeros(0))

    def truth(self) -> tuple[Integers, Integers, Integers]:
        """Return t, o and mask as golden makes them."""
        s, what = self.scalars, self.what
        x, y = self.x, self.y
        u: Integers = {
            Operand.NONE: 0 * x, Operand.RESULTS: self.z, Operand.X: x,
            Operand.X_FACTOR: x * s["factor"], Operand.X_Y: x * y,
        }[Operand(what["operand"])]  # fmt: skip
        v: Integers = {
            Addend.NONE: 0 * x, Addend.Y: y, Addend.Y_X: (y << 8) | (x & 0xFF),
            Addend.SCALAR: 0 * x,
        }[Addend(what["addend"])]  # fmt: skip
        v = np.where(np.arange(x.shape[2]) < self.addend_channels, v, 0)
        u = rounding_shift(u, s["u_shift"])
        v = rounding_shift(v, s["v_shift"])
        if what["addend"] == Addend.SCALAR:
            v = np.full_like(x, s["v_shift"])
        t = saturate((-u if what["negate"] else u) + v, 32)
        if what["rectify"] == Rectify.FIRST:
            mask = t > 0
            t = np.maximum(t, 0)
        if what["accumulate"]:
            t = t.sum(axis=(0, 1), keepdims=True)
        t = saturate(t + s["bias"], 32)
        if what["rectify"] != Rectify.FIRST:
            mask = t > 0
        if what["rectify"] == Rectify.LAST:
            t = np.maximum(t, 0)
        if what["mask_in"]:
            t = t * self.mask
        place = np.arange(x.size).reshape(x.shape)
        rounding = Rounding.STOCHASTIC if what["stochastic"] else Rounding.HALF_UP
        random = draw(s["key"], self.index + place)[-t.shape[0] :, -t.shape[1] :]
        o = QuantSpec(rounding=rounding).apply(t, max(s["shift"], 0), random)
        return t, o, mask

    def words(self, columns: int) -> list[Any]:
        """Program: geometry, scalars, the pass, and storing what it found."""
        rows, positions, channels = self.x.shape
        loops = Loops(positions=positions, rows=rows, channels=channels,
                      addend_channels=self.addend_channels)  # fmt: skip
        line = positions * channels
        nhwc = {"position": channels, "row": line, "block": columns}
        still = {"block": columns} if self.what["accumulate"] else nhwc
        words = {"position": 1, "row": positions, "block": rows * positions}
        one = {"block": 1} if self.what["accumulate"] else words
        load = LoadScalars(d=1, count=5, address=SCALARS, size=4, step=4)
        return [
            loops,
            Stride.regular(Stream.X, X, loops, **nhwc),
            Stride.regular(Stream.Y, Y, loops, **nhwc),
            Stride.regular(Stream.OUTPUT, OUT, loops, **still),
            Stride.regular(Stream.INDEX, self.index, loops, **nhwc),
            Stride.regular(Stream.RESULTS_IN, 0, loops, **words),
            Stride.regular(Stream.RESULTS_OUT, 128, loops, **one),
            Stride(stream=Stream.MASK, base=MASK),
            load,
            LoadScalars(d=6, address=SCALARS + 20, size=4, unsigned=1),
            Pass(**self.what, **{name: k + 1 for k, name in enumerate(NAMES)}, top=TOP, sum=SUM,
                 measure=1, signal=1),
            StoreScalars(d=TOP, count=3, address=STORED, size=4, step=4),
        ]  # fmt: skip

    def memory(self, columns: int) -> tuple[Any, Any]:
        """Both memories at the beginning."""
        memory = np.random.default_rng(5).integers(0, 256, 2048).astype(np.uint8)
        memory[X : X + self.x.size] = self.x.ravel().astype(np.uint8)
        memory[Y : Y + self.y.size] = self.y.ravel().astype(np.uint8)
        numbers = np.array([self.scalars[name] for name in NAMES])
        memory[SCALARS : SCALARS + 24] = numbers.astype(np.uint32).view(np.uint8)
        if self.mask.size:
            masks = pack(self.mask, columns)
            memory[MASK : MASK + len(masks)] = masks
        results = np.random.default_rng(6).integers(-100, 100, (256, columns))
        planes = blocks(self.z, columns)
        results[: len(planes)] = planes
        return memory, results

    def job(self, columns: int, stall: float) -> Job:
        memory, results = self.memory(columns)
        return Job(words=self.words(columns), memory=memory, results=results, stall=stall)

    def compare(self, columns: int, got: Outcome) -> None:
        """Everything that is in both memories afterwards."""
        memory, results = self.memory(columns)
        t, o, mask = self.truth()
        assert got.fault == 0
        assert [mask for _, mask in got.signals] == [1]
        top = int(bit_length(np.abs(t).max()))
        total = {Total.NONE: None, Total.T: t.sum(), Total.O: o.sum()}[Total(self.what["total"])]
        stored = got.memory[STORED : STORED + 12].view("<i4").tolist()
        assert stored[:2] == [top, max(top - 7, 0)]
        if total is not None:
            assert stored[2] == np.array(total).astype(np.int32)
        memory[STORED : STORED + 12] = got.memory[STORED : STORED + 12]
        if self.what["output"] == Output.BYTES:
            memory[OUT : OUT + o.size] = o.ravel().astype(np.uint8)
        if self.what["mask_out"]:
            packed = pack(mask, columns)
            memory[MASK : MASK + len(packed)] = packed
        if self.what["output"] == Output.RESULTS:
            words = blocks(t, columns)
            results[128 : 128 + len(words)] = words
        np.testing.assert_array_equal(got.memory, memory)
        np.testing.assert_array_equal(got.results, results)


def check(columns: int, cases: list[Case], stall: float = 0.0, **sizes: int) -> list[Outcome]:
    """Run all of them on one unit, and compare."""
    jobs = [it.job(columns, stall) for it in cases]
    outcomes = run(config(columns, **sizes), jobs)
    for it, got in zip(cases, outcomes, strict=True):
        it.compare(columns, got)
    return outcomes


def blocks(tensor: Integers, columns: int) -> Integers:
    """(rows, positions, channels) as words of C channels, block after block; zeros past the end."""
    rows, positions, channels = tensor.shape
    count = -(-channels // columns)
    wide = np.zeros((rows * positions, count * columns), dtype=np.int64)
    wide[:, :channels] = tensor.reshape(-1, channels)
    return wide.reshape(-1, count, columns).transpose(1, 0, 2).reshape(-1, columns)


def pack(mask: Integers, columns: int) -> Any:
    """Bits in the order of beats: byte l of group g holds lane l of beats 8g to 8g + 7."""
    beats = blocks(mask.astype(np.int64), columns)
    padded = np.zeros((-(-len(beats) // 8) * 8, columns), dtype=np.int64)
    padded[: len(beats)] = beats
    groups = padded.reshape(-1, 8, columns)
    return (groups << np.arange(8)[None, :, None]).sum(axis=1).ravel().astype(np.uint8)


def case(rng: Generator, corners: Any, what: dict[str, int], **scalars: int) -> Case:
    """Random operands and scalars for a word whose other fields are off."""
    shape = tuple(rng.integers((1, 1, 1), (4, 6, 10)).tolist())
    base = dict.fromkeys(
        ("operand", "negate", "addend", "rectify", "mask_in", "mask_out", "accumulate", "output",
         "stochastic", "total"), 0,
    )  # fmt: skip
    random = {
        "u_shift": int(rng.integers(-3, 9)), "v_shift": int(rng.integers(-15, 18)),
        "factor": int(rng.integers(-128, 128)), "bias": int(corners(rng, (1,), 32)[0]),
        "shift": int(rng.integers(0, 26)), "key": int(rng.integers(0, 1 << 32)),
    }  # fmt: skip
    result = Case(
        what=base | what,
        x=corners(rng, shape, 8), y=corners(rng, shape, 8), z=corners(rng, shape, 28),
        scalars=random | scalars,
    )  # fmt: skip
    if what.get("mask_in"):
        result.mask = rng.integers(0, 2, shape)
    return result


PLAIN = {"u_shift": 0, "v_shift": 0, "bias": 0}


def operands_and_outputs(rng: Generator, corners: Any) -> list[Case]:
    result = []
    for operand in Operand:
        what = {"operand": operand, "output": Output.RESULTS, "total": Total.T}
        result.append(case(rng, corners, what))
        what |= {"output": Output.BYTES, "total": Total.O, "stochastic": 1, "negate": 1}
        result.append(case(rng, corners, what))
    return result


def addends(rng: Generator, corners: Any) -> list[Case]:
    result = []
    for k, shift in enumerate((-15, 0, 1, 7, 16, 40)):
        addend = (Addend.Y, Addend.Y_X)[k % 2]
        what = {"operand": Operand.RESULTS, "addend": addend, "output": Output.RESULTS}
        it = case(rng, corners, what, v_shift=shift)
        it.addend_channels = int(rng.integers(0, 10))
        result.append(it)
    what = {"operand": Operand.X, "addend": Addend.SCALAR, "output": Output.RESULTS}
    result.append(case(rng, corners, what, v_shift=int(corners(rng, (1,), 32)[0])))
    return result


def rectifiers_and_masks(rng: Generator, corners: Any) -> list[Case]:
    return [
        case(rng, corners, {"operand": Operand.RESULTS, "rectify": rectify, mask: 1,
                            "output": Output.BYTES, "total": Total.O})
        for rectify in Rectify for mask in ("mask_in", "mask_out")
    ]  # fmt: skip


def sums_over_positions(rng: Generator, corners: Any) -> list[Case]:
    what = {"operand": Operand.X, "accumulate": 1, "total": Total.T}
    return [case(rng, corners, what | {"output": output}, **PLAIN)
            for output in (Output.RESULTS, Output.BYTES)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 3, 4])
def test_every_option(columns: int, corners: Any) -> None:
    rng = np.random.default_rng(columns)
    cases = [
        *operands_and_outputs(rng, corners), *addends(rng, corners),
        *rectifiers_and_masks(rng, corners), *sums_over_positions(rng, corners),
    ]  # fmt: skip
    check(columns, cases)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 3])
def test_every_option_while_ports_are_not_ready(columns: int, corners: Any) -> None:
    rng = np.random.default_rng(columns + 50)
    what = {"operand": Operand.X_Y, "output": Output.BYTES, "mask_in": 1, "stochastic": 1}
    cases = [
        case(rng, corners, what), *addends(rng, corners),
        *rectifiers_and_masks(rng, corners), *sums_over_positions(rng, corners),
    ]  # fmt: skip
    outcomes = check(columns, cases, stall=0.5)
    assert all(got.waited > 0 for got in outcomes)


@pytest.mark.slow
def test_every_shift_of_an_operand(corners: Any) -> None:
    rng = np.random.default_rng(20)
    cases = []
    for u_shift in (-15, -1, 0, 1, 30, 31, 32, 33, 60, 127):
        what = {"operand": Operand.RESULTS, "negate": u_shift & 1, "output": Output.RESULTS}
        it = case(rng, corners, what, u_shift=u_shift)
        # 32 bits hold what is shifted left.
        it.z = corners(rng, it.z.shape, 32 + min(u_shift, 0))
        cases.append(it)
    check(4, cases)


@pytest.mark.slow
def test_zeros_and_saturation(corners: Any) -> None:
    rng = np.random.default_rng(0)
    what = {"operand": Operand.RESULTS, "output": Output.BYTES}
    zero = case(rng, corners, what, **PLAIN, shift=3)
    zero.z = 0 * zero.z
    cases = [zero]
    for value in ((1 << 31) - 1, -(1 << 31), -(1 << 31) + 1, -128, -64, 127, 128):
        it = case(rng, corners, what, **PLAIN, shift=int(rng.integers(-2, 2)))
        it.z = np.full_like(it.z, value)
        cases.append(it)
        cases.append(case(rng, corners, what, u_shift=0, bias=value, shift=24))
    for shift in (31, 40, 63, 100):
        cases.append(case(rng, corners, what | {"stochastic": shift & 1}, **PLAIN, shift=shift))
    it = case(rng, corners, what | {"stochastic": 1}, **PLAIN, shift=2)
    it.index = (1 << 24) - 3
    check(3, [*cases, it])


def test_a_narrow_accumulator(corners: Any) -> None:
    rng = np.random.default_rng(1)
    what = {"operand": Operand.RESULTS, "output": Output.BYTES}
    it = case(rng, corners, what, u_shift=0, shift=2)
    it.z = corners(rng, it.z.shape, 20)
    check(4, [it], accumulator_bits=20)
