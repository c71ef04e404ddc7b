"""Critical path of a mapped netlist: OpenSTA's where `sta` is installed, else abc's own estimate.

Both see cells and pin loads and no wires, with an ideal clock. Inputs arrive at 0 ns, driven by
nothing, and outputs carry no load, so that what is read is the block's own logic.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from golden.errors import CheckError

__all__ = ["Timing", "abc_delay", "find_sta", "opensta", "sta_version"]

# OpenSTA's seconds are 32-bit floats: a longer period would cost digits of the slack.
_PERIOD_NS = 100.0

_SCRIPT = """
read_liberty cells.lib
read_verilog netlist.v
link_design {top}
if {{[llength [get_ports -quiet clk]]}} {{
  create_clock -name clk -period {period} [get_ports clk]
}} else {{
  create_clock -name clk -period {period}
}}
foreach port [all_inputs] {{
  if {{[get_property $port full_name] ne "clk"}} {{ set_input_delay 0 -clock clk $port }}
}}
set_output_delay 0 -clock clk [all_outputs]
report_checks -path_delay max -format full -digits 6
puts "FROM REGISTERS"
if {{[llength [all_registers -clock_pins]]}} {{
  report_checks -path_delay max -from [all_registers -clock_pins] -format full -digits 6
}}
"""


@dataclass(frozen=True)
class Timing:
    """Longest path, ns: of all, and of those that start at a register (None without one)."""

    delay_ns: float
    from_registers_ns: float | None
    method: str


def find_sta() -> str | None:
    """Return OpenSTA's path, or None if it is not on PATH."""
    return shutil.which("sta")


def sta_version() -> str:
    """Return OpenSTA's version, empty if it is not there."""
    sta = find_sta()
    if sta is None:
        return ""
    done = subprocess.run(  # noqa: S603 - from PATH, which is the user's
        [sta, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def opensta(folder: Path, top: str) -> Timing | None:
    """Return the critical path of folder/netlist.v with the cells of folder/cells.lib.

    None if there is no path, as between memories that were left out.

    Raises
    ------
    CheckError
        If OpenSTA breaks down.
    """
    sta = find_sta()
    if sta is None:
        raise CheckError("OpenSTA is not installed")
    (folder / "sta.tcl").write_text(_SCRIPT.format(top=top, period=_PERIOD_NS))
    done = subprocess.run(  # noqa: S603 - from PATH, which is the user's
        [sta, "-no_init", "-no_splash", "-exit", "sta.tcl"], cwd=folder, env=dict(os.environ),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    (folder / "sta.log").write_text(done.stdout)
    # It goes on behind what it cannot read, without that.
    if wrong := re.search(r"^Error:.*", done.stdout, re.MULTILINE):
        raise CheckError(f"OpenSTA: {wrong[0]}")
    whole, _, registers = done.stdout.partition("FROM REGISTERS")
    delay = _delay(whole)
    if delay is None:
        if "No paths found" in whole:
            return None
        raise CheckError(f"OpenSTA gave no path: {done.stdout[-500:]}")
    return Timing(delay, _delay(registers), f"OpenSTA {sta_version()}, no wires")


def _delay(report: str) -> float | None:
    """Period less slack: the shortest period at which this path holds."""
    match = re.search(r"^\s*(-?[\d.]+)\s+slack \((?:MET|VIOLATED)\)", report, re.MULTILINE)
    return round(_PERIOD_NS - float(match[1]), 4) if match else None


def abc_delay(log: str) -> Timing | None:
    """Return the longest `stime` of any module in a Yosys log: logic alone, no registers."""
    delays = [float(value) for value in re.findall(r"Delay\s*=\s*([\d.]+) ps", log)]
    if not delays:
        return None
    return Timing(max(delays) / 1000, None, "abc stime, logic alone: no register's delay or setup")
