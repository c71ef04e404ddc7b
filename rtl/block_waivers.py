"""`waivers`: what Verilator need not say about the Verilog of one block.

The training core has its own (`rtl.ip_package`).
"""

__all__ = ["waivers"]

_BLOCK = """\
// A unit is given its scalars as they are stored, and rounds their low bits away.
lint_off -rule UNUSEDSIGNAL -file "*TOP.v" -match "Bits of signal*: 'i_channel__payload'*"

// A submodule's operands are one net, and parts of it go by the names of what drives them.
lint_off -rule UNUSEDSIGNAL -file "*TOP.v" -match "Bits of signal*: 'i__payload$*'*"
"""

_UNUSED = """\
// Amaranth computes every sum, difference and shift at its full width and then takes the bits it
// needs; the carries and dropped fractions stay behind in nets that have no name of their own.
lint_off -rule UNUSEDSIGNAL -file "*TOP.v" -match "Bits of signal are not used: '$*"
lint_off -rule UNUSEDSIGNAL -file "*TOP.v" -match "Signal is not used: '$*"

// Data paths have no reset, but a plain submodule of a clock domain with one gets the port.
lint_off -rule UNUSEDSIGNAL -file "*TOP.v" -match "Signal is not used: 'rst'*"
"""

_WIDTHS = """\
// Verilog extends the narrower operand of + - < == and ?:, as Amaranth means it to (the signs are
// explicit).
lint_off -rule WIDTHEXPAND -file "*TOP.v" -match "Operator *"

// Yosys writes "is zero" of a vector as the logical operator !.
lint_off -rule WIDTHTRUNC -file "*TOP.v" -match "Logical operator *"
"""

_STYLE = """\
// Yosys writes a parallel multiplexer as a casez whose items name one select bit each. Exactly one
// is set, so their overlap cannot happen.
lint_off -rule CASEOVERLAP -file "*TOP.v"

// Registers have an initial value beside their reset: FPGAs and two-state simulators start clean.
lint_off -rule PROCASSINIT -file "*TOP.v"

// All modules are in one file, named after the top.
lint_off -rule DECLFILENAME -file "*TOP.v"
"""


def waivers(top: str) -> str:
    """Verilator configuration: each rule with its reason and the narrowest match."""
    parts = (_UNUSED, _BLOCK, _WIDTHS, _STYLE)
    return "`verilator_config\n\n" + "\n".join(parts).replace("TOP.v", f"{top}.v")
