"""The schedule against the program that runs on the RTL, and against the products' sizes."""

import asyncio
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.device import Device, Result
from cosim.step import Program, dense_layers
from golden import zoo
from golden.errors import InputError
from golden.initialization import build
from golden.schemes import EOQ, FP32_BN, SCHEMES
from hwmodel.conventions import Conventions
from hwmodel.ledger import ledger, macs_by_phase
from hwmodel.products import matrix_products
from hwmodel.schedule import Schedule
from hwmodel.step import Step
from rtl.isa import Status


async def zeros(instruction, operands, beats):
    """An executor for which only the instructions matter."""
    width = max(operands.x.shape[1], operands.b.shape[1])
    status = Status(opcode=instruction.opcode, zero=1)
    return Result(status, np.zeros((beats, width), dtype=np.int64))


@pytest.mark.parametrize("array", [(1, 1), (4, 4), (3, 5), (16, 16), (32, 8)])
@pytest.mark.parametrize("batch", [1, 4, 128])
def test_the_perceptron_is_scheduled_as_the_program_runs_it(array, batch):
    network = zoo.mlp()
    schedule = Schedule(Step(network, EOQ, batch), *array)
    model = build(EOQ.rewrite(network), 0)
    device = Device(schedule.config, zeros)
    program = Program(device, dense_layers(model), 0, lambda *_: None)
    codes = np.zeros((batch, *network.input_shape), dtype=np.int64)
    asyncio.run(program.step(codes, np.zeros(batch, dtype=np.int64), 1))

    instructions, cycles = Counter(), Counter()
    for record in device.records:
        instructions[record.opcode] += 1
        cycles[record.opcode] += record.cycles_model
    counted, modelled = Counter(), Counter()
    for work in schedule.work:
        counted[work.instruction] += work.instructions
        modelled[work.instruction] += work.cycles
    assert counted == instructions
    assert modelled == cycles
    assert schedule.cycles == sum(cycles.values())


@pytest.mark.parametrize("name", ["mlp", "resnet8", "resnet18", "mobilenetv2", "alexnet"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_products_hold_the_ledgers_macs(name, scheme):
    step = Step(zoo.BUILT_IN[name](), SCHEMES[scheme], 3)
    macs = Counter()
    for product in matrix_products(step):
        macs[product.phase] += product.macs
        if product.phase != "backward_data" and product.macs:
            assert product.m * product.k * product.n * product.repeats == product.macs
    expected = macs_by_phase(ledger(step))
    assert dict(macs) == {phase: expected[phase] for phase in macs}


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_phases_of_strided_convolutions_make_no_work(name):
    """Their planes are even, so the dense products are exactly the counted multiplications."""
    step = Step(zoo.BUILT_IN[name](), FP32_BN)
    work = sum(p.m * p.k * p.n * p.repeats for p in matrix_products(step) if p.macs)
    assert work == macs_by_phase(ledger(step))["total"]
    inserted = Step(step.network, FP32_BN, 1, Conventions(strided_backward="zero-inserted"))
    assert sum(p.m * p.k * p.n * p.repeats for p in matrix_products(inserted) if p.macs) > work


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 32), st.integers(1, 32), st.sampled_from(["mlp", "resnet8"]))
def test_utilization_is_a_share(rows, columns, name):
    schedule = Schedule(Step(zoo.BUILT_IN[name](), EOQ, 4), rows, columns)
    assert 0 < schedule.utilization <= 1
    assert schedule.cycles * rows * columns >= sum(work.macs for work in schedule.work)


def test_work_without_an_instruction_is_named():
    network = zoo.resnet8()
    step = Step(network, EOQ)
    schedule = Schedule(step, 4, 4)
    uncovered = schedule.uncovered(ledger(step))
    assert {work.instruction for work in uncovered} == {"VECTOR"}
    layers = {work.layer for work in uncovered}
    assert "stage1.0.add" in layers
    assert "stage1.0.conv1.bias_in" in layers
    # The perceptron needs nothing that the core does not have, but the ReLU's compares, which
    # QUANTIZE makes.
    step = Step(zoo.mlp(), EOQ)
    assert [w for w in Schedule(step, 4, 4).uncovered(ledger(step)) if w.cycles] == []


@pytest.mark.parametrize("array", [(0, 4), (4, 0), (33, 4)])
def test_an_array_that_no_core_has(array):
    rows, columns = array
    with pytest.raises(InputError, match=rf"^array {rows}x{columns}: .* must be 1 to 32, not"):
        Schedule(Step(zoo.mlp(), EOQ), rows, columns)
