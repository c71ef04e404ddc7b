"""Programs of whole training steps, run word by word, against golden's tensors."""

import copy
import dataclasses

import numpy as np
import pytest

from cosim.core_fit import fit_core
from cosim.extreme_parameters import set_parameters
from cosim.machine import Machine
from cosim.step_check import reference
from cosim.tensor_check import compare
from golden.errors import InputError
from golden.initialization import build
from golden.network import (
    Activation,
    AveragePool,
    Convolution,
    Flatten,
    Linear,
    Network,
)
from golden.schemes import EOQ
from golden.training import Model, learning_rate_shift
from golden.zoo import lenet5, mlp, resnet8, resnet20
from hwmodel.lowering.hazards import UNITS, find_needs
from hwmodel.lowering.program import compile_step
from rtl.config import CoreConfig
from rtl.instructions import SEMAPHORES

NETWORKS = {
    "mlp": lambda: mlp((1, 8, 8), 10, hidden=12),
    "lenet5": lambda: lenet5((1, 8, 8), 10),
    "odd windows": lambda: odd_windows(),
    "narrow": lambda: resnet8((1, 8, 8), 10, width=3),
    "colour": lambda: resnet8((3, 6, 7), 5, width=4),
    "deep": lambda: resnet20((2, 4, 4), 4, width=2),
}


def odd_windows() -> Network:
    """Windows that leave a border out, and a ReLU between planes and what flattens them."""
    network = Network("odd", (2, 7, 8))
    network.add("conv", Convolution((3, 3), padding=(1, 1, 1, 1), out_channels=4, bias=True))
    network.add("relu1", Activation())
    network.add("pool", AveragePool((2, 1), (3, 2)))
    network.add("relu2", Activation())
    network.add("flat", Flatten())
    network.add("fc", Linear(3, bias=True))
    return network


def model(name: str, seed: int = 0) -> Model:
    it = build(EOQ.rewrite(NETWORKS[name]()), seed)
    # Fixup's branches begin at zero: with that nothing behind them would be looked at.
    rng = np.random.default_rng(seed)
    for layer in it.layers.values():
        for learned in layer.learned.values():
            spread = 30 if learned.rule.width == 8 else 3000
            learned.values = learned.values + rng.integers(-spread, spread + 1,
                                                           learned.values.shape)  # fmt: skip
            learned.values = np.clip(learned.values, -127, 127 if spread == 30 else 32767).astype(
                np.int32
            )
    return it


def batch(it: Model, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    shape = (samples, *it.network.input_shape)
    codes = rng.integers(-127, 128, shape).astype(np.int8)
    return codes, rng.integers(0, it.network.shape_of(it.network.output)[0], samples)


@pytest.mark.parametrize(
    ("name", "array", "samples", "halvings"),
    [
        ("mlp", (4, 4), 4, 0),
        ("mlp", (3, 5), 1, 2),
        ("lenet5", (3, 4), 2, 0),
        ("odd windows", (3, 4), 2, 0),
        ("narrow", (4, 4), 4, 1),
        ("narrow", (5, 3), 2, 0),
        ("colour", (8, 8), 2, 0),
        ("deep", (1, 1), 1, 0),
        pytest.param("deep", (2, 7), 8, 3, marks=pytest.mark.slow),
        pytest.param("colour", (16, 16), 16, 0, marks=pytest.mark.slow),
        pytest.param("narrow", (32, 32), 32, 0, marks=pytest.mark.slow),
    ],
)
def test_every_tensor_of_two_steps_is_goldens(
    name: str, array: tuple[int, int], samples: int, halvings: int
) -> None:
    it = model(name)
    rng = np.random.default_rng(1)
    config = fit_core(it, array, samples)
    program = compile_step(it, config, samples, halvings=halvings)
    lowered = program.lowered
    outside = lowered.parameter_memory(it)
    machine = Machine(config, outside)
    for _ in range(2):
        codes, labels = batch(it, samples, rng)
        part = lowered.batch(codes, labels)
        outside[: len(part)] = part
        trace = it.step(codes, labels, learning_rate_shift(samples), halvings)
        found = reference(program, machine, trace)
        assert not found.differences, str(found.differences[0])
        # Nothing of golden's step is left out but what has no place of its own in the core.
        named = {p.name for entry in lowered.entries for p in entry.produced}
        hidden = (
            ".U",
            "bias.product",
            "multiplier.product",
            "bias.G",
            "multiplier.G",
            "loss.error",
        )
        assert [key for key in trace if key not in named and not key.endswith(hidden)] == []
    for (layer, what), (values, momentum) in lowered.learned(outside).items():
        learned = it.layers[layer].learned[what]
        np.testing.assert_array_equal(values, learned.values)
        np.testing.assert_array_equal(momentum, learned.momentum)
    assert lowered.state(outside) == it.state


def test_a_join_shifts_codes_as_far_as_golden_does() -> None:
    """A shortcut whose sums were large beside a branch of small weights: codes shift left by 15."""
    for seed in range(4):
        it = model("narrow", seed)
        rng = np.random.default_rng(seed)
        for name, layer in it.layers.items():
            for learned in layer.learned.values():
                limit = 127 if name.startswith("stem") else 1
                learned.values[...] = rng.integers(-limit, limit + 1, learned.values.shape)
        program = compile_step(it, fit_core(it, (4, 4), 2), 2)
        outside = program.lowered.parameter_memory(it)
        codes, labels = batch(it, 2, rng)
        part = program.lowered.batch(codes, labels)
        outside[: len(part)] = part
        machine = Machine(program.lowered.config, outside)
        found = reference(program, machine, it.step(codes, labels, learning_rate_shift(2)))
        assert not found.differences, str(found.differences[0])


def test_a_sample_of_zeros_and_a_batch_of_zeros() -> None:
    it = model("narrow", 3)
    program = compile_step(it, fit_core(it, (4, 4), 2), 2)
    outside = program.lowered.parameter_memory(it)
    machine = Machine(program.lowered.config, outside)
    codes, labels = batch(it, 2, np.random.default_rng(0))
    for blank in (codes * np.array([1, 0], np.int8)[:, None, None, None], codes * 0):
        part = program.lowered.batch(blank, labels)
        outside[: len(part)] = part
        found = reference(program, machine, it.step(blank, labels, learning_rate_shift(2)))
        assert not found.differences, str(found.differences[0])


def test_a_tensor_that_differs_is_named() -> None:
    it = model("mlp")
    program = compile_step(it, fit_core(it, (4, 4), 2), 2)
    outside = program.lowered.parameter_memory(it)
    codes, labels = batch(it, 2, np.random.default_rng(0))
    part = program.lowered.batch(codes, labels)
    outside[: len(part)] = part
    trace = copy.deepcopy(it).step(codes, labels, learning_rate_shift(2))
    name = "relu1.forward.A"
    trace[name] = trace[name].copy()
    trace[name][1, 3] ^= 1
    found = reference(program, Machine(program.lowered.config, outside), trace)
    assert [(d.name, d.sample, d.index, d.count) for d in found.differences] == [
        (name, 1, (3, 0, 0), 1)
    ]
    assert str(found.differences[0]).startswith(f"{name}, sample 1, element (3, 0, 0): expected ")
    produced = next(p for e in program.lowered.entries for p in e.produced)
    wrong = dataclasses.replace(produced, name="no.such.tensor")
    memory, results = np.zeros(1, np.uint8), np.zeros((1, 1), np.int64)
    with pytest.raises(KeyError, match="golden's trace has no"):
        compare(wrong, program.lowered.parameters, trace, memory, results)


def test_waits_keep_every_hazard() -> None:
    """Whatever the units' speeds, a word runs behind all that it needs."""
    it = model("narrow")
    program = compile_step(it, fit_core(it, (4, 4), 4), 4)
    entries = program.lowered.entries
    needs = find_needs(entries, program.lowered.config)
    owner_words = {program.owners[number]: program.words[number] for number, _ in program.entries()}
    rng = np.random.default_rng(0)
    by_unit = [[k for k, entry in enumerate(entries) if entry.word.unit == unit] for unit in UNITS]
    for _ in range(5):
        speed = rng.random(len(UNITS)) + 0.05
        at, counts, finished = [0] * len(UNITS), [0] * SEMAPHORES, [-1] * len(UNITS)
        while any(at[u] < len(by_unit[u]) for u in range(len(UNITS))):
            ready = []
            for u in range(len(UNITS)):
                if at[u] < len(by_unit[u]):
                    wait = owner_words[by_unit[u][at[u]]].wait
                    if all(counts[s] for s in range(SEMAPHORES) if wait >> s & 1):
                        ready.append(u)
            assert ready, "deadlock"
            u = rng.choice(ready, p=speed[ready] / speed[ready].sum())
            entry = by_unit[u][at[u]]
            word = owner_words[entry]
            for producer, place in enumerate(needs[entry].before):
                assert finished[producer] >= place
            for s in range(SEMAPHORES):
                counts[s] += (word.signal >> s & 1) - (word.wait >> s & 1)
            finished[u] = needs[entry].place
            at[u] += 1
        assert not any(counts)


def test_refusals_name_the_layer() -> None:
    it = build(EOQ.rewrite(resnet8((1, 8, 8), 10, width=2)), 0)
    with pytest.raises(InputError, match=r"batch must be a power of two up to 64, not 3"):
        compile_step(it, fit_core(it, (4, 4), 2), 3, k=0)
    with pytest.raises(InputError, match="halvings must be 0 to 3, not 4"):
        compile_step(it, fit_core(it, (4, 4), 2), 2, halvings=4)


def differences(
    network: Network, config: CoreConfig, batch: int, parameters: str = "initial", seed: int = 1
) -> list[str]:
    """What a step's program, run word by word, makes otherwise than golden."""
    model = build(EOQ.rewrite(network), seed)
    set_parameters(model, parameters, seed)
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (batch, *network.input_shape)).astype(np.int8)
    labels = rng.integers(0, 10, batch)
    program = compile_step(model, config, batch)
    outside = program.lowered.parameter_memory(model)
    first = program.lowered.batch(codes, labels)
    outside[: len(first)] = first
    machine = Machine(config, outside)
    trace = model.step(codes, labels, learning_rate_shift(batch))
    return [str(found) for found in reference(program, machine, trace).differences]


def test_two_pages_of_results_hold_the_loss_beside_the_logits() -> None:
    network = Network("n", (1, 4, 4))
    network.add("flatten", Flatten())
    network.add("classifier", Linear(10))
    config = CoreConfig(rows=4, columns=4, results_pages=2, results_page_depth=64)
    assert differences(network, config, 4) == []


@pytest.mark.parametrize(("stride", "padding"), [(2, 0), (1, 1), (2, 1)])
def test_a_convolution_of_one_pixel_is_not_always_a_linear_layer(stride: int, padding: int) -> None:
    network = Network("n", (6, 1, 1))
    network.add(
        "convolution",
        Convolution((1, 1), (stride, stride), (padding,) * 4, out_channels=4, bias=True),
    )
    network.add("relu", Activation())
    network.add("flatten", Flatten())
    network.add("classifier", Linear(10))
    config = CoreConfig(rows=4, columns=4, results_pages=4, results_page_depth=64)
    assert differences(network, config, 4) == []


@pytest.mark.parametrize(("parameters", "seed"), [("small", 3), ("small", 4), ("large", 1)])
def test_a_join_of_seven_bit_codes_shifts_them_as_far_as_golden_does(
    parameters: str, seed: int
) -> None:
    # Codes of 7 bits that were far wider before they were shifted.
    network = resnet8((1, 4, 4), 10, width=7)
    config = CoreConfig(rows=2, columns=3, results_pages=4, results_page_depth=512,
                        scratchpad_pages=16, scratchpad_page_bytes=16384)  # fmt: skip
    assert differences(network, config, 2, parameters, seed) == []
