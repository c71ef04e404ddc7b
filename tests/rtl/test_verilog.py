"""The emitted files: pinned, reproducible, clean, and the same hardware as Amaranth simulates."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim import tools
from rtl import quantizer
from rtl.blocks import COMPARISON_BLOCKS
from rtl.config import CoreConfig
from rtl.hierarchy import Emission, place
from rtl.integration import ports
from rtl.isa import Shift
from rtl.memory import Memory
from rtl.simulation import Job, run
from rtl.verilog import emit, emit_block, write

PORTS_3X2 = """\
input clk
input [127:0] i_instruction__payload
input i_instruction__valid
output i_instruction__ready
input [23:0] i_a__payload
input i_a__valid
output i_a__ready
input [15:0] i_b__payload
input i_b__valid
output i_b__ready
input [63:0] i_x__payload
input i_x__valid
output i_x__ready
input [31:0] i_y__payload
input i_y__valid
output i_y__ready
output [63:0] o__payload
output o__valid
input o__ready
output [63:0] o_status__payload
output o_status__valid
input o_status__ready
input rst
"""


def small(rows: int, columns: int) -> CoreConfig:
    return CoreConfig(
        rows=rows, columns=columns, accumulator_depth=9, tensor_depth=7, loss_classes=11
    )


def module(text: str, name: str) -> str:
    match = re.search(rf"^module {name}\(.*?^endmodule", text, re.DOTALL | re.MULTILINE)
    assert match, name
    return match[0]


def need(command: str) -> str:
    return str(tools.find(command).path)


@pytest.fixture(scope="module")
def emitted() -> dict[str, str]:
    return emit(small(3, 2))


def test_ports_of_the_top_are_pinned(emitted: dict[str, str]) -> None:
    found = re.findall(r"^  ((?:in|out)put .*);$", module(emitted["eoq_core.v"], "eoq_core"), re.M)
    assert sorted(found) == sorted(PORTS_3X2.splitlines())


def test_the_port_map_lists_the_same_ports(emitted: dict[str, str]) -> None:
    table = [
        f"{direction} {name}" if bits == 1 else f"{direction} [{bits - 1}:0] {name}"
        for name, direction, bits, _ in ports(small(3, 2))
    ]
    assert sorted(table) == sorted(PORTS_3X2.splitlines())
    for line in table:
        assert f"| `{line.split()[-1]}` |" in emitted["ports.md"]


def test_there_is_one_module_of_each_kind(emitted: dict[str, str]) -> None:
    text = emitted["eoq_core.v"]
    for name, instances in {
        "eoq_pe": 6,
        "eoq_multiplier": 1,
        "eoq_quantize_lane": 2,
        "eoq_update_lane": 2,
        "eoq_accumulator": 2,
        "eoq_tensor_buffer": 1,
        "eoq_loss_buffer": 1,
    }.items():
        assert len(re.findall(rf"^module {name}\(", text, re.M)) == 1, name
        assert len(re.findall(rf"^  {name} \w+ \($", text, re.M)) == instances, name
    assert "(* keep_hierarchy *)\nmodule eoq_multiplier(" in text


@pytest.mark.parametrize("name", ["eoq_pe", "eoq_quantize_lane", "eoq_update_lane"])
def test_data_paths_have_no_reset(name: str, emitted: dict[str, str]) -> None:
    assert "rst" not in module(emitted["eoq_core.v"], name)


def test_emission_is_reproducible_in_another_process(
    emitted: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from rtl.config import CoreConfig;"
        "from rtl.verilog import emit, emit_block, write; write(emit(CoreConfig(rows=3, columns=2,"
        "accumulator_depth=9, tensor_depth=7, loss_classes=11)), Path(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == emitted


def test_no_path_and_no_date_is_written(emitted: dict[str, str]) -> None:
    for name, text in emitted.items():
        assert not re.search(r"\.py\b|/home|/usr|/tmp|site-packages|\b20\d\d-", text), name
        assert str(Path.cwd()) not in text, name


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtl.verilog._verilog", lambda config: "text\n")
    assert sorted(p.name for p in write(emit(small(1, 1)), tmp_path / "a" / "b")) == [
        "eoq_core.core",
        "eoq_core.v",
        "eoq_core.vlt",
        "files.f",
        "ports.md",
    ]

    def broken(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("rtl.verilog._verilog", broken)
    with pytest.raises(KeyboardInterrupt):
        write(emit(small(1, 1)), tmp_path / "c")
    assert not (tmp_path / "c").exists()

    monkeypatch.setattr("rtl.verilog._verilog", lambda config: "new\n")
    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        write(emit(small(1, 1)), tmp_path / "a" / "b")
    assert len(list((tmp_path / "a" / "b").iterdir())) == 5
    assert (tmp_path / "a" / "b" / "eoq_core.v").read_text() == "text\n"


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (1, 1),
        pytest.param(1, 3, marks=pytest.mark.slow),
        pytest.param(3, 2, marks=pytest.mark.slow),
        pytest.param(4, 4, marks=pytest.mark.slow),
    ],
)
def test_verilator_and_icarus_accept_it(rows: int, columns: int, tmp_path: Path) -> None:
    verilator, iverilog = need("verilator"), need("iverilog")
    config = CoreConfig(rows=rows, columns=columns, accumulator_bits=32 - 8 * (rows > 1))
    write(emit(config), tmp_path)
    for command in (
        [verilator, "--lint-only", "-Wall", "--quiet", "-f", "files.f"],
        [iverilog, "-g2012", "-Wall", "-Wno-timescale", "-t", "null", "eoq_core.v"],
    ):
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, marks=pytest.mark.slow) if block in ("bn_fp32", "bn_wageubn") else block
        for block in COMPARISON_BLOCKS
    ],
)
def test_verilator_and_icarus_accept_the_comparison_blocks(block: str, tmp_path: Path) -> None:
    config = small(1, 1)
    texts = emit_block(block, config)
    assert texts == emit_block(block, config)
    write(texts, tmp_path)
    for command in (
        [need("verilator"), "--lint-only", "-Wall", "--quiet", "-f", "files.f"],
        [need("iverilog"), "-g2012", "-Wall", "-Wno-timescale", "-t", "null", f"eoq_{block}.v"],
    ):
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_yosys_accepts_it(emitted: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "eoq_core.v").write_text(emitted["eoq_core.v"])
    code = (
        "from pyosys import libyosys as y; d = y.Design();"
        "y.run_pass('read_verilog eoq_core.v', d);"
        "y.run_pass('hierarchy -check -top eoq_core', d); y.run_pass('proc', d);"
        "y.run_pass('check -assert', d)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


REPLAY = """\
`timescale 1ns/1ps
module replay;
  reg clk = 0, rst = 0;
  integer cycle, stop, bad = 0;
  reg [{in_bits}-1:0] inputs [0:{cycles}-1];
  reg [{out_bits}-1:0] outputs [0:{cycles}-1];
  reg [{in_bits}-1:0] i;
  wire [{out_bits}-1:0] o;
  wire [{in_bits}-1:0] i_now = i;
  eoq_core dut (.clk(clk), .rst(rst){connections});
  initial begin
    $readmemh("inputs.hex", inputs);
    $readmemh("outputs.hex", outputs);
    // Interrupted by a reset ever later, and in the end not at all.
    for (stop = {first_stop}; stop < {cycles}; stop = stop + {stop_step}) begin
      for (cycle = 0; cycle < stop; cycle = cycle + 1) begin
        i = inputs[cycle]; #5 clk = 1; #5 clk = 0;
      end
      i = 0; rst = 1; #5 clk = 1; #5 clk = 0; rst = 0;
      for (cycle = 0; cycle < {cycles} / 2; cycle = cycle + 1) begin
        i = inputs[cycle]; #4;
        if ((o ^ outputs[cycle]) & {{{mask}}}) bad = bad + 1;
        #1 clk = 1; #5 clk = 0;
      end
      rst = 1; #5 clk = 1; #5 clk = 0; rst = 0;
    end
    if (bad) $display("%0d differ after a reset", bad);
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      i = inputs[cycle]; #4;
      if ((o ^ outputs[cycle]) & {{{mask}}}) begin
        bad = bad + 1;
        if (bad == 1) $display("first difference in cycle %0d", cycle);
      end
      #1 clk = 1; #5 clk = 0;
    end
    $display("%0d cycles, %0d differ", cycle, bad);
    $finish(0);
  end
endmodule
"""


def replay(
    text: str,
    trace: list[dict[str, int]],
    config: CoreConfig,
    folder: Path,
    first_stop: int = 1 << 30,
    stop_step: int = 1,
) -> str:
    """Run a trace of Amaranth's simulator on Icarus, every port in every cycle; what it says.

    Before that, from `first_stop` on, it is broken off by a reset and half of it begun anew.
    A payload without its valid is nobody's business, and is not compared.
    """
    iverilog, vvp = need("iverilog"), need("vvp")
    sides: dict[str, list[tuple[str, int]]] = {"input": [], "output": []}
    for name, direction, bits, _ in ports(config)[2:]:
        sides[direction].append((name, bits))
    connections, offsets = "", {}
    for direction, bus in (("input", "i_now"), ("output", "o")):
        offset = 0
        for name, bits in sides[direction]:
            connections += f",\n    .{name}({bus}[{offset + bits - 1}:{offset}])"
            offsets[name] = offset
            offset += bits
        offsets[direction] = offset
        lines = [
            f"{sum(entry[name] << offsets[name] for name, _ in sides[direction]):x}"
            for entry in trace
        ]
        (folder / f"{direction}s.hex").write_text("\n".join(lines) + "\n")
    mask = ", ".join(
        f"{{{bits}{{o[{offsets[name.replace('payload', 'valid')]}]}}}}"
        if name.endswith("payload")
        else f"{{{bits}{{1'b1}}}}"
        for name, bits in reversed(sides["output"])
    )
    (folder / "replay.v").write_text(
        REPLAY.format(
            in_bits=offsets["input"],
            out_bits=offsets["output"],
            cycles=len(trace),
            connections=connections,
            mask=mask,
            first_stop=first_stop,
            stop_step=stop_step,
        )
    )
    (folder / "eoq_core.v").write_text(text)
    subprocess.run(
        [iverilog, "-g2012", "-o", "replay.vvp", "replay.v", "eoq_core.v"], cwd=folder, check=True
    )
    done = subprocess.run(
        [vvp, "-n", "replay.vvp"], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), pytest.param(3, 2, marks=pytest.mark.slow)])
def test_the_verilog_does_in_every_cycle_what_amaranth_simulates(
    rows: int, columns: int, job_maker: Any, tmp_path: Path
) -> None:
    """Instances in the Verilog and submodules in the simulation are the same hardware."""
    config = small(rows, columns)
    maker = job_maker(config, seed=9)
    jobs = [maker.matmul(), maker.quantize(), maker.shift(), maker.update(), maker.loss()]
    jobs += [maker.any() for _ in range(15)]
    trace: list[dict[str, int]] = []
    run(config, jobs, idle=0.2, stall=0.3, trace=trace)
    said = replay(emit(config)["eoq_core.v"], trace, config, tmp_path)
    assert said == f"{len(trace)} cycles, 0 differ\n"


def test_a_reset_at_any_time_leaves_nothing_behind(
    emitted: dict[str, str], job_maker: Any, tmp_path: Path
) -> None:
    config = small(3, 2)
    maker = job_maker(config, seed=4)
    jobs = [maker.loss(5), maker.matmul(4, 2), maker.quantize(beats=4), maker.update(3)]
    trace: list[dict[str, int]] = []
    run(config, [*jobs, maker.shift(2)], stall=0.2, trace=trace)
    said = replay(emitted["eoq_core.v"], trace, config, tmp_path, first_stop=1, stop_step=3)
    assert said == f"{len(trace)} cycles, 0 differ\n"


@pytest.mark.slow
def test_a_wrong_rounding_constant_reaches_the_verilog_and_shows(
    emitted: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(3, 2)
    trace: list[dict[str, int]] = []
    # Halves: what the constant decides.
    run(config, [Job(Shift(beats=2, shift=1), x=np.array([[1, -1], [3, 4]]))], trace=trace)
    assert replay(emitted["eoq_core.v"], trace, config, tmp_path).endswith(" 0 differ\n")
    monkeypatch.setattr(quantizer, "ROUND_HALF", 0x7FFF)
    assert "first difference" in replay(emit(config)["eoq_core.v"], trace, config, tmp_path)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_one_name_cannot_stand_for_two_sizes() -> None:
    from amaranth.hdl import Module

    emission, m = Emission(), Module()
    place(m, emission, "a", Memory, width=4, depth=4, module_name="eoq_m")
    with pytest.raises(ValueError, match=r"^eoq_m must have the parameters .* not \{'width': 5"):
        place(m, emission, "b", Memory, width=5, depth=4, module_name="eoq_m")
