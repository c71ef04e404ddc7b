"""Everything that goes with the training core's Verilog; the same bytes every time.

Verilog of the logic and of the memories, file list, Verilator waivers, FuseSoC description, and the
pages an integrator needs: ports, registers, instruction words, memories.
"""

import re
from collections import Counter
from collections.abc import Mapping

from amaranth.hdl import Value
from amaranth.lib import wiring

from rtl import register_map
from rtl.config import CoreConfig
from rtl.memory import Memory
from rtl.training_core import TrainingCore, core_signature
from rtl.verilog import convert_modules
from rtl.word_pages import markdown_table, words_markdown

__all__ = ["TOP", "package", "ports"]

TOP = "eoq_core"
"""Verilog module at the top."""


def package(config: CoreConfig) -> dict[str, str]:
    """Text of every file by name."""
    text, shared = convert_modules(TrainingCore(config=config), TOP, separator="_")
    memories = {name: part for name, part in shared.items() if isinstance(part, Memory)}
    logic, storage = _split(text, memories)
    return {
        f"{TOP}.v": logic,
        "eoq_memories.v": storage,
        f"{TOP}.vlt": _WAIVERS,
        "files.f": f"{TOP}.vlt\neoq_memories.v\n{TOP}.v\n",
        f"{TOP}.core": _fusesoc(config),
        "ports.md": _ports_page(config),
        "registers.md": "# Registers, over AXI4-Lite\n\n" + register_map.markdown(),
        "instructions.md": words_markdown(),
        "memories.md": _memories_page(memories, _instances(text)),
    }


def _split(text: str, memories: Mapping[str, Memory]) -> tuple[str, str]:
    """`text` without the memories' modules, and those."""
    first = text.split("\n", 1)[0]
    names = "|".join(memories)
    modules = re.compile(rf"^module (?:{names})\(.*?^endmodule\n+", re.DOTALL | re.MULTILINE)
    return modules.sub("", text), f"{first}\n\n" + "".join(modules.findall(text))


def _instances(text: str) -> Counter[str]:
    """How often each module is in the top, directly or in others."""
    inside: dict[str, Counter[str]] = {}
    modules = re.compile(r"^module (\S+?) ?\((.*?)^endmodule", re.DOTALL | re.MULTILINE)
    for name, body in modules.findall(text):
        inside[name] = Counter(re.findall(r"^  (\S+) \S+ +\($", body, re.MULTILINE))
    total: Counter[str] = Counter()

    def walk(name: str, times: int) -> None:
        total[name] += times
        for part, count in inside.get(name, Counter()).items():
            walk(part, times * count)

    walk(TOP, 1)
    return total


_MEANINGS = {
    "valid": "the channel's other signals are valid, and stay so until they are taken",
    "ready": "they are taken in a cycle with valid and ready",
    "id": "of the transfer",
    "addr": "byte address",
    "len": "beats of the burst, less one",
    "size": "bytes of a beat, log2: the whole width, always",
    "burst": "incrementing, always",
    "data": "data",
    "strb": "bytes that are written",
    "last": "last beat of the burst",
    "resp": "0 if all is well",
}
_CHANNELS = {
    "aw": "write address", "w": "write data", "b": "write response", "ar": "read address",
    "r": "read data",
}  # fmt: skip


def ports(config: CoreConfig) -> list[tuple[str, str, int, str]]:
    """Ports of the top: (name, direction, bits, meaning)."""
    table = [
        ("clk", "input", 1, "clock, rising edge"),
        ("rst", "input", 1, "reset, synchronous, active high"),
    ]
    signature = core_signature(config)
    for path, member, value in signature.flatten(signature.create()):
        direction = "input" if member.flow == wiring.In else "output"
        meaning = "interrupt request, high until software clears what is pending"
        if len(path) > 1:
            channel = next(c for c in ("aw", "ar", "w", "b", "r") if str(path[1]).startswith(c))
            meaning = f"{_CHANNELS[channel]}: {_MEANINGS[str(path[1])[len(channel) :]]}"
        name = "_".join(map(str, path))
        table.append((name, direction, len(Value.cast(value)), meaning))
    return table


def _ports_page(config: CoreConfig) -> str:
    line = config.line_bytes
    return "\n".join(
        [
            f"# {TOP}, {config.rows} rows x {config.columns} columns\n",
            markdown_table(
                ("parameter", "value"),
                [
                    ("accumulator_bits", config.accumulator_bits),
                    ("largest safe reduction K", config.largest_reduction),
                    ("activation_bits (streamed operand of the array)", config.activation_bits),
                    ("bytes of a line: of the bus, of the scratchpad", line),
                    (
                        "scratchpad, pages x bytes",
                        f"{config.scratchpad_pages} x {config.scratchpad_page_bytes}",
                    ),
                    (
                        f"results memory, pages x words of {config.columns} sums",
                        f"{config.results_pages} x {config.results_page_depth}",
                    ),
                    ("loss_classes (most classes of a loss)", config.loss_classes),
                ],
            ),
            "## Ports\n\n`m_axi` is an AXI4 manager: id 0 fetches the program, id 1 is the DMA. It"
            " leaves out what\nnever changes and has a default in the specification (lock, cache,"
            " prot, qos, region, user).\n`s_axil` is an AXI4-Lite subordinate with 32-bit data.\n",
            markdown_table(
                ("port", "direction", "bits", "meaning"),
                [(f"`{name}`", *rest) for name, *rest in ports(config)],
            ),
        ]
    )


def _memories_page(memories: Mapping[str, Memory], instances: Mapping[str, int]) -> str:
    rows = [
        (f"`{name}`", memory.depth, memory.width, instances[name],
         instances[name] * memory.depth * memory.width)
        for name, memory in memories.items()
    ]  # fmt: skip
    return "\n".join(
        [
            "# Memories\n",
            _MEMORIES,
            markdown_table(("module", "words", "bits", "instances", "bits in all"), rows),
        ]
    )


_MEMORIES = """\
All in `eoq_memories.v`, one module a kind: an ASIC flow puts its macros there. Each has one read
and one write port on `clk`: in a cycle with `r_enable` the word at `r_address` is read and is on
`r_data` in the next cycle; in one with `w_enable` `w_data` is stored at `w_address`, and every read
of a later cycle sees it. `r_data` may be anything in all other cycles, and so may a word that is
read and written in the same cycle: the core never looks at either. What the memories hold at first
does not matter.
"""


def _fusesoc(config: CoreConfig) -> str:
    """FuseSoC CAPI2 description."""
    return f"""\
CAPI=2:
name: "eoqkit::{TOP}:0.1.0"
description: "{config.rows}x{config.columns} int8 training core"

filesets:
  memories:
    files:
      - eoq_memories.v
    file_type: verilogSource
  rtl:
    files:
      - {TOP}.v
    file_type: verilogSource
  waivers:
    files:
      - {TOP}.vlt
    file_type: vlt

targets:
  default: &default
    filesets: [memories, rtl]
    toplevel: {TOP}
  lint:
    <<: *default
    filesets: [waivers, memories, rtl]
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""


_WAIVERS = """\
`verilator_config

// Amaranth computes every sum, difference and shift at its full width and then takes the bits it
// needs; the carries and dropped fractions stay behind in nets that have no name of their own.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal are not used: '$*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: '$*"

// A submodule is given a whole word of the program, or all that its kind of word has set up, and
// uses the fields that are its own. (What has no name of its own goes by the name port$.)
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'unit__i__payload'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'what'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'strides'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: '?_loops'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'multiply'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'port$*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'port$*"

// So it is with what goes down the vector unit's pipeline beside a beat.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'x_beat'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'beat_*"

// Registers are addressed by words. A label is a scalar, of which as many bits count as there are
// classes. The pitch of a word may be more than the scratchpad has lines.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'bus__a?addr'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'label'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'b__pitch'*"

// Scalars come one byte at a time, by lane 0. An array with fewer rows or columns than a line has
// bytes leaves the others. The last bank's row is the address itself, and goes by that name.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'x__data'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: '?_line_turned_?'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'w__data$*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: '?_rows'*"

// One row takes vectors as they come, inside a block and outside.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'block'*"

// Port A of the scratchpad comes first, so it is always ready. There is one write at a time, so its
// response's id says nothing. Both readers of the bus are given the same data.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'a__ready'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'm_axi_bid'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'first__r*"

// Data paths have no reset, but a plain submodule gets the ports of those that its parents have.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'rst'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'unit__abort'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'stop'*"

// Verilog extends the narrower operand of + - < == and ?:, as Amaranth means it to (the signs are
// explicit).
lint_off -rule WIDTHEXPAND -file "*eoq_core.v" -match "Operator *"

// Yosys writes "is zero" of a vector as the logical operator !, and an element that is chosen by
// an index as a shift.
lint_off -rule WIDTHTRUNC -file "*eoq_core.v" -match "Logical operator *"
lint_off -rule WIDTHTRUNC -file "*eoq_core.v" -match "Operator ASSIGNW expects * RHS's SHIFTR *"

// Yosys writes a parallel multiplexer as a function of a, b and s, with a casez whose items name
// one select bit each. Exactly one is set, so their overlap cannot happen.
lint_off -rule CASEOVERLAP -file "*eoq_core.v"
lint_off -rule VARHIDDEN -file "*eoq_core.v" -match "*: 'a'*"
lint_off -rule VARHIDDEN -file "*eoq_core.v" -match "*: 'b'*"

// Registers have an initial value beside their reset: FPGAs and two-state simulators start clean.
lint_off -rule PROCASSINIT -file "*eoq_core.v"

// All modules of a kind are in one file.
lint_off -rule DECLFILENAME -file "*eoq_core.v"
lint_off -rule DECLFILENAME -file "*eoq_memories.v"
"""
