"""Every compiled loop against the specification in NumPy, at the corners of its operands."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from golden import acceleration, compiled, matmul
from golden.acceleration import specification, threads
from golden.convolution import ConvolutionLayer
from golden.formats import largest_magnitude
from golden.gradients import Learned, align_errors, quantize_gradient
from golden.im2col import Windows
from golden.layers import (
    BiasLayer,
    IntegerLayer,
    MultiplierLayer,
    RectifierLayer,
    add_bias,
)
from golden.network import Convolution
from golden.optimizer import MAX_HALVINGS, SCALAR, WEIGHT, Rate, UpdateRule, update
from golden.patches import Patches
from golden.values import Value, join, quantize_samples

LARGEST = 2**31 - 1
CORNERS = [0, 1, -1, 2, 127, -127, 128, -128, 255, 2**15, 2**30, -(2**30), LARGEST, -LARGEST]
SHAPES = [(3, 2, 4, 5), (1, 1, 1, 1), (2, 16, 3, 3), (4, 7), (2, 1)]

wide = st.one_of(st.sampled_from(CORNERS), st.integers(-LARGEST, LARGEST))
seeds = st.integers(0, 2**32 - 1)

# The first example of each compiles.
compared = settings(deadline=None, max_examples=60)
shapes = st.sampled_from(SHAPES)


@pytest.fixture(autouse=True, scope="module")
def loaded() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(acceleration.LOOPS_VARIABLE, "compiled")
        assert acceleration.compiled(1) is compiled
        yield


def tensor(seed: int, shape: tuple[int, ...], *, codes: bool) -> np.ndarray:
    """Integers of every size in one tensor: corners, some samples all zero, some small."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 8 if codes else 32, (shape[0], *(1 for _ in shape[1:])))
    top = (1 << bits) - 1
    result = rng.integers(-top, top + 1, shape)
    if rng.random() < 0.5:
        result.flat[rng.integers(result.size)] = -top.flat[0]
    result = result.astype(np.int8 if codes else np.int32)
    # Channels last in memory, as a convolution leaves them, or not.
    if len(shape) == 4 and rng.random() < 0.7:
        result = np.ascontiguousarray(result.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return result


def value(seed: int, shape: tuple[int, ...], *, codes: bool) -> Value:
    exponent = np.random.default_rng(seed + 1).integers(-60, 80, shape[0])
    return Value(tensor(seed, shape, codes=codes), exponent, codes)


def same(one: object, other: object) -> None:
    """Equal in everything: values, types, exponents."""
    if isinstance(one, Value) and isinstance(other, Value):
        same(one.integers, other.integers)
        same(one.exponent, other.exponent)
        assert one.is_codes == other.is_codes
        for magnitude in (one.magnitude, other.magnitude):
            if magnitude is not None:
                axes = tuple(range(1, one.integers.ndim))
                same(magnitude, largest_magnitude(one.integers, axes))
    elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        assert (one == other).all()
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    else:
        assert one == other


def agree(work: Callable[[], object]) -> None:
    """`work` gives the same by loops, by loops in threads and by NumPy."""
    fast = work()
    with pytest.MonkeyPatch.context() as patch, threads(3):
        patch.setattr(acceleration, "_WORTH_SPLITTING", 1)
        split = work()
    with specification():
        slow = work()
    same(fast, slow)
    same(split, slow)


@compared
@given(seeds, shapes, st.booleans(), st.sampled_from([5, 20]))
def test_quantizing(seed: int, shape: tuple[int, ...], codes: bool, zero: int) -> None:
    agree(lambda: quantize_samples(value(seed, shape, codes=codes), zero))


@compared
@given(st.lists(wide, min_size=1, max_size=6), st.integers(-70, 90))
@example([LARGEST, 1], -40)
@example([0, 0], 60)
def test_quantizing_corners(numbers: list[int], exponent: int) -> None:
    integers = np.array([numbers], dtype=np.int32)
    agree(lambda: quantize_samples(Value(integers, np.array([exponent])), 5))


@compared
@given(seeds, shapes, st.booleans(), st.booleans(), st.integers(-32767, 32767))
def test_biases(seed: int, shape: tuple[int, ...], codes: bool, scalar: bool, largest: int) -> None:
    it = value(seed, shape, codes=codes)
    bias = np.random.default_rng(seed).integers(-32767, 32768, 1 if scalar else shape[1])
    bias[0] = largest
    agree(lambda: add_bias(it, bias))


@compared
@given(seeds, seeds, shapes, st.booleans(), st.booleans())
def test_joins(
    seed: int, other: int, shape: tuple[int, ...], codes: bool, others_codes: bool
) -> None:
    operands = [value(seed, shape, codes=codes), value(other, shape, codes=others_codes)]
    agree(lambda: join(operands))


@compared
@given(wide, wide, st.integers(-40, 60), st.integers(-40, 60))
@example(2**30, 2**30, 0, 0)
@example(0, LARGEST, 0, 0)
@example(-LARGEST, LARGEST, 1, 0)
@example(LARGEST, LARGEST, 3, 3)
@example(-LARGEST, -LARGEST, 3, 3)
@example(1, -1, 60, -40)
def test_joins_at_the_corners(a: int, b: int, exponent_a: int, exponent_b: int) -> None:
    operands = [
        Value(np.array([[number]], dtype=np.int32), np.array([exponent]))
        for number, exponent in ((a, exponent_a), (b, exponent_b))
    ]
    agree(lambda: join(operands))
    # What 64 bits hold, 32 must not lose.
    wide = [Value(o.integers.astype(np.int64), o.exponent) for o in operands]
    with specification():
        assert (join(wide).integers == join(operands).integers).all()


@compared
@given(seeds, shapes, st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 15, 16, 17, 40]))
def test_alignment(seed: int, shape: tuple[int, ...], key: int, far: int) -> None:
    errors = value(seed, shape, codes=True)
    other = np.zeros(shape[0], dtype=np.int64)
    other[-1] = -far
    agree(lambda: align_errors(errors, other, key))


def test_threads_that_would_sleep_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("golden.jit.import_module", missing)
    assert compiled.form_team(2) == 1
    assert compiled.form_team(1) == 1


def scalar(number: int) -> Learned:
    return Learned.fresh(np.array([number]), 12, SCALAR)


LAYERS: list[Callable[[int], IntegerLayer]] = [
    lambda number: RectifierLayer("r"),
    lambda number: BiasLayer("b", scalar(number)),
    lambda number: MultiplierLayer("m", scalar(number)),
]


@compared
@given(seeds, shapes, st.booleans(), st.sampled_from(LAYERS), st.integers(-32767, 32767))
def test_layers(
    seed: int,
    shape: tuple[int, ...],
    codes: bool,
    make: Callable[[int], IntegerLayer],
    number: int,
) -> None:
    def work() -> object:
        layer = make(number)
        codes_only = codes or layer.needs_codes
        out = layer.forward([value(seed, shape, codes=codes_only)])
        error = value(seed + 7, shape, codes=codes_only)
        gradients = layer.gradients(layer.contribution(error), lambda what: 1)
        found = [(g.total, g.exponent) for g in gradients.values()]
        return [out, layer.backward(error), found]

    agree(work)


OPERATIONS = ["multiplier", "bias", "rectifier", "mask", "join", "reversed join", "integers"]


@compared
@given(seeds, shapes, st.booleans(), st.lists(st.sampled_from(OPERATIONS), max_size=6))
@example(1, (3, 2, 4, 5), True, ["multiplier", "join", "bias", "rectifier"])
@example(1, (3, 2, 4, 5), False, ["bias", "rectifier"])
@example(1, (3, 2, 4, 5), False, ["join", "mask"])
def test_operations_that_wait_for_each_other(
    seed: int, shape: tuple[int, ...], codes: bool, operations: list[str]
) -> None:
    def work() -> object:
        it = value(seed, shape, codes=codes)
        rng = np.random.default_rng(seed)
        kept = []
        for number, operation in enumerate(operations):
            other = value(seed + number + 1, shape, codes=bool(rng.integers(2)))
            factor = int(rng.integers(-32767, 32768))
            layer = RectifierLayer("r")
            assert layer.forward([other]).integers.shape == shape
            if operation == "multiplier" and it.is_codes:
                it = MultiplierLayer("m", scalar(factor)).forward([it])
            elif operation == "bias":
                it = add_bias(it, np.array([factor]))
            elif operation == "rectifier":
                it = layer.forward([it])
            elif operation == "mask":
                (it,) = layer.backward(it)
            elif operation == "join":
                it = join([it, other])
            elif operation == "reversed join":
                it = join([other, it])
            elif operation == "integers":
                kept.append(it.integers)
        return [kept, quantize_samples(it, 5), it]

    agree(work)


@compared
@given(
    seeds,
    st.sampled_from([WEIGHT, SCALAR]),
    st.integers(0, MAX_HALVINGS),
    st.integers(-1, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1,), (5, 3), (4, 2, 3, 3)]),
)
def test_updates(
    seed: int, rule: UpdateRule, halvings: int, k: int, key: int, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    limit, most = ((1 << (width - 1)) - 1 for width in (rule.width, rule.momentum_width))
    parameter = rng.integers(-limit, limit + 1, shape).astype(np.int32)
    momentum = rng.choice([-most, 0, most, 5, -8], shape).astype(np.int32)
    gradient = rng.integers(-127, 128, shape).astype(np.int8)
    rate = Rate(0, k, halvings)
    agree(lambda: update(parameter, momentum, gradient, rate, rule, key=key))


@compared
@given(
    seeds,
    st.sampled_from([-40, -16, -15, -1, 0, 1, 7, 15, 16, 17, 31, 32, 63, 70]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.int32, np.int64]),
)
def test_gradients_at_the_scale_of_the_momentum(
    seed: int, shift: int, key: int, kind: type
) -> None:
    rng = np.random.default_rng(seed)
    total = rng.integers(-(2**31) + 1, 2**31, (7, 5)) >> rng.choice([0, 8, 16, 24, 31], (7, 5))
    if kind is np.int64:
        total <<= 9
    agree(lambda: quantize_gradient(total.astype(kind), shift, key))


kernels = st.tuples(st.integers(1, 4), st.integers(1, 3))


@compared
@given(
    kernel=kernels,
    stride=kernels,
    dilation=kernels,
    padding=st.tuples(*(st.integers(0, 2) for _ in range(4))),
    channels=st.sampled_from([1, 3, 8, 16]),
    seed=seeds,
)
def test_windows(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int, int, int],
    channels: int,
    seed: int,
) -> None:
    size = (13, 9)
    operator = Convolution(kernel, stride, padding, dilation, out_channels=1)
    positions = operator.positions((channels, *size))
    windows = Windows(kernel, stride, dilation, (-padding[0], -padding[1]), size, positions)
    planes = np.random.default_rng(seed).integers(-127, 128, (2, *size, channels)).astype(np.int8)

    def work() -> object:
        into = np.full((windows.rows(2), kernel[0] * kernel[1] * channels), 99, dtype=np.int8)
        return windows.gather(planes, into)

    agree(work)
    # The same with the channels outermost, in floating point, and back.
    patches = Patches(operator, 2, channels, *size)
    outermost = planes.astype(np.float32).transpose(0, 3, 1, 2)
    agree(lambda: patches.gather(outermost, np.float32))
    matrices = np.random.default_rng(seed).normal(
        size=(1, channels * kernel[0] * kernel[1], 2 * positions[0] * positions[1])
    )
    agree(lambda: patches.scatter(matrices.astype(np.float32)))


@compared
@given(
    seed=seeds,
    kernel=st.sampled_from([1, 3]),
    stride=st.integers(1, 3),
    samples=st.integers(1, 5),
    groups=st.sampled_from([1, 2]),
    channels=st.sampled_from([1, 2, 8]),
    outputs=st.sampled_from([1, 2, 5]),
    size=st.sampled_from([(6, 5), (1, 1)]),
    path=st.sampled_from(["float32", "int8", "int8 outside of loops"]),
)
@example(1, 1, 1, 5, 1, 1, 1, (1, 1), "int8")
@example(1, 1, 1, 5, 1, 8, 1, (6, 5), "int8")
@example(1, 3, 2, 5, 2, 8, 5, (6, 5), "int8")
def test_convolutions_in_blocks(
    seed: int,
    kernel: int,
    stride: int,
    samples: int,
    groups: int,
    channels: int,
    outputs: int,
    size: tuple[int, int],
    path: str,
) -> None:
    pad = (kernel // 2,) * 4
    operator = Convolution(
        (kernel, kernel), (stride, 1), pad, out_channels=outputs * groups, groups=groups
    )
    rng = np.random.default_rng(seed)
    shape = (samples, channels * groups, *size)
    codes = Value(tensor(seed, shape, codes=True), np.arange(samples), is_codes=True)
    weight = rng.integers(-127, 128, (outputs * groups, channels, kernel, kernel))

    def work() -> object:
        layer = ConvolutionLayer("c", operator, Learned.fresh(weight, 5, WEIGHT), None)
        out = layer.forward([codes])
        error = Value(tensor(seed + 1, out.integers.shape, codes=True), out.exponent, True)
        gradient = layer.gradients(layer.contribution(error), lambda what: 99)["weight"]
        return [out, layer.backward(error), gradient.total, gradient.exponent]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("golden.convolution._BLOCK_BYTES", 2000)
        patch.setattr(matmul, "_path", matmul._Path())
        fast = path.split()[0] if matmul.int8_product() else "float32"
        patch.setenv(matmul.MATMUL_VARIABLE, fast)
        if path.endswith("loops"):
            patch.setattr(matmul, "torch_functions", lambda: None)
        agree(work)
