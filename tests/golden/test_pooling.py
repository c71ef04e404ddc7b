"""Integer pooling against loops over every window, and against the floating-point layers."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from golden.errors import InputError
from golden.float_pools import GlobalMaxLayer as FloatGlobalMax
from golden.float_pools import WindowMaxLayer
from golden.network import AveragePool, MaxPool
from golden.pooling import MAX_TAPS, AveragePoolLayer, GlobalMaxLayer, MaxPoolLayer, MeanLayer
from golden.values import Value
from golden.windows import PoolingWindows, overlaps

SHAPE = (2, 3, 6, 5)
EXPONENT = np.array([4, -3])

Geometry = tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int], tuple[int, int], bool]
geometries = st.tuples(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(*(st.integers(0, 2) for _ in range(4))),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.booleans(),
)


def windows(o: MaxPool | AveragePool) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Input places inside the plane of every output place, in the order of the taps."""
    (height, width), (top, left, _, _) = SHAPE[2:], o.padding
    tall, wide = o.positions(SHAPE[1:])
    found = {}
    for y, x in np.ndindex(tall, wide):
        places = [
            (y * o.stride[0] + i * o.dilation[0] - top, x * o.stride[1] + j * o.dilation[1] - left)
            for i, j in np.ndindex(*o.kernel)
        ]
        found[y, x] = [(r, c) for r, c in places if 0 <= r < height and 0 <= c < width]
    return found


def codes(rng: np.random.Generator, shape: tuple[int, ...], low: int, dtype: type) -> Value:
    integers = rng.integers(low, 128, shape).astype(dtype)
    return Value(integers, EXPONENT, is_codes=True)


@settings(max_examples=60, deadline=None)
@given(geometry=geometries, seed=st.integers(0, 999), narrow=st.booleans(), tied=st.booleans())
def test_a_maximum_and_its_error(geometry: Geometry, seed: int, narrow: bool, tied: bool) -> None:
    o = MaxPool(*geometry)
    assume(not _impossible(o))
    places = windows(o)
    rng = np.random.default_rng(seed)
    dtype = np.int8 if narrow else np.int32
    value = codes(rng, SHAPE, 125 if tied else -127, dtype)
    if not all(places.values()):
        with pytest.raises(InputError, match=r"^layer 'p': every window must reach the input"):
            MaxPoolLayer("p", o, *SHAPE[2:])
        return
    layer = MaxPoolLayer("p", o, *SHAPE[2:])
    out = layer.forward([value])
    error = codes(rng, out.integers.shape, -127, dtype)
    (below,) = layer.backward(error)

    forward = np.zeros(out.integers.shape, dtype=int)
    backward = np.zeros(SHAPE, dtype=int)
    for n, c in np.ndindex(*SHAPE[:2]):
        for (y, x), inside in places.items():
            numbers = [int(value.integers[n, c, r, s]) for r, s in inside]
            forward[n, c, y, x] = max(numbers)
            row, column = inside[numbers.index(max(numbers))]
            backward[n, c, row, column] += int(error.integers[n, c, y, x])
    assert (out.integers == forward).all()
    assert (below.integers == backward).all()
    assert out.is_codes
    assert below.is_codes == (not overlaps(o))
    assert (out.exponent == EXPONENT).all()
    assert (below.exponent == EXPONENT).all()
    # The floating-point layer, which autograd was held against, does the same.
    reference = WindowMaxLayer(o)
    assert (reference.forward([value.integers.astype(float)], True) == forward).all()
    assert (reference.backward(error.integers.astype(float), True)[0] == backward).all()


def _impossible(o: MaxPool | AveragePool) -> bool:
    try:
        o.positions(SHAPE[1:])
    except ValueError:
        return True
    return False


@settings(max_examples=40, deadline=None)
@given(geometry=geometries, seed=st.integers(0, 999), narrow=st.booleans())
def test_a_mean_and_its_error(geometry: Geometry, seed: int, narrow: bool) -> None:
    o = AveragePool(*geometry)
    assume(not _impossible(o))
    rng = np.random.default_rng(seed)
    dtype = np.int8 if narrow else np.int32
    value = codes(rng, SHAPE, -127, dtype)
    layer = AveragePoolLayer("p", o)
    out = layer.forward([value])
    error = codes(rng, out.integers.shape, -127, dtype)
    (below,) = layer.backward(error)

    forward = np.zeros(out.integers.shape, dtype=int)
    backward = np.zeros(SHAPE, dtype=int)
    for n, c in np.ndindex(*SHAPE[:2]):
        for (y, x), inside in windows(o).items():
            for r, s in inside:
                forward[n, c, y, x] += int(value.integers[n, c, r, s])
                backward[n, c, r, s] += int(error.integers[n, c, y, x])
    assert (out.integers == forward).all()
    assert (below.integers == backward).all()
    # Divided by the power of two at or above the window's positions, both ways.
    divisor = 1 << (o.kernel[0] * o.kernel[1] - 1).bit_length()
    assert divisor // 2 < o.kernel[0] * o.kernel[1] <= divisor
    assert (2 ** (out.exponent - EXPONENT) == divisor).all()
    assert (below.exponent == out.exponent).all()
    assert not out.is_codes
    assert below.is_codes == (not overlaps(o))


def test_windows_of_opposite_codes_and_of_zeros() -> None:
    layer = AveragePoolLayer("p", AveragePool((2, 2), (2, 2)))
    plane = np.array([[127, -127, 0, 0], [-127, 127, 0, 0]])
    out = layer.forward([Value(plane[None, None], np.array([60]), is_codes=True)])
    assert out.integers.tolist() == [[[[0, 0]]]]
    assert out.exponent.tolist() == [62]
    (below,) = layer.backward(Value(out.integers, np.array([-40]), is_codes=True))
    assert not below.integers.any()


def test_the_largest_sums() -> None:
    # Every position in every window: the most that overlapping windows add.
    o = AveragePool((9, 9), (1, 1), (8, 8, 8, 8))
    value = Value(np.full((1, 1, 9, 9), 127, np.int8), np.array([0]), is_codes=True)
    layer = AveragePoolLayer("p", o)
    out = layer.forward([value])
    assert out.integers.max() == 81 * 127
    (below,) = layer.backward(
        Value(np.full(out.integers.shape, -127, np.int8), np.array([0]), is_codes=True)
    )
    assert (below.integers == -81 * 127).all()
    assert MAX_TAPS * 127 < 2**31 <= (MAX_TAPS + 1) * 127
    with pytest.raises(InputError, match=r"^layer 'p': a window must have at most 16909320 pos"):
        AveragePoolLayer("p", AveragePool((5000, 5000)))


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_a_global_maximum(dtype: type) -> None:
    rng = np.random.default_rng(0)
    value = codes(rng, SHAPE, 120, dtype)
    layer, reference = GlobalMaxLayer("g"), FloatGlobalMax()
    out = layer.forward([value])
    error = codes(rng, (*SHAPE[:2], 1, 1), -127, dtype)
    (below,) = layer.backward(error)
    assert (out.integers == reference.forward([value.integers.astype(float)], True)).all()
    assert (below.integers == reference.backward(error.integers.astype(float), True)[0]).all()
    assert (below.integers != 0).sum() <= 6
    assert out.is_codes
    assert below.is_codes


def test_a_window_in_the_padding_is_found() -> None:
    assert PoolingWindows(MaxPool((2, 2), padding=(2, 0, 0, 0)), 4, 4).has_empty()
    assert not PoolingWindows(MaxPool((3, 2), padding=(2, 0, 0, 1)), 4, 4).has_empty()
    # Two taps around a plane of one.
    assert PoolingWindows(MaxPool((2, 1), padding=(1, 0, 1, 0), dilation=(2, 1)), 1, 1).has_empty()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_mean_sums_a_plane_of_codes(sign: int) -> None:
    plane = np.full((1, 2, 3, 1), sign * 127, np.int8)
    plane[0, 1] = [[5], [-5], [1]]
    layer = MeanLayer("m", (3, 1))
    out = layer.forward([Value(plane, np.array([7]), is_codes=True)])
    assert out.integers[:, :, 0, 0].tolist() == [[sign * 381, 1]]
    assert not out.is_codes
    assert out.exponent.tolist() == [9]
    (below,) = layer.backward(Value(np.full((1, 2, 1, 1), 127, np.int8), np.array([3]), True))
    assert below.integers.shape == plane.shape
    assert (below.integers == 127).all()
    assert below.exponent.tolist() == [5]


def test_a_mean_of_too_many_positions_is_refused() -> None:
    with pytest.raises(InputError, match=f"'m': a window must have at most {MAX_TAPS} positions"):
        MeanLayer("m", (MAX_TAPS, 2))
