"""`CellLibrary`: what synthesis and energy need of a Liberty file, in um2, ns, pF, pJ and nW."""

import bisect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from golden.errors import InputError
from rtl.cell_function import Function, parse_function
from rtl.liberty import Group, parse, read_text

__all__ = ["Cell", "CellLibrary", "Pin", "Register", "Table", "default_liberty", "load_library"]

_DEBIAN = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Debian's and Ubuntu's package qflow-tech-osu018."""

_NAMED = 4
"""Most names in a message."""

_SCALE = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass(frozen=True)
class Table:
    """Values over up to two axes, which Liberty calls variables; `axes` has their names."""

    axes: tuple[str, ...]
    indices: tuple[tuple[float, ...], ...]
    values: tuple[float, ...]

    def at(self, *, load: float, slew: float) -> float:
        """Value at a load (pF) and an input transition (ns): linear between, clamped outside."""
        point = [load if "capacitance" in axis else slew for axis in self.axes]
        if not point:
            return self.values[0]
        first, weight = _position(self.indices[0], point[0])
        if len(point) == 1:
            low, high = self.values[first : first + 2] if weight else (self.values[first],) * 2
            return low + weight * (high - low)
        width = len(self.indices[1])
        second, across = _position(self.indices[1], point[1])
        result = 0.0
        for row, share in ((first, 1 - weight), (first + 1, weight)):
            for column, part in ((second, 1 - across), (second + 1, across)):
                if share * part:
                    result += share * part * self.values[row * width + column]
        return result


def _position(index: tuple[float, ...], value: float) -> tuple[int, float]:
    if value <= index[0]:
        return 0, 0.0
    if value >= index[-1]:
        return len(index) - 1, 0.0
    low = bisect.bisect_right(index, value) - 1
    return low, (value - index[low]) / (index[low + 1] - index[low])


@dataclass(frozen=True)
class Pin:
    """A pin.

    Attributes
    ----------
    direction:
        input, output, inout or internal.
    capacitance:
        pF.
    function:
        Of an output, if the library says it.
    is_clock:
        Whether the library marks it as one.
    energy:
        (related pin or "", "rise" or "fall", table in pJ a transition), without the load's.
    transition, delay:
        Tables of the output's transition time and delay over all arcs, ns.
    """

    name: str
    direction: str
    capacitance: float
    function: Function | None
    three_state: bool
    is_clock: bool
    energy: tuple[tuple[str, str, Table], ...]
    transition: tuple[Table, ...]
    delay: tuple[Table, ...]


@dataclass(frozen=True)
class Register:
    """An `ff` or `latch` group: names of its state and the functions that move it."""

    kind: str
    state: str
    inverted: str
    clock: Function
    data: Function
    clear: Function | None
    preset: Function | None
    both: str
    """State while clear and preset both hold: L, H, N (holds), T or X."""


@dataclass(frozen=True)
class Cell:
    """A cell: um2, nW, pins by name, and its flip-flop or latch if it is one."""

    name: str
    area: float
    leakage_nw: float | None
    pins: Mapping[str, Pin]
    register: Register | None
    has_state_table: bool

    @property
    def inputs(self) -> list[Pin]:
        """Input pins."""
        return [pin for pin in self.pins.values() if pin.direction == "input"]

    @property
    def outputs(self) -> list[Pin]:
        """Output pins."""
        return [pin for pin in self.pins.values() if pin.direction == "output"]


@dataclass(frozen=True)
class CellLibrary:
    """A Liberty file.

    Attributes
    ----------
    name, where:
        The library's own name, and the file.
    voltage:
        Nominal supply, V.
    text:
        The file, unpacked, for tools that read it themselves.
    """

    name: str
    where: str
    voltage: float
    cells: Mapping[str, Cell]
    text: str = field(repr=False)

    @cached_property
    def nand2(self) -> Cell:
        """Smallest two-input NAND, the unit of gate equivalents; raises InputError if none."""
        found = [
            cell
            for cell in self.cells.values()
            if len(cell.outputs) == 1 and len(cell.inputs) == 2 and cell.register is None
            and (function := cell.outputs[0].function) is not None
            and function.table() == (1, 1, 1, 0)
        ]  # fmt: skip
        if not found:
            raise InputError(
                f"{self.where}: required a two-input NAND, the unit of gate equivalents, got none "
                f"among {len(self.cells)} cells"
            )
        return min(found, key=lambda cell: (cell.area, cell.name))

    @property
    def flip_flops(self) -> list[Cell]:
        """Cells with an `ff` group."""
        return [c for c in self.cells.values() if c.register and c.register.kind == "ff"]

    @cached_property
    def undefined(self) -> Mapping[str, tuple[str, ...]]:
        """Cell -> names in its outputs' functions that are no pin of it and no state of a complete
        `ff` or `latch` group; of those cells that have such. No tool can use them."""
        found = {}
        for cell in self.cells.values():
            known = {*cell.pins}
            if cell.register:
                known |= {cell.register.state, cell.register.inverted}
            used = [name for pin in cell.outputs if pin.function for name in pin.function.inputs]
            names = tuple(dict.fromkeys(name for name in used if name not in known))
            if names:
                found[cell.name] = names
        return found

    @property
    def undefined_words(self) -> str:
        """`undefined` as a clause; empty if there is nothing."""
        cells = list(self.undefined)
        if not cells:
            return ""
        names = sorted({name for names in self.undefined.values() for name in names})
        return (
            f"outputs of {_first(cells)} are functions of {_first(names)}, which no pin and no "
            "complete ff or latch group of the cell defines"
        )

    @cached_property
    def lacking(self) -> tuple[str, ...]:
        """What energy needs and the file does not say, in words; empty if nothing."""
        lacks = []
        outputs = [pin for cell in self.cells.values() for pin in cell.outputs]
        if not any(pin.energy for cell in self.cells.values() for pin in cell.pins.values()):
            lacks.append("internal_power tables")
        if all(cell.leakage_nw is None for cell in self.cells.values()):
            lacks.append("leakage")
        if not any(pin.capacitance for c in self.cells.values() for pin in c.inputs):
            lacks.append("pin capacitances")
        if outputs and not any(pin.transition for pin in outputs):
            lacks.append("transition tables")
        return tuple(lacks)


def _first(names: Sequence[str]) -> str:
    """Return the first few of many names, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def default_liberty() -> Path | None:
    """Return Debian's osu018 library where it is installed."""
    return _DEBIAN if _DEBIAN.is_file() else None


def load_library(path: Path) -> CellLibrary:
    """Read a Liberty file, `.gz` too.

    Raises
    ------
    InputError
        If it is no Liberty file, is cut short, holds no cells, or gives a number that is none.
    OSError
        If it cannot be read.
    """
    text = read_text(path)
    where = str(path)
    library = parse(text, where)
    units = _Units(library, where)
    templates = {
        group.args[0]: group
        for group in library.groups
        if group.name in ("lu_table_template", "power_lut_template") and group.args
    }
    cells = {}
    for group in library.named("cell"):
        if len(group.args) != 1:
            raise InputError(f"{where}: required a name for each cell, got {group.args!r}")
        cells[group.args[0]] = _cell(group, units, templates, where)
    if not cells:
        raise InputError(f"{where}: required at least one cell, got none")
    return CellLibrary(library.args[0] if library.args else "", where, units.voltage, cells, text)


class _Units:
    """Factors from the file's units to ns, pF, nW and pJ."""

    def __init__(self, library: Group, where: str) -> None:
        self.time = _unit(library.attributes.get("time_unit", "1ns"), "s", where) / 1e-9
        volt = _unit(library.attributes.get("voltage_unit", "1V"), "v", where)
        load = library.lists.get("capacitive_load_unit", ("1", "pf"))
        if len(load) != 2:
            raise InputError(f"{where}: capacitive_load_unit must be (number, unit), not {load!r}")
        farad = _number(load[0], "capacitive_load_unit", where) * _unit(f"1{load[1]}", "f", where)
        self.capacitance = farad / 1e-12
        # The Liberty reference: internal energy is in units of load times voltage squared.
        self.energy = farad * volt * volt / 1e-12
        leak = library.attributes.get("leakage_power_unit")
        self.leakage = _unit(leak, "w", where) / 1e-9 if leak else None
        self.voltage = _nominal_voltage(library, where) * volt


def _nominal_voltage(library: Group, where: str) -> float:
    chosen = library.attributes.get("default_operating_conditions", "")
    for group in library.named("operating_conditions"):
        if group.args == (chosen,) and "voltage" in group.attributes:
            return _number(group.attributes["voltage"], "voltage", where)
    if "nom_voltage" not in library.attributes:
        raise InputError(f"{where}: required a nominal voltage (nom_voltage), got none")
    return _number(library.attributes["nom_voltage"], "nom_voltage", where)


def _unit(text: str, symbol: str, where: str) -> float:
    match = re.fullmatch(rf"\s*([\d.]+)\s*([fpnum]?){symbol}\s*", text.lower())
    if not match:
        raise InputError(f"{where}: required a unit in {symbol.upper()} like 1n{symbol}, "
                         f"got {text[:40]!r}")  # fmt: skip
    return float(match[1]) * _SCALE[match[2]]


def _number(text: str, what: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {what} must be a number, not {text[:40]!r}")
    return value


def _cell(group: Group, units: _Units, templates: Mapping[str, Group], where: str) -> Cell:
    (name,) = group.args
    here = f"{where}, cell {name}"
    if "area" not in group.attributes:
        raise InputError(f"{here}: required an area, got none")
    pins = {}
    for pin_group in group.named("pin") + [p for bus in group.named("bus") for p in bus.groups]:
        for pin_name in pin_group.args:
            if pin_group.name == "pin":
                pins[pin_name] = _pin(pin_name, pin_group, units, templates, here)
    leak = group.attributes.get("cell_leakage_power")
    if leak is None:
        # Without the mean, the plain average over the states that are given.
        states = [
            _number(g.attributes["value"], "leakage_power", here)
            for g in group.named("leakage_power")
            if "value" in g.attributes
        ]
        value = sum(states) / len(states) if states else None
    else:
        value = _number(leak, "cell_leakage_power", here)
    return Cell(
        name,
        _number(group.attributes["area"], "area", here),
        None if value is None or units.leakage is None else value * units.leakage,
        pins,
        _register(group, here),
        bool(group.named("statetable")),
    )


def _register(group: Group, here: str) -> Register | None:
    for kind, clock, data in (("ff", "clocked_on", "next_state"), ("latch", "enable", "data_in")):
        for found in group.named(kind):
            said = found.attributes
            if clock not in said or data not in said or not found.args:
                # A latch of set and reset alone, or a clock gate's: never used, so never modelled.
                return None
            functions = {
                key: parse_function(said[key], f"{here}, {key}") if key in said else None
                for key in (clock, data, "clear", "preset")
            }
            clock_function, data_function = functions[clock], functions[data]
            if clock_function is None or data_function is None:
                return None
            return Register(
                kind, found.args[0], found.args[1] if len(found.args) > 1 else "",
                clock_function, data_function, functions["clear"], functions["preset"],
                said.get("clear_preset_var1", "X"),
            )  # fmt: skip
    return None


def _pin(
    name: str, group: Group, units: _Units, templates: Mapping[str, Group], here: str
) -> Pin:  # fmt: skip
    said = group.attributes
    here = f"{here}, pin {name}"
    energy = []
    for power in group.named("internal_power"):
        related = power.attributes.get("related_pin", "").split()
        for edge in ("rise", "fall"):
            tables = power.named(f"{edge}_power") + power.named("power")
            for table in tables[:1]:
                value = _table(table, templates, units, units.energy, here)
                energy += [(pin, edge, value) for pin in related or [""]]
    arcs = [table for arc in group.named("timing") for table in arc.groups]
    transition, delay = (
        tuple(_table(table, templates, units, units.time, here) for table in arcs
              if table.name in names)
        for names in (("rise_transition", "fall_transition"), ("cell_rise", "cell_fall"))
    )  # fmt: skip
    return Pin(
        name,
        said.get("direction", "internal"),
        _number(said.get("capacitance", "0"), "capacitance", here) * units.capacitance,
        parse_function(said["function"], here) if said.get("function") else None,
        "three_state" in said,
        said.get("clock", "") == "true",
        tuple(energy),
        transition,
        delay,
    )


def _table(
    group: Group, templates: Mapping[str, Group], units: _Units, factor: float, here: str
) -> Table:
    here = f"{here}, {group.name}"
    values = [v * factor for part in group.lists.get("values", ()) for v in _numbers(part, here)]
    template = templates.get(group.args[0]) if group.args else None
    if template is None:
        if len(values) != 1:
            raise InputError(f"{here}: required a known template or one value, got {len(values)}")
        return Table((), (), tuple(values))
    axes, indices = [], []
    for number in (1, 2, 3):
        axis = template.attributes.get(f"variable_{number}")
        if axis is None:
            break
        index = group.lists.get(f"index_{number}") or template.lists.get(f"index_{number}") or ()
        scale = units.capacitance if "capacitance" in axis else units.time
        axes.append(axis)
        indices.append(tuple(v * scale for part in index for v in _numbers(part, here)))
    if math.prod(map(len, indices)) != len(values) or len(axes) > 2:
        raise InputError(
            f"{here}: required {' x '.join(str(len(i)) for i in indices)} values, got {len(values)}"
        )
    return Table(tuple(axes), tuple(indices), tuple(values))


def _numbers(text: str, here: str) -> list[float]:
    return [_number(part, "a table's value", here) for part in text.replace(",", " ").split()]
