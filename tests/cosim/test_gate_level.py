"""Toggles and energy of small circuits whose every change is known."""

from dataclasses import replace

import pytest

from cosim.energy import price
from cosim.gate_level import Toggles, replay
from golden.errors import CheckError
from rtl.cell_library import CellLibrary
from rtl.gate_netlist import GateNetlist, flatten
from rtl.synthesis import synthesize_verilog

INVERTER = "module inverter(input a, output y); assign y = ~a; endmodule"

COUNTER = """
module counter(input clk, input clear, output [2:0] n);
  reg [2:0] r;
  always @(posedge clk) r <= clear ? 0 : r + 1;
  assign n = r;
endmodule
"""


pytestmark = pytest.mark.usefixtures("synthesis_cache")


def gates(text: str, top: str, library: CellLibrary) -> GateNetlist:
    return flatten(synthesize_verilog(top, text, top, library))


def test_an_inverter_s_energy_is_the_table_s(mini: CellLibrary) -> None:
    netlist = gates(INVERTER, "inverter", mini)
    cycles = 40
    a = [n % 2 for n in range(cycles)]
    found = replay(netlist, mini, {"a": a}, {"y": [1 - v for v in a]}, settle=10)
    assert (found.cycles, found.mismatches, found.first) == (30, 0, "")
    (y,), (pin,) = netlist.outputs["y"], netlist.inputs["a"]
    # The first change is from cycle 9 to cycle 10.
    assert found.toggles == {pin: Toggles(15, 15), y: Toggles(15, 15)}
    energy = price(netlist, mini, found.toggles, found.cycles)
    # No load and a steep input: the tables' first entries. The pin: C V^2 / 2 at 0.01 pF and 2 V.
    assert energy.internal_pj == pytest.approx(15 * 0.010 + 15 * 0.002)
    assert energy.net_pj == pytest.approx(30 * 0.01 * 4 / 2)
    assert (energy.clock_pj, energy.leakage_nw) == (0, 1.0)


def test_a_counter_toggles_as_it_counts(mini: CellLibrary) -> None:
    netlist = gates(COUNTER, "counter", mini)
    cycles, settle = 4 + 64, 4
    clear = [1] * 2 + [0] * (cycles - 2)
    n = [0] * 2 + [k % 8 for k in range(cycles - 2)]
    found = replay(netlist, mini, {"clear": clear}, {"n": n}, settle=settle)
    assert found.mismatches == 0
    rises = [found.toggles[net].rise for net in netlist.outputs["n"]]
    falls = [found.toggles[net].fall for net in netlist.outputs["n"]]
    assert (rises, falls) == ([32, 16, 8], [32, 16, 8])
    energy = price(netlist, mini, found.toggles, found.cycles)
    # Three clock pins: both edges' own energy at a steep clock, and C V^2 of 0.02 pF, a cycle.
    assert energy.clock_pj == pytest.approx(64 * 3 * (0.03 + 0.05 + 0.02 * 4))
    assert energy.dynamic_pj == energy.clock_pj + energy.internal_pj + energy.net_pj


def test_a_wrong_output_and_an_unknown_one_are_told(mini: CellLibrary) -> None:
    netlist = gates(COUNTER, "counter", mini)
    clear = [1] * 2 + [0] * 8
    n = [0] * 2 + [k % 8 for k in range(8)]
    found = replay(netlist, mini, {"clear": clear}, {"n": [*n[:7], 2, *n[8:]]}, settle=3)
    assert (found.mismatches, found.first) == (1, "cycle 7: required 2, got 5")
    unknown = replay(netlist, mini, {"clear": [0] * 10}, {"n": n}, settle=2)
    assert (unknown.mismatches, unknown.first) == (8, "cycle 2: required 0, got x")


def test_a_wrong_gate_is_seen(mini: CellLibrary) -> None:
    netlist = gates(COUNTER, "counter", mini)
    broken = replace(netlist, verilog=netlist.verilog.replace("NOR2 ", "NAND2 ", 1))
    assert broken.verilog != netlist.verilog
    n = [0] * 2 + [k % 8 for k in range(30)]
    found = replay(broken, mini, {"clear": [1] * 2 + [0] * 30}, {"n": n}, settle=3)
    assert found.mismatches > 0


def test_hazards_count_only_with_delays(mini: CellLibrary) -> None:
    """a ^ (a inverted often) is constant, but for a pulse where the two meet apart in time."""
    chain = "module top(input a, output y);\n  wire [5:0] w;\n  assign w[0] = a;\n" + "".join(
        f"  INV i{k}(.A(w[{k}]), .Y(w[{k + 1}]));\n" for k in range(5)
    ) + "  XOR2 x(.A(a), .B(w[5]), .Y(y));\nendmodule\n"  # fmt: skip
    cells = "".join(
        f"(* blackbox *) module {n}({p}, output Y); endmodule\n"
        for n, p in (("INV", "input A"), ("XOR2", "input A, input B"))
    )
    netlist = gates(cells + chain, "top", mini)
    a = [n % 2 for n in range(20)]
    still, moving = (
        replay(netlist, mini, {"a": a}, {"y": [1] * 20}, settle=2, delays=delays)
        for delays in (False, True)
    )
    (y,) = netlist.outputs["y"]
    assert still.mismatches == moving.mismatches == 0
    assert still.toggles[y] == Toggles(0, 0)
    assert moving.toggles[y] == Toggles(18, 18)


def test_icarus_that_fails_is_a_check_error(mini: CellLibrary) -> None:
    netlist = replace(gates(INVERTER, "inverter", mini), verilog="module")
    with pytest.raises(CheckError, match=r"^Icarus failed: "):
        replay(netlist, mini, {"a": [0]}, {"y": [1]}, settle=0)
