"""Energy of a processing element, layer by layer, beside what changes in it.

A weight-stationary element costs the clock, whatever it does, and what its operand, its sum from
above and its multiplier's inputs change. These are counted here in the operands alone, so energy
of any operands can be said without gates (`hwmodel.technology.Technology.element`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosim.block_energy import workload_energy
from cosim.operands import Step
from cosim.workloads import Workload, element_workload
from golden.formats import Integers
from hwmodel.technology import CHANGES
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import Synthesis

__all__ = ["LayerEnergy", "changes", "layer_energies"]


@dataclass(frozen=True)
class LayerEnergy:
    """One layer's phase on one processing element.

    Attributes
    ----------
    changes:
        `hwmodel.technology.CHANGES` -> how many there were.
    energy_pj:
        Of all of them, from the gates.
    operations:
        Multiply-accumulates in that time.
    """

    network: str
    layer: str
    phase: str
    changes: Mapping[str, int]
    energy_pj: float
    operations: int


def layer_energies(
    synthesis: Synthesis,
    config: CoreConfig,
    library: CellLibrary,
    step: Step,
    network: str,
    *,
    cycles: int = 1500,
    tell: Callable[[str], None] = lambda _: None,
) -> list[LayerEnergy]:
    """Simulate the gates of `pe` on every layer's products, phase by phase.

    Parameters
    ----------
    synthesis:
        Of the block `pe`.
    step, network:
        A training step's operands, and whose they are.
    cycles:
        At least how many of each.

    Raises
    ------
    CheckError
        If the gates differ from the RTL.
    """
    found = []
    for layer, phase in sorted({(product.layer, product.phase) for product in step.products}):
        tell(f"pe: simulating gates, {network} {layer} {phase}")
        products = [p for p in step.products if (p.layer, p.phase) == (layer, phase)]
        rng = np.random.default_rng(0)
        workload = element_workload(phase, products, config.rows, cycles, rng)
        energy = workload_energy(workload, synthesis, config, library)
        found.append(
            LayerEnergy(
                network, layer, phase, changes(workload), energy.energy_pj * energy.operations,
                energy.operations,
            )
        )  # fmt: skip
    return found


def changes(workload: Workload) -> dict[str, int]:
    """Count `CHANGES` in the inputs of a processing element."""
    operand, sums = workload.inputs["a_i"], workload.inputs["psum_i"]
    weight = _weights(workload.inputs["b"], workload.inputs["take"])
    after = workload.settle
    operand_bits = _changed_bits(operand, 8)[after - 1 :]
    counts = (
        len(operand) - after,
        operand_bits.sum(),
        _changed_bits(sums, 32)[after - 1 :].sum(),
        operand_bits[weight[after:] != 0].sum(),
    )
    return dict(zip(CHANGES, map(int, counts), strict=True))


def _weights(wire: Integers, take: Integers) -> NDArray[np.int64]:
    """The weight in each cycle: what the wire showed when it was last taken, before that cycle."""
    taken = np.maximum.accumulate(np.where(take, np.arange(len(take)), -1))
    weight = np.where(taken >= 0, wire[taken], 0)
    return np.concatenate([[0], weight[:-1]])


def _changed_bits(values: Integers, width: int) -> NDArray[np.int64]:
    """Bits that differ between each value and the next."""
    differ = (values[1:] ^ values[:-1]) & ((1 << width) - 1)
    return np.bitwise_count(differ.astype(np.uint64)).astype(np.int64)
