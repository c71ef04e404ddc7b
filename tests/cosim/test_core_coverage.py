"""Line and toggle coverage: what counts, what is waived, and the limit that the suite holds."""

import json
import os
from pathlib import Path

import pytest

from cosim.constant_bits import Held, constant_bits, netlist
from cosim.core_coverage import CoreCoverage, Tally, core_coverage
from cosim.coverage_waivers import LineWaiver, Waivers, read_waivers
from cosim.junit import junit
from cosim.program_runs import PROGRAM_CORE, run_random_programs
from cosim.regression import run_list
from cosim.regression_list import RunList, read_list
from cosim.verilator_coverage import LinePoint, TogglePoint, read_points
from golden.errors import CheckError, InputError

LIST = Path(__file__).parent / "lists" / "coverage.toml"

DESIGN = """
module part(clk, i, o);
  input clk; input [3:0] i; output [3:0] o;
  reg [3:0] kept = 4'h0;
  reg [3:0] stays = 4'h5;
  wire [3:0] \\$1 ;
  assign \\$1  = kept & 4'h3;
  assign o = \\$1  + 4'h4;
  always @(posedge clk) kept <= i[3] ? i : kept;
  always @(posedge clk) stays <= i[0] ? stays : 4'h5;
endmodule
module top(clk, i, o, p);
  input clk; input [3:0] i; output [3:0] o; output [3:0] p;
  reg [7:0] counter = 8'h0;
  reg [7:0] memory [3:0];
  wire [7:0] held;
  assign held = memory[i[1:0]];
  always @(posedge clk) memory[i[3:2]] <= { 4'h0, i };
  always @(posedge clk) counter <= counter + 8'h2;
  part one(.clk(clk), .i(i), .o(o));
  part two(.clk(clk), .i({ 2'h0, i[1:0] }), .o(p));
endmodule
"""


def test_bits_that_never_change_by_construction() -> None:
    bits = constant_bits(netlist(DESIGN, "top"), "top")
    assert bits["part", "stays"] == {0, 1, 2, 3}
    assert bits["part", "$1"] == {2, 3}
    # In one instance nothing is ever kept, in the other everything may be.
    assert bits["part", "kept"] == set()
    assert bits["part", "o"] == {2, 3}
    assert bits["top", "p"] == {0, 1, 2, 3}
    assert bits["top", "o"] == {2, 3}
    assert bits["top", "counter"] == {0}
    assert bits["top", "held"] == {4, 5, 6, 7}


def test_bits_that_follow_from_what_is_held() -> None:
    design = netlist(DESIGN, "top")
    assert constant_bits(design, "top", [Held("top", "i", 3, 3)])["part", "kept"] == {0, 1, 2, 3}
    held = constant_bits(design, "top", [Held("top", "counter", 4, 7, 1)])
    assert held["top", "counter"] == {0, 4, 5, 6, 7}
    for wrong in (Held("top", "i", 3, 4), Held("top", "none", 0, 0), Held("none", "i", 0, 0)):
        with pytest.raises(InputError, match="held bits must exist, not"):
            constant_bits(design, "top", [wrong])


def point(page: str, where: str, count: int, line: int = 7) -> str:
    fields = {"f": "core.v", "l": line, "n": 3, "page": page, "o": where, "h": "TOP"}
    text = "".join(f"\1{key}\2{value}" for key, value in fields.items())
    return f"C '{text}' {count}\n"


def toggles(signal: str, counts: dict[int, int]) -> str:
    return "".join(
        point("v_toggle/top", f"{signal}[{bit}]:{edge}", count)
        for bit, count in counts.items()
        for edge in ("0->1", "1->0")
    )


def test_files_are_merged_and_names_as_in_the_verilog(tmp_path: Path) -> None:
    first, second = tmp_path / "a.dat", tmp_path / "b.dat"
    text = "# SystemC::Coverage-3\n" + point("v_branch/top", "cond_then", 0)
    text += point("v_toggle/part__02474", "__0241:0->1", 2)
    first.write_text(text)
    second.write_text(text + point("v_line/top", "block", 5))
    found = read_points([first, second])
    assert found == {
        LinePoint("top", 7, 3, "cond_then"): 0,
        LinePoint("top", 7, 3, "block"): 5,
        TogglePoint("part$74", "$1", 0, "0->1"): 4,
    }
    first.write_text("C 'nothing' 3\n")
    with pytest.raises(CheckError, match="must have points, not"):
        read_points([first])


def test_words_of_wide_signals_do_not_count_each_other(tmp_path: Path) -> None:
    # What Verilator 5.052 writes where bit 1 toggles 5 times, bit 65 twice, and nothing else.
    file = tmp_path / "a.dat"
    wide = {bit: {1: 5, 33: 5, 65: 7}.get(bit, 0) for bit in range(70)}
    file.write_text(toggles("wide", wide) + toggles("narrow", {0: 3, 33: 1, 63: 2}))
    found = read_points([file])
    met = {(p.signal, p.bit): n for p, n in found.items() if isinstance(p, TogglePoint) and n}
    assert met == {
        ("wide", 1): 5, ("wide", 65): 2, ("narrow", 0): 3, ("narrow", 33): 1, ("narrow", 63): 2,
    }  # fmt: skip
    # A version without that fault.
    file.write_text(toggles("wide", {bit: {1: 5, 65: 2}.get(bit, 0) for bit in range(70)}))
    right = read_points([file])
    assert right[TogglePoint("top", "wide", 65, "0->1")] == 2
    assert right[TogglePoint("top", "wide", 33, "0->1")] == 0


WAIVERS = """
[[toggle]]
module = "m"
signal = ["a", "b"]
bits = [2, 5]
reason = "none can be met"
[[line]]
module = "m"
code = "default:"
reason = "it is full"
"""


def test_waivers_are_read(tmp_path: Path) -> None:
    file = tmp_path / "waivers.toml"
    file.write_text(WAIVERS)
    assert read_waivers(file) == Waivers(
        {Held("m", name, 2, 5): "none can be met" for name in "ab"},
        {LineWaiver("m", "default:"): "it is full"},
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[toggle]]", "[[toggles]]", "tables must be toggle and line, not 'toggles'"),
        ('reason = "none can be met"', "", "toggle 0: reason must be a str, not None"),
        ('reason = "it is full"', 'reason = ""', "line 0: reason must be a str, not ''"),
        ("[2, 5]", "[5, 2]", r"bits must be \[lowest, highest\], not \[5, 2\]"),
        ("[2, 5]", "3", r"bits must be \[lowest, highest\], not 3"),
        ('["a", "b"]', "[]", r"signal must be a text or a list of such, not \[\]"),
        ('code = "default:"', "code = 3", "code must be a text or a list of such, not 3"),
        ("bits", "bit", "keys must be .*, not 'bit'"),
        ("[2, 5]", "[2, 5]\nvalue = 2", "value must be 0 or 1, not 2"),
        ("[[line]]", "[[line]", "must be readable TOML"),
    ],
)
def test_a_bad_waiver_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "waivers.toml"
    file.write_text(WAIVERS.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_waivers(file)


def test_every_reason_says_something() -> None:
    waivers = read_list(LIST).waivers
    for reason in (*waivers.bits.values(), *waivers.lines.values()):
        assert len(reason) > 30


@pytest.mark.slow
def test_a_core_is_covered(tmp_path: Path) -> None:
    wanted = read_list(LIST)
    assert (wanted.line_coverage, wanted.toggle_coverage) == (95, 95)
    found = run_list(wanted, tmp_path, workers=os.cpu_count() or 1)
    assert [r.get("error") or r["first_mismatch"] for r in found.results if not r["passed"]] == []
    (core,) = found.coverage
    assert core.wrong_waivers == []
    assert core.lines.percentage >= 95
    assert core.toggles.percentage >= 95
    assert found.passed
    # All that the core has is counted, but for what cannot change and what is waived.
    assert core.toggles.points > 90_000
    assert core.toggles.waived < 0.1 * core.toggles.points
    assert core.lines.waived < 0.02 * core.lines.points
    (kept,) = json.loads((tmp_path / "coverage.json").read_text())
    assert len(kept["missed"]) == len(core.missed) > 0

    # The same runs against limits that they do not reach, and waivers that nothing needs.
    strict = RunList(wanted.runs, every_bin=False, line_coverage=100, toggle_coverage=99.9,
                     waivers=wanted.waivers)  # fmt: skip
    short = run_list(strict, tmp_path)
    assert not short.passed
    assert [name.split()[0] for name, wrong in short.checks.items() if wrong] == ["line", "toggle"]
    xml = junit(short.results, short.missed, short.checks)
    assert 'failures="2"' in xml
    assert "100 % required" in xml
    needless = Waivers(
        {
            Held("eoq_core", "m_axi_awaddr", 20, 20): "met",
            Held("eoq_core", "m_axi_awsize", 0, 1): "constant",
        },
        {LineWaiver("eoq_core", "no such code"): "nothing"},
    )
    files = sorted(tmp_path.glob("*.dat"))
    wrong = core_coverage(PROGRAM_CORE, files, needless).wrong_waivers
    assert "no line that was missed has the waived 'no such code' of eoq_core" in wrong
    assert "waived, but constant anyway: eoq_core m_axi_awsize" in wrong
    assert "waived, but it toggles: eoq_core m_axi_awaddr[20]" in wrong


def test_percentages_are_of_what_counts() -> None:
    assert Tally(200, 150, 10, 5).percentage == 75
    assert Tally(0, 0, 0, 0).percentage == 100
    core = CoreCoverage("1x1", Tally(1, 1, 0, 0), Tally(1, 0, 0, 0), [], [])
    assert core.toggles.percentage == 0


def test_coverage_requires_verilator() -> None:
    with pytest.raises(InputError, match="coverage requires the simulator verilator"):
        run_random_programs(0, "icarus", coverage=True)
