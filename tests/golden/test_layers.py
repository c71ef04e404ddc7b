"""Integer layers against autograd-free truth: brute-force convolution, and exact joins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.convolution import ConvolutionLayer
from golden.gradients import Learned
from golden.layers import ShortcutLayer
from golden.network import Convolution
from golden.optimizer import WEIGHT
from golden.values import Value, join, quantize_samples


def brute_force(
    codes: np.ndarray, weight: np.ndarray, o: Convolution
) -> dict[tuple[int, ...], list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Pairs (input element, weight element) that make each output element."""
    n, _, height, width = codes.shape
    outputs, inputs, kh, kw = weight.shape
    top, left, bottom, right = o.padding
    tall = (height + top + bottom - o.dilation[0] * (kh - 1) - 1) // o.stride[0] + 1
    wide = (width + left + right - o.dilation[1] * (kw - 1) - 1) // o.stride[1] + 1
    pairs = {}
    for place in np.ndindex(n, outputs, tall, wide):
        b, out, y, x = place
        group = out // (outputs // o.groups)
        terms = []
        for tap in np.ndindex(inputs, kh, kw):
            row = y * o.stride[0] + tap[1] * o.dilation[0] - top
            column = x * o.stride[1] + tap[2] * o.dilation[1] - left
            if 0 <= row < height and 0 <= column < width:
                terms.append(((b, group * inputs + tap[0], row, column), (out, *tap)))
        pairs[place] = terms
    return pairs


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    padding=st.tuples(*(st.integers(0, 2) for _ in range(4))),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 1000),
)
def test_the_three_products_of_a_convolution(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
    groups: int,
    seed: int,
) -> None:
    o = Convolution(kernel, stride, padding, dilation, out_channels=4, groups=groups)
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (2, 2, 6, 5))
    weight = rng.integers(-127, 128, (4, 2 // groups, *kernel))
    layer = ConvolutionLayer("c", o, Learned.fresh(weight, 5, WEIGHT), None)
    output = layer.forward([Value(codes, np.zeros(2, dtype=np.int64), is_codes=True)])
    error = rng.integers(-127, 128, output.integers.shape)
    (below,) = layer.backward(Value(error, np.zeros(2, dtype=np.int64), is_codes=True))
    gradient = layer._weight_product(error)

    forward = np.zeros_like(output.integers)
    data, learned = np.zeros_like(codes), np.zeros_like(weight)
    for place, terms in brute_force(codes, weight, o).items():
        for source, tap in terms:
            forward[place] += codes[source] * weight[tap]
            data[source] += error[place] * weight[tap]
            learned[tap] += error[place] * codes[source]
    assert (output.integers == forward).all()
    assert (below.integers == data).all()
    assert (gradient == learned).all()
    assert (output.exponent == 5).all()


def value(integers: list[list[int]], exponent: list[int]) -> Value:
    return Value(np.array(integers), np.array(exponent))


def test_a_join_is_exact_where_bits_suffice() -> None:
    total = join([value([[100, -3], [0, 0]], [4, 50]), value([[7, 1], [5, -6]], [9, 3])])
    assert total.exponent.tolist() == [9, 3]
    assert total.integers.tolist() == [[100 * 32 + 7, -3 * 32 + 1], [5, -6]]


@given(
    st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=2, max_size=2),
    st.lists(st.integers(-40, 60), min_size=2, max_size=2),
)
def test_a_join_never_saturates_and_keeps_the_sum(numbers: list[int], exponents: list[int]) -> None:
    operands = [value([[q]], [s]) for q, s in zip(numbers, exponents, strict=True)]
    total = join(operands)
    assert abs(int(total.integers[0, 0])) < 2**31 - 1 or max(map(abs, numbers)) > 2**29
    exact = sum(q * 2.0**-s for q, s in zip(numbers, exponents, strict=True))
    # One rounding of half an LSB for each operand.
    step = 2.0 ** -int(total.exponent[0])
    assert abs(int(total.integers[0, 0]) * step - exact) <= step + 1e-6 * abs(exact)


def test_quantized_zero_samples_get_the_constant_exponent() -> None:
    coded = quantize_samples(value([[0, 0], [1000, -2000]], [58, 3]), 5)
    assert coded.exponent.tolist() == [5, -1]
    assert coded.integers.tolist() == [[0, 0], [63, -125]]


def test_a_shortcut_subsamples_and_widens_and_goes_back() -> None:
    layer = ShortcutLayer("s", (2, 2), (1, 0, 0, 0, 0))
    codes = np.arange(2 * 4 * 4).reshape(1, 2, 4, 4)
    out = layer.forward([Value(codes, np.array([1]), is_codes=True)])
    assert out.integers.shape == (1, 3, 2, 2)
    assert out.integers[0, 1].tolist() == codes[0, 1, ::2, ::2].tolist()
    assert (out.integers[0, 2] == 0).all()
    (back,) = layer.backward(Value(out.integers, np.array([1]), is_codes=True))
    assert back.integers[0, 1, ::2, ::2].tolist() == codes[0, 1, ::2, ::2].tolist()
    assert back.integers.sum() == out.integers.sum()


@pytest.mark.parametrize("bits", [7, 8, 31])
def test_quantizing_loses_at_most_half_an_lsb(bits: int) -> None:
    rng = np.random.default_rng(bits)
    integers = rng.integers(-(2**bits) + 1, 2**bits, (8, 50))
    coded = quantize_samples(Value(integers, np.zeros(8, dtype=np.int64)), 5)
    step = 2.0 ** -coded.exponent[:, None]
    # The largest may round up to 128 and saturate: another half.
    assert (np.abs(coded.integers * step - integers) <= step).all()
