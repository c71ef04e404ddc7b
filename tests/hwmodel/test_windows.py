"""Closed forms of convolution counts against loops that visit every tap."""

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from golden.network import Convolution, Network
from hwmodel.conventions import Conventions
from hwmodel.windows import phase_lengths, product_macs, taps, touched


@st.composite
def convolutions(draw):
    """A convolution of tiny shape, with everything that a convolution can have."""
    pair = st.tuples
    size = draw(pair(st.integers(1, 7), st.integers(1, 7)))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    operator = Convolution(
        draw(pair(st.integers(1, 4), st.integers(1, 4))),
        draw(pair(st.integers(1, 3), st.integers(1, 3))),
        draw(pair(*[st.integers(0, 2)] * 4)),
        draw(pair(st.integers(1, 3), st.integers(1, 3))),
        out_channels=groups * draw(st.integers(1, 2)),
        groups=groups,
    )
    channels = groups * draw(st.integers(1, 2))
    network = Network("tiny", (channels, *size))
    try:
        network.add("conv", operator)
    except ValueError:
        assume(False)
    return network.layers["conv"]


def visit(layer):
    """Every (input channel pair, input row, input column) that a tap multiplies, with padding."""
    o = layer.operator
    channels = layer.input_shapes[0][0] // o.groups
    _, rows, columns = layer.shape
    for _, _, y, x, ky, kx in itertools.product(
        range(o.out_channels), range(channels), range(rows), range(columns),
        range(o.kernel[0]), range(o.kernel[1]),
    ):  # fmt: skip
        yield (
            y * o.stride[0] + ky * o.dilation[0] - o.padding[0],
            x * o.stride[1] + kx * o.dilation[1] - o.padding[1],
        )


def inside(layer, place):
    _, height, width = layer.input_shapes[0]
    return 0 <= place[0] < height and 0 <= place[1] < width


@settings(deadline=None, max_examples=150)
@given(convolutions())
def test_products_match_a_loop_over_every_tap(layer):
    everything = list(visit(layer))
    real = [place for place in everything if inside(layer, place)]
    for phase in ("forward", "backward_data", "backward_weight"):
        assert product_macs(layer, phase, Conventions()) == len(everything)
        assert product_macs(layer, phase, Conventions(padding=False)) == len(real)


@settings(deadline=None, max_examples=150)
@given(convolutions())
def test_zero_inserted_matches_a_loop_over_the_stretched_error(layer):
    o = layer.operator
    assume(max(o.stride) > 1)
    channels, height, width = layer.input_shapes[0]
    pairs = o.out_channels * channels // o.groups
    lengths = [(n - 1) * s + 1 for n, s in zip(layer.shape[1:], o.stride, strict=True)]
    count = landed = 0
    for y, x, ky, kx in itertools.product(
        range(height), range(width), range(o.kernel[0]), range(o.kernel[1])
    ):
        at = (y + o.padding[0] - ky * o.dilation[0], x + o.padding[1] - kx * o.dilation[1])
        count += pairs
        landed += pairs * all(0 <= a < length for a, length in zip(at, lengths, strict=True))
    inserted = Conventions(strided_backward="zero-inserted")
    assert product_macs(layer, "backward_data", inserted) == count
    inserted = Conventions(strided_backward="zero-inserted", padding=False)
    assert product_macs(layer, "backward_data", inserted) == landed


axes = st.tuples(
    st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4),
    st.integers(0, 3), st.integers(1, 3),
)  # fmt: skip


@given(axes)
def test_taps_and_touched_match_a_loop(axis):
    size, out, kernel, stride, before, dilation = axis
    places = [
        o * stride + k * dilation - before
        for o in range(out)
        for k in range(kernel)
        if 0 <= o * stride + k * dilation - before < size
    ]
    assert taps(*axis) == len(places)
    assert touched(*axis) == len(set(places))


@given(axes)
def test_phases_hold_every_pair_of_input_and_tap_that_can_meet(axis):
    size, _, kernel, stride, before, dilation = axis
    pairs = sum(
        (i + before - k * dilation) % stride == 0 for i in range(size) for k in range(kernel)
    )
    lengths = phase_lengths(*axis)
    assert sum(positions * reached for positions, reached in lengths) == pairs
    assert len(lengths) <= stride


def test_a_stride_that_skips_inputs():
    network = Network("skip", (1, 8, 8))
    network.add("conv", Convolution((1, 1), (2, 2), out_channels=1))
    layer = network.layers["conv"]
    axis = (8, 4, 1, 2, 0, 1)
    assert phase_lengths(*axis) == [(4, 1)]
    assert touched(*axis) == 4
    assert product_macs(layer, "backward_data", Conventions()) == 16
    zeros = Conventions(strided_backward="zero-inserted")
    assert product_macs(layer, "backward_data", zeros) == 64


@pytest.mark.parametrize("phase", ["forward", "backward_weight"])
def test_only_backward_data_inserts_zeros(phase):
    network = Network("skip", (1, 8, 8))
    network.add("conv", Convolution((3, 3), (2, 2), (1, 1, 1, 1), out_channels=2))
    layer = network.layers["conv"]
    zeros = Conventions(strided_backward="zero-inserted")
    assert product_macs(layer, phase, zeros) == product_macs(layer, phase, Conventions())
