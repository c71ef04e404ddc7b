"""Bits of a core's signals that never change, by construction or if some other bits never do.

Every bit of the netlist has the set of values that it may take: a register what it begins with and
what it is ever given, anything else what its gate makes of the sets of its inputs. The smallest
such sets are found by starting from nothing; where one has a single value, no run toggles the bit.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.errors import InputError
from rtl.cache import cache_folder, content_key, made
from rtl.yosys import run, version

__all__ = ["Bits", "Held", "constant_bits", "netlist"]

Bits = Mapping[tuple[str, str], frozenset[int]]
"""By module and signal: bits that are constant in every instance of the module."""

_NOTHING, _ZERO, _ONE, _BOTH = range(4)
"""Sets of values, as masks."""

Net = int | str
"""Of a netlist: a number, or a constant."""
Cells = Mapping[str, Any]
"""Of a module as Yosys writes it in JSON."""

_CONSTANTS: Mapping[Net, int] = {"0": _ZERO, "1": _ONE, "x": _ZERO}
"""Verilator takes what is not known to be 0."""


@dataclass(frozen=True)
class Held:
    """Bits `low` to `high` of a signal of a module, taken to be 0 (or all `value`) at all times."""

    module: str
    signal: str
    low: int
    high: int
    value: int = 0


def netlist(verilog: str, top: str) -> Cells:
    """Return the flat netlist of a design as Yosys writes it: gates, arithmetic, memories.

    Raises
    ------
    InputError
        If Yosys is not installed.
    CheckError
        If it refuses the Verilog.
    """

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            (Path(name) / "design.v").write_text(verilog.replace("(* keep_hierarchy *)", ""))
            run(["read_verilog design.v", f"hierarchy -top {top}", "proc -norom", "flatten",
                 "simplemap", "write_json design.json"], Path(name))  # fmt: skip
            (Path(name) / "design.json").replace(folder / "design.json")

    key = content_key((version(), verilog, top, Path(__file__).read_text()))
    folder = made(cache_folder() / "netlists" / key, make)
    found: Cells = json.loads((folder / "design.json").read_text())["modules"][top]
    return found


def constant_bits(design: Cells, top: str, held: Sequence[Held] = ()) -> Bits:
    """Return the constant bits of all signals.

    Parameters
    ----------
    design, top:
        Of `netlist`.
    held:
        What is taken for granted.

    Raises
    ------
    InputError
        If a held bit does not exist.
    """
    modules = {"": top}
    for path, cell in design["cells"].items():
        if cell["type"] == "$scopeinfo":
            modules[path] = cell["attributes"]["module"]
    values = _Values(design)
    places: dict[tuple[str, str], list[list[Net]]] = defaultdict(list)
    for name, net in design["netnames"].items():
        path, _, signal = net["attributes"].get("hdlname", name).replace(" ", ".").rpartition(".")
        if path in modules and not net["hide_name"]:
            places[modules[path], signal].append(net["bits"])
    for bits in held:
        instances = places[bits.module, bits.signal]
        width = len(instances[0]) if instances else 0
        if not 0 <= bits.low <= bits.high < width:
            raise InputError(
                f"held bits must exist, not {bits.module} {bits.signal}[{bits.high}:{bits.low}], "
                f"{width} bits wide"
            )
        for nets in instances:
            values.hold(nets[bits.low : bits.high + 1], _ONE if bits.value else _ZERO)
    values.settle()
    return {
        place: frozenset(
            bit for bit in range(len(instances[0]))
            if all(values.of(nets[bit]) != _BOTH for nets in instances)
        )
        for place, instances in places.items()
    }  # fmt: skip


class _Values:
    """The set of values of every net."""

    def __init__(self, design: Cells) -> None:
        self._sets: dict[Net, int] = {}
        self._sets.update(_CONSTANTS)
        self._fixed: set[Net] = set(_CONSTANTS)
        self._cells: list[tuple[Callable[..., list[int]], list[list[Net]], list[Net]]] = []
        self._readers: dict[Net, list[int]] = defaultdict(list)
        self._changed: list[int] = []
        memories = _memories(design)
        for cell in design["cells"].values():
            kind, nets = cell["type"], cell["connections"]
            if kind == "$memrd":
                name = cell["parameters"]["MEMID"].removeprefix("\\")
                for bit, output in enumerate(nets["DATA"]):
                    column = [data[bit] for data in memories[name]]
                    # What is not written begins with 0.
                    self._add(lambda *s: [_ZERO | _join(s)], [[net] for net in column], [output])
            elif (gate := _GATES.get(kind)) is not None:
                ports, function = gate
                self._add(function, [nets[port] for port in ports], nets[_output(kind)])
            elif (arithmetic := _ARITHMETIC.get(kind)) is not None:
                ports, function = arithmetic
                inputs = [_extended(nets[port], cell, port, len(nets["Y"])) for port in ports]
                self._add(function, inputs, nets["Y"])
            else:
                # Anything may come from products, comparisons, shifts.
                directions = cell.get("port_directions", {})
                for port in (port for port, way in directions.items() if way == "output"):
                    self._sets.update(dict.fromkeys(nets[port], _BOTH))
        for port in design["ports"].values():
            if port["direction"] == "input":
                self._sets.update(dict.fromkeys(port["bits"], _BOTH))
        for net in design["netnames"].values():
            for bit, value in zip(net["bits"], reversed(net["attributes"].get("init", "")),
                                  strict=False):  # fmt: skip
                self._widen(bit, _CONSTANTS[value])
        # What begins with nothing known is 0, and so is what nothing drives.
        gates = {net for function, _, nets in self._cells if function is not _begin for net in nets}
        for net in design["netnames"].values():
            for bit in net["bits"]:
                if bit not in gates:
                    self._sets.setdefault(bit, _ZERO)

    def _add(
        self, function: Callable[..., list[int]], inputs: list[list[Net]], outputs: list[Net]
    ) -> None:
        for part in inputs:
            for net in part:
                self._readers[net].append(len(self._cells))
        self._cells.append((function, inputs, outputs))

    def _widen(self, net: Net, values: int) -> None:
        old = self._sets.get(net, _NOTHING)
        if net not in self._fixed and old | values != old:
            self._sets[net] = old | values
            self._changed += self._readers[net]

    def hold(self, nets: Sequence[Net], value: int) -> None:
        """Let nets have one value, whatever drives them."""
        for net in nets:
            self._sets[net] = value
            self._fixed.add(net)

    def of(self, net: Net) -> int:
        """Return the values that a net has after `settle`."""
        return self._sets.get(net, _NOTHING)

    def settle(self) -> None:
        """Widen until no gate gives anything new."""
        self._changed = list(range(len(self._cells)))
        while self._changed:
            waiting, self._changed = self._changed, []
            for number in dict.fromkeys(waiting):
                function, inputs, outputs = self._cells[number]
                sets = [[self._sets.get(net, _NOTHING) for net in part] for part in inputs]
                if any(_NOTHING in part for part in sets):
                    continue
                flat = (part[0] if len(part) == 1 else part for part in sets)
                for net, values in zip(outputs, function(*flat), strict=True):
                    self._widen(net, values)


def _output(kind: str) -> str:
    return "Q" if kind == "$_DFF_P_" else "Y"


def _begin(d: int) -> list[int]:
    """A register: what it is given."""
    return [d]


def _join(sets: Sequence[int]) -> int:
    result = _NOTHING
    for values in sets:
        result |= values
    return result


def _not(a: int) -> list[int]:
    return [(a & 1) << 1 | a >> 1]


def _and(a: int, b: int) -> list[int]:
    return [(a | b) & _ZERO | a & b & _ONE]


def _or(a: int, b: int) -> list[int]:
    return [a & b & _ZERO | (a | b) & _ONE]


def _xor(a: int, b: int) -> list[int]:
    crossed = _not(b)[0]
    return [(_ZERO if a & b else _NOTHING) | (_ONE if a & crossed else _NOTHING)]


def _mux(a: int, b: int, s: int) -> list[int]:
    return [(a if s & _ZERO else _NOTHING) | (b if s & _ONE else _NOTHING)]


def _sum(a: Any, b: Any, carry: int = _ZERO) -> list[int]:
    """A ripple of full adders."""
    result = []
    a, b = ([part] if isinstance(part, int) else part for part in (a, b))
    for x, y in zip(a, b, strict=True):
        result.append(_xor(_xor(x, y)[0], carry)[0])
        # Two of three decide.
        carry = x & y | x & carry | y & carry
    return result


def _difference(a: Any, b: Any) -> list[int]:
    b = [b] if isinstance(b, int) else b
    return _sum(a, [_not(x)[0] for x in b], _ONE)


def _negative(a: Any) -> list[int]:
    a = [a] if isinstance(a, int) else a
    return _difference([_ZERO] * len(a), a)


_GATES: Mapping[str, tuple[str, Callable[..., list[int]]]] = {
    "$_NOT_": ("A", _not),
    "$_AND_": ("AB", _and),
    "$_OR_": ("AB", _or),
    "$_XOR_": ("AB", _xor),
    "$_MUX_": ("ABS", _mux),
    "$_DFF_P_": ("D", _begin),
}
_ARITHMETIC: Mapping[str, tuple[str, Callable[..., list[int]]]] = {
    "$add": ("AB", _sum),
    "$sub": ("AB", _difference),
    "$neg": ("A", _negative),
}


def _extended(nets: list[Net], cell: Cells, port: str, width: int) -> list[Net]:
    """An operand as wide as the result."""
    signed = int(cell["parameters"][f"{port}_SIGNED"], 2)
    more: list[Net] = [nets[-1] if signed else "0"] * (width - len(nets))
    return [*nets, *more][:width]


def _memories(design: Cells) -> dict[str, list[list[Net]]]:
    """What is ever put into each memory: words of nets."""
    result: dict[str, list[list[Net]]] = defaultdict(list)
    for cell in design["cells"].values():
        if cell["type"] in ("$memwr_v2", "$meminit_v2"):
            name = cell["parameters"]["MEMID"].removeprefix("\\")
            data = cell["connections"]["DATA"]
            width = int(cell["parameters"]["WIDTH"], 2)
            result[name] += [data[k : k + width] for k in range(0, len(data), width)]
    return result
