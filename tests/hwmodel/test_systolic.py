"""Textbook forms against a wavefront that is walked, and against known sums."""

import itertools

import numpy as np
import pytest

from golden import zoo
from golden.schemes import EOQ
from hwmodel.cost import cost
from hwmodel.products import matrix_products
from hwmodel.step import Step
from hwmodel.systolic import DATAFLOWS, forward_cycles, systolic_cycles


@pytest.mark.parametrize(
    ("size", "weight", "output"), [(32, 2_855_052, 2_214_616), (16, 9_226_448, 8_165_154)]
)
def test_resnet18_forward(size, weight, output):
    found = forward_cycles(Step(zoo.resnet18(), EOQ), size, size)
    assert found["weight-stationary"] == weight
    assert found["output-stationary"] == output
    values = cost(zoo.resnet18(), "eoq", array=(size, size)).as_dict()
    assert values["systolic_forward_cycles"] == found


@pytest.mark.parametrize(("size", "output"), [(32, 2_133_315), (16, 8_005_533)])
def test_resnet18_forward_as_scale_sim_counts_it(size, output):
    products = [p for p in matrix_products(Step(zoo.resnet18(), EOQ)) if p.phase == "forward"]

    def total(dataflow):
        return sum(
            systolic_cycles(p.m, p.k, p.n, size, size, dataflow, as_scale_sim=True)
            for p in products
        )

    assert total("output-stationary") == output
    # 21 layers, one cycle each.
    paper = forward_cycles(Step(zoo.resnet18(), EOQ), size, size)
    assert total("weight-stationary") == paper["weight-stationary"] - 21


def walked(m, k, n, rows, columns, dataflow):
    """Folds one after another, each walked: element i of pass t reaches row r and column c at
    t + r + c; R cycles load or unload what is stationary."""
    down, across, passing = {
        "weight-stationary": (k, n, m),
        "input-stationary": (k, m, n),
        "output-stationary": (m, n, k),
    }[dataflow]
    total = 0
    for _ in itertools.product(range(0, down, rows), range(0, across, columns)):
        corners = itertools.product((0, passing - 1), (0, rows - 1), (0, columns - 1))
        total += rows + max(t + r + c for t, r, c in corners) + 1
    return total


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_the_wavefront_walked(dataflow):
    for sizes in itertools.product((1, 5, 9), (1, 4, 7), (1, 3, 8), (1, 3), (2, 4)):
        assert systolic_cycles(*sizes, dataflow) == walked(*sizes, dataflow)


def test_many_arrays_at_once():
    sizes = np.arange(1, 33)
    found = forward_cycles(Step(zoo.lenet5(), EOQ), sizes, sizes)
    for dataflow in DATAFLOWS:
        alone = [forward_cycles(Step(zoo.lenet5(), EOQ), s, s)[dataflow] for s in range(1, 33)]
        assert found[dataflow].tolist() == alone


def test_a_dataflow_that_is_none():
    with pytest.raises(ValueError, match=r"^dataflow must be one of weight-stationary, "):
        systolic_cycles(1, 1, 1, 1, 1, "row-stationary")
