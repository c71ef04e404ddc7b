"""Synthesis against structures that are known, and against a reader of netlists of its own."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from golden.errors import CheckError, InputError
from rtl import timing, yosys
from rtl.cell_library import CellLibrary, default_liberty, load_library
from rtl.config import CoreConfig
from rtl.synthesis import RECIPES, Synthesis, synthesize, synthesize_verilog

MINI = Path(__file__).with_name("mini.lib")
CONFIG = CoreConfig(rows=2, columns=2)

HALF_ADDER = """
module half(input a, input b, output s, output c);
  assign {c, s} = a + b;
endmodule
"""

THREE = (
    HALF_ADDER
    + """
module top(input [2:0] a, input [2:0] b, output [2:0] s, output [2:0] c);
  half h0(a[0], b[0], s[0], c[0]);
  half h1(a[1], b[1], s[1], c[1]);
  half h2(a[2], b[2], s[2], c[2]);
endmodule
"""
)

SHIFT = """
module shift(input clk, input d, output q);
  reg [4:0] r;
  always @(posedge clk) r <= {r[3:0], d};
  assign q = r[4];
endmodule
"""

MEMORY = """
module storage(input clk, input we, input [3:0] wa, input [3:0] ra, input [7:0] d,
               output reg [7:0] q);
  reg [7:0] m [15:0];
  always @(posedge clk) begin if (we) m[wa] <= d; q <= m[ra]; end
endmodule
module top(input clk, input we, input [3:0] a, input [7:0] d, output [7:0] q, output [7:0] p,
           output x);
  storage first(clk, we, a, a, d, q);
  storage second(clk, we, a, a, d, p);
  assign x = ^q;
endmodule
"""


pytestmark = pytest.mark.usefixtures("synthesis_cache")


def without(cell: str, text: str) -> str:
    """The library without one cell."""
    return re.sub(rf'  cell \("{cell}"\).*?\n  }}\n', "", text, flags=re.DOTALL)


def netlist_cells(result: Synthesis) -> Counter[str]:
    """Cells of the netlist through its hierarchy, counted from its text."""
    modules: dict[str, Counter[str]] = {}
    for name, body in re.findall(
        r"^module (\S+)\(.*?$(.*?)^endmodule", (result.folder / "netlist.v").read_text(),
        re.DOTALL | re.MULTILINE,
    ):  # fmt: skip
        modules[name] = Counter(re.findall(r"^  (\w+) \S+ \($", body, re.MULTILINE))

    def leaves(name: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for kind, n in modules[name].items():
            for leaf, times in (leaves(kind) if kind in modules else Counter({kind: 1})).items():
                total[leaf] += n * times
        return total

    return leaves(result.top)


def test_a_half_adder_is_three_known_cells(mini: CellLibrary) -> None:
    result = synthesize_verilog("half", HALF_ADDER, "half", mini)
    assert result.cells_by_type == {"INV": 1, "NAND2": 1, "XOR2": 1}
    assert (result.area_um2, result.nand2, result.flip_flops) == (80.0, 4.0, 0)
    assert result.from_registers_ns is None


def test_a_module_counts_as_often_as_it_is_placed(mini: CellLibrary) -> None:
    result = synthesize_verilog("top", THREE, "top", mini)
    assert result.cells_by_type == {"INV": 3, "NAND2": 3, "XOR2": 3}
    assert result.area_um2 == 240.0
    assert "module half(" in (result.folder / "netlist.v").read_text()


@pytest.mark.skipif(timing.find_sta() is None, reason="OpenSTA is not installed")
def test_a_shift_register_has_a_known_delay(mini: CellLibrary) -> None:
    """Clock to output 0.3 ns at the load of one D pin, setup 0.2 ns."""
    result = synthesize_verilog("shift", SHIFT, "shift", mini)
    assert result.cells_by_type == {"DFF": 5}
    assert result.flip_flops == 5
    assert (result.delay_ns, result.from_registers_ns) == (0.5, 0.5)
    assert "OpenSTA" in result.method


def test_without_opensta_abc_gives_the_delay_and_is_named(
    mini: CellLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing.shutil, "which", lambda _: None)
    result = synthesize_verilog("half", HALF_ADDER, "half", mini)
    assert "abc stime, logic alone" in result.method
    assert result.delay_ns is not None
    assert 0.1 < result.delay_ns < 1.0


def test_memories_are_left_out_and_counted_in_bits(mini: CellLibrary) -> None:
    result = synthesize_verilog("top", MEMORY, "top", mini)
    assert (result.memory_bits, result.flip_flops) == (2 * 16 * 8, 0)
    assert result.cells_by_type == {"XOR2": 7}
    # Every path begins or ends in a memory: OpenSTA finds none, abc sees logic between ports.
    assert (result.delay_ns is None) == (timing.find_sta() is not None)


def test_without_a_library_gates_count_their_transistors() -> None:
    result = synthesize_verilog("half", HALF_ADDER, "half", None)
    # Four transistors in a NOR, two in an inverter, and four to a NAND2.
    assert result.cells_by_type == {"$_NOR_": 3, "$_NOT_": 2}
    assert (result.area_um2, result.delay_ns, result.nand2) == (None, None, 4.0)
    shift = synthesize_verilog("shift", SHIFT, "shift", None)
    assert (shift.flip_flops, shift.nand2) == (5, 20.0)
    assert "transistors / 4" in shift.method


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_netlist_s_cells_add_up(recipe: str, mini: CellLibrary) -> None:
    result = synthesize("multiplier", CONFIG, mini, recipe=recipe)
    cells = netlist_cells(result)
    assert cells == Counter(result.cells_by_type)
    assert result.area_um2 == sum(n * mini.cells[kind].area for kind, n in cells.items())
    said = json.loads((result.folder / "statistics.json").read_text())
    assert result.area_um2 == float(said["design"]["area"])


@pytest.mark.skipif(default_liberty() is None, reason="qflow-tech-osu018 is not installed")
def test_the_array_is_its_elements_and_little_else() -> None:
    path = default_liberty()
    assert path is not None
    library = load_library(path)
    pe = synthesize("pe", CONFIG, library)
    array = synthesize("mac_array", CONFIG, library)
    assert pe.area_um2 is not None
    assert array.area_um2 is not None
    assert netlist_cells(array) == Counter(array.cells_by_type)
    rest = Counter(array.cells_by_type)
    rest.subtract({kind: 4 * n for kind, n in pe.cells_by_type.items()})
    # What is left is the skew and the sums' entry: not one cell fewer than the elements have, the
    # flip-flops that the array's description says, and little logic around them.
    assert min(rest.values()) >= 0
    skewed_weight, take_chain, sums = 8, 2, 2 * CONFIG.accumulator_bits
    edge = skewed_weight + take_chain + sums
    assert array.flip_flops == 4 * pe.flip_flops + edge
    assert 0 < (array.area_um2 - 4 * pe.area_um2) / edge < pe.area_um2 / pe.flip_flops


def test_the_second_time_it_comes_from_the_cache(mini: CellLibrary) -> None:
    said: list[str] = []
    text = HALF_ADDER.replace("half", "cached")
    first = synthesize_verilog("x", text, "cached", mini, tell=said.append)
    assert (first.cached, len(said)) == (False, 2)
    second = synthesize_verilog("x", text, "cached", mini, tell=said.append)
    assert (second.cached, len(said)) == (True, 2)
    assert second == first
    assert not synthesize_verilog("x", text + "\n", "cached", mini).cached
    assert not synthesize_verilog("x", text, "cached", mini, recipe="speed").cached


def test_what_breaks_leaves_nothing_behind(mini: CellLibrary) -> None:
    with pytest.raises(CheckError, match=r"^Yosys failed: design.v:1: ERROR: syntax error"):
        synthesize_verilog("x", "module broken(", "broken", mini)
    from rtl.cache import cache_folder

    assert not list((cache_folder() / "synthesis").glob(".making-*"))


def test_a_library_without_flip_flops_says_what_can_still_be_done(tmp_path: Path) -> None:
    path = tmp_path / "logic.lib"
    path.write_text(without("DFF", without("DFFR", MINI.read_text())))
    library = load_library(path)
    with pytest.raises(InputError) as refused:
        synthesize_verilog("shift", SHIFT, "shift", library)
    assert str(refused.value) == (
        f"{path}: block shift requires cells for 5 x $_DFF_P_, got none; the library has no "
        "flip-flop; blocks without registers (multiplier) can still be synthesised, and all blocks "
        "without a library"
    )
    assert synthesize_verilog("half", HALF_ADDER, "half", library).area_um2 == 80.0


@pytest.mark.skipif(default_liberty() is None, reason="qflow-tech-osu018 is not installed")
@pytest.mark.parametrize(
    ("old", "new"), [("ff (", "flop ("), ("next_state", "next"), ("clocked_on", "clock")]
)
def test_flip_flops_that_are_not_said_to_be_such_are_named(
    old: str, new: str, tmp_path: Path
) -> None:
    """Their outputs are then functions of nothing, which abc and OpenSTA give up on."""
    path, text = tmp_path / "osu.lib", (default_liberty() or MINI).read_text()
    assert text.count(old) == 3
    path.write_text(text.replace(old, new))
    library = load_library(path)
    with pytest.raises(InputError) as refused:
        synthesize_verilog("shift", SHIFT, "shift", library)
    assert str(refused.value) == (
        f"{path}: block shift requires cells for 5 x $_DFF_P_, got none; the library has no "
        "flip-flop (outputs of DFFNEGX1, DFFPOSX1, DFFSR are functions of DS0000, P0002, which no "
        "pin and no complete ff or latch group of the cell defines); blocks without registers "
        "(multiplier) can still be synthesised, and all blocks without a library"
    )
    half = synthesize_verilog("half", HALF_ADDER, "half", library)
    whole = synthesize_verilog("half", HALF_ADDER, "half", load_library(default_liberty() or MINI))
    assert half.area_um2 == whole.area_um2
    assert "delay: abc" in half.method


def test_one_flip_flop_that_is_none_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "one.lib"
    path.write_text(MINI.read_text().replace('ff ("IQ", "IQ_N")', 'flop ("IQ", "IQ_N")'))
    shift = synthesize_verilog("shift", SHIFT, "shift", load_library(path))
    assert shift.cells_by_type["DFFR"] == shift.flip_flops == 5


def test_no_cell_s_name_becomes_a_command(tmp_path: Path) -> None:
    path, told = tmp_path / "names.lib", tmp_path / "told"
    name = f'"X ; write_json {told} ; #"'
    text = MINI.read_text().replace('clocked_on : "CK"', 'clock : "CK"')
    assert 'cell ("DFF")' in text
    path.write_text(text.replace('cell ("DFF")', f"cell ({name})"))
    library = load_library(path)
    assert list(library.undefined) == [name[1:-1]]
    # Yosys' own reader breaks down at such a name, but that is all.
    with pytest.raises(CheckError):
        synthesize_verilog("half", HALF_ADDER, "half", library)
    assert not told.exists()


@pytest.mark.parametrize("cell", ["INV", "BUF"])
def test_a_library_that_abc_cannot_map_to_is_one_line(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "bare.lib"
    path.write_text(without(cell, MINI.read_text()))
    with pytest.raises(InputError, match=r"required an inverter and a buffer to map logic, got "):
        synthesize_verilog("half", HALF_ADDER, "half", load_library(path))


def test_pyosys_that_is_missing_is_one_line(
    mini: CellLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"^required the Python package pyosys .*, got none, "):
        synthesize_verilog("half", HALF_ADDER, "half", mini)


def test_an_unknown_recipe_is_one_line(mini: CellLibrary) -> None:
    with pytest.raises(InputError, match=r"^recipe must be one of stock, .*, not 'best'$"):
        synthesize_verilog("half", HALF_ADDER, "half", mini, recipe="best")
