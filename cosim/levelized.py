"""Gate-level simulation without delays: cells in topological order, once a cycle.

Every net changes at most once a clock edge, so hazards are not seen; inputs change with the edge,
as registers' outputs do. It gives what `cosim.gate_level` gives without delays, to the last toggle,
hundreds of times as fast. Registers start with random values: what is compared must not depend on
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cosim.gate_level import Replay, Toggles, Vectors
from golden.errors import CheckError, InputError
from rtl.cell_function import Function
from rtl.cell_library import Cell, CellLibrary
from rtl.gate_netlist import Gate, GateNetlist

__all__ = ["replay_levelized"]

_FAN_IN_MAX = 6
"""Inputs of a function: its table has to fit 64 bits."""


def replay_levelized(
    netlist: GateNetlist,
    library: CellLibrary,
    inputs: Vectors,
    outputs: Vectors,
    *,
    settle: int,
    seed: int = 0,
) -> Replay:
    """Drive `inputs`, compare `outputs`, count toggles; as `cosim.gate_level.replay`.

    Parameters
    ----------
    netlist, library, inputs, outputs, settle:
        As there.
    seed:
        Of the registers' first values. Those with a reset are reset before the first cycle.

    Raises
    ------
    InputError
        If a cell is not a function of at most 6 inputs or a flip-flop on the rising edge of `clk`.
    CheckError
        If gates form a loop.
    """
    logic = _Logic(netlist, library)
    length = len(next(iter(inputs.values())))
    given, given_nets = _bits(inputs, netlist.inputs, length)
    reset = [net for net in netlist.inputs.get("rst", ()) if net is not None]
    # One cycle of reset in front.
    levels = np.zeros((length + 1, len(reset)), np.uint8)
    levels[0] = 1
    given = np.hstack([np.vstack([given[:1], given]), levels])
    wanted, watched = _bits(outputs, netlist.outputs, length)
    wanted = np.vstack([wanted[:1], wanted])
    seen = wanted.copy()
    driven, compared = logic.indices([*given_nets, *reset]), logic.indices(watched)
    from cosim.levelized_loop import cycles

    rises = np.zeros(logic.size, np.int64)
    falls = np.zeros(logic.size, np.int64)
    wrong, first = cycles(
        logic.start(np.random.default_rng(seed)), *logic.cells.arrays(), *logic.registers.arrays(),
        given, driven, seen, compared, settle + 1, rises, falls,
    )  # fmt: skip
    said = ""
    if first >= 0:
        required, got = (_word(rows[first]) for rows in (wanted, seen))
        said = f"cycle {first - 1}: required {required}, got {got}"
    toggles = {
        net: Toggles(int(rises[index]), int(falls[index])) for net, index in logic.places.items()
    }
    return Replay(length - settle, int(wrong), said, toggles)


def _bits(
    vectors: Vectors, ports: Mapping[str, Sequence[int | None]], length: int
) -> tuple[NDArray[np.uint8], list[int]]:
    """(cycles, bits), the last port's least significant first, and each bit's net; no constants."""
    columns, nets = [], []
    for port, values in reversed(list(vectors.items())):
        for place, net in enumerate(ports[port]):
            if net is not None:
                columns.append([value >> place & 1 for value in values])
                nets.append(net)
    return np.array(columns, np.uint8).reshape(len(nets), length).T.copy(), nets


def _word(bits: NDArray[np.uint8]) -> str:
    return f"{sum(int(bit) << place for place, bit in enumerate(bits)):x}"


@dataclass
class _Tables:
    """Functions one after another: a table, the nets it reads, the net it gives."""

    tables: list[int] = field(default_factory=list)
    fan_in: list[list[int]] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def add(self, function: Function, nets: Mapping[str, int], output: int) -> None:
        table = function.table()
        self.tables.append(sum(bit << row for row, bit in enumerate(table)))
        self.fan_in.append([nets[name] for name in function.inputs])
        self.outputs.append(output)

    def arrays(self) -> tuple[NDArray, ...]:
        start = np.cumsum([0, *map(len, self.fan_in)]).astype(np.int64)
        flat = np.array([net for nets in self.fan_in for net in nets], np.int64)
        return start, flat, np.array(self.tables, np.uint64), np.array(self.outputs, np.int64)

    def sorted(self, known: set[int]) -> "_Tables":
        """Each function behind those that it reads; `known` are nets that no function gives."""
        driver = {net: k for k, net in enumerate(self.outputs)}
        waits = [[driver[n] for n in nets if n not in known] for nets in self.fan_in]
        readers: dict[int, list[int]] = {}
        left = []
        for k, sources in enumerate(waits):
            left.append(len(sources))
            for source in sources:
                readers.setdefault(source, []).append(k)
        order = [k for k, count in enumerate(left) if not count]
        for k in order:
            for reader in readers.get(k, ()):
                left[reader] -= 1
                if not left[reader]:
                    order.append(reader)
        if len(order) < len(self.outputs):
            raise CheckError(f"{len(self.outputs) - len(order)} gates form a loop")
        return _Tables(
            [self.tables[k] for k in order],
            [self.fan_in[k] for k in order],
            [self.outputs[k] for k in order],
        )


class _Logic:
    """A netlist as tables. Nets have places in one array; 0 and 1 are the constants'."""

    def __init__(self, netlist: GateNetlist, library: CellLibrary) -> None:
        self.places: dict[int, int] = {}
        self.size = 2
        self.registers = _Tables()
        self._clock = {net for net in netlist.inputs.get("clk", ()) if net is not None}
        self._where = library.where
        cells = _Tables()
        for gate in netlist.gates:
            self._add(gate, library.cells[gate.kind], cells)
        driven = set(cells.outputs)
        self.cells = cells.sorted(set(range(self.size)) - driven)

    def _place(self, net: int) -> int:
        if net not in self.places:
            self.places[net] = self.size
            self.size += 1
        return self.places[net]

    def indices(self, nets: Sequence[int]) -> NDArray[np.int64]:
        return np.array([self._place(net) for net in nets], np.int64)

    def start(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        values = np.zeros(self.size, np.uint8)
        values[1] = 1
        states = self.registers.outputs
        values[states] = rng.integers(0, 2, len(states))
        return values

    def _add(self, gate: Gate, cell: Cell, cells: _Tables) -> None:
        pins = {
            name: gate.ties.get(name, 0) if net is None else self._place(net)
            for name, net in gate.pins.items()
        }
        if cell.register:
            register = cell.register
            self._check_register(gate, cell, pins)
            state = self.size
            self.size += 1
            self.registers.add(self._checked(cell, register.data), pins, state)
            pins[register.state] = state
            if register.inverted:
                self.size += 1
                pins[register.inverted] = state + 1
                inverter = Function("~v", (register.state,), lambda v: 1 - v[register.state])
                cells.add(inverter, pins, state + 1)
        for pin in cell.outputs:
            net = gate.pins.get(pin.name)
            if net is not None:
                cells.add(self._checked(cell, pin.function), pins, self._place(net))

    def _checked(self, cell: Cell, function: Function | None) -> Function:
        if function is None or cell.has_state_table or len(function.inputs) > _FAN_IN_MAX:
            raise InputError(
                f"{self._where}, cell {cell.name}: required a function of at most {_FAN_IN_MAX} "
                "inputs to simulate the cell without delays, got none; Icarus (--delays) may do it"
            )
        return function

    def _check_register(self, gate: Gate, cell: Cell, pins: Mapping[str, int]) -> None:
        register = cell.register
        assert register is not None  # noqa: S101 - for the type checker
        clocked = (
            register.kind == "ff"
            and register.clock.table() == (0, 1)
            and gate.pins.get(register.clock.inputs[0]) in self._clock
        )
        idle = True
        for force in (register.clear, register.preset):
            if force is not None:
                values = {name: pins[name] for name in force.inputs}
                idle &= all(value < 2 for value in values.values()) and not force.evaluate(values)
        if not (clocked and idle):
            raise InputError(
                f"{self._where}, cell {cell.name}: required a flip-flop on the rising edge of clk "
                "without clear or preset to simulate it without delays; Icarus (--delays) may do it"
            )
