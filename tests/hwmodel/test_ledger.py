"""The ledger against independent numbers, golden's own step, and properties."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import zoo
from golden.errors import InputError
from golden.initialization import build
from golden.network import (
    Activation,
    AveragePool,
    Convolution,
    Dropout,
    GlobalAveragePool,
    Linear,
    LocalResponseNormalization,
    MaxPool,
    Multiply,
    Network,
    Normalization,
    Operator,
    Softmax,
)
from golden.schemes import EOQ, FP32_BN, SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.ledger import OPERATIONS, PHASES, ledger, macs_by_phase
from hwmodel.normalization import (
    batch_normalization,
    normalization_barriers,
    normalization_passes,
    range_normalization,
)
from hwmodel.quantization import quantization_barriers
from hwmodel.step import Row, Step, total


def price(network, scheme="fp32-bn", batch=1, **conventions):
    return ledger(Step(network, SCHEMES[scheme], batch, Conventions(**conventions)))


IMAGENET = {
    "resnet18": (1_814_073_344, 1_696_059_392, 11_689_512, 4_800, 2_483_712, 1_680_390_912),
    "resnet34": (3_663_761_408, 3_545_747_456, 21_797_672, 8_512, 3_738_112, 3_374_922_496),
    "resnet50": (4_089_184_256, 3_971_170_304, 25_557_032, 26_560, 11_113_984, 3_948_251_904),
}
"""torchvision shapes, one image: forward and backward_data MACs, parameters, channels and elements
that are normalised, forward MACs without taps on padding."""


@pytest.mark.parametrize("name", IMAGENET)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("batch", [1, 4])
def test_macs_of_residual_networks(name, scheme, batch):
    forward, data, *_ = IMAGENET[name]
    macs = macs_by_phase(price(zoo.BUILT_IN[name](), scheme, batch))
    assert macs == {
        "forward": batch * forward,
        "backward_data": batch * data,
        "backward_weight": batch * forward,
        "total": batch * (2 * forward + data),
    }


@pytest.mark.parametrize("name", IMAGENET)
def test_macs_without_padding(name):
    rows = price(zoo.BUILT_IN[name](), padding=False)
    assert macs_by_phase(rows)["forward"] == IMAGENET[name][-1]


@pytest.mark.parametrize(
    ("name", "factor"), [("resnet18", 1.341), ("resnet34", 1.163), ("resnet50", 1.495)]
)
def test_zeros_inserted_in_strided_convolutions_cost_this_factor(name, factor):
    network = zoo.BUILT_IN[name]()

    def convolutions(**conventions):
        rows = price(network, **conventions)
        return total(rows, op="mac", phase="backward_data") - total(
            rows, op="mac", phase="backward_data", layer="fc"
        )

    inserted = convolutions(strided_backward="zero-inserted")
    assert inserted / convolutions() == pytest.approx(factor, abs=5e-4)


@pytest.mark.parametrize("name", IMAGENET)
@pytest.mark.parametrize("batch", [1, 3])
def test_batch_normalization_of_residual_networks(name, batch):
    _, _, parameters, channels, elements, _ = IMAGENET[name]
    network = zoo.BUILT_IN[name]()
    assert network.parameter_count == parameters
    rows = [row for row in price(network, batch=batch) if row.phase == "normalization"]
    n = batch * elements
    assert total(rows, op="sqrt") == channels
    assert total(rows, op="div") == channels
    # Forward 4M-1 and 3M+2 a channel, backward 4M-2 and 3M+3, running statistics 2 and 4.
    assert total(rows, op="add") == 8 * n - channels
    assert total(rows, op="multiply") == 6 * n + 9 * channels
    per_element = price(network, batch=batch, division="per-element")
    assert total(per_element, phase="normalization", op="div") == n
    assert total(per_element, phase="normalization", op="sqrt") == channels


def test_dropping_batch_normalization_saves_less_than_a_hundredth_of_the_arithmetic():
    rows = price(zoo.resnet18())
    saved = sum(total(rows, phase="normalization", op=op) for op in ("add", "multiply"))
    assert saved / macs_by_phase(rows)["total"] == pytest.approx(0.0065, abs=5e-5)


@pytest.mark.parametrize("name", sorted(zoo.BUILT_IN))
def test_eoq_neither_divides_nor_takes_roots(name):
    rows = price(zoo.BUILT_IN[name](), "eoq", batch=2)
    assert not [row for row in rows if row.op in ("sqrt", "div") or row.format == "fp32"]


def counted_batch_normalization(m):
    """The textbook's lines, counting as they run."""
    ops = Counter()

    def add(count=1):
        ops["add"] += count

    def mul(count=1):
        ops["multiply"] += count

    add(m - 1), mul()  # mean
    add(m)  # differences
    mul(m), add(m - 1), mul()  # variance
    add(), ops.update(["sqrt", "div"])  # epsilon, deviation, reciprocal
    mul(m), mul(m), add(m)  # x-hat, gamma, beta
    add(m - 1)  # d_beta
    mul(m), add(m - 1)  # d_gamma
    mul(3)  # d_beta / M, d_gamma / M, gamma / deviation
    mul(m), add(2 * m), mul(m)  # the error
    add(2), mul(4)  # running mean and variance
    return dict(ops)


@given(st.integers(1, 50))
def test_batch_normalization_line_by_line(m):
    got = batch_normalization(m, division="per-channel", variance="two-pass")
    assert got == counted_batch_normalization(m)
    split = batch_normalization(m, division="per-element", variance="two-pass")
    assert split["div"] == m
    assert split["multiply"] == got["multiply"] - m


def test_range_normalization_compares_instead_of_squaring():
    m = 1000
    two_pass = batch_normalization(m, division="per-channel", variance="two-pass")
    ranged = range_normalization(m, division="per-channel")
    assert ranged["compare"] == 2 * (m - 1)
    assert "sqrt" not in ranged
    assert ranged["div"] == 1
    # Forward M multiplications and M-1 additions fewer, the range's subtraction more; backward the
    # range's error reaches two elements and not all.
    assert two_pass["multiply"] - ranged["multiply"] == 2 * m - 2
    assert two_pass["add"] - ranged["add"] == 2 * m - 4
    chunked = range_normalization(m, division="per-channel", chunks=16)
    assert chunked["compare"] == 2 * (m - 16)


@pytest.mark.parametrize(
    ("scheme", "conventions", "passes"),
    [
        ("fp32-bn", {}, 8),
        ("fp32-bn", {"fused_statistics": False}, 9),
        ("fp32-bn", {"variance": "one-pass"}, 7),
        ("wageubn", {}, 8),
        ("range-bn", {}, 6),
        ("range-bn", {"fused_statistics": False}, 7),
    ],
)
def test_passes_over_activations(scheme, conventions, passes):
    step = Step(zoo.resnet18(), SCHEMES[scheme], 1, Conventions(**conventions))
    moved = list(normalization_passes(step))
    assert sum(p.reads + p.writes for p in moved) == passes * IMAGENET["resnet18"][4]
    width = step.scheme.normalized.bits // 8
    assert sum(p.bytes for p in moved) == passes * IMAGENET["resnet18"][4] * width


def test_bytes_of_normalization_in_megabytes():
    def megabytes(scheme):
        passes = normalization_passes(Step(zoo.resnet18(), SCHEMES[scheme]))
        return sum(p.bytes for p in passes) / 1e6

    assert megabytes("fp32-bn") == pytest.approx(79.5, abs=0.05)
    assert megabytes("wageubn") == pytest.approx(19.9, abs=0.05)


def test_fixup_pays_passes_of_its_own_when_nothing_is_fused():
    fused, separate = (
        sum(
            p.reads + p.writes
            for p in normalization_passes(
                Step(zoo.resnet18(), EOQ, 1, Conventions(fused_scalars=value))
            )
        )
        for value in (True, False)
    )
    # The multiplier's gradient reads its input again: the eight branches' last outputs.
    assert fused == 2 * (64 * 56**2 + 128 * 28**2 + 256 * 14**2 + 512 * 7**2)
    assert fused < separate < 8 * IMAGENET["resnet18"][4]


def test_barriers():
    step = Step(zoo.resnet18(), FP32_BN)
    assert normalization_barriers(step) == 20 * 3
    one_pass = Step(zoo.resnet18(), FP32_BN, 1, Conventions(variance="one-pass"))
    assert normalization_barriers(one_pass) == 20 * 2
    sample = quantization_barriers(Step(zoo.resnet18(), EOQ))
    assert sample["path"] == 0
    batch = quantization_barriers(Step(zoo.resnet18(), EOQ, 1, Conventions(exponents="batch")))
    # With exponents over the batch the barrier comes back through the back door.
    assert batch["path"] > 30


def test_the_perceptron_by_hand():
    """64 inputs, 32 hidden, 10 classes; 4 samples."""
    rows = price(zoo.mlp(), "eoq", batch=4)
    macs = macs_by_phase(rows)
    assert macs["forward"] == 4 * (64 * 32 + 32 * 10)
    assert macs["backward_data"] == 4 * 32 * 10
    assert macs["backward_weight"] == macs["forward"]
    assert total(rows, phase="forward", op="add", layer="fc1") == 4 * 32
    assert total(rows, phase="backward_weight", op="add", layer="fc2") == 4 * 10 - 10
    # One stochastic alignment for the weights and one for the biases of each layer; and G.
    weights, biases = 64 * 32 + 32 * 10, 32 + 10
    drawn = 2 * 4 * (32 + 10) + weights + biases
    assert total(rows, phase="quantization", op="random") == drawn
    assert total(rows, phase="update", op="random") == weights + biases
    assert total(rows, phase="update", op="shift", format="int8") == 3 * weights
    assert total(rows, phase="update", op="add", format="int16") == 3 * biases
    assert total(rows, phase="update", op="add", format="int8") == 4 * weights
    assert total(rows, op="lookup") == 4 * (10 + 2)


@pytest.mark.parametrize("name", ["mlp", "resnet8"])
def test_conversions_stand_where_golden_has_them(name):
    network = zoo.BUILT_IN[name]()
    step = Step(network, EOQ, 2)
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (2, *network.input_shape))
    trace = build(step.network, 0).step(codes, np.array([1, 2]), 1)
    flow = step.dataflow

    def traced(suffix):
        return [key.removesuffix(suffix) for key in trace if key.endswith(suffix)]

    assert flow.activations == traced(".forward.A")
    assert flow.errors == traced(".backward_data.E")
    for name in flow.errors:
        assert trace[f"{name}.backward_data.E"].size == step.elements(name)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(sorted(SCHEMES)), st.integers(1, 300))
def test_macs_are_linear_in_the_batch(scheme, batch):
    network = zoo.resnet8()
    one, many = (macs_by_phase(price(network, scheme, b)) for b in (1, batch))
    assert many == {phase: batch * count for phase, count in one.items()}


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(sorted(SCHEMES)), st.integers(1, 100))
def test_every_count_is_affine_in_the_batch(scheme, batch):
    """Work a sample, and work a step (parameters, channels): nothing grows faster."""
    network = zoo.resnet8()
    counts = [{row[:-1]: row.count for row in price(network, scheme, b)} for b in (2, 3, batch + 3)]
    for key, at_two in counts[0].items():
        slope = counts[1][key] - at_two
        assert slope >= 0
        assert counts[2][key] == at_two + slope * (batch + 1)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rows_are_unique_positive_and_named(scheme):
    network = zoo.resnet20()
    rows = price(network, scheme, 2)
    assert len({row[:-1] for row in rows}) == len(rows)
    names = {*Step(network, SCHEMES[scheme]).network.layers, "loss"}
    for row in rows:
        assert row.layer in names
        assert row.phase in PHASES
        assert row.op in OPERATIONS
        assert isinstance(row.count, int)
        assert row.count > 0


def single(operator, shape=(4, 6, 6), scheme="fp32-bn", **conventions):
    """Rows of one operator between two convolutions, so that it has an error on both sides."""
    network = Network("single", shape)
    network.add("before", Convolution((1, 1), out_channels=shape[0]))
    network.add("it", operator)
    if len(network.shape_of("it")) == 3:
        network.add("after", Convolution((1, 1), out_channels=2))
    rows = price(network, scheme, **conventions)
    return {(r.phase, r.op): r.count for r in rows if r.layer == "it"}


def test_operators_one_by_one():
    n = 4 * 6 * 6
    assert single(Activation()) == {("forward", "compare"): n, ("backward_data", "compare"): n}
    assert single(Activation(maximum=6.0))["forward", "compare"] == 2 * n
    assert single(Activation(slope=0.1))["backward_data", "multiply"] == n
    assert single(MaxPool((2, 2), (2, 2))) == {("forward", "compare"): 4 * 9 * 3}
    overlapping = single(MaxPool((3, 3), (2, 2), (1, 1, 1, 1)))
    assert overlapping == {("forward", "compare"): 4 * 9 * 8, ("backward_data", "add"): 4 * 9}
    real = single(MaxPool((3, 3), (2, 2), (1, 1, 1, 1)), padding=False)
    # Three outputs an axis read 2, 3 and 3 inputs.
    assert real["forward", "compare"] == 4 * (8 * 8 - 9)
    assert single(AveragePool((2, 2), (2, 2))) == {
        ("forward", "add"): 4 * 9 * 3,
        ("forward", "multiply"): 4 * 9,
        ("backward_data", "multiply"): 4 * 9,
    }
    assert single(AveragePool((1, 1), (2, 2))) == {}
    assert single(GlobalAveragePool())["forward", "add"] == n - 4
    assert ("forward", "multiply") not in single(GlobalAveragePool(), scheme="eoq")
    assert single(Dropout())["forward", "random"] == n
    assert single(Dropout(0.0)) == {}


def test_local_response_normalization_by_hand():
    got = single(LocalResponseNormalization(3))
    # Four channels reach 2, 3, 3 and 2 channels.
    n, sums = 4 * 36, (2 + 3 + 3 + 2 - 4) * 36
    assert got["normalization", "sqrt"] == 2 * n
    assert got["normalization", "div"] == 2 * n
    assert got["normalization", "add"] == 2 * sums + 2 * n


def test_a_gate_sums_its_error_over_the_plane():
    network = Network("gate", (4, 6, 6))
    network.add("conv", Convolution((1, 1), out_channels=4))
    network.add("mean", GlobalAveragePool())
    network.add("gate", Convolution((1, 1), out_channels=4))
    network.add("it", Multiply(), "conv", "gate")
    rows = {(r.layer, r.phase, r.op): r.count for r in price(network)}
    n = 4 * 36
    assert rows["it", "forward", "multiply"] == n
    assert rows["it", "backward_data", "multiply"] == 2 * n
    assert rows["it", "backward_data", "add"] == n - 4
    # conv is read by the mean and by the product: its two errors are added.
    assert rows["conv", "backward_data", "add"] == n


def test_an_operator_without_a_cost_is_refused_by_name():
    class Swish(Operator):
        pass

    network = Network("new", (4, 6, 6))
    network.add("conv", Convolution((1, 1), out_channels=4))
    network.add("mystery", Swish())
    with pytest.raises(InputError, match=r"'new', layer 'mystery': an operator .* got Swish$"):
        price(network)
    # A subclass is another operator with another cost.

    class Half(MaxPool):
        pass

    network = Network("new", (4, 6, 6))
    network.add("half", Half((2, 2)))
    with pytest.raises(InputError, match=r"layer 'half': .* got Half$"):
        price(network)


def test_softmax_only_at_the_end():
    network = Network("soft", (8,))
    network.add("fc", Linear(4))
    network.add("soft", Softmax())
    assert total(price(network), layer="soft") == 0
    network.add("fc2", Linear(2))
    with pytest.raises(InputError, match=r"layer 'soft': .* Softmax has one only at the end"):
        price(network)


def test_what_does_not_reach_the_loss_has_no_backward_pass():
    network = Network("dead", (8,))
    network.add("aux", Linear(3))
    network.add("fc", Linear(4), "input")
    rows = [row for row in price(network) if row.layer == "aux"]
    assert {row.phase for row in rows} == {"forward"}


def test_normalization_of_features():
    network = Network("flat", (8,))
    network.add("fc", Linear(5, bias=False))
    network.add("norm", Normalization())
    network.add("out", Linear(2))
    rows = price(network, batch=7)
    assert total(rows, phase="normalization", op="sqrt") == 5
    assert total(rows, phase="normalization", op="add") == 5 * (8 * 7 - 1)


def test_full_precision_ends_of_wageubn():
    rows = price(zoo.resnet8(), "wageubn")
    formats = {row.layer: row.format for row in rows if row.op == "mac"}
    assert formats["stem.conv"] == formats["fc"] == "fp32"
    assert formats["stage1.0.conv1"] == "int8"
    assert not [r for r in rows if r.layer == "fc" and r.phase == "quantization"]


def test_bifurcated_error_of_range_bn():
    rows = price(zoo.resnet8(), "range-bn")
    formats = {row.phase: row.format for row in rows if row.op == "mac"}
    assert formats["backward_data"] == "int8"
    assert formats["backward_weight"] == "int8xint16"


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, 2**21, "4"])
def test_a_batch_that_cannot_be(batch):
    with pytest.raises(InputError, match=r"^batch must be a whole number from 1 to 1048576, not"):
        Step(zoo.mlp(), EOQ, batch)


@pytest.mark.parametrize(
    ("option", "value"), [("division", "never"), ("exponents", ""), ("range_chunks", 0)]
)
def test_conventions_that_are_none(option, value):
    with pytest.raises(InputError, match=rf"^convention {option} must be .*, not "):
        Conventions(**{option: value})


def test_an_empty_network_is_refused():
    with pytest.raises(InputError, match="at least one layer"):
        Step(Network("empty", (1,)), EOQ)


def test_totals_select():
    rows = [Row("a", "forward", "mac", "int8", 2), Row("b", "forward", "add", "int8", 3)]
    assert total(rows) == 5
    assert total(rows, layer="a", op="mac") == 2
    assert math.isclose(total(rows, phase="update"), 0)
