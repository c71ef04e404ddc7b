"""Area and energy: the calibrated table against synthesis of sizes and layers that it never saw."""

from collections.abc import Callable, Iterator

from cosim.calibration import (
    CHECK_NETWORKS,
    CHECK_SIZES,
    PARTS_AT_WORK,
    block_area,
    network_energies,
)
from cosim.memory_macros import CHECK_MACROS, FIT_MACROS, fit_macros, macro_area
from eoq.validation.check import Check, skipped
from golden.errors import InputError
from hwmodel.technology import load_technology
from rtl import yosys
from rtl.cell_library import default_liberty, load_library
from rtl.config import CoreConfig

__all__ = ["AREA_BOUND", "ENERGY_BOUND", "GROUP", "synthesis_checks"]

GROUP = "calibrated table against synthesis"

AREA_BOUND, MEMORY_BOUND, ENERGY_BOUND = 0.03, 0.05, 0.10

_TABLE = "osu018"


def synthesis_checks(tell: Callable[[str], None] = lambda _: None) -> Iterator[Check]:
    """Synthesise and simulate gates with the library that the table was calibrated on."""
    path = default_liberty()
    if path is None:
        yield skipped(GROUP, "area and energy", "required the Liberty file of osu018, got none, "
                      "install with: apt-get install qflow-tech-osu018")  # fmt: skip
        return
    try:
        yosys.version()
    except InputError as error:
        yield skipped(GROUP, "area and energy", str(error))
        return
    library, table = load_library(path), load_technology(_TABLE)
    for block, sizes in CHECK_SIZES.items():
        for rows, columns in sizes:
            yield Check(
                group=GROUP,
                what=f"area of {block}, {rows}x{columns}",
                model=table.block_area(block, CoreConfig(rows=rows, columns=columns)).nominal,
                reference=block_area(block, (rows, columns), library, tell),
                unit="um2",
                bound=AREA_BOUND,
                source=f"pyosys {yosys.version()}, {library.name}",
            )
    fitted = " and ".join(f"{each.words}x{each.width}" for each in FIT_MACROS)
    for macro in CHECK_MACROS:
        yield Check(
            group=GROUP,
            what=f"area of a memory, {macro.words}x{macro.width}",
            model=macro_area(fit_macros(), macro.bits),
            reference=macro.area_um2,
            unit="um2",
            bound=MEMORY_BOUND,
            source=f"OpenRAM's macro for SkyWater 130 nm; fitted to {fitted}",
        )
    held_out = [
        (part, name, each)
        for part in PARTS_AT_WORK
        for name in CHECK_NETWORKS
        for each in network_energies(part, name, library, tell)
    ]
    for part, network, each in held_out:
        operation = {"element": "a MAC", "lane": "a lane's value"}[part]
        yield Check(
            group=GROUP,
            what=f"energy of {operation}, {network} {each.layer}, {each.phase}",
            model=1e12 * table.work(part, each.changes).nominal / each.operations,
            reference=each.energy_pj / each.operations,
            unit="pJ",
            bound=ENERGY_BOUND,
            source="gates without delays, toggles times Liberty",
        )
