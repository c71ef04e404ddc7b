"""Verilog models of a library's cells, made from their Liberty functions, to simulate gates with.

Without delays a model settles at once: each net changes at most once a clock edge, and hazards are
not seen. With delays each cell has one inertial delay, its mean over arcs and edges at the load of
two NAND2 inputs: hazards are seen, by a rough measure.
"""

from collections.abc import Iterable

from golden.errors import InputError
from rtl.cell_library import Cell, CellLibrary, Register

__all__ = ["cell_models"]


def cell_models(library: CellLibrary, cells: Iterable[str], *, delays: bool = False) -> str:
    """Verilog of the named cells. A register starts unknown, as hardware does.

    Raises
    ------
    InputError
        If a cell's function is not in the file, so that it cannot be simulated.
    """
    load = 2 * max(pin.capacitance for pin in library.nand2.inputs)
    texts = ["`timescale 1ns/1ps"]
    for name in sorted(set(cells)):
        cell = library.cells[name]
        texts.append(_model(cell, f"#{_delay(cell, load):.3f} " if delays else "", library.where))
    return "\n".join(texts) + "\n"


def _delay(cell: Cell, load: float) -> float:
    tables = [table for pin in cell.outputs for table in pin.delay]
    if not tables:
        return 0.0
    slews = [pin.transition[0].at(load=load, slew=0.0) for pin in cell.outputs if pin.transition]
    slew = slews[0] if slews else 0.0
    return max(sum(t.at(load=load, slew=slew) for t in tables) / len(tables), 0.0)


def _model(cell: Cell, delay: str, where: str) -> str:
    for pin in cell.outputs:
        if pin.function is None or pin.three_state or cell.has_state_table:
            raise InputError(
                f"{where}, cell {cell.name}, pin {pin.name}: required a function to simulate the "
                "cell, got none; area and delay can still be had"
            )
    names = [pin.name for pin in cell.inputs + cell.outputs]
    lines = [f"module {cell.name}({', '.join(names)});"]
    lines += [f"  input {pin.name};" for pin in cell.inputs]
    lines += [f"  output {pin.name};" for pin in cell.outputs]
    if cell.register:
        lines += _state(cell.register, delay)
        delay = ""
    lines += [
        f"  assign {delay}{pin.name} = {pin.function.verilog};"
        for pin in cell.outputs
        if pin.function
    ]
    return "\n".join([*lines, "endmodule"])


def _state(register: Register, delay: str) -> list[str]:
    """Assignments to the state, which the library names; the inverted state follows it."""
    inverted = register.inverted
    lines = [f"  reg {register.state};"]
    if inverted:
        lines.append(f"  wire {inverted};")
    clear, preset = register.clear, register.preset
    lines.append(f"  wire clock_ = {register.clock.verilog};")
    forces = []
    for name, function in (("clear_", clear), ("preset_", preset)):
        if function:
            lines.append(f"  wire {name} = {function.verilog};")
            forces.append(name)
    moved = f"{delay}{register.data.verilog}"
    state = register.state
    held = " | ".join(forces)
    if register.kind == "ff":
        free = f"if (!({held})) " if forces else ""
        lines.append(f"  always @(posedge clock_) {free}{state} <= {moved};")
    else:
        watched = dict.fromkeys(("clock_", *forces, *register.data.inputs))
        free = f"clock_ & ~({held})" if forces else "clock_"
        lines.append(f"  always @({' or '.join(watched)}) if ({free}) {state} <= {moved};")
    branches = []
    if clear and preset:
        both = {"L": "1'b0", "H": "1'b1", "N": state, "T": f"~{state}"}.get(register.both, "1'bx")
        branches.append(("clear_ & preset_", both))
    branches += [("clear_", "1'b0")] if clear else []
    branches += [("preset_", "1'b1")] if preset else []
    if branches:
        # By level and not by edge: when one of two ends, the other takes effect.
        lines.append(f"  always @({' or '.join(forces)})")
        lines.append(
            "    "
            + " else ".join(f"if ({when}) {state} <= {delay}{value};" for when, value in branches)
        )
    if inverted:
        lines.append(f"  assign {inverted} = ~{state};")
    return lines
