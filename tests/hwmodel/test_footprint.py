"""Memory over the course of a step: small networks by hand, and properties of large ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import zoo
from golden.network import (
    Activation,
    Add,
    Convolution,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Network,
    Normalization,
)
from golden.schemes import EOQ, FP32_BN, SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.footprint import footprint, peak
from hwmodel.step import Step


def walk(network, scheme="fp32-bn", batch=1, **conventions):
    step = Step(network, SCHEMES[scheme], batch, Conventions(**conventions))
    return {(m.layer, m.phase): m for m in footprint(step)}


def chain():
    network = Network("chain", (8,))
    network.add("fc1", Linear(16, bias=False))
    network.add("relu", Activation())
    network.add("fc2", Linear(4, bias=False))
    return network


def test_a_chain_in_fp32_by_hand():
    """8 inputs, 16 hidden, 4 classes; 2 samples; 4 bytes a number."""
    moments = walk(chain(), batch=2)
    x, hidden, logits = 4 * 2 * 8, 4 * 2 * 16, 4 * 2 * 4
    weights = 4 * (8 * 16 + 16 * 4)
    for moment in moments.values():
        assert moment.weights == moment.momentum == weights
    # fc1's sums pass through the ReLU: only its result is stored, and the input stays for fc1.
    assert moments["relu", "forward"].activations == x + hidden
    assert moments["fc2", "forward"].activations == x + hidden + logits
    assert moments["loss", "forward"].activations == x + hidden + logits
    assert moments["loss", "forward"].gradients == logits
    # fc2 backward: the error it reads, the error it makes, and its weight gradient.
    assert moments["fc2", "backward"].gradients == logits + hidden + 4 * 16 * 4
    assert moments["fc2", "backward"].activations == x + hidden
    # fc1 backward: its error, masked in place, and its weight gradient; no error of the input.
    assert moments["fc1", "backward"].activations == x
    assert moments["fc1", "backward"].gradients == hidden + 4 * 8 * 16
    # The mask is the sign of what is stored anyway.
    assert all(moment.masks == 0 for moment in moments.values())


def test_the_same_chain_in_int8():
    moments = walk(chain(), "eoq", batch=2)
    x, hidden = 2 * 8, 2 * 16
    assert moments["relu", "forward"].activations == x + hidden
    assert moments["fc1", "backward"].gradients == hidden + 4 * 8 * 16
    # The sign of the 32-bit sum is kept, one bit an element, until it masked the error.
    assert moments["fc2", "backward"].masks == hidden // 8
    assert moments["fc1", "backward"].masks == 0
    # One sample's 32-bit sums wait for their maximum.
    assert moments["relu", "forward"].accumulators == 4 * 16
    weights = 8 * 16 + 16 * 4
    assert moments["fc1", "forward"].weights == weights
    assert moments["fc1", "forward"].momentum == weights
    # Exponents: relu forward, fc2 and fc1 backward.
    assert moments["fc1", "forward"].exponents == 3 * 2


def test_exponents_of_the_batch_hold_the_batch():
    def waiting(exponents):
        moments = walk(chain(), "eoq", batch=8, exponents=exponents)
        return moments["relu", "forward"].accumulators

    assert waiting("sample") == 4 * 16
    assert waiting("batch") == 8 * 4 * 16
    assert waiting("lagged") == 0


def test_weight_gradients_live_until_their_layer_or_to_the_end():
    layer = walk(chain())["fc1", "backward"]
    step = walk(chain(), gradients="step")["fc1", "backward"]
    assert step.gradients - layer.gradients == 4 * 16 * 4


def test_what_is_normalised_stays_and_its_result_too():
    network = Network("norm", (4, 8, 8))
    network.add("conv1", Convolution((1, 1), out_channels=4))
    network.add("norm", Normalization())
    network.add("relu", Activation())
    network.add("conv2", Convolution((1, 1), out_channels=4))
    plane = 4 * 4 * 64
    moments = walk(network)
    # Input, x-hat, and the ReLU's result; the normalisation's own passes into the ReLU.
    assert moments["relu", "forward"].activations == 3 * plane
    assert moments["norm", "backward"].activations == 2 * plane
    assert moments["conv1", "backward"].activations == plane
    assert moments["conv1", "forward"].statistics == 4 * 4 * 4
    rewritten = walk(network, "eoq")
    # Without it: the input and the stored codes.
    assert rewritten["relu", "forward"].activations == 2 * plane // 4


def test_a_join_shares_its_error_between_branches():
    network = Network("join", (4, 8, 8))
    network.add("stem", Convolution((1, 1), out_channels=4))
    network.add("relu", Activation())
    network.add("conv", Convolution((1, 1), out_channels=4))
    network.add("add", Add(), "conv", "relu")
    network.add("mean", GlobalAveragePool())
    plane = 4 * 4 * 64
    moments = walk(network)
    # The mean's error is spread in place: one number a channel until a plane is made of it.
    assert moments["mean", "backward"].gradients <= 2 * 4 * 4 + plane
    # conv reads the join's error and makes the fork's.
    assert moments["conv", "backward"].gradients <= 2 * plane + 4 * 16


def test_maxima_keep_their_place():
    network = Network("pool", (4, 8, 8))
    network.add("conv", Convolution((1, 1), out_channels=4))
    network.add("pool", MaxPool((3, 3), (2, 2), (1, 1, 1, 1)))
    network.add("last", Convolution((1, 1), out_channels=2))
    # Nine places need four bits.
    assert walk(network)["last", "forward"].masks == 4 * 16 * 4 // 8


@pytest.mark.parametrize("name", sorted(zoo.BUILT_IN))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_is_negative_at_any_moment(name, scheme):
    step = Step(zoo.BUILT_IN[name](), SCHEMES[scheme], 2)
    moments = footprint(step)
    assert len(moments) == 2 * len(step.network) + 1
    assert all(min(moment[2:]) >= 0 for moment in moments)
    most = peak(moments)
    assert most.total == max(moment.total for moment in moments)
    # At the loss everything that the backward pass needs is live, and all errors are to come.
    saved = next(m for m in moments if m.layer == "loss").activations
    assert saved >= moments[0].activations


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 64), st.integers(1, 64))
def test_memory_grows_with_the_batch(one, more):
    small, large = (
        peak(footprint(Step(zoo.resnet8(), FP32_BN, batch))).total for batch in (one, one + more)
    )
    assert small < large


def test_int8_without_normalization_needs_a_sixth_of_fp32_at_a_batch():
    totals = {
        scheme.name: peak(footprint(Step(zoo.resnet18(), scheme, 64))).total
        for scheme in (EOQ, FP32_BN)
    }
    assert 4.5 < totals["fp32-bn"] / totals["eoq"] < 6.5
