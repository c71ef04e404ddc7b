"""Energy per operation of a synthesised block, by phase: golden's operands through its gates."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

from cosim.energy import Energy, price
from cosim.float_workloads import FLOAT_WORKLOADS
from cosim.gate_level import Replay, Vectors, replay
from cosim.levelized import replay_levelized
from cosim.operands import Step
from cosim.workloads import WORKLOADS, Workload
from golden.errors import CheckError
from golden.formats import Integers
from rtl.blocks import make
from rtl.cache import content_key, made
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.gate_netlist import flatten
from rtl.synthesis import Synthesis

__all__ = ["PhaseEnergy", "block_energy", "replayed", "rtl_vectors", "workload_energy"]


@dataclass(frozen=True)
class PhaseEnergy:
    """One phase of a block.

    Attributes
    ----------
    energy_pj:
        An operation's dynamic energy: inside cells, on their input pins, and the clock's share.
    internal_pj, net_pj, clock_pj:
        The parts of it.
    leakage_pj:
        An operation's leakage at the shortest clock period; apart, None if not known.
    operations, cycles, toggles:
        What was simulated.
    """

    phase: str
    delays: bool
    energy_pj: float
    internal_pj: float
    net_pj: float
    clock_pj: float
    leakage_pj: float | None
    operations: int
    cycles: int
    toggles: int


def block_energy(
    synthesis: Synthesis,
    config: CoreConfig,
    library: CellLibrary,
    step: Step,
    *,
    cycles: int = 1500,
    delays: bool = False,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> list[PhaseEnergy]:
    """Replay a step's operands, phase by phase, and price the toggles; last comes noise.

    The step is one of `cosim.operands`, for FP32 units one of `cosim.float_operands`.

    The outputs of the gates are held against the RTL's in every cycle. Returns nothing for a block
    without a workload.

    Raises
    ------
    CheckError
        If the gates differ from the RTL.
    """
    maker = {**WORKLOADS, **FLOAT_WORKLOADS}.get(synthesis.block)
    if maker is None:
        return []
    results = []
    for workload in maker(step, config, cycles, np.random.default_rng(seed)):
        tell(f"{synthesis.block}: simulating gates, {workload.phase}")
        results.append(workload_energy(workload, synthesis, config, library, delays=delays))
    return results


def workload_energy(
    workload: Workload,
    synthesis: Synthesis,
    config: CoreConfig,
    library: CellLibrary,
    *,
    delays: bool = False,
) -> PhaseEnergy:
    """One workload's energy, from the cache beside the netlist if it was there.

    Raises
    ------
    CheckError
        If the gates differ from the RTL.
    """
    rooms = Path(__file__).parents[1]
    sources = (
        "cosim/block_energy", "cosim/energy", "cosim/gate_level", "cosim/levelized",
        "cosim/levelized_loop", "rtl/cell_models",
    )  # fmt: skip
    vectors = (f"{port} {values.tolist()}" for port, values in workload.inputs.items())
    key = content_key(
        [
            *((rooms / f"{name}.py").read_text() for name in sources), *vectors, str(delays),
            str((workload.phase, workload.settle, workload.operations)),
        ]
    )  # fmt: skip
    folder = synthesis.folder / f"energy-{key}"

    def fill(temporary: Path) -> None:
        found = _measure(workload, synthesis, config, library, delays)
        (temporary / "energy.json").write_text(json.dumps(asdict(found)))

    made(folder, fill)
    return PhaseEnergy(**json.loads((folder / "energy.json").read_text()))


def _measure(
    workload: Workload, synthesis: Synthesis, config: CoreConfig, library: CellLibrary, delays: bool
) -> PhaseEnergy:
    inputs, outputs = rtl_vectors(make(synthesis.block, config), workload.inputs)
    found, energy = replayed(
        synthesis, library, inputs, outputs, what=workload.phase, settle=workload.settle,
        delays=delays,
    )  # fmt: skip
    return _phase(workload.phase, workload.operations, found, energy, synthesis, delays)


def replayed(
    synthesis: Synthesis,
    library: CellLibrary,
    inputs: Vectors,
    outputs: Vectors,
    *,
    what: str,
    settle: int,
    delays: bool = False,
) -> tuple[Replay, Energy]:
    """Replay the RTL's vectors on a block's gates, and price the toggles.

    Parameters
    ----------
    what:
        Names the replay in messages.
    settle:
        Cycles at the start that are not counted.
    delays:
        Cells have delays (`cosim.gate_level`); without, `cosim.levelized`.

    Raises
    ------
    CheckError
        If the gates differ from the RTL; it names the block and `what`.
    """
    netlist = flatten(synthesis)
    if delays:
        found = replay(netlist, library, inputs, outputs, settle=settle, delays=True)
    else:
        found = replay_levelized(netlist, library, inputs, outputs, settle=settle)
    if found.mismatches:
        raise CheckError(
            f"block {synthesis.block}, {what}: the gates differ from the RTL in "
            f"{found.mismatches} of {found.cycles} cycles; first: {found.first}"
        )
    return found, price(netlist, library, found.toggles, found.cycles)


def _phase(
    phase: str, operations: int, found: Replay, energy: Energy, synthesis: Synthesis, delays: bool
) -> PhaseEnergy:  # fmt: skip
    leakage = None
    if energy.leakage_nw is not None and synthesis.delay_ns is not None:
        # nW times ns is 1e-18 J.
        leakage = energy.leakage_nw * synthesis.delay_ns * 1e-6 * found.cycles / operations
    return PhaseEnergy(
        phase, delays, energy.dynamic_pj / operations, energy.internal_pj / operations,
        energy.net_pj / operations, energy.clock_pj / operations, leakage, operations,
        found.cycles, sum(count.rise + count.fall for count in found.toggles.values()),
    )  # fmt: skip


def rtl_vectors(
    component: wiring.Component, given: Mapping[str, Integers]
) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Simulate the RTL; return its inputs and outputs, a value a cycle, as unsigned bits.

    Of `given`, only ports that the component has are used; all its inputs must be there.
    """
    inputs: dict[str, Value] = {}
    outputs: dict[str, Value] = {}
    for path, member, port in component.signature.flatten(component):
        side = inputs if member.flow == wiring.In else outputs
        side["__".join(map(str, path))] = Value.cast(port)
    missing = [name for name in inputs if name not in given]
    if missing:
        raise CheckError(f"{type(component).__name__} requires inputs {missing}, got {list(given)}")
    columns = {
        name: [int(v) & ((1 << len(port)) - 1) for v in given[name]]
        for name, port in inputs.items()
    }
    seen: dict[str, list[int]] = {name: [] for name in outputs}
    masks = [(1 << len(port)) - 1 for port in outputs.values()]

    async def bench(ctx) -> None:  # type: ignore[no-untyped-def]
        for row in zip(*columns.values(), strict=True):
            for port, value in zip(inputs.values(), row, strict=True):
                ctx.set(port, value)
            _, _, *values = await ctx.tick().sample(*outputs.values())
            for wire, value, mask in zip(seen.values(), values, masks, strict=True):
                wire.append(int(value) & mask)

    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return columns, seen
