"""The three products of convolutions on the matrix unit against golden's, and faults."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from golden.convolution import ConvolutionLayer
from golden.gradients import Learned
from golden.network import Convolution
from golden.optimizer import WEIGHT
from golden.values import Value
from rtl.config import CoreConfig
from rtl.instructions import Fault, Word
from rtl.matrix_instructions import (
    ALoops,
    AStrides,
    BLoops,
    BStrides,
    Multiply,
    Results,
    Window,
)
from rtl.product_simulation import ProductBench, run
from rtl.product_words import Geometry, backward_data, backward_weight, forward

SIZES = [(1, 1), (1, 4), (4, 1), (2, 3), (4, 4), (5, 2), (3, 8)]


def core(rows: int, columns: int, **more: Any) -> CoreConfig:
    sizes = {"scratchpad_pages": 4, "scratchpad_page_bytes": 512, "results_page_depth": 256}
    return CoreConfig(rows=rows, columns=columns, **(sizes | more))


class Case:
    """A convolution with random operands, and what golden says of it."""

    def __init__(self, config: CoreConfig, geometry: Geometry, seed: int, samples: int = 2) -> None:
        self.config, self.g, self.samples = config, geometry, samples
        g = geometry
        rng = np.random.default_rng(seed)
        self.a = self._codes(rng, (samples, g.channels, g.height, g.width))
        self.w = self._codes(rng, (g.out_channels, g.channels, *g.kernel))
        self.e = self._codes(rng, (samples, g.out_channels, *g.positions))
        operator = Convolution(g.kernel, g.stride, g.padding, out_channels=g.out_channels)
        self.layer = ConvolutionLayer("c", operator, Learned.fresh(self.w, 0, WEIGHT), None)
        exponents = np.zeros(samples, dtype=np.int64)
        self.output = self.layer.forward([Value(self.a, exponents, True)]).integers
        self.error_below = self.layer.backward(Value(self.e, exponents, True))[0].integers
        self.gradient = self.layer._weight_product(self.e)

        page = config.scratchpad_page_bytes
        # Behind the padding of a page's beginning, at an odd address.
        self.at_a, self.at_w, self.at_e = 37, page + 5, 2 * page + 11
        pitch = g.row_pitch(config)
        weights = np.zeros((g.weight_rows, pitch), dtype=np.int8)
        weights[:, : g.out_channels] = self.w.transpose(2, 3, 1, 0).reshape(g.weight_rows, -1)
        memory = np.frombuffer(rng.bytes(3 * page), dtype=np.int8).copy()
        for at, tensor in (
            (self.at_a, self.a.transpose(0, 2, 3, 1)),
            (self.at_w, weights),
            (self.at_e, self.e.transpose(0, 2, 3, 1)),
        ):
            assert at % page + tensor.size <= page
            memory[at : at + tensor.size] = tensor.reshape(-1)
        self.memory = memory.tobytes()

    @staticmethod
    def _codes(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int32]:
        codes = rng.integers(-127, 128, shape)
        corners = rng.random(shape) < 0.2
        return np.where(corners, rng.choice([-127, 0, 127], shape), codes).astype(np.int32)

    def channels(self, results: NDArray, count: int, plane: tuple[int, int]) -> NDArray:
        """(channels, height, width) from words (block, line, pixel) of C channels."""
        blocks = results.reshape(-1, plane[0] * plane[1], self.config.columns)
        return blocks.transpose(0, 2, 1).reshape(-1, *plane)[:count]

    def check(self, sample: int, *, apart: bool) -> None:
        """All three products one after another.

        The first two are of one `sample`; the weight gradient is of all, as one product or as one
        each that adds to the one before.
        """
        g, config = self.g, self.config
        blocks_out, blocks_in = (-(-n // config.columns) for n in (g.out_channels, g.channels))
        counts = [
            blocks_out * math.prod(g.positions),
            blocks_in * g.height * g.width,
            blocks_out * g.weight_rows,
        ]
        at = np.cumsum([3, *counts]).tolist()
        error = self.at_e + sample * g.output_bytes
        words = forward(g, config, a=self.at_a + sample * g.input_bytes, b=self.at_w, z=at[0])
        words += backward_data(g, config, a=error, b=self.at_w, z=at[1])
        for n in range(self.samples if apart else 1):
            words += backward_weight(
                g, config, a=self.at_a + n * g.input_bytes, b=self.at_e + n * g.output_bytes,
                z=at[2], samples=1 if apart else self.samples, accumulate=n > 0,
            )  # fmt: skip
        outcome = run(config, self.memory, words, read=range(3, at[3]))
        assert outcome.fault == Fault.NONE
        y, x, w = np.split(outcome.results, np.cumsum(counts)[:2])
        np.testing.assert_array_equal(
            self.channels(y, g.out_channels, g.positions), self.output[sample]
        )
        np.testing.assert_array_equal(
            self.channels(x, g.channels, (g.height, g.width)), self.error_below[sample]
        )
        rows = self.channels(w, g.out_channels, (g.weight_rows, 1))
        np.testing.assert_array_equal(
            rows.reshape(-1, *g.kernel, g.channels).transpose(0, 3, 1, 2), self.gradient
        )


def geometry_of(rng: np.random.Generator) -> Geometry:
    """Anything small, windows larger than strides and the other way round."""
    kernel = tuple(int(n) for n in rng.integers(1, 4, 2))
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    padding = tuple(int(rng.integers(0, k)) for k in (*kernel, *kernel))
    height, width = (int(n) for n in rng.integers(3, 7, 2))
    return Geometry(
        channels=int(rng.integers(1, 8)), height=height, width=width,
        out_channels=int(rng.integers(1, 8)), kernel=kernel, stride=stride, padding=padding,
    )  # fmt: skip


@pytest.mark.parametrize(("rows", "columns"), SIZES)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_random_convolutions(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng([rows, columns, seed])
    case = Case(core(rows, columns), geometry_of(rng), seed)
    case.check(seed % 2, apart=bool(seed % 2))


@pytest.mark.parametrize(
    "geometry",
    [
        # Few channels: a line of the window in one block, and in two.
        Geometry(channels=1, height=6, width=6, out_channels=3, kernel=(3, 3), padding=(1,) * 4),
        Geometry(channels=3, height=5, width=6, out_channels=2, kernel=(3, 3), stride=(2, 2),
                 padding=(1,) * 4),
        # A stride that skips pixels: their errors are zero.
        Geometry(channels=2, height=5, width=5, out_channels=5, stride=(2, 3)),
        # Linear: samples are positions.
        Geometry(channels=9, height=4, width=1, out_channels=6),
        # Only padding in most windows.
        Geometry(channels=1, height=1, width=1, out_channels=1, kernel=(3, 3), padding=(2,) * 4),
    ],
)  # fmt: skip
def test_chosen_convolutions(geometry: Geometry) -> None:
    Case(core(4, 4), geometry, 5).check(1, apart=False)


def unsigned_product(
    config: CoreConfig, geometry: Geometry, a: NDArray, w: NDArray
) -> tuple[bytes, list[Word]]:
    """Scratchpad and words for a @ w, bytes of a (positions, rows) being 0 to 255."""
    pitch = geometry.row_pitch(config)
    memory = bytearray(512 + len(w) * pitch)
    memory[: a.size] = a.astype(np.uint8).tobytes()
    for row, values in enumerate(w.astype(np.int8)):
        at = 512 + row * pitch
        memory[at : at + len(values)] = values.tobytes()
    words = [
        replace(word, unsigned=1) if isinstance(word, ALoops) else word
        for word in forward(geometry, config, a=0, b=512, z=0)
    ]
    return bytes(memory), words


@pytest.mark.parametrize("rows", [1, 4])
def test_unsigned_activations(rows: int) -> None:
    """Bytes of A up to 255, with an operand of nine bits."""
    config = core(rows, 3, activation_bits=9)
    geometry = Geometry(channels=rows, height=1, width=7, out_channels=3)
    rng = np.random.default_rng(rows)
    a = rng.choice([0, 1, 127, 128, 255], (7, rows))
    w = rng.integers(-128, 128, (rows, 3))
    memory, words = unsigned_product(config, geometry, a, w)
    outcome = run(config, memory, words, read=range(7))
    np.testing.assert_array_equal(outcome.results, a @ w)


def test_set_up_words_do_not_touch_the_product_before() -> None:
    """Whichever comes first behind a product, and is taken while its last vectors are read."""
    config = core(2, 3, activation_bits=9)
    geometry = Geometry(channels=2, height=1, width=7, out_channels=3)
    rng = np.random.default_rng(3)
    a = rng.integers(128, 256, (7, 2))
    w = rng.integers(-128, 128, (2, 3))
    memory, first = unsigned_product(config, geometry, a, w)
    signed = next(word for word in first if isinstance(word, ALoops))
    window = next(word for word in first if isinstance(word, Window))
    loops = next(word for word in first if isinstance(word, BLoops))
    multiply = replace(first[-1], z_base=16)
    for other in (
        replace(signed, unsigned=0),
        replace(signed, transposed=1),
        replace(window, line=1, height=1),
        replace(loops, n0=3, rows_last=0, pitch=0),
        BStrides(row=1, t0=1),
        AStrides(x=1, y=1, n=1, t1=1, t2=1),
        Results(z_x=2, z_y=1, z_j=1),
    ):
        outcome = run(config, memory, [*first, other, multiply], read=range(7))
        np.testing.assert_array_equal(outcome.results, a @ w, err_msg=repr(other))


def test_sums_of_other_words_stay() -> None:
    """Accumulation begins with what is in the results memory, and touches nothing else."""
    config = core(2, 2)
    case = Case(config, Geometry(channels=2, height=2, width=2, out_channels=2), 1)
    words = forward(case.g, config, a=case.at_a, b=case.at_w, z=255)
    words[-1] = replace(words[-1], accumulate=1, z_base=254)
    # The four words lie in both pages.
    preset = [(k, [10 * k, -k]) for k in range(252, 260)]
    outcome = run(config, case.memory, words, read=range(252, 260), preset=preset)
    expected = np.array([sums for _, sums in preset])
    expected[2:6] += case.output[0].reshape(2, 4).T
    np.testing.assert_array_equal(outcome.results, expected)


def test_faults_and_abort() -> None:
    """Each fault stops the unit until it is aborted; then it works again."""
    config = core(2, 2)
    geometry = Geometry(channels=2, height=2, width=2, out_channels=2)
    *setup, multiply = forward(geometry, config, a=0, b=512, z=0)
    assert isinstance(multiply, Multiply)

    def changed(kind: type, **fields: int) -> list[Word]:
        return [replace(word, **fields) if isinstance(word, kind) else word for word in setup]

    programs: list[tuple[Fault, list[Word | int]]] = [
        (Fault.OP, [0]),
        (Fault.OP, [BLoops(n0=1, rows_last=1).pack() | 31 << 3]),
    ]
    for kind, fields in (
        (BLoops, {"n0": 0}), (BLoops, {"n1": 0}), (BLoops, {"n2": 0}), (BLoops, {"nj": 0}),
        (BLoops, {"rows_last": 3}), (BLoops, {"pitch": 512}), (BLoops, {"signal": 1}),
        (ALoops, {"n0": 0}), (ALoops, {"n1": 0}), (ALoops, {"n2": 0}), (ALoops, {"lanes_last": 0}),
        (ALoops, {"lanes_last": 3}), (ALoops, {"unsigned": 1}),
        (Window, {"m0": 0}), (Window, {"m1": 0}),
    ):  # fmt: skip
        programs.append((Fault.FIELD, changed(kind, **fields)))
    for base in ({"a_base": 2048}, {"a_base": -2049}, {"b_base": 2048}, {"z_base": 512}):
        programs.append((Fault.FIELD, [*setup, replace(multiply, **base)]))
    # Operands and results that leave their memory while the product runs.
    for base in ({"a_base": 2044}, {"b_base": 2047}, {"z_base": 510}):
        programs.append((Fault.ADDRESS, [*setup, replace(multiply, **base)]))
    programs.append((Fault.CONFLICT, [*setup, replace(multiply, b_base=64)]))
    good = [*setup, replace(multiply, signal=5)]
    programs = [pair for bad in programs for pair in (bad, (Fault.NONE, good))]

    bench = ProductBench(config=config)
    unit = bench.unit
    simulator = Simulator(bench)
    simulator.add_clock(1e-8)
    got: list[tuple[Fault, int]] = []

    async def drive(ctx: Any) -> None:
        for _, program in programs:
            words = [word if isinstance(word, int) else word.pack() for word in program]
            signals = 0
            for _ in range(40):
                ctx.set(unit.i.valid, bool(words))
                if words:
                    ctx.set(unit.i.payload, words[0])
                    if ctx.get(unit.i.ready):
                        words.pop(0)
                signals |= ctx.get(unit.signal)
                await ctx.tick()
            assert not ctx.get(unit.busy)
            got.append((Fault(ctx.get(unit.fault)), signals))
            if got[-1][0]:
                # A word that is offered now is not taken.
                ctx.set(unit.i.valid, 1)
                assert not ctx.get(unit.i.ready)
                ctx.set(unit.i.valid, 0)
                ctx.set(unit.abort, 1)
                await ctx.tick()
                ctx.set(unit.abort, 0)

    simulator.add_testbench(drive)
    simulator.run()
    assert got == [(fault, 0 if fault else 5) for fault, _ in programs]


def test_abort_in_the_middle() -> None:
    """Nothing is stored after it, no semaphore given, and the next product is right."""
    config = core(2, 2)
    case = Case(config, Geometry(channels=2, height=2, width=2, out_channels=2), 1)
    words = [word.pack() for word in forward(case.g, config, a=case.at_a, b=case.at_w, z=8)]
    bench = ProductBench(config=config)
    unit, store = bench.unit, bench.results
    simulator = Simulator(bench)
    simulator.add_clock(1e-8)

    async def drive(ctx: Any) -> None:
        for word in words:
            ctx.set(unit.i.payload, word)
            ctx.set(unit.i.valid, 1)
            assert ctx.get(unit.i.ready)
            await ctx.tick()
        ctx.set(unit.i.valid, 0)
        for _ in range(7):
            await ctx.tick()
        assert ctx.get(unit.busy)
        ctx.set(unit.abort, 1)
        await ctx.tick()
        ctx.set(unit.abort, 0)
        for _ in range(30):
            assert not ctx.get(unit.busy)
            assert not ctx.get(unit.signal)
            assert not ctx.get(store.c.busy)
            assert not ctx.get(store.c.w_enable)
            await ctx.tick()

    simulator.add_testbench(drive)
    simulator.run()
