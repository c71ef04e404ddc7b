"""What the comparison units share: their Verilog, and their page."""

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim import tools
from rtl.channel_simulation import Channel, ports_of, run
from rtl.fixup_unit import FixupUnit
from rtl.float_batch_norm import FloatBatchNorm
from rtl.range_norm import RangeNorm
from rtl.verilog import convert
from rtl.wageubn_norm import WageubnNorm

BENCH = """\
`timescale 1ns/1ps
module replay;
  reg clk = 0;
  integer cycle, bad = 0;
  reg [{i_bits}-1:0] inputs [0:{cycles}-1];
  reg [{o_bits}-1:0] outputs [0:{cycles}-1];
  reg [{o_bits}-1:0] masks [0:{cycles}-1];
  reg [{i_bits}-1:0] i;
  wire [{o_bits}-1:0] o;
  unit dut (.clk(clk), .rst(1'b0){connections});
  initial begin
    $readmemh("inputs.hex", inputs);
    $readmemh("outputs.hex", outputs);
    $readmemh("masks.hex", masks);
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      i = inputs[cycle]; #4;
      if (((o ^ outputs[cycle]) & masks[cycle]) !== 0) bad = bad + 1;
      #1 clk = 1; #5 clk = 0;
    end
    $display("%0d cycles, %0d differ", cycle, bad);
    $finish(0);
  end
endmodule
"""


def replay(text: str, trace: list[dict[str, int]], ports: Any, folder: Path) -> str:
    """What Icarus says. A payload without its valid is not compared."""
    connections = ""
    bits = {}
    offsets: dict[str, int] = {}
    for bus, side in (("i", True), ("o", False)):
        offset = 0
        for name, (port, is_input) in ports.items():
            if is_input is side:
                connections += f", .{name}({bus}[{offset + len(port) - 1}:{offset}])"
                offsets[name] = offset
                offset += len(port)
        bits[bus] = offset
    lines: dict[str, list[str]] = {"inputs": [], "outputs": [], "masks": []}
    for cycle in trace:
        words = dict.fromkeys(lines, 0)
        for name, (port, is_input) in ports.items():
            words["inputs" if is_input else "outputs"] |= cycle[name] << offsets[name]
            valid = cycle[name.replace("payload", "valid")] if "payload" in name else 1
            if not is_input and valid:
                words["masks"] |= ((1 << len(port)) - 1) << offsets[name]
        for name, word in words.items():
            lines[name].append(f"{word:x}")
    for name, column in lines.items():
        (folder / f"{name}.hex").write_text("\n".join(column) + "\n")
    bench = BENCH.format(
        i_bits=bits["i"], o_bits=bits["o"], cycles=len(trace), connections=connections
    )
    (folder / "replay.v").write_text(bench)
    (folder / "unit.v").write_text(text)
    iverilog, vvp = (str(tools.find(name).path) for name in ("iverilog", "vvp"))
    files = ["-g2012", "-o", "replay.vvp", "replay.v", "unit.v"]
    subprocess.run([iverilog, *files], cwd=folder, check=True)
    run = [vvp, "-n", "replay.vvp"]
    return subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout


def columns(unit: Any, rng: Any, count: int) -> dict[str, Any]:
    members = unit.i.p.shape().members
    return {name: rng.integers(0, 60, count) for name in members}


def record(unit: Any, rng: Any, count: int, back: int) -> dict[str, int]:
    begin = {name: int(rng.integers(1, 15)) for name in unit.i_channel.p.shape().members}
    begin |= {"count": count}
    if "backward" in begin:
        begin["backward"] = back
    return begin | ({"chunk": 1, "factor": 200} if "chunk" in begin else {})


@pytest.mark.parametrize(
    "kind",
    [
        FixupUnit,
        RangeNorm,
        pytest.param(WageubnNorm, marks=pytest.mark.slow),
        pytest.param(FloatBatchNorm, marks=pytest.mark.slow),
    ],
)
def test_the_verilog_does_in_every_cycle_what_amaranth_simulates(kind: Any, tmp_path: Path) -> None:
    """In the FP32 unit adders and multipliers are instances there, and submodules here."""
    rng = np.random.default_rng(1)
    unit = kind(count_bits=4)
    extremes = [(3, 3)] * 3 if kind is RangeNorm else []
    work = [
        Channel(record(unit, rng, 3, back), columns(unit, rng, 3), passes(kind, back),
                extremes if back else [])
        for back in (0, 1)
    ]  # fmt: skip
    trace: list[dict[str, int]] = []
    run(unit, work, idle=0.2, trace=trace)
    text = convert(kind(count_bits=4), "unit")
    assert replay(text, trace, ports_of(unit), tmp_path) == f"{len(trace)} cycles, 0 differ\n"
    # The comparison is alive: another result than the simulation's shows.
    trace[-1] |= {"i_channel__ready": 0}
    assert replay(text, trace, ports_of(unit), tmp_path) == f"{len(trace)} cycles, 1 differ\n"


def passes(kind: Any, back: int) -> int:
    if kind is FloatBatchNorm:
        return kind.BACKWARD_PASSES if back else kind.FORWARD_PASSES
    return kind.PASSES


def test_the_page_states_the_cycles_of_the_components() -> None:
    page = (Path(__file__).parents[2] / "docs" / "comparison-units.md").read_text()
    for block, unit in (
        ("bn_fp32", FloatBatchNorm()),
        ("bn_wageubn", WageubnNorm()),
        ("bn_range", RangeNorm()),
        ("fixup", FixupUnit()),
    ):
        row = re.search(rf"^\| `{block}` \|.* passes|^\| `{block}` \|(.*\bM \+ .*)\|$", page, re.M)
        assert row
        cells = [cell.strip() for cell in row[1].split("|")]
        for count in (1, 6, 1000):
            numbers = {"M": count, "R": -(-count // 4) * 4}
            forward, backward = (
                eval(re.sub(r"(\d) ([MR])", r"\1 * \2", cell), numbers)  # noqa: S307 - our page
                for cell in cells[-2:]
            )
            if block == "fixup":
                assert forward == backward == unit.cycles(count)
            else:
                assert forward == unit.forward_cycles(count)
                assert backward == unit.backward_cycles(count)
