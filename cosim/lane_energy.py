"""Energy of a vector lane, layer by layer, beside what changes in it.

A lane costs the clock, whatever it does; that there is a value at all, which draws random bits and
is measured and quantised; and the bits in which its 32-bit values differ.
"""

from collections.abc import Callable

import numpy as np

from cosim.block_energy import workload_energy
from cosim.lane_passes import LEAD, LaneRun, quantization_pass, run_passes, update_passes
from cosim.layer_energy import LayerEnergy, changed_bits
from cosim.operands import Quantization, Step, Update
from cosim.workloads import Workload
from hwmodel.technology import CHANGES
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import Synthesis

__all__ = ["lane_changes", "lane_energies"]

_UPDATED, _QUANTIZED = 64, 256
"""Most parameters and results that are taken from one place."""


def lane_energies(
    synthesis: Synthesis,
    config: CoreConfig,
    library: CellLibrary,
    step: Step,
    network: str,
    *,
    values: int = 500,
    tell: Callable[[str], None] = lambda _: None,
) -> list[LayerEnergy]:
    """Simulate the gates of `vector_lane` on every layer: its results' codes, and its update.

    Parameters
    ----------
    synthesis:
        Of the block `vector_lane`.
    step, network:
        A training step's operands, and whose they are.
    values:
        At least how many of each.

    Raises
    ------
    CheckError
        If the gates differ from the RTL.
    """
    work: dict[tuple[str, str], list[Quantization | Update]] = {}
    for tensor in step.quantizations:
        work.setdefault((tensor.layer, tensor.phase), []).append(tensor)
    for update in step.updates:
        work.setdefault((update.layer, "update"), []).append(update)
    found = []
    for (layer, phase), tensors in sorted(work.items()):
        tell(f"vector_lane: simulating gates, {network} {layer} {phase}")
        run = _run(tensors, config.columns, values)
        workload = Workload(phase, run.inputs, run.beats, LEAD)
        energy = workload_energy(workload, synthesis, config, library)
        found.append(
            LayerEnergy(
                network, layer, phase, lane_changes(run), energy.energy_pj * run.beats, run.beats
            )
        )
    return found


def lane_changes(run: LaneRun) -> dict[str, int]:
    """Count `CHANGES` in what goes through a lane, after its first cycles."""
    counts = (len(run.t) - LEAD, run.beats, int(changed_bits(run.t, 32)[LEAD - 1 :].sum()))
    return dict(zip(CHANGES["lane"], counts, strict=True))


def _run(tensors: list[Quantization | Update], lanes: int, values: int) -> LaneRun:
    """Passes over tensors of one layer and phase, drawn until there are enough values."""
    rng = np.random.default_rng(0)
    passes, beats = [], 0
    while beats < values:
        tensor = tensors[rng.integers(len(tensors))]
        if isinstance(tensor, Update):
            made = list(update_passes(tensor, lanes, _UPDATED))
        else:
            start = int(rng.integers(max(tensor.values.size - _QUANTIZED, 0) + 1))
            made = [quantization_pass(tensor, lanes, slice(start, start + _QUANTIZED))]
        passes += made
        beats += sum(len(each.x) for each in made)
    return run_passes(passes)
