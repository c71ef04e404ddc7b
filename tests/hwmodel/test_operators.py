"""Every operator of golden.network has a cost, and each kind that came late is priced by hand."""

import inspect
import math

import pytest

from golden import network as networks
from golden.errors import InputError
from golden.network import (
    Activation,
    Add,
    AveragePool,
    ChannelBias,
    ChannelMultiplier,
    ChannelShuffle,
    Concat,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    Linear,
    LocalResponseNormalization,
    MaxPool,
    Multiply,
    Network,
    Normalization,
    Operator,
    Pad,
    Reshape,
    ScalarBias,
    ScalarMultiplier,
    Softmax,
)
from golden.schemes import EOQ, SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.core_cycles import CoreCycles
from hwmodel.cost import cost
from hwmodel.footprint import footprint
from hwmodel.hierarchy import Hierarchy
from hwmodel.ledger import ledger
from hwmodel.operations import OPERATORS
from hwmodel.step import Step
from hwmodel.traffic import traffic

EXAMPLES = [
    Activation(),
    Add(),
    AveragePool((2, 2), (2, 2)),
    ChannelBias(),
    ChannelMultiplier(),
    ChannelShuffle(2),
    Concat(),
    Convolution((3, 3), out_channels=4),
    Dropout(),
    Flatten(),
    GlobalAveragePool(),
    GlobalMaxPool(),
    Linear(3),
    LocalResponseNormalization(3),
    MaxPool((2, 2), (2, 2)),
    Multiply(),
    Normalization(),
    Pad((0, 1, 1, 1, 1)),
    Reshape((4, 36)),
    ScalarBias(),
    ScalarMultiplier(),
    Softmax(),
]
"""One of each."""

SHAPE = (4, 6, 6)
N = math.prod(SHAPE)


def concrete(kind=Operator):
    """Operators that a network can have: public subclasses, however deep."""
    found = set()
    for one in kind.__subclasses__():
        found |= concrete(one)
        public = one.__module__ == networks.__name__ and not one.__name__.startswith("_")
        if public and not inspect.isabstract(one):
            found.add(one)
    return found


def between(operator, *, dead=False):
    """A network whose layer "it" has an error on both sides, or none at all."""
    network = Network("one", SHAPE)
    network.add("before", Convolution((1, 1), out_channels=4))
    inputs = ("before", "input") if operator.arity != 1 else ("before",)
    network.add("it", operator, *inputs)
    if dead:
        network.add("after", Convolution((1, 1), out_channels=2), "before")
    elif not isinstance(operator, Softmax):
        size = len(network.shape_of("it"))
        network.add("after", Convolution((1, 1), out_channels=2) if size == 3 else Linear(2), "it")
    return network


def counts(operator, scheme="fp32-bn", batch=1, **conventions):
    step = Step(between(operator), SCHEMES[scheme], batch, Conventions(**conventions))
    return {(r.phase, r.op, r.format): r.count for r in ledger(step) if r.layer == "it"}


def moved(operator, scheme="fp32-bn", batch=1, **conventions):
    step = Step(between(operator), SCHEMES[scheme], batch, Conventions(**conventions))
    found = traffic(step, Hierarchy(1 << 30))
    return {t.phase: t.modelled for t in found if t.layer == "it" and t.phase != "update"}


def test_the_examples_are_all_operators():
    assert {type(example) for example in EXAMPLES} == concrete() == set(OPERATORS)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("operator", EXAMPLES, ids=lambda o: type(o).__name__)
def test_every_operator_has_every_cost(operator, scheme):
    for network in (between(operator), between(operator, dead=True)):
        if isinstance(operator, Softmax) and "after" in network.layers:
            continue
        values = cost(network, scheme, 2).as_dict()
        assert values["macs"]["total"] > 0
        assert values["energy_j"]["nominal"] > 0
        assert all(row["count"] > 0 for row in values["ops"])
        if "after" in network.layers and network.layers["after"].inputs == ("before",):
            phases = {row["phase"] for row in values["ops"] if row["layer"] == "it"}
            assert phases <= {"forward", "normalization", "quantization"}


@pytest.mark.parametrize("scheme", ["eoq", "fp32-bn"])
def test_pooling_moves_its_tensors(scheme):
    width = SCHEMES[scheme].formats["A"].bits // 8
    for pool, out in (
        (MaxPool((2, 2), (2, 2)), N // 4),
        (AveragePool((2, 2), (2, 2)), N // 4),
        (GlobalAveragePool(), 4),
        (GlobalMaxPool(), 4),
    ):
        got = moved(pool, scheme)
        assert got["forward"] == got["backward_data"] == width * (N + out), pool


@pytest.mark.parametrize("kind", [AveragePool, MaxPool])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_window_of_one_position_only_chooses(kind, scheme):
    pool = kind((1, 1), (2, 2))
    found = {key: n for key, n in counts(pool, scheme).items() if key[0] != "quantization"}
    assert found == {}
    assert moved(pool, scheme) == {}
    step = Step(between(pool), SCHEMES[scheme])
    assert all(moment.masks == 0 for moment in footprint(step))


def test_a_global_maximum_by_hand():
    assert counts(GlobalMaxPool(), batch=3) == {("forward", "compare", "fp32"): 3 * (N - 4)}
    eoq = counts(GlobalMaxPool(), "eoq", 3)
    assert eoq["forward", "compare", "int8"] == 3 * (N - 4)
    # One of 36 places: 6 bits a channel.
    moments = {(m.layer, m.phase): m for m in footprint(Step(between(GlobalMaxPool()), EOQ, 4))}
    assert moments["it", "forward"].masks == moments["it", "backward"].masks == 4 * 4 * 6 // 8


def test_biases_a_channel_by_hand():
    batch, n = 3, 3 * N
    assert counts(ChannelBias(), batch=batch) == {
        ("forward", "add", "fp32"): n,
        ("backward_weight", "add", "fp32"): n - 4,
        ("update", "add", "fp32"): 2 * 4,
        ("update", "multiply", "fp32"): 2 * 4,
    }
    eoq = counts(ChannelBias(), "eoq", batch)
    assert eoq["forward", "add", "int32"] == n
    assert eoq["backward_weight", "add", "int32"] == n - 4
    # Four biases come to the exponent of each sample, and each sample's four sums to the batch's.
    assert eoq["quantization", "shift", "int16"] == 4 * batch
    # The tensor itself is converted behind it; then the sums, then four gradients to 8 bits.
    assert eoq["quantization", "shift", "int32"] == n + 4 * batch + 4 + n
    assert eoq["update", "add", "int16"] == 3 * 4
    assert moved(ChannelBias()) == {}
    assert moved(ChannelBias(), fused_scalars=False) == {"forward": 8 * N, "backward_weight": 4 * N}


def test_multipliers_a_channel_by_hand():
    batch, n = 3, 3 * N
    assert counts(ChannelMultiplier(), batch=batch) == {
        ("forward", "multiply", "fp32"): n,
        ("backward_data", "multiply", "fp32"): n,
        ("backward_weight", "multiply", "fp32"): n,
        ("backward_weight", "add", "fp32"): n - 4,
        ("update", "add", "fp32"): 2 * 4,
        ("update", "multiply", "fp32"): 2 * 4,
    }
    eoq = counts(ChannelMultiplier(), "eoq", batch)
    for phase in ("forward", "backward_data", "backward_weight"):
        assert eoq[phase, "multiply", "int8"] == n
    # 16 bits to 8, forward and backward.
    assert eoq["quantization", "shift", "int16"] == 2 * 4
    # Its gradient reads the input again; nothing else moves where scalars are fused.
    assert moved(ChannelMultiplier(), batch=batch) == {"backward_weight": 4 * n}
    assert moved(ChannelMultiplier(), "eoq", batch, fused_scalars=False) == {
        "forward": 2 * n,
        "backward_data": n,
        "backward_weight": 2 * n,
    }


def test_a_scalar_a_channel_keeps_what_a_scalar_keeps():
    """In memory only the parameters and their gradients are more."""
    for scalar, channel in (
        (ScalarBias(), ChannelBias()),
        (ScalarMultiplier(), ChannelMultiplier()),
    ):
        for scheme in SCHEMES:
            one, many = (footprint(Step(between(o), SCHEMES[scheme], 2)) for o in (scalar, channel))
            assert [m.activations for m in one] == [m.activations for m in many]
            assert [m.masks for m in one] == [m.masks for m in many]


def test_scalar_gradients_are_added_once():
    """Sums over a sample and over the batch are n - 1 additions in all."""
    rows = ledger(Step(between(ScalarBias()), EOQ, 5))
    adds = [r for r in rows if (r.layer, r.op, r.format) == ("it", "add", "int32")]
    assert sum(r.count for r in adds) == 5 * N + 5 * N - 1


def test_pools_that_overlap_give_sums_and_others_codes():
    def errors(pool):
        return Step(between(pool), EOQ).dataflow.errors

    assert "before" not in errors(AveragePool((2, 2), (2, 2)))
    assert "before" in errors(AveragePool((3, 3), (2, 2)))
    assert "before" in errors(MaxPool((3, 3), (2, 2)))
    # Taps two apart never meet at a stride of three; at a stride of two they do.
    assert "before" not in errors(MaxPool((2, 2), (3, 3), dilation=(2, 2)))
    assert "before" in errors(MaxPool((2, 2), (2, 2), dilation=(2, 2)))


def test_a_sum_that_passes_a_reshape_is_stored_as_it_is_converted():
    network = Network("flat", SHAPE)
    network.add("conv", Convolution((1, 1), out_channels=4))
    network.add("flat", Flatten())
    network.add("fc", Linear(2))
    moments = {(m.layer, m.phase): m for m in footprint(Step(network, EOQ))}
    assert moments["fc", "backward"].activations == 2 * N


def test_maxima_take_time():
    step = Step(between(MaxPool((2, 2), (2, 2))), EOQ)
    work = CoreCycles(step, ledger(step), 4, 4).work
    found = [(w.phase, w.instruction, w.cycles) for w in work if w.layer == "it"]
    assert ("forward", "elements", N // 4 * 3 // 4) in found


def test_a_loss_of_more_classes_than_the_core_has():
    def wide(classes):
        network = Network("wide", (8,))
        network.add("fc", Linear(classes))
        return cost(network, array=(4, 4))

    large = wide(5000)
    (loss,) = (w for w in large.work if w.instruction == "Loss")
    assert loss.cycles == 4 * 5000 + 2 * 1250 + 19
    assert any("loss of 5000 class(es)" in text for text in large.assumptions)
    assert not any("class(es)" in text for text in wide(1024).assumptions)
    assert any("loss of 1 class(es)" in text for text in wide(1).assumptions)


def test_softmax_in_the_middle_is_still_refused():
    network = between(Softmax())
    network.add("after", Convolution((1, 1), out_channels=2))
    with pytest.raises(InputError, match=r"layer 'it': .* Softmax has one only at the end"):
        cost(network)


def test_dropout_multiplies_in_the_schemes_that_scale_in_training():
    assert counts(Dropout(), batch=3) == {
        ("forward", "random", "int16"): 3 * N,
        ("forward", "compare", "int16"): 3 * N,
        ("forward", "multiply", "fp32"): 3 * N,
        ("backward_data", "multiply", "fp32"): 3 * N,
    }
    assert counts(Dropout(), "eoq", 3) == {
        ("forward", "random", "int16"): 3 * N,
        ("forward", "compare", "int16"): 3 * N,
        ("backward_data", "compare", "int8"): 3 * N,
        # Its error is converted: the layer behind it is a product.
        ("quantization", "shift", "int32"): 3 * N,
        ("quantization", "compare", "int32"): 2 * 3 * N,
        ("quantization", "add", "int8"): 3,
    }


def test_clipped_and_leaky_activations_in_eoq():
    clipped = counts(Activation(maximum=6.0), "eoq", 3)
    plain = counts(Activation(), "eoq", 3)
    assert clipped["forward", "compare", "int32"] == 2 * plain["forward", "compare", "int32"]
    # The level comes to the exponent of each of three samples, within 31 bits.
    for op in ("shift", "compare"):
        key = ("quantization", op, "int32")
        assert clipped[key] == plain[key] + 3
    leaky = counts(Activation(slope=0.1), "eoq", 3)
    assert leaky["forward", "shift", "int32"] == leaky["backward_data", "shift", "int32"] == 3 * N
    assert not any(op == "multiply" for _, op, _ in leaky)
    float_leaky = counts(Activation(slope=0.1), batch=3)
    assert float_leaky["forward", "multiply", "fp32"] == 3 * N
