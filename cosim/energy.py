"""Energy of a gate-level replay: toggles times Liberty.

A change of an output costs its internal energy, from the library's table at its load and its
inputs' transition time; a change of a net costs half of C V^2 for the input pins on it; a clock
edge costs the registers' clock pins, whether they change or not. There are no wires and no clock
tree. What a toggle's cause was is not known: the tables of all arcs of a pin are averaged.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cosim.gate_level import Toggles
from rtl.cell_library import CellLibrary, Pin, Table
from rtl.gate_netlist import GateNetlist

__all__ = ["Energy", "price"]


@dataclass(frozen=True)
class Energy:
    """Energy of a number of cycles.

    Attributes
    ----------
    internal_pj:
        Inside the cells.
    net_pj:
        Charging input pins.
    clock_pj:
        The clock's edges: clock pins and what they cost inside the registers.
    leakage_nw:
        Power of all cells that stand still; None if the library does not say.
    """

    internal_pj: float
    net_pj: float
    clock_pj: float
    leakage_nw: float | None

    @property
    def dynamic_pj(self) -> float:
        """All but leakage."""
        return self.internal_pj + self.net_pj + self.clock_pj


def price(
    netlist: GateNetlist, library: CellLibrary, toggles: Mapping[int, Toggles], cycles: int
) -> Energy:
    """Return the energy of `toggles`, and of `cycles` clock periods."""
    loads: dict[int, float] = defaultdict(float)
    for gate in netlist.gates:
        for pin in library.cells[gate.kind].inputs:
            net = gate.pins.get(pin.name)
            if net is not None:
                loads[net] += pin.capacitance
    slews = _slews(netlist, library, loads)
    clocks = {net for net in netlist.inputs.get("clk", ()) if net is not None}
    # The bench's clock is not part of the count: each cycle has one edge of either kind.
    clock = Toggles(cycles, cycles)
    internal = net_energy = clock_energy = 0.0
    for gate in netlist.gates:
        cell = library.cells[gate.kind]
        for pin in cell.pins.values():
            net = gate.pins.get(pin.name)
            if net is None or not pin.energy:
                continue
            is_clock = net in clocks
            count = clock if is_clock else toggles.get(net, Toggles())
            energy = 0.0
            for edge, times in (("rise", count.rise), ("fall", count.fall)):
                if times:
                    energy += times * _mean(pin, edge, gate.pins, loads[net], slews)
            if is_clock:
                clock_energy += energy
            else:
                internal += energy
    half = library.voltage**2 / 2
    for net, load in loads.items():
        count = clock if net in clocks else toggles.get(net, Toggles())
        energy = half * load * (count.rise + count.fall)
        if net in clocks:
            clock_energy += energy
        else:
            net_energy += energy
    leaks = [library.cells[gate.kind].leakage_nw for gate in netlist.gates]
    known = [leak for leak in leaks if leak is not None]
    return Energy(
        internal, net_energy, clock_energy, sum(known) if len(known) == len(leaks) else None
    )


def _slews(
    netlist: GateNetlist, library: CellLibrary, loads: Mapping[int, float]
) -> dict[int, float]:
    """Transition time of each net, ns, from its driver's tables; twice, for the inputs' own."""
    slews: dict[int, float] = {}
    for _ in range(2):
        known = dict(slews)
        for gate in netlist.gates:
            for pin in library.cells[gate.kind].outputs:
                net = gate.pins.get(pin.name)
                if net is not None and pin.transition:
                    entering = _entering(gate.pins.values(), net, known)
                    slews[net] = _average(pin.transition, loads.get(net, 0.0), entering)
    return slews


def _entering(nets: Iterable[int | None], out: int, slews: Mapping[int, float]) -> float:
    known = [slews[net] for net in nets if net is not None and net != out and net in slews]
    return sum(known) / len(known) if known else 0.0


def _mean(
    pin: Pin, edge: str, nets: Mapping[str, int | None], load: float, slews: Mapping[int, float]
) -> float:
    values = []
    for related, kind, table in pin.energy:
        if kind == edge:
            # An input's own table is over its own transition time.
            net = nets.get(related or pin.name)
            slew = slews.get(net, 0.0) if net is not None else 0.0
            values.append(table.at(load=load, slew=slew))
    return sum(values) / len(values) if values else 0.0


def _average(tables: tuple[Table, ...], load: float, slew: float) -> float:
    return sum(table.at(load=load, slew=slew) for table in tables) / len(tables)
