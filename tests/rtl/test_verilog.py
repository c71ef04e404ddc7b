"""Verilog of blocks: reproducible, clean, and the same hardware as Amaranth simulates."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Value
from amaranth.lib import wiring

from cosim import tools
from cosim.block_energy import rtl_vectors
from rtl import quantizer
from rtl.blocks import COMPARISON_BLOCKS, make
from rtl.config import CoreConfig
from rtl.hierarchy import Emission, place
from rtl.memory import Memory
from rtl.vector_lane import LaneSettings
from rtl.verilog import convert, emit_block, write

SMALL = CoreConfig(
    rows=3, columns=2, loss_classes=11, scratchpad_page_bytes=256, results_page_depth=16
)


def need(command: str) -> str:
    return str(tools.find(command).path)


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a.v": "text\n", "files.f": "a.v\n"}
    folder = tmp_path / "a" / "b"
    assert sorted(path.name for path in write(texts, folder)) == sorted(texts)

    def broken(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        write({"a.v": "new\n"}, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(texts)
    assert (folder / "a.v").read_text() == "text\n"


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, marks=pytest.mark.slow) if block in ("bn_fp32", "bn_wageubn") else block
        for block in COMPARISON_BLOCKS
    ],
)
def test_verilator_and_icarus_accept_the_comparison_blocks(block: str, tmp_path: Path) -> None:
    texts = emit_block(block, SMALL)
    assert texts == emit_block(block, SMALL)
    write(texts, tmp_path)
    for command in (
        [need("verilator"), "--lint-only", "-Wall", "--quiet", "-f", "files.f"],
        [need("iverilog"), "-g2012", "-Wall", "-Wno-timescale", "-t", "null", f"eoq_{block}.v"],
    ):
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


REPLAY = """\
`timescale 1ns/1ps
module replay;
  reg clk = 0;
  integer cycle, bad = 0;
  reg [{in_bits}-1:0] inputs [0:{cycles}-1];
  reg [{out_bits}-1:0] outputs [0:{cycles}-1];
  reg [{in_bits}-1:0] i;
  wire [{out_bits}-1:0] o;
  {top} dut (.clk(clk){connections});
  initial begin
    $readmemh("inputs.hex", inputs);
    $readmemh("outputs.hex", outputs);
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      i = inputs[cycle]; #4;
      if (o !== outputs[cycle]) begin
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
    text: str, top: str, inputs: dict[str, list[int]], outputs: dict[str, list[int]],
    widths: dict[str, int], folder: Path,
) -> str:  # fmt: skip
    """Run on Icarus what Amaranth simulated, every port in every cycle; what it says."""
    bits, connections = {}, ""
    if " rst;" in text[text.index(f"module {top}(") :].split("endmodule")[0]:
        connections += ",\n    .rst(1'b0)"
    for bus, ports in (("i", inputs), ("o", outputs)):
        offset, words = 0, [0] * len(next(iter(ports.values())))
        for name, values in ports.items():
            width = widths[name]
            connections += f",\n    .{name}({bus}[{offset + width - 1}:{offset}])"
            words = [word | value << offset for word, value in zip(words, values, strict=True)]
            offset += width
        bits[bus] = offset
        file = "inputs.hex" if bus == "i" else "outputs.hex"
        (folder / file).write_text("\n".join(f"{word:x}" for word in words) + "\n")
    cycles = len(next(iter(inputs.values())))
    (folder / "replay.v").write_text(
        REPLAY.format(top=top, in_bits=bits["i"], out_bits=bits["o"], cycles=cycles,
                      connections=connections)
    )  # fmt: skip
    (folder / "block.v").write_text(text)
    compile_ = [need("iverilog"), "-g2012", "-o", "replay.vvp", "replay.v", "block.v"]
    subprocess.run(compile_, cwd=folder, check=True)
    run = [need("vvp"), "-n", "replay.vvp"]
    return subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout


def simulated(block: str, cycles: int, seed: int, **fixed: int) -> tuple[Any, ...]:
    """Random inputs of a block but for `fixed` ones, what Amaranth's simulator makes of them, and
    widths of ports."""
    rng = np.random.default_rng(seed)
    component = make(block, SMALL)
    ports = {
        "__".join(map(str, path)): (member.flow, len(Value.cast(port)))
        for path, member, port in component.signature.flatten(component)
    }
    given = {}
    for name, (flow, width) in ports.items():
        if flow == wiring.In:
            words = rng.integers(0, 1 << 16, (cycles, -(-width // 16)))
            given[name] = [
                sum(int(part) << 16 * k for k, part in enumerate(word)) % (1 << width)
                for word in words
            ]
    given |= {name: [value] * cycles for name, value in fixed.items()}
    inputs, outputs = rtl_vectors(component, given)
    return inputs, outputs, {name: width for name, (_, width) in ports.items()}


BLOCKS = ("pe", "mac_array", "quantizer", "vector_lane", "feeder", "product_unit", "vector_unit")


@pytest.mark.parametrize(
    "block",
    [pytest.param(b, marks=pytest.mark.slow) if b in ("vector_lane", "vector_unit") else b
     for b in BLOCKS],
)  # fmt: skip
def test_the_verilog_does_in_every_cycle_what_amaranth_simulates(
    block: str, tmp_path: Path
) -> None:
    """Instances in the Verilog and submodules in the simulation are the same hardware."""
    inputs, outputs, widths = simulated(block, 300, seed=len(block))
    component = make(block, SMALL)
    top = getattr(component, "module_name", f"eoq_{block}")
    assert any(len(set(values)) > 1 for values in outputs.values())
    said = replay(convert(component, top), top, inputs, outputs, widths, tmp_path)
    assert said == "300 cycles, 0 differ\n"


def test_a_wrong_constant_reaches_the_verilog_and_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bytes, as they are, halved: what the constant decides.
    how = LaneSettings().const(
        {"factor": 1, "u_keep": 0xFFFFFFFF, "u_right": 1, "v_none": 1, "shift": 1}
    )
    monkeypatch.setattr(quantizer, "ROUND_HALF", 0x7FFF)
    inputs, outputs, widths = simulated("vector_lane", 200, 2, set=how.as_value().value)
    monkeypatch.undo()
    component = make("vector_lane", SMALL)
    top = component.module_name
    said = replay(convert(component, top), top, inputs, outputs, widths, tmp_path)
    assert said.startswith("first difference in cycle")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_one_name_cannot_stand_for_two_sizes() -> None:
    emission, m = Emission(), Module()
    place(m, emission, "a", Memory, width=4, depth=4, module_name="eoq_m")
    with pytest.raises(ValueError, match=r"^eoq_m must have the parameters .* not \{'width': 5"):
        place(m, emission, "b", Memory, width=5, depth=4, module_name="eoq_m")
