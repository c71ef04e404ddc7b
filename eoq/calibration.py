"""`eoq synth --calibrate`: a technology file from our own synthesis and gate-level simulation."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from cosim.block_energy import block_energy
from cosim.calibration import (
    CHECK_NETWORKS,
    CHECK_SIZES,
    DATASET,
    FIT_NETWORK,
    PARTS_AT_WORK,
    block_area,
    fit_area,
    fit_energy,
    network_energies,
    network_step,
    predicted_area,
    predicted_energy,
)
from cosim.float_operands import float_operands
from cosim.layer_energy import LayerEnergy
from cosim.memory_macros import CHECK_MACROS, FIT_MACROS, fit_macros, macro_area
from cosim.memory_macros import NODE_NM as MACRO_NODE_NM
from cosim.operands import Step
from cosim.operator_energy import OPERATORS, operator
from eoq.technology_text import (
    block_entry,
    macro_entry,
    memory_entry,
    operation_entry,
    relative_entry,
    work_entry,
)
from golden import data, networks
from hwmodel.core_area import BLOCK_PARTS
from hwmodel.technology import load_technology
from hwmodel.toml_reader import Band
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import synthesize

__all__ = ["STAGES", "calibrate"]

STAGES = 5
"""Calls of `stage` in one run."""

Say = Callable[[str], None]

_SIZE = (16, 16)
_CONFIG = CoreConfig(rows=_SIZE[0], columns=_SIZE[1])
"""Of the blocks that are the same in every core."""

_MEMORIES, _NODE_NM, _VOLTAGE = "horowitz-45nm", 45, 0.9
"""The table that memories are scaled from, because libraries have none, and its process."""


def calibrate(
    library: CellLibrary,
    *,
    name: str,
    node_nm: float,
    command: str,
    stage: Say = lambda _: None,
    tell: Say = lambda _: None,
) -> str:
    """Measure and fit everything; return the text of a technology file.

    Parameters
    ----------
    library:
        With power tables.
    name:
        Of the table.
    node_nm:
        Of the process, which Liberty does not say; energies of memories are scaled by it.
    command:
        What makes the file again, for its sources.

    Raises
    ------
    InputError
        If the library lacks what is needed.
    CheckError
        If gates differ from the RTL.
    """
    work: dict[str, Mapping[str, float]] = {}
    layers: dict[str, list[LayerEnergy]] = {}
    sources = ""
    for part, block in PARTS_AT_WORK.items():
        stage(f"energy of {block}")
        fitted = network_energies(part, FIT_NETWORK, library, tell)
        work[part], layers[part] = fit_energy(part, fitted), [*fitted]
        checks = []
        for network in CHECK_NETWORKS:
            found = network_energies(part, network, library, tell)
            worst = max(abs(predicted_energy(work[part], e) / e.energy_pj - 1) for e in found)
            checks.append(f"on {len(found)} of {network} at most {worst:.1%} off")
            layers[part] += found
        sources += (
            f'{part} = "as synth, fitted to {len(fitted)} layers and phases of {FIT_NETWORK}; '
            f'{", ".join(checks)}"\n'
        )

    stage("areas of the core's blocks")
    blocks: dict[str, Mapping[str, float]] = {}
    errors = []
    for block in BLOCK_PARTS:
        blocks[block] = fit_area(block, library, tell)
        worst = max(
            abs(predicted_area(blocks[block], size) / block_area(block, size, library, tell) - 1)
            for size in CHECK_SIZES[block]
        )
        errors.append(f"{block} {worst:.2%}")

    stage("operations")
    step = network_step(FIT_NETWORK)
    macs = [each.energy_pj / each.operations for each in layers["element"]]
    # Layers as often as they multiply; the cheapest and the dearest layer are its band.
    mac = _energy("pe", library, step, tell)._replace(low=min(macs), high=max(macs))
    entries = [operation_entry("mac", "int8", mac, block_area("pe", _SIZE, library))]
    entries += _operations(library, step, tell)

    stage("writing")
    scale = node_nm / _NODE_NM * (library.voltage / _VOLTAGE) ** 2
    memories = load_technology(_MEMORIES)
    for size, price in memories.sram_entries.items():
        high = price.nominal * scale
        entries.append(memory_entry(size, Band(high / 2, high, high), "scaled"))
    # A chip of its own, of a technology that is not the library's.
    entries.append(memory_entry(None, memories.dram_entry, "dram"))
    entries += [
        work_entry(part, per, price)
        for part, prices in work.items()
        for per, price in prices.items()
    ]
    entries += [
        block_entry(block, part, area)
        for block, parts in blocks.items()
        for part, area in parts.items()
    ]
    macros, checked = fit_macros(), CHECK_MACROS[0]
    off = macro_area(macros, checked.bits) / checked.area_um2 - 1
    sizes = [macro.bits >> 13 for macro in FIT_MACROS]
    shrink = (node_nm / MACRO_NODE_NM) ** 2
    entries += [macro_entry(per, area * shrink) for per, area in macros.items()]
    head = (
        "# Energy: gates without delays or wires at work on training steps, toggles times\n"
        "# Liberty, clock pins included. Area: cells, without memories and wires. The sizes\n"
        "# and layers that the fit is held against are not among those that made it.\n"
        f'name = "{name}"\n'
        f'title = "{library.name}, {node_nm:g} nm, {library.voltage:g} V, synthesised"\n'
        f"node_nm = {node_nm:g}\n\n[sources]\n"
        f'synth = "{command}, {datetime.now(UTC):%Y-%m-%d}; '
        f'{synthesize("pe", _CONFIG, library).method}; operands of {FIT_NETWORK} on {DATASET}"\n'
        f"{sources}"
        f'areas = "as synth, fitted; on other sizes at most {", ".join(errors)} off"\n'
        'estimate = "our estimate: relative to the adder of the same format"\n'
        f'scaled = "the library has no memories: Horowitz, ISSCC 2014, {_NODE_NM} nm and '
        f"{_VOLTAGE} V, times {scale:.3g} for the node and the voltage's square; low: half\"\n"
        f"macros = \"the library has no memories: fitted to OpenRAM's macros for SkyWater 130 nm "
        f"(github.com/VLSIDA/sky130_sram_macros) of {sizes[0]} and {sizes[-1]} KiB, on "
        f'{checked.bits >> 13} KiB {off:.1%} off; times {shrink:.3g} for the node"\n'
        'dram = "Horowitz, ISSCC 2014, its range and the middle: a chip of its own"\n'
    )
    return "\n".join([head, *entries])


def _operations(library: CellLibrary, step: Step, tell: Say) -> list[str]:
    """Integer and FP32 operators; others as multiples of them."""
    found = {}
    for op, bits in OPERATORS:
        tell(f"{op} int{bits}: gates at work")
        found[op, bits] = operator(op, bits, library, step)
    images = data.load(DATASET)
    net = networks.load(FIT_NETWORK, input_shape=images.shape, classes=images.classes)
    tell(f"training {FIT_NETWORK} in FP32 for operands")
    floats = float_operands(net, images)
    energy = {
        block: _energy(block, library, floats, tell)
        for block in ("fp32_add", "fp32_mul", "fp32_div")
    }
    area = {
        block: block_area(block, _SIZE, library) for block in (*energy, "fp32_sqrt", "quantizer")
    }
    adder = found["add", 32]
    shift = _energy("quantizer", library, step, tell)
    division = _ratio(energy["fp32_div"], energy["fp32_mul"])
    entries = [
        operation_entry(op, f"int{bits}", each.energy_pj, each.area_um2)
        for (op, bits), each in found.items()
    ]
    return [
        *entries,
        operation_entry("add", "fp32", energy["fp32_add"], area["fp32_add"]),
        operation_entry("multiply", "fp32", energy["fp32_mul"], area["fp32_mul"]),
        # A shift rounds and saturates: it is the lane's quantiser.
        relative_entry("shift", "add", _ratio(shift, adder.energy_pj),
                       area["quantizer"] / adder.area_um2, "synth", "measured"),
        relative_entry("compare", "add", Band(0.5, 1, 1), 1, "estimate", "assumed"),
        relative_entry("lookup", "add", Band(1, 2, 5), 4, "estimate", "assumed"),
        relative_entry("random", "add", Band(2, 4, 8), 4, "estimate", "assumed"),
        relative_entry("div", "multiply", division, area["fp32_div"] / area["fp32_mul"],
                       "synth", "measured"),
        # No operands of roots are taken: a serial unit as the divider is, for as many cycles.
        relative_entry("sqrt", "multiply", division, area["fp32_sqrt"] / area["fp32_mul"],
                       "synth", "assumed"),
    ]  # fmt: skip


def _energy(block: str, library: CellLibrary, step: Step, tell: Say) -> Band:
    """An operation's pJ: lowest, mean and highest of the phases."""
    synthesis = synthesize(block, _CONFIG, library, tell=tell)
    phases = block_energy(synthesis, _CONFIG, library, step, tell=tell)
    return _band([each.energy_pj for each in phases if each.phase != "noise"])


def _band(values: list[float]) -> Band:
    return Band(min(values), sum(values) / len(values), max(values))


def _ratio(a: Band, b: Band) -> Band:
    return Band(a.low / b.high, a.nominal / b.nominal, a.high / b.low)
