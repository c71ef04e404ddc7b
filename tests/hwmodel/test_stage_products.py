"""Products of a step's layers against the words that make them: equal, not close."""

import numpy as np
import pytest

from golden import zoo
from golden.network import Convolution, Flatten, Linear, Network
from golden.schemes import EOQ
from hwmodel.conventions import Conventions
from hwmodel.product_cycles import Arrays, product_times
from hwmodel.stages import products
from hwmodel.step import Step
from rtl import product_words
from rtl.config import CoreConfig
from rtl.product_words import Geometry


def one(operator, shape, batch, conventions=None):
    """A layer behind one that learns, so that it has all three products."""
    network = Network("one", shape)
    if len(shape) == 3:
        network.add("first", Convolution((1, 1), out_channels=shape[0]))
    else:
        network.add("first", Linear(shape[0]))
    network.add("it", operator)
    if len(shape) == 3:
        network.add("flat", Flatten())
        network.add("end", Linear(2))
    step = Step(network, EOQ, batch, conventions or Conventions())
    return step, step.network.layers["it"]


def modelled(kind, step, layer, arrays):
    """Cycles and the last drain of one sample's products, or of the batch's."""
    found = list(kind(step, layer))
    cycles = sum(p.cycles(arrays) for p in found)
    return cycles, found[-1].drain(arrays), sum(p.tiles(arrays) * p.streamed(arrays) for p in found)


def told(words, config):
    """The same by the words."""
    times = product_times(words, config)
    last = times[-1]
    return (
        sum(time.next_taken for time in times),
        last.signalled - last.next_taken,
        sum(time.vectors for time in times),
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_convolution_takes_what_its_words_take(seed):
    rng = np.random.default_rng(seed)
    config = CoreConfig(rows=int(rng.integers(1, 33)), columns=int(rng.integers(1, 33)))
    kernel = tuple(int(k) for k in rng.integers(1, 6, 2))
    padding = tuple(int(p) for p in rng.integers(0, 3, 4))
    channels, height, width = (int(size) for size in rng.integers((1, 5, 5), (70, 18, 18)))
    stride = tuple(int(s) for s in rng.integers(1, 4, 2))
    outputs, batch = int(rng.integers(1, 70)), int(rng.integers(1, 5))
    operator = Convolution(kernel, stride, padding, out_channels=outputs)
    step, layer = one(operator, (channels, height, width), batch)
    geometry = Geometry(channels=channels, height=height, width=width, out_channels=outputs,
                        kernel=kernel, stride=stride, padding=padding)  # fmt: skip
    assert geometry.positions == layer.shape[1:]
    places = {"a": 1 << 10, "b": 1 << 16, "z": 0}
    forward = told(product_words.forward(geometry, config, **places), config)
    backward = told(product_words.backward_data(geometry, config, **places), config)
    weight = told(product_words.backward_weight(geometry, config, **places, samples=batch), config)
    assert modelled(products.forward, step, layer, config) == forward
    assert modelled(products.backward_data, step, layer, config) == backward
    assert modelled(products.backward_weight, step, layer, config) == weight
    for kind in (products.forward, products.backward_data):
        assert {product.times for product in kind(step, layer)} == {batch}


@pytest.mark.parametrize("seed", range(20))
def test_a_linear_layer_is_a_convolution_over_the_samples(seed):
    rng = np.random.default_rng(seed)
    config = CoreConfig(rows=int(rng.integers(1, 33)), columns=int(rng.integers(1, 33)))
    inputs, outputs, batch = (int(size) for size in rng.integers(1, 100, 3))
    step, layer = one(Linear(outputs), (inputs,), batch)
    geometry = Geometry(channels=inputs, height=batch, width=1, out_channels=outputs)
    for name in ("forward", "backward_data", "backward_weight"):
        words = getattr(product_words, name)(geometry, config, a=0, b=1 << 16, z=0)
        assert modelled(getattr(products, name), step, layer, config) == told(words, config)


def test_arrays_of_sizes_give_what_single_sizes_give():
    step = Step(zoo.mobilenetv2(), EOQ, 2)
    rows, columns = (axis.ravel() for axis in np.mgrid[1:33, 1:33])
    for layer in step.weighted[:12]:
        for kind in (products.forward, products.backward_data, products.backward_weight):
            for product in kind(step, layer):
                every = product.cycles(Arrays(rows, columns)), product.drain(Arrays(rows, columns))
                for place in range(0, len(rows), 53):
                    sizes = CoreConfig(rows=int(rows[place]), columns=int(columns[place]))
                    assert every[0][place] == product.cycles(sizes)
                    assert every[1][place] == product.drain(sizes)


def test_groups_are_products_of_their_own():
    """12 channels in 4 groups are 4 products of 3 channels each, a tap a tile, in 2x2."""
    operator = Convolution((3, 3), (1, 1), (1, 1, 1, 1), groups=4, out_channels=8)
    step, layer = one(operator, (12, 5, 5), 2)
    config = CoreConfig(rows=2, columns=2)
    (forward,) = products.forward(step, layer)
    assert (forward.times, forward.tiles(config)) == (4 * 2, 9 * 2)
    (backward,) = products.backward_data(step, layer)
    assert (backward.times, backward.tiles(config)) == (4 * 2, 9 * 1 * 2)
    (weight,) = products.backward_weight(step, layer)
    assert (weight.times, weight.tiles(config), weight.streamed(config)) == (4, 25, 9 * 2 * 2)


def test_taps_are_packed_where_they_are_neighbours():
    def tiles(**more):
        operator = Convolution((3, 3), (1, 1), (0, 0, 0, 0), out_channels=4, **more)
        step, layer = one(operator, (3, 9, 9), 1)
        (forward,) = products.forward(step, layer)
        return forward.tiles(CoreConfig(rows=16, columns=4))

    assert tiles() == 3
    assert tiles(dilation=(2, 1)) == 3
    assert tiles(dilation=(1, 2)) == 9


def test_dilated_taps_meet_the_phases_of_a_stride():
    """Taps two apart at a stride of two: all are in one phase, and the other three make zeros."""
    operator = Convolution((3, 3), (2, 2), (2, 2, 2, 2), out_channels=4, dilation=(2, 2))
    step, layer = one(operator, (4, 8, 8), 1)
    phases = list(products.backward_data(step, layer))
    assert sorted(p.taps for p in phases) == [(0, 0), (0, 3), (3, 0), (3, 3)]
    assert sum(p.vectors for p in phases) == 64
    config = CoreConfig(rows=4, columns=4)
    assert sorted(p.tiles(config) for p in phases) == [1, 1, 1, 9]


def test_inserted_zeros_are_multiplied_if_they_are_counted():
    operator = Convolution((3, 3), (2, 2), (1, 1, 1, 1), out_channels=4)
    step, layer = one(operator, (4, 8, 8), 1, Conventions(strided_backward="zero-inserted"))
    (product,) = products.backward_data(step, layer)
    assert (product.vectors, product.taps) == (64, (3, 3))
