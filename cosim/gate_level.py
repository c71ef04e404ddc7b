"""Gate-level simulation on Icarus: replays a block's vectors on its mapped netlist, counts toggles.

Inputs change with the clock's edge, as registers' outputs do.

Every output is compared in every cycle with what the RTL gave for the same inputs.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosim import tools
from golden.errors import CheckError
from rtl.cell_library import CellLibrary
from rtl.cell_models import cell_models
from rtl.gate_netlist import GateNetlist

__all__ = ["Replay", "Toggles", "Vectors", "replay"]

_PERIOD_NS = 200
"""Long enough for every path with delays on."""

Vectors = Mapping[str, Sequence[int]]
"""Port -> one value a cycle, as unsigned bits."""


@dataclass
class Toggles:
    """Changes of one net: 0 to 1, and 1 to 0."""

    rise: int = 0
    fall: int = 0


@dataclass(frozen=True)
class Replay:
    """What a replay gave.

    Attributes
    ----------
    cycles:
        Cycles that were compared and counted.
    mismatches:
        Output values that differ from the RTL's, unknown ones included.
    first:
        The first of them in words, empty if there is none.
    toggles:
        Net -> changes over the counted cycles.
    """

    cycles: int
    mismatches: int
    first: str
    toggles: Mapping[int, Toggles]


def replay(
    netlist: GateNetlist,
    library: CellLibrary,
    inputs: Vectors,
    outputs: Vectors,
    *,
    settle: int,
    delays: bool = False,
) -> Replay:
    """Drive `inputs`, compare `outputs`, count toggles.

    Parameters
    ----------
    netlist:
        A block with the clock `clk` and the reset `rst`, as far as it has any.
    inputs, outputs:
        One value a cycle for every port but the clock. An output's value belongs to the end of
        the cycle, just before the clock's edge.
    settle:
        Cycles at the start in which nothing is compared or counted: registers without a reset
        start unknown.
    delays:
        Whether cells have delays (`rtl.cell_models`); hazards then count as toggles.

    Raises
    ------
    InputError
        If Icarus is missing, or a cell cannot be simulated.
    CheckError
        If Icarus breaks down.
    """
    compiler, runtime = tools.find("iverilog"), tools.find("vvp")
    cycles = len(next(iter(inputs.values())))
    used = {gate.kind for gate in netlist.gates}
    with tempfile.TemporaryDirectory(prefix="eoq-gates-") as name:
        folder = Path(name)
        (folder / "cells.v").write_text(cell_models(library, used, delays=delays))
        (folder / "netlist.v").write_text(netlist.verilog)
        widths = {port: len(netlist.inputs[port]) for port in inputs}
        wanted = {port: len(netlist.outputs[port]) for port in outputs}
        (folder / "inputs.hex").write_text(_hexadecimal(inputs, widths, cycles))
        (folder / "outputs.hex").write_text(_hexadecimal(outputs, wanted, cycles))
        (folder / "bench.v").write_text(_bench(netlist, widths, wanted, cycles, settle))
        _run([compiler.path, "-g2005", "-s", "bench", "-o", "gates.vvp", "bench.v", "netlist.v",
              "cells.v"], folder)  # fmt: skip
        said = _run([runtime.path, "-n", "gates.vvp"], folder)
        differ = re.findall(r"^DIFFER (.*)$", said, re.MULTILINE)
        toggles = _toggles(folder / "gates.vcd", netlist)
    return Replay(cycles - settle, len(differ), differ[0] if differ else "", toggles)


def _hexadecimal(vectors: Vectors, widths: Mapping[str, int], cycles: int) -> str:
    """One line a cycle: all ports side by side, the first the most significant."""
    lines = []
    for cycle in range(cycles):
        word = 0
        for port, width in widths.items():
            word = word << width | (vectors[port][cycle] & ((1 << width) - 1))
        lines.append(f"{word:x}")
    return "\n".join(lines) + "\n"


def _bench(
    netlist: GateNetlist,
    inputs: Mapping[str, int],
    outputs: Mapping[str, int],
    cycles: int,
    settle: int,
) -> str:
    into, out = sum(inputs.values()), sum(outputs.values())
    lines = ["`timescale 1ns/1ps", "module bench;", "  reg clk = 0, rst = 1;", "  integer n;"]
    # Named anew: a port may have the name of a keyword.
    driven = [f"in_{port}" for port in inputs]
    seen = [f"out_{port}" for port in outputs]
    lines += [f"  reg [{w - 1}:0] in_{port};" for port, w in inputs.items()]
    lines += [f"  wire [{w - 1}:0] out_{port};" for port, w in outputs.items()]
    lines += [
        f"  reg [{into - 1}:0] given [0:{cycles - 1}];",
        f"  reg [{out - 1}:0] wanted [0:{cycles - 1}];",
        f"  wire [{out - 1}:0] got = {{{', '.join(seen)}}};",
        *_instance(netlist, inputs, outputs),
        "  initial begin",
        '    $readmemh("inputs.hex", given);',
        '    $readmemh("outputs.hex", wanted);',
        '    $dumpfile("gates.vcd");',
        # Registers with a reset start as the RTL's do.
        f"    {{{', '.join(driven)}}} = given[0];",
        f"    #{_PERIOD_NS} clk = 1;",
        f"    #{_PERIOD_NS // 2} rst = 0;",
        f"    for (n = 0; n < {cycles}; n = n + 1) begin",
        f"      #{_PERIOD_NS // 4} clk = 0;",
        f"      #{_PERIOD_NS // 4};",
        f"      if (n >= {settle} && got !== wanted[n])",
        '        $display("DIFFER cycle %0d: required %h, got %h", n, wanted[n], got);',
        # What is there before the edge into the first cycle that counts.
        f"      if (n == {max(settle - 1, 0)}) $dumpvars(1, dut);",
        f"      #{_PERIOD_NS // 2};",
        # Inputs behind the registers, which take what was there before the edge.
        f"      if (n < {cycles - 1}) begin",
        f"        clk = 1; {{{', '.join(driven)}}} <= given[n + 1];",
        "      end",
        "    end",
        "    $finish(0);",
        "  end",
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def _instance(
    netlist: GateNetlist, inputs: Mapping[str, int], outputs: Mapping[str, int]
) -> list[str]:
    wires = {"clk": "clk", "rst": "rst"}
    wires |= {p: f"in_{p}" for p in inputs} | {p: f"out_{p}" for p in outputs}
    ports = {p: wires[p] for p in (*netlist.inputs, *netlist.outputs)}
    connections = (f".\\{port} ({wire})" for port, wire in ports.items())
    return [f"  {netlist.top} dut({', '.join(connections)});"]


def _run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own command line
        list(map(str, command)), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CheckError(f"Icarus failed: {(done.stderr or done.stdout)[-500:]}")
    return done.stdout


def _all_watched(netlist: GateNetlist, counts: Mapping[int, Toggles]) -> None:
    """A net that is not in the file would count as one that never changes."""
    nets = {net for gate in netlist.gates for net in gate.pins.values() if net is not None}
    missed = nets - set(counts)
    if missed:
        names = [name for name, bits in netlist.names.items() if missed.intersection(bits)]
        raise CheckError(f"Icarus wrote no changes of {len(missed)} nets: {', '.join(names[:5])}")


def _toggles(path: Path, netlist: GateNetlist) -> dict[int, Toggles]:
    """Count the changes of each net in a VCD; a change from or to unknown is none."""
    counts: dict[int, Toggles] = {}
    watched: dict[str, tuple[Toggles | None, ...]] = {}
    state: dict[str, str] = {}
    # Escaped names have a backslash, which Yosys and Icarus keep or drop each in its own way.
    names = {name.removeprefix("\\"): nets for name, nets in netlist.names.items()}
    with path.open() as file:
        for line in file:
            if line.startswith("$var"):
                _, _, _, code, name, *_ = line.split()
                nets = names.get(name.removeprefix("\\"), ())
                # Of several names of one net the first is watched.
                watched[code] = tuple(
                    counts.setdefault(net, Toggles()) if net is not None and net not in counts
                    else None for net in reversed(nets)
                )  # fmt: skip
            elif line.startswith("$enddefinitions"):
                break
        _all_watched(netlist, counts)
        for line in file:
            first = line[0]
            if first in "01xz":
                code, value = line[1:].strip(), first
            elif first == "b":
                value, code = line[1:].split()
            else:
                continue
            columns = watched.get(code)
            if not columns:
                continue
            # VCD drops leading zeros, and repeats a leading x or z.
            fill = value[0] if value[0] in "xz" else "0"
            value = value.rjust(len(columns), fill)
            before = state.get(code)
            state[code] = value
            if before is None or before == value:
                continue
            for old, new, count in zip(before, value, columns, strict=True):
                if count is not None and old != new:
                    if new == "1" and old == "0":
                        count.rise += 1
                    elif new == "0" and old == "1":
                        count.fall += 1
    return counts
