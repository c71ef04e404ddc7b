"""Synthesis of one block: Verilog to gates with Yosys and abc, area, cells and critical path.

The hierarchy is kept: one processing element is mapped once and counted as often as it is placed.
Memories are left out and counted in bits: an ASIC has macros there.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from golden.errors import CheckError, InputError
from rtl import timing, yosys
from rtl.blocks import make
from rtl.cache import cache_folder, content_key, made
from rtl.cell_library import Cell, CellLibrary
from rtl.config import CoreConfig

__all__ = ["RECIPES", "Recipe", "Synthesis", "synthesize", "synthesize_verilog"]

_NAND2_TRANSISTORS = 4


@dataclass(frozen=True)
class Recipe:
    """How logic is mapped.

    Attributes
    ----------
    abc:
        Script of abc.
    synth:
        Options of Yosys' `synth`.
    says:
        What it is, in words.
    """

    abc: str
    synth: str
    says: str


_SIZE = ";buffer,-c;upsize;dnsize"
_SPEED = "strash;ifraig;scorr;dc2;strash;dch,-f;map,-B,0.9;topo" + _SIZE

RECIPES: Mapping[str, Recipe] = {
    "stock": Recipe(
        "strash;&get,-n;&fraig,-x;&put;scorr;dc2;dretime;strash;&get,-n;&dch,-f;&nf;&put" + _SIZE,
        "-booth",
        "Yosys' own abc script for a Liberty file with constraints, and Booth multipliers",
    ),
    "balanced": Recipe(
        "strash;&get,-n;&st;&dch,-x;&nf,-p;&put" + _SIZE,
        "-booth",
        "more structural choices before mapping",
    ),
    "speed": Recipe(_SPEED, "-booth", "delay-oriented mapping"),
    "fast-adders": Recipe(
        _SPEED, "-booth -extra-map +/choices/kogge-stone.v", "speed, with Kogge-Stone adders"
    ),
}
"""Name -> recipe; the first is the default. No recipe moves registers (`dretime` is for abc's own
latches, and it is given none). All buffer and size for inputs that the weakest inverter drives and
outputs that drive four NAND2: without it a net into many lanes has no buffers, because abc sees one
module at a time."""


@dataclass(frozen=True)
class Synthesis:
    """What one block became.

    Attributes
    ----------
    block, top:
        Name of the block and of its Verilog module.
    area_um2:
        Cells, without memories and wires; None without a library.
    nand2:
        In areas of the library's smallest two-input NAND; without a library, transistors / 4.
    delay_ns, from_registers_ns:
        Critical path of all paths, and of those that start at a register; None if not known.
    flip_flops, cells, memory_bits:
        Counts through the hierarchy.
    cells_by_type:
        Library cell -> count.
    method:
        Tools, recipe and how the delay was found.
    folder:
        Where netlist.v, the logs and cells.lib are.
    """

    block: str
    top: str
    area_um2: float | None
    nand2: float
    delay_ns: float | None
    from_registers_ns: float | None
    flip_flops: int
    cells: int
    memory_bits: int
    method: str
    cells_by_type: Mapping[str, int] = field(repr=False)
    folder: Path = field(repr=False)
    cached: bool = field(default=False, compare=False)


def synthesize(
    block: str,
    config: CoreConfig,
    library: CellLibrary | None,
    *,
    recipe: str = "stock",
    tell: Callable[[str], None] = lambda _: None,
) -> Synthesis:
    """Synthesise a block of `rtl.blocks`; see `synthesize_verilog`."""
    tell(f"{block}: emitting Verilog")
    component = make(block, config)
    from rtl.verilog import convert

    top = f"eoq_{block}"
    text = convert(component, top)
    top = getattr(component, "module_name", top)
    return synthesize_verilog(block, text, top, library, recipe=recipe, tell=tell)


def synthesize_verilog(
    block: str,
    verilog: str,
    top: str,
    library: CellLibrary | None,
    *,
    recipe: str = "stock",
    tell: Callable[[str], None] = lambda _: None,
) -> Synthesis:
    """Map module `top` of `verilog` to the library's cells, or to plain gates without a library.

    The result is kept in the user's cache under the hash of the Verilog, the library, the tools'
    versions and the script.

    Raises
    ------
    InputError
        If the recipe is unknown, pyosys is missing, or the library lacks what the block needs.
    CheckError
        If a tool breaks down.
    """
    if recipe not in RECIPES:
        raise InputError(f"recipe must be one of {', '.join(RECIPES)}, not {recipe!r}")
    constraints = _constraints(library) if library else ""
    commands = _commands(top, library, RECIPES[recipe])
    tools = (f"pyosys {yosys.version()}", timing.sta_version())
    here = Path(__file__).parent
    sources = ((here / name).read_text() for name in ("synthesis.py", "timing.py"))
    parts = (*tools, verilog, library.text if library else "", constraints, *commands, *sources)
    folder = cache_folder() / "synthesis" / content_key(parts)
    cached = folder.is_dir()

    def fill(temporary: Path) -> None:
        tell(f"{block}: mapping with Yosys and abc ({recipe})")
        (temporary / "design.v").write_text(verilog)
        if library:
            (temporary / "cells.lib").write_text(library.text)
            (temporary / "constraints.sdc").write_text(constraints)
        log = yosys.run(commands, temporary)
        result = _result(temporary, block, top, library, f"{tools[0]}, recipe {recipe}")
        if library:
            tell(f"{block}: finding the critical path")
            result = _timed(result, temporary, log, library)
        said = asdict(result)
        del said["folder"], said["cached"], said["block"]
        (temporary / "result.json").write_text(json.dumps(said, indent=1))

    made(folder, fill)
    said = json.loads((folder / "result.json").read_text())
    return Synthesis(**said, block=block, folder=folder, cached=cached)


def _constraints(library: CellLibrary) -> str:
    """What abc assumes around each module."""
    inverters, buffers = _one_input(library, (1, 0)), _one_input(library, (0, 1))
    if not inverters or not buffers:
        # abc crashes without them.
        raise InputError(
            f"{library.where}: required an inverter and a buffer to map logic, got "
            f"{len(inverters)} and {len(buffers)}; without a library all blocks can be synthesised"
        )
    driver = min(inverters, key=lambda cell: (cell.area, cell.inputs[0].capacitance, cell.name))
    load = 4 * max(pin.capacitance for pin in library.nand2.inputs)
    # abc takes femtofarads, whatever the library's unit.
    return f"set_driving_cell {driver.name}\nset_load {load * 1000:.3f} [all_outputs]\n"


def _one_input(library: CellLibrary, table: tuple[int, int]) -> list[Cell]:
    return [
        cell
        for cell in library.cells.values()
        if len(cell.inputs) == len(cell.outputs) == 1 and cell.register is None
        and (function := cell.outputs[0].function) is not None and function.table() == table
    ]  # fmt: skip


def _commands(top: str, library: CellLibrary | None, recipe: Recipe) -> list[str]:
    start = [
        "read_verilog -sv design.v",
        f"hierarchy -check -top {top}",
        "proc",
        "tee -q -o memories.json stat -json",
        "select -set memories t:$memwr_v2 %m",
        "blackbox @memories",
        f"synth -top {top} -run :check {recipe.synth}",
        "check -assert",
    ]
    if library:
        # abc gives up on the whole file at the first function that it cannot read. A name is
        # somebody else's and this is a command, so only plain words go in.
        words = (cell for cell in library.undefined if re.fullmatch(r"\w+", cell))
        unused = "".join(f"-dont_use {cell} " for cell in words)
        mapped = [
            # Without a flip-flop to map to it fails, and does not say for what.
            *(["dfflibmap -liberty cells.lib"] if library.flip_flops else []),
            f"abc -liberty cells.lib {unused}-constr constraints.sdc -script +{recipe.abc};stime",
        ]
    else:
        mapped = ["dfflegalize -cell $_DFF_P_ 01", "abc -g cmos4"]
    return [
        *start,
        *mapped,
        "opt_clean -purge",
        f"tee -q -o statistics.json stat -json {'-liberty cells.lib' if library else '-tech cmos'}",
        # OpenSTA reads no concatenation to the left of an assignment.
        "write_verilog -noattr -simple-lhs netlist.v",
    ]


def _result(
    folder: Path, block: str, top: str, library: CellLibrary | None, method: str
) -> Synthesis:
    counts = _cells(_modules(folder / "statistics.json"), top)
    for memory in _modules(folder / "memories.json"):
        counts.pop(memory, None)
    unmapped = {kind: n for kind, n in counts.items() if kind.startswith("$")}
    flip_flops = sum(n for kind, n in counts.items() if _is_flip_flop(kind, library))
    if library is None:
        transistors = sum(n * _transistors(kind) for kind, n in counts.items())
        area, nand2 = None, transistors / _NAND2_TRANSISTORS
        method += ", gate equivalents without a library: CMOS transistors / 4"
    else:
        if unmapped:
            raise InputError(
                f"{library.where}: block {block} requires cells for {_words(unmapped)}, got none; "
                + _still(library)
            )
        area = sum(n * library.cells[kind].area for kind, n in counts.items())
        nand2 = area / library.nand2.area if library.nand2.area else float("nan")
    return Synthesis(
        block, top, area, nand2, None, None, flip_flops, sum(counts.values()),
        _memory_bits(folder, top), method, dict(sorted(counts.items())), folder,
    )  # fmt: skip


def _timed(result: Synthesis, folder: Path, log: str, library: CellLibrary) -> Synthesis:
    # OpenSTA refuses a file with a function that it cannot read.
    by_sta = timing.find_sta() and not library.undefined
    found = timing.opensta(folder, result.top) if by_sta else timing.abc_delay(log)
    if found is None:
        return result
    return replace(
        result,
        delay_ns=found.delay_ns,
        from_registers_ns=found.from_registers_ns,
        method=f"{result.method}, delay: {found.method}",
    )


def _words(unmapped: Mapping[str, int]) -> str:
    return ", ".join(f"{n} x {kind}" for kind, n in sorted(unmapped.items())[:4])


def _still(library: CellLibrary) -> str:
    """Say what a library that lacks cells is good for."""
    why = f" ({library.undefined_words})" if library.undefined else ""
    if library.flip_flops:
        return f"other blocks may still be synthesised{why}"
    return (
        f"the library has no flip-flop{why}; blocks without registers (multiplier) can still be "
        "synthesised, and all blocks without a library"
    )


def _modules(statistics: Path) -> dict[str, dict]:
    """What `stat -json` says of each module."""
    said = json.loads(statistics.read_text())["modules"]
    return {name.lstrip("\\"): module for name, module in said.items()}


def _cells(modules: Mapping[str, dict], top: str) -> Counter[str]:
    """Cells by type through the hierarchy: a module's, times how often it is placed."""
    known: dict[str, Counter[str]] = {}

    def count(name: str) -> Counter[str]:
        if name not in known:
            total: Counter[str] = Counter()
            for kind, n in modules[name]["num_cells_by_type"].items():
                inner = kind.lstrip("\\")
                if inner in modules:
                    for leaf, times in count(inner).items():
                        total[leaf] += n * times
                else:
                    total[inner] += n
            known[name] = total
        return known[name]

    return count(top)


def _memory_bits(folder: Path, top: str) -> int:
    """Bits of the memories that were left out: in all modules before, less those in logic."""
    modules = _modules(folder / "memories.json")

    def bits(name: str) -> int:
        said = modules[name]
        cells = said["num_cells_by_type"]
        own = int(said["num_memory_bits"]) if "$memwr_v2" in cells else 0
        return own + sum(n * bits(k.lstrip("\\")) for k, n in cells.items()
                         if k.lstrip("\\") in modules)  # fmt: skip

    return bits(top)


def _is_flip_flop(kind: str, library: CellLibrary | None) -> bool:
    if library is None:
        return kind.startswith("$_DFF")
    cell = library.cells.get(kind)
    return bool(cell and cell.register and cell.register.kind == "ff")


_TRANSISTORS = {
    "$_NOT_": 2, "$_BUF_": 4, "$_NAND_": 4, "$_NOR_": 4, "$_AND_": 6, "$_OR_": 6, "$_XOR_": 12,
    "$_XNOR_": 12, "$_MUX_": 12, "$_AOI3_": 6, "$_OAI3_": 6, "$_AOI4_": 8, "$_OAI4_": 8,
    "$_DFF_P_": 16, "$_DFF_N_": 16,
}  # fmt: skip
"""Static CMOS, as `stat -tech cmos` of Yosys counts them."""


def _transistors(kind: str) -> int:
    if kind not in _TRANSISTORS:
        raise CheckError(f"no transistor count for {kind}")
    return _TRANSISTORS[kind]
