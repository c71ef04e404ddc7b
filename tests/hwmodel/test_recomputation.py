"""Recomputation: where a network may be cut, what is live then, and what the second run costs."""

import pytest

from golden import zoo
from golden.network import Activation, Add, Convolution, Linear, Network, Normalization
from golden.schemes import SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.cost import cost
from hwmodel.footprint import candidate_segments, footprint, peak, recomputed_layers, walk
from hwmodel.ledger import ledger
from hwmodel.recomputation import cut_points, cuts
from hwmodel.step import Step, total

SEGMENTS = Conventions(recompute="segments")


def chain(layers=3, width=16):
    network = Network("chain", (width,))
    for index in range(layers):
        network.add(f"fc{index}", Linear(width, bias=False))
        network.add(f"relu{index}", Activation())
    network.add("last", Linear(4, bias=False))
    return network


def join():
    network = Network("join", (4, 8, 8))
    network.add("stem", Convolution((1, 1), out_channels=4))
    network.add("relu", Activation())
    network.add("conv", Convolution((1, 1), out_channels=4))
    network.add("norm", Normalization())
    network.add("add", Add(), "norm", "relu")
    network.add("out", Convolution((1, 1), out_channels=4))
    return network


def names_of(step):
    layers = [layer.name for layer in step.network]
    return [layers[index] for index in cut_points(step)]


def test_a_network_is_cut_where_one_tensor_is_all_that_goes_on():
    assert names_of(Step(chain(), SCHEMES["fp32-bn"])) == ["relu0", "relu1", "relu2"]
    # Inside the branch the join's other operand would go on as well.
    assert names_of(Step(join(), SCHEMES["fp32-bn"])) == ["relu", "add"]


def test_a_chain_by_hand():
    """Four products of 16 numbers, 2 samples, fp32; cut behind the second activation."""
    step = Step(chain(), SCHEMES["fp32-bn"], 2)
    names = [layer.name for layer in step.network]
    moments = {(m.layer, m.phase): m for m in walk(step, [names[:4], names[4:]])}
    plane = 2 * 16 * 4
    # Forward the first segment keeps only its input and its end.
    assert moments["relu0", "forward"].activations == 2 * plane
    # While a product's sums pass through the activation its operand is still read.
    assert moments["relu1", "forward"].activations == 3 * plane
    assert moments["relu2", "forward"].activations == 3 * plane
    # The last segment goes backward with what it kept; the first runs again before it does.
    assert moments["fc2", "backward"].activations == 2 * plane
    assert moments["relu0", "recomputation"].activations == 2 * plane
    # Its end is made a second time only where somebody reads it: here nobody does.
    assert moments["fc1", "backward"].activations == 2 * plane
    assert moments["fc0", "backward"].activations == plane
    order = [m.phase for m in walk(step, [names[:4], names[4:]])]
    assert order == ["forward"] * 8 + ["backward"] * 3 + ["recomputation"] * 4 + ["backward"] * 4


def test_one_segment_is_no_recomputation():
    step = Step(chain(), SCHEMES["eoq"], 4)
    names = [layer.name for layer in step.network]
    assert walk(step, [names]) == footprint(step)
    assert recomputed_layers(step) == frozenset()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["mlp", "resnet8", "vgg11", "mobilenetv2", "alexnet"])
def test_every_cut_covers_the_network_and_the_best_is_taken(name, scheme):
    step = Step(zoo.BUILT_IN[name](), SCHEMES[scheme], 8, SEGMENTS)
    names = [layer.name for layer in step.network]
    peaks = []
    for segments in candidate_segments(step):
        assert [one for segment in segments for one in segment] == names
        moments = walk(step, segments)
        assert all(min(moment[2:]) >= 0 for moment in moments)
        peaks.append(peak(moments).total)
    assert peak(footprint(step)).total == min(peaks)
    assert min(peaks) <= peak(footprint(Step(step.original, step.scheme, 8))).total


def test_recomputation_halves_what_a_deep_network_keeps():
    plain = cost(zoo.resnet18(), "fp32-bn", 64)
    again = cost(zoo.resnet18(), "fp32-bn", 64, conventions=SEGMENTS)
    assert again.memory_peak["total"] < 0.6 * plain.memory_peak["total"]
    assert len(list(cuts(again.step))) > 3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_second_run_costs_what_the_first_did(scheme):
    plain = Step(zoo.resnet18(), SCHEMES[scheme], 4)
    step = Step(zoo.resnet18(), SCHEMES[scheme], 4, SEGMENTS)
    layers = recomputed_layers(step)
    assert layers
    rows, before = ledger(step), ledger(plain)
    assert [row for row in rows if row.phase != "recomputation"] == before
    again = [row for row in rows if row.phase == "recomputation"]
    assert {row.layer for row in again} <= layers
    expected = sum(
        row.count for row in before
        if row.phase == "forward" and row.op == "mac" and row.layer in layers
    )  # fmt: skip
    assert total(again, op="mac") == expected
    # One root and one reciprocal a channel again, and no backward pass of normalisation.
    for op in ("sqrt", "div"):
        first = sum(r.count for r in before if r.layer in layers and (r.phase, r.op) == (
            "normalization", op))  # fmt: skip
        assert sum(r.count for r in again if r.op == op and r.format != "fp32") <= first
    if scheme == "fp32-bn":
        channels = total([r for r in before if r.layer in layers], op="sqrt")
        assert total(again, op="sqrt") == channels
    one = cost(zoo.resnet18(), scheme, 4, conventions=SEGMENTS)
    assert one.macs["recomputation"] == expected
    assert one.macs["total"] == total(rows, op="mac")
    more = sum(t.modelled for t in one.transfers if t.phase == "recomputation")
    assert 0 < more < sum(t.modelled for t in one.transfers) / 2
    assert one.cycles is None
