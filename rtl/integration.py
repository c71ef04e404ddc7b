"""What goes with the Verilog: file list, Verilator waivers, FuseSoC description, port map.

Pure text; ports and encodings come from `rtl.isa` and `rtl.config`, the tables the hardware is
built from.
"""

from rtl import isa
from rtl.config import CoreConfig

__all__ = ["file_list", "fusesoc_core", "port_map", "ports", "waivers"]

_CORE = """\
// Every unit is given the whole instruction word and the whole operand lane, and uses its fields.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'instruction'*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'i_x__payload'*"
"""

_BLOCK = """\
// A unit is given its scalars as they are stored, and rounds their low bits away.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'i_channel__payload'*"

// A submodule's operands are one net, and parts of it go by the names of what drives them.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'i__payload$*'*"
"""

_UNUSED = """\
// Amaranth computes every sum, difference and shift at its full width and then takes the bits it
// needs; the carries and dropped fractions stay behind in nets that have no name of their own.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal are not used: '$*"
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: '$*"

// An update shifts by at most 10: the upper bits of its quantiser's shift are constants, and are
// connected as such.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Bits of signal*: 'shift'*"

// Data paths have no reset, but a plain submodule of a clock domain with one gets the port.
lint_off -rule UNUSEDSIGNAL -file "*eoq_core.v" -match "Signal is not used: 'rst'*"
"""

_WIDTHS = """\
// Verilog extends the narrower operand of + - < == and ?:, as Amaranth means it to (the signs are
// explicit).
lint_off -rule WIDTHEXPAND -file "*eoq_core.v" -match "Operator *"

// Yosys writes "is zero" of a vector as the logical operator !.
lint_off -rule WIDTHTRUNC -file "*eoq_core.v" -match "Logical operator *"
"""

_STYLE = """\
// Yosys writes a parallel multiplexer as a casez whose items name one select bit each. Exactly one
// is set, so their overlap cannot happen.
lint_off -rule CASEOVERLAP -file "*eoq_core.v"

// Registers have an initial value beside their reset: FPGAs and two-state simulators start clean.
lint_off -rule PROCASSINIT -file "*eoq_core.v"

// All modules are in one file, named after the top.
lint_off -rule DECLFILENAME -file "*eoq_core.v"
"""


def file_list(top: str = "eoq_core") -> str:
    """Arguments for Verilator, relative to the file itself (`verilator -F DIR/files.f`)."""
    return f"{top}.vlt\n{top}.v\n"


def waivers(top: str = "eoq_core") -> str:
    """Verilator configuration: each rule with its reason and the narrowest match."""
    parts = (_UNUSED, _CORE if top == "eoq_core" else _BLOCK, _WIDTHS, _STYLE)
    return "`verilator_config\n\n" + "\n".join(parts).replace("eoq_core.v", f"{top}.v")


def fusesoc_core(config: CoreConfig) -> str:
    """FuseSoC CAPI2 description."""
    return f"""\
CAPI=2:
name: "eoqkit::eoq_core:0.1.0"
description: "{config.rows}x{config.columns} int8 training core"

filesets:
  rtl:
    files:
      - eoq_core.v
    file_type: verilogSource
  waivers:
    files:
      - eoq_core.vlt
    file_type: vlt

targets:
  default: &default
    filesets: [rtl]
    toplevel: eoq_core
  lint:
    <<: *default
    filesets: [rtl, waivers]
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""


def ports(config: CoreConfig) -> list[tuple[str, str, int, str]]:
    """Top-level ports: (name, direction, bits, meaning), streams as payload, valid, ready."""
    r, c = config.rows, config.columns
    streams = [
        ("i_instruction", "input", isa.INSTRUCTION_BITS, "instruction words"),
        ("i_a", "input", 8 * r, f"{r} lanes of int8: streamed rows of MATMUL"),
        ("i_b", "input", 8 * c, f"{c} lanes of int8: stationary rows of MATMUL"),
        ("i_x", "input", 32 * c, f"{c} lanes of 32 bits: operands of the other instructions"),
        ("i_y", "input", 16 * c, f"{c} lanes of 16 bits: second operands"),
        ("o", "output", 32 * c, f"{c} lanes of 32 bits: results"),
        ("o_status", "output", isa.STATUS_BITS, "one record for each instruction"),
    ]
    table = [
        ("clk", "input", 1, "clock, rising edge"),
        ("rst", "input", 1, "reset, synchronous, active high"),
    ]
    for name, direction, bits, meaning in streams:
        back = "output" if direction == "input" else "input"
        table += [
            (f"{name}__payload", direction, bits, meaning),
            (f"{name}__valid", direction, 1, "payload is valid, and stays so until it is taken"),
            (f"{name}__ready", back, 1, "payload is taken in a cycle with valid and ready"),
        ]
    return table


def _markdown(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def _fields(fields: dict[str, isa.Field]) -> str:
    return _markdown(
        ("field", "bits", "type"),
        [
            (
                f"`{name}`",
                f"{field.offset + field.width - 1}:{field.offset}",
                f"{'signed' if field.signed else 'unsigned'} {field.width}",
            )
            for name, field in fields.items()
        ],
    )


_USES = {
    isa.Opcode.MATMUL: "`count` rows, `tiles`",
    isa.Opcode.QUANTIZE: "`count` beats, `pre`, `shift` of i_y, `stochastic`, `key`, `index`",
    isa.Opcode.SHIFT: "`count` beats, `shift`, `stochastic`, `key`, `index`",
    isa.Opcode.UPDATE: "`count` beats, `applied`, `decay`, `key`, `index`, `wide`",
    isa.Opcode.LOSS: "`count` classes, `label`, `shift` = exponent of the logits, `bias_shift`",
}


def port_map(config: CoreConfig) -> str:
    """Markdown: ports of `eoq_core`, lanes, instruction and status encoding, error codes."""
    parts = [
        f"# eoq_core, {config.rows} rows x {config.columns} columns\n",
        _markdown(
            ("parameter", "value"),
            [
                ("accumulator_bits", config.accumulator_bits),
                ("largest safe reduction K", config.largest_reduction),
                ("accumulator_depth (rows of a MATMUL)", config.accumulator_depth),
                ("tensor_depth (beats of a QUANTIZE)", config.tensor_depth),
                ("loss_classes (classes of a LOSS)", config.loss_classes),
            ],
        ),
        "## Ports\n\nLane 0 is in the lowest bits of a payload.\n",
        _markdown(
            ("port", "direction", "bits", "meaning"),
            [(f"`{name}`", *rest) for name, *rest in ports(config)],
        ),
        f"## Instruction, {isa.INSTRUCTION_BITS} bits\n\n"
        "Unused fields are ignored and should be zero.\n",
        _fields(isa.INSTRUCTION_FIELDS),
        _markdown(
            ("opcode", "name", "uses"),
            [(int(opcode), opcode.name, _USES[opcode]) for opcode in isa.Opcode],
        ),
        _markdown(("pre", "name"), [(int(pre), pre.name) for pre in isa.Pre]),
        f"## Status, {isa.STATUS_BITS} bits\n\n"
        "`cycles` counts from the acceptance of the instruction to the first cycle in which the\n"
        "record is valid, both included.\n",
        _fields(isa.STATUS_FIELDS),
        _markdown(("error", "name"), [(int(error), error.name) for error in isa.Error]),
    ]
    return "\n".join(parts)
