"""The gates of single blocks do what RTL and golden do, and what they cost has sense."""

import numpy as np
import pytest

from cosim.block_energy import PhaseEnergy, block_energy, rtl_vectors
from cosim.lane_passes import LEAD, quantization_pass, run_passes, update_passes
from cosim.operands import Step, operands
from cosim.workloads import WORKLOADS, Workload
from golden.data import load
from golden.errors import CheckError
from golden.formats import QuantSpec, Rounding
from golden.networks import load as load_network
from golden.optimizer import WEIGHT, Rate, update
from golden.training import learning_rate_shift
from rtl.blocks import make
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import synthesize
from rtl.vector_lane import O_STEP

CONFIG = CoreConfig(rows=4, columns=4)
CYCLES = 150


pytestmark = pytest.mark.usefixtures("synthesis_cache")


@pytest.fixture(scope="module")
def step() -> Step:
    digits = load("digits")
    return operands(load_network("mlp", input_shape=digits.shape, classes=10), digits, steps=4)


def workloads(block: str, step: Step) -> dict[str, Workload]:
    made = WORKLOADS[block](step, CONFIG, CYCLES, np.random.default_rng(1))
    return {each.phase: each for each in made}


def signed(values: list[int], bits: int) -> np.ndarray:
    array = np.array(values, dtype=np.int64)
    return np.where(array >= 1 << (bits - 1), array - (1 << bits), array)


def test_the_element_s_workload_is_products_and_sums(step: Step) -> None:
    for phase, load_ in workloads("pe", step).items():
        _, outputs = rtl_vectors(make("pe", CONFIG), load_.inputs)
        # The weight of every cycle, by the rule: taken while `take` is high, used from then on.
        weights, weight = [], 0
        for b, take in zip(load_.inputs["b"], load_.inputs["take"], strict=True):
            weights.append(weight)
            weight = int(b) if take else weight
        a, above = load_.inputs["a_i"], load_.inputs["psum_i"]
        # An element adds half its product's range, so that its product is never negative.
        wanted = above[1:-1] + a[:-2] * np.array(weights)[:-2] + (1 << 15)
        got = signed(outputs["psum_o"], 32)[2:]
        start = load_.settle
        np.testing.assert_array_equal(got[start:], wanted[start:], err_msg=phase)
        assert load_.operations <= len(a) - start
        assert load_.operations > 0.6 * (len(a) - start)


def test_the_quantizer_s_workload_is_golden_s(step: Step) -> None:
    spec = QuantSpec(width_in=32, width_out=8, rounding=Rounding.STOCHASTIC)
    for load_ in workloads("quantizer", step).values():
        _, outputs = rtl_vectors(make("quantizer", CONFIG), load_.inputs)
        t, shift, random = (load_.inputs[name] for name in ("t", "shift", "random"))
        wanted = spec.apply(t, shift, random)
        np.testing.assert_array_equal(signed(outputs["o"], 8)[2:], wanted[:-2])


@pytest.mark.parametrize("block", ["pe", "quantizer"])
@pytest.mark.parametrize("delays", [False, True])
def test_gates_are_the_rtl_bit_for_bit(
    block: str, delays: bool, step: Step, mini: CellLibrary
) -> None:
    """`block_energy` holds every output in every cycle against the RTL."""
    synthesis = synthesize(block, CONFIG, mini)
    found = block_energy(synthesis, CONFIG, mini, step, cycles=CYCLES, delays=delays)
    assert [each.phase for each in found][-1] == "noise"
    assert {"forward", "backward_data"} <= {each.phase for each in found}
    for each in found:
        assert each.cycles >= CYCLES - 4
        parts = each.internal_pj + each.net_pj + each.clock_pj
        assert each.energy_pj == pytest.approx(parts)
        # 0.16 pJ a flip-flop and cycle: `test_gate_level`.
        clock = synthesis.flip_flops * 0.16 * each.cycles / each.operations
        assert each.clock_pj == pytest.approx(clock)
        assert each.leakage_pj is None or each.leakage_pj > 0


def test_noise_costs_more_than_data_and_hazards_more_than_none(
    step: Step, mini: CellLibrary
) -> None:
    synthesis = synthesize("pe", CONFIG, mini)

    def by_phase(delays: bool) -> dict[str, PhaseEnergy]:
        found = block_energy(synthesis, CONFIG, mini, step, cycles=CYCLES, delays=delays)
        return {each.phase: each for each in found}

    still, moving = by_phase(False), by_phase(True)
    for phase in ("forward", "backward_data", "backward_weight"):
        assert still[phase].toggles < still["noise"].toggles
        assert still[phase].toggles < moving[phase].toggles


def test_a_block_whose_gates_differ_is_told(
    step: Step, mini: CellLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gates of a 32-bit element, RTL of a 24-bit one."""
    synthesis = synthesize("multiplier", CONFIG, mini)
    monkeypatch.setitem(
        WORKLOADS, "multiplier",
        lambda *_: [Workload("x", {"a": np.arange(8), "b": np.arange(8)}, 8, 0)],
    )  # fmt: skip
    monkeypatch.setattr("cosim.block_energy.make", lambda *_: make("multiplier", CONFIG))
    wrong = {"a": [1] * 8, "b": [1] * 8}, {"o": [2] * 8}
    monkeypatch.setattr("cosim.block_energy.rtl_vectors", lambda *_: wrong)
    with pytest.raises(CheckError, match=r"^block multiplier, x: the gates differ from the RTL in"):
        block_energy(synthesis, CONFIG, mini, step)


def test_the_lane_s_workload_is_golden_s_update(step: Step) -> None:
    """What leaves the lane in its third, fourth, fifth and sixth pass of each tensor."""
    load_ = workloads("vector_lane", step)["update"]
    _, outputs = rtl_vectors(make("vector_lane", CONFIG), load_.inputs)
    codes = signed(outputs["o"], 8)
    taken = load_.inputs["x_take"].copy()
    taken[: load_.settle] = 0
    begins = np.flatnonzero(np.diff(taken, prepend=0) == 1)
    beats = np.flatnonzero(np.diff(taken, append=0) == -1) + 1 - begins
    # A beat that is taken in a cycle is in step 8 nine cycles later.
    made = [codes[k + 9 : k + 9 + n] for k, n in zip(begins, beats, strict=True)]
    assert len(made) % 6 == 0
    assert sum(beats[::6]) == load_.operations
    known = {(u.parameter[:: CONFIG.columns][: beats[0]].tobytes()): u for u in step.updates}
    for first in range(0, len(made), 6):
        parameter = load_.inputs["x"][begins[first] : begins[first] + beats[first]]
        tensor = known[parameter.astype(step.updates[0].parameter.dtype).tobytes()]
        rate = Rate(k=learning_rate_shift(16))
        p, v, u = update(tensor.parameter, tensor.momentum, tensor.gradient, rate, WEIGHT,
                         key=tensor.key)  # fmt: skip
        for place, values in ((3, u), (4, p), (5, v)):
            wanted = values[:: CONFIG.columns][: beats[first]]
            np.testing.assert_array_equal(made[first + place], wanted)


def test_the_values_of_a_lane_are_the_rtl_s(step: Step) -> None:
    """Those whose changes are counted, of codes and of an update."""
    largest = max(step.quantizations, key=lambda each: each.shift)
    passes = [quantization_pass(largest, 4, slice(0, 100)), *update_passes(step.updates[0], 4, 50)]
    run = run_passes(passes)
    _, outputs = rtl_vectors(make("vector_lane", CONFIG), run.inputs)
    begin = LEAD
    for each in passes:
        beats = len(each.x)
        for name, bits, late, wanted in (("t", 32, 7, each.t), ("o", 8, 9, each.o)):
            got = signed(outputs[name], bits)[begin + late : begin + late + beats]
            np.testing.assert_array_equal(got, wanted)
        begin += beats + O_STEP + 2
    # What is counted as not there is 0 in the lane as well.
    np.testing.assert_array_equal(signed(outputs["t"], 32)[LEAD + 7 :], run.t[LEAD:-7])


@pytest.mark.slow
def test_the_lane_s_gates_are_the_rtl(step: Step, mini: CellLibrary) -> None:
    synthesis = synthesize("vector_lane", CONFIG, mini)
    found = block_energy(synthesis, CONFIG, mini, step, cycles=60)
    assert [each.phase for each in found] == ["update", "noise"]
