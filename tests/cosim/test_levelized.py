"""Simulation by levels gives what Icarus gives without delays, to the last toggle."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.lib import wiring

from cosim.block_energy import rtl_vectors
from cosim.gate_level import Toggles, replay
from cosim.levelized import replay_levelized
from golden.errors import CheckError, InputError
from rtl.blocks import make
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.gate_netlist import Gate, GateNetlist, flatten
from rtl.synthesis import synthesize, synthesize_verilog

CONFIG = CoreConfig(rows=4, columns=4)

# With a reset: what no register is told, it keeps from there.
COUNTER = """
module counter(input clk, input rst, input enable, output [2:0] n, output odd);
  reg [2:0] r;
  always @(posedge clk) if (rst) r <= 5; else if (enable) r <= r + 1;
  assign n = r;
  assign odd = r[0];
endmodule
"""

pytestmark = pytest.mark.usefixtures("synthesis_cache")


def gates(text: str, top: str, library: CellLibrary) -> GateNetlist:
    return flatten(synthesize_verilog(top, text, top, library))


@pytest.mark.parametrize("block", ["pe", "quantizer", "feeder"])
def test_every_toggle_is_icarus_s(block: str, mini: CellLibrary) -> None:
    netlist = flatten(synthesize(block, CONFIG, mini))
    component = make(block, CONFIG)
    rng = np.random.default_rng(1)
    given = {
        "__".join(map(str, path)): rng.integers(0, 1 << len(Value.cast(port)), 200)
        for path, member, port in component.signature.flatten(component)
        if member.flow == wiring.In
    }
    inputs, outputs = rtl_vectors(component, given)
    theirs, ours = (
        simulate(netlist, mini, inputs, outputs, settle=12)
        for simulate in (replay, replay_levelized)
    )
    assert (ours.cycles, ours.mismatches) == (theirs.cycles, theirs.mismatches) == (188, 0)
    # The clock is the bench's.
    nets = set(ours.toggles) - set(netlist.inputs["clk"])
    assert len(nets) > 300
    assert {net: ours.toggles[net] for net in nets} == {net: theirs.toggles[net] for net in nets}
    assert sum(count.rise for count in ours.toggles.values()) > 1000


@pytest.mark.parametrize("simulate", [replay, replay_levelized])
def test_a_reset_comes_first(simulate, mini: CellLibrary) -> None:
    netlist = gates(COUNTER, "counter", mini)
    n = [(5 + k) % 8 for k in range(17)]
    vectors = {"enable": [1] * 17}, {"n": n, "odd": [k % 2 for k in n]}
    found = simulate(netlist, mini, *vectors, settle=1)
    assert (found.cycles, found.mismatches) == (16, 0)
    assert [found.toggles[net] for net in netlist.outputs["n"]] == [
        Toggles(8, 8), Toggles(4, 4), Toggles(2, 2)
    ]  # fmt: skip


def test_a_wrong_output_is_told_as_icarus_tells_it(mini: CellLibrary) -> None:
    netlist = gates(COUNTER, "counter", mini)
    n = [(5 + k) % 8 for k in range(9)]
    odd = [k % 2 for k in n]
    wrong = {"enable": [1] * 9}, {"n": [*n[:4], 6, *n[5:]], "odd": odd}
    theirs, ours = (
        simulate(netlist, mini, *wrong, settle=2) for simulate in (replay, replay_levelized)
    )
    assert (ours.mismatches, ours.first) == (1, "cycle 4: required d, got 3")
    assert (theirs.mismatches, theirs.first) == (ours.mismatches, ours.first)


def test_what_nobody_sets_differs_from_run_to_run(mini: CellLibrary) -> None:
    """Without a reset: the first value is not the RTL's but by chance."""
    text = COUNTER.replace("input rst, ", "").replace("if (rst) r <= 5; else ", "")
    netlist = gates(text, "counter", mini)
    n = [k % 8 for k in range(9)]
    vectors = {"enable": [1] * 9}, {"n": n, "odd": [k % 2 for k in n]}
    found = [
        replay_levelized(netlist, mini, *vectors, settle=1, seed=seed).mismatches
        for seed in range(8)
    ]
    assert set(found) == {0, 8}


def test_constants_on_pins(mini: CellLibrary) -> None:
    text = """
    (* blackbox *) module NAND2(input A, input B, output Y); endmodule
    module top(input a, output y, output z);
      NAND2 high(.A(a), .B(1'b1), .Y(y));
      NAND2 low(.A(a), .B(1'b0), .Y(z));
    endmodule
    """
    netlist = gates(text, "top", mini)
    a = [0, 1, 1, 0]
    found = replay_levelized(
        netlist, mini, {"a": a}, {"y": [1 - v for v in a], "z": [1] * 4}, settle=1
    )
    assert found.mismatches == 0


def ring(mini: CellLibrary, kind: str, pins: dict[str, int]) -> GateNetlist:
    netlist = gates(COUNTER, "counter", mini)
    return replace(netlist, gates=(*netlist.gates, Gate(kind, pins, {})))


def test_a_loop_is_told(mini: CellLibrary) -> None:
    netlist = ring(mini, "INV", {"A": 1000, "Y": 1000})
    with pytest.raises(CheckError, match=r"^1 gates form a loop$"):
        replay_levelized(netlist, mini, {"enable": [0, 0]}, {}, settle=0)


@pytest.mark.parametrize(
    ("kind", "pins"),
    [
        ("LATCH", {"G": 1000, "D": 1001, "Q": 1002}),
        ("DFF", {"C": 1000, "D": 1001, "Q": 1002}),  # another clock
    ],
)
def test_a_register_that_has_no_place_in_levels_is_told(
    kind: str, pins: dict[str, int], mini: CellLibrary
) -> None:
    cell = mini.cells[kind]
    assert cell.register
    names = [cell.register.clock.inputs[0], cell.register.data.inputs[0], cell.outputs[0].name]
    netlist = ring(mini, kind, dict(zip(names, pins.values(), strict=True)))
    with pytest.raises(InputError, match=rf"cell {kind}: required a flip-flop on the rising edge"):
        replay_levelized(netlist, mini, {"enable": [0, 0]}, {}, settle=0)
