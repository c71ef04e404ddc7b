"""Energy of a processing element, layer by layer, beside what changes in it.

A weight-stationary element costs the clock, whatever it does, and what its operand, its sum from
above and its multiplier's inputs change.
"""

from collections.abc import Callable

import numpy as np

from cosim.block_energy import workload_energy
from cosim.layer_energy import LayerEnergy, changed_bits, kept
from cosim.operands import Step
from cosim.workloads import Workload, element_workload
from hwmodel.technology import CHANGES
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import Synthesis

__all__ = ["changes", "element_energies"]


def element_energies(
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
    # Taken in a cycle, the weight is there in the next.
    weight = np.concatenate([[0], kept(workload.inputs["b"], workload.inputs["take"])[:-1]])
    after = workload.settle
    operand_bits = changed_bits(operand, 8)[after - 1 :]
    counts = (
        len(operand) - after,
        operand_bits.sum(),
        changed_bits(sums, 32)[after - 1 :].sum(),
        operand_bits[weight[after:] != 0].sum(),
    )
    return dict(zip(CHANGES["element"], map(int, counts), strict=True))
