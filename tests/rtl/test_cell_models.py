"""Generated cell models on Icarus, against the library's own Verilog and against plain Python."""

import itertools
import re
import subprocess
from pathlib import Path

import pytest

from golden.errors import InputError
from rtl.cell_library import Cell, default_liberty, load_library
from rtl.cell_models import cell_models

MINI = Path(__file__).with_name("mini.lib")


def simulate(folder: Path, *texts: str) -> list[str]:
    """Lines that the bench prints."""
    files = []
    for number, text in enumerate(texts):
        files.append(f"part{number}.v")
        (folder / files[-1]).write_text(text)
    subprocess.run(
        ["iverilog", "-g2005", "-s", "bench", "-o", "out", *files], cwd=folder, check=True
    )
    done = subprocess.run(
        ["vvp", "-n", "out"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def compared(cells: list[Cell]) -> str:
    """A bench that prints where `vendor_X` and `X` differ, over all inputs."""
    lines = ["module bench;", "  reg [7:0] v; integer wrong = 0;"]
    checks = []
    for cell in cells:
        inputs = "".join(f", .{pin.name}(v[{k}])" for k, pin in enumerate(cell.inputs))
        for pin in cell.outputs:
            a, b = f"a_{cell.name}_{pin.name}", f"b_{cell.name}_{pin.name}"
            lines += [
                f"  wire {a}, {b};",
                f"  {cell.name} m{a} (.{pin.name}({a}){inputs});",
                f"  vendor_{cell.name} m{b} (.{pin.name}({b}){inputs});",
            ]
            checks.append(f'if ({a} !== {b}) $display("{cell.name} {pin.name} %b", v);')
    lines += ["  initial begin", "    for (v = 0; v < 16; v = v + 1) begin #10;", *checks]
    return "\n".join([*lines, '    end $display("done"); $finish(0); end', "endmodule"])


def test_the_functions_are_those_of_the_library_s_own_verilog(tmp_path: Path) -> None:
    path = default_liberty()
    if path is None or not path.with_suffix(".v").is_file():
        pytest.skip("qflow-tech-osu018 is not installed")
    library = load_library(path)
    cells = [
        cell for cell in library.cells.values()
        if cell.register is None and not any(pin.three_state for pin in cell.outputs)
    ]  # fmt: skip
    assert len(cells) > 20
    vendor = re.sub(r"^module (\w+)", r"module vendor_\1", path.with_suffix(".v").read_text(),
                    flags=re.MULTILINE)  # fmt: skip
    models = cell_models(library, [cell.name for cell in cells])
    assert simulate(tmp_path, vendor, models, compared(cells)) == ["done"]
    # The comparison sees a wrong model.
    wrong = models.replace("assign Y = ~(A & B)", "assign Y = ~(A | B)")
    assert len(simulate(tmp_path, vendor, wrong, compared(cells))) > 1


REGISTERS = """
module bench;
  reg clk = 0, d = 0, rn = 1, sn = 1;
  wire q, qn, l;
  DFF a(.CK(clk), .D(d), .Q(q));
  DFFR b(.CKN(clk), .D(d), .RN(rn), .SN(sn), .QN(qn));
  LATCH c(.G(clk), .D(d), .Q(l));
  task show; #1 $display("%b%b%b", q, qn, l); endtask
  initial begin
    show;
    d = 1; show;
    clk = 1; show;
    d = 0; show;
    clk = 0; show;
    d = 1; show;
    clk = 1; #1 clk = 0; show;
    rn = 0; show;
    sn = 0; show;
    rn = 1; show;
    sn = 1; show;
    $finish(0);
  end
endmodule
"""


def test_registers(tmp_path: Path) -> None:
    """Rising and falling edge, set and reset at any time, reset first when both; a clear latch."""
    models = cell_models(load_library(MINI), ["DFF", "DFFR", "LATCH"])
    assert simulate(tmp_path, models, REGISTERS) == [
        # To a simulator the start is an edge of an inverted clock.
        "x1x", "x1x", "111", "110", "110", "110", "101", "111", "111", "101", "101",
    ]  # fmt: skip


def test_delays_are_the_library_s(tmp_path: Path) -> None:
    bench = """
`timescale 1ns/1ps
module bench;
  reg a = 0; wire y;
  INV i(.A(a), .Y(y));
  initial begin #10 a = 1; end
  always @(y) if ($time > 5) begin $display("%0.3f", $realtime); $finish(0); end
endmodule
"""
    # Two NAND2 inputs are 0.02 pF; the table says 0.125 ns at a transition of 0.1 ns, and 0.128
    # at the output's own 0.125 ns.
    models = cell_models(load_library(MINI), ["INV"], delays=True)
    assert simulate(tmp_path, models, bench) == ["10.128"]


def test_a_cell_without_a_function_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.lib"
    path.write_text(MINI.read_text().replace('function : "A ^ B";', ""))
    with pytest.raises(InputError, match=r"cell XOR2, pin Y: required a function to simulate the"):
        cell_models(load_library(path), ["INV", "XOR2"])


def test_every_input_is_covered() -> None:
    """The bench above counts to 16: no cell has more than four inputs."""
    for path in filter(None, (default_liberty(), MINI)):
        for cell in load_library(path).cells.values():
            assert len(list(itertools.product((0, 1), repeat=len(cell.inputs)))) <= 16
