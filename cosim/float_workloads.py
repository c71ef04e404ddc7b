"""Clock-by-clock inputs of FP32 units: real operands of a training step, and random numbers."""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cosim.operands import Product, Step
from cosim.workloads import Maker, Workload, draw_place
from golden.formats import Integers
from rtl.config import CoreConfig

__all__ = ["FLOAT_WORKLOADS"]

_SETTLE = 8
"""Cycles after which every register of an adder or multiplier is known."""

_DIVISION = 30
"""Cycles from one quotient of the serial divider to the next."""


def _codes(values: NDArray) -> Integers:
    return np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)


def _operands(
    step: Step, cycles: int, rng: np.random.Generator
) -> Iterator[tuple[str, NDArray, NDArray, NDArray]]:
    """Phase, moving operand, weight and partial sum from above: those of one place of an array.

    As `cosim.workloads` has them for an integer element: a weight stays for a tile.
    """
    normal = rng.normal(size=(cycles, 3)).astype(np.float32)
    for phase in ("forward", "backward_data", "backward_weight"):
        products = [p for p in step.products if p.phase == phase]
        if products:
            yield (phase, *_tiles(products, cycles, rng))
    yield "noise", normal[:, 0], normal[:, 1], normal[:, 2]


def _tiles(
    products: list[Product], cycles: int, rng: np.random.Generator
) -> tuple[NDArray, NDArray, NDArray]:
    moving, weights, sums = [], [], []
    total = 0
    while total < cycles:
        product, part, place, n = draw_place(products, rng)
        moving.append(product.a[part, place])
        weights.append(np.full(len(moving[-1]), product.b[place, n]))
        sums.append(product.a[part, :place] @ product.b[:place, n])
        total += len(moving[-1])
    return np.concatenate(moving), np.concatenate(weights), np.concatenate(sums)


def _pipeline(phase: str, a: NDArray, b: NDArray) -> Workload:
    inputs = {"a": _codes(a), "b": _codes(b), "valid": np.ones(len(a), np.int64)}
    return Workload(phase, inputs, len(a) - _SETTLE, _SETTLE)


def _multiplier(
    step: Step, config: CoreConfig, cycles: int, rng: np.random.Generator
) -> Iterator[Workload]:
    """A product a cycle."""
    for phase, a, weight, _ in _operands(step, cycles, rng):
        yield _pipeline(phase, a, weight)


def _adder(
    step: Step, config: CoreConfig, cycles: int, rng: np.random.Generator
) -> Iterator[Workload]:
    """A product onto a partial sum a cycle."""
    for phase, a, weight, above in _operands(step, cycles, rng):
        yield _pipeline(phase, a * weight, above)


def _divider(
    step: Step, config: CoreConfig, cycles: int, rng: np.random.Generator
) -> Iterator[Workload]:
    """Normalisation element by element: centred elements by their channel's deviation."""
    count = max(cycles // _DIVISION, 2)
    dividends, divisors = [], []
    for _ in range(count):
        division = step.divisions[rng.integers(len(step.divisions))]
        channel = rng.integers(len(division.divisor))
        dividends.append(rng.choice(division.dividend[channel]))
        divisors.append(division.divisor[channel])
    noise = rng.normal(size=(2, count)).astype(np.float32)
    real = np.array([dividends, divisors])
    for phase, (a, b) in (("forward", real), ("noise", noise)):
        held = {
            "i__payload": (_codes(b) << 32) + _codes(a),
            "i__valid": np.ones(count, np.int64),
            "o__ready": np.ones(count, np.int64),
        }
        inputs = {port: np.repeat(values, _DIVISION) for port, values in held.items()}
        yield Workload(phase, inputs, count - 1, _DIVISION)


FLOAT_WORKLOADS: MappingProxyType[str, Maker] = MappingProxyType(
    {"fp32_mul": _multiplier, "fp32_add": _adder, "fp32_div": _divider}
)
"""Block -> what makes its workloads from a step of `cosim.float_operands`."""
