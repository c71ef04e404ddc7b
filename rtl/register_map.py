"""Registers that software sees over AXI4-Lite: one table for hardware, documentation and drivers.

Pure Python. Addresses are bytes, registers have 32 bits, and a counter takes two: reading the low
half keeps the high half for the next read, so that the two belong together. Our choice throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtl.config import CoreConfig
from rtl.fields import Field
from rtl.instructions import PROGRAM_ALIGNMENT, Fault, Unit

__all__ = [
    "ADDRESS_BITS",
    "COUNTERS",
    "IDENTIFIER",
    "REGISTERS",
    "Register",
    "constants",
    "markdown",
]

ADDRESS_BITS = 8

IDENTIFIER = int.from_bytes(b"EOQ1", "little")


@dataclass(frozen=True)
class Register:
    """One register.

    Parameters
    ----------
    address:
        In bytes, a multiple of 4.
    access:
        "ro": read only; "rw": reads back what was written; "wo": reads as zero; "w1c": a written
        one clears the bit.
    meaning:
        For the documentation.
    fields:
        Parts with a name. Other bits read as zero.
    idle_only:
        Writes are refused while a program runs.
    """

    address: int
    access: str
    meaning: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    idle_only: bool = False


COUNTERS = {
    "cycles": "clock cycles in which the program ran",
    "instructions": "words dealt out to units or run by the dispatcher",
    "mac_busy": "cycles in which a vector entered the array",
    "matrix_busy": "cycles in which the matrix unit had an instruction",
    "vector_busy": "cycles in which the vector unit had an instruction",
    "dma_busy": "cycles in which the DMA unit had an instruction",
    "matrix_waiting": "cycles in which a memory held up the matrix unit",
    "vector_waiting": "cycles in which a memory held up the vector unit",
    "dma_waiting": "cycles in which a memory held up the DMA unit",
}
"""48 bits each; all are zero when a program starts and stand when it stops."""

_FIRST_COUNTER = 0x40


def _registers() -> dict[str, Register]:
    fixed = {
        "identifier": Register(0x00, "ro", f"0x{IDENTIFIER:08x}"),
        "size": Register(
            0x04, "ro", "size of the array and of a scratchpad line",
            {"rows": Field(0, 8), "columns": Field(8, 8), "line_bytes": Field(16, 8)},
        ),
        "memory": Register(
            0x08, "ro", "log2 of the memories: bytes of scratchpad, words of results",
            {"scratchpad": Field(0, 8), "results": Field(8, 8)},
        ),
        "control": Register(
            0x0C, "wo", "start a program; stop the one that runs",
            {"start": Field(0, 1), "stop": Field(1, 1)},
        ),
        "status": Register(
            0x10, "ro", "what the core does, and why the last program ended if not with END",
            {
                "running": Field(0, 1), "done": Field(1, 1),
                "fault": Field(8, 4), "fault_unit": Field(16, 3),
            },
        ),
        "fault_index": Register(
            0x14, "ro", "place in the program of the instruction that the faulty unit took last",
            {"index": Field(0, 24)},
        ),
        "interrupt_enable": Register(
            0x18, "rw", "when to raise `interrupt`: a program ended with END, or with a fault",
            {"done": Field(0, 1), "fault": Field(1, 1)},
        ),
        "interrupt_pending": Register(
            0x1C, "w1c", "what happened since it was cleared",
            {"done": Field(0, 1), "fault": Field(1, 1)},
        ),
        "program_low": Register(
            0x20, "rw", f"address of the program, a multiple of {PROGRAM_ALIGNMENT}: low bits",
            {"address": Field(0, 32)}, idle_only=True,
        ),
        "program_high": Register(
            0x24, "rw", "the same, high bits", {"address": Field(0, 8)}, idle_only=True
        ),
        "program_words": Register(
            0x28, "rw", "128-bit words of the program", {"words": Field(0, 24)}, idle_only=True
        ),
    }  # fmt: skip
    for k, (name, meaning) in enumerate(COUNTERS.items()):
        address = _FIRST_COUNTER + 8 * k
        fixed[f"{name}_low"] = Register(address, "ro", f"{meaning}: low bits")
        fixed[f"{name}_high"] = Register(address + 4, "ro", "high bits when the low ones were read")
    return fixed


REGISTERS: Mapping[str, Register] = _registers()
"""By name."""


def constants(config: CoreConfig) -> dict[str, int]:
    """Values of the registers that only say what this core is."""
    size, memory = REGISTERS["size"].fields, REGISTERS["memory"].fields
    values = {name: getattr(config, name) for name in size}
    bits = {"scratchpad": config.scratchpad_address_bits, "results": config.results_address_bits}
    return {
        "identifier": IDENTIFIER,
        "size": sum(size[name].insert(name, value) for name, value in values.items()),
        "memory": sum(memory[name].insert(name, value) for name, value in bits.items()),
    }


def markdown() -> str:
    """Table of the registers, and of the codes in `status`."""
    lines = ["| address | register | access | bits | meaning |", "|---|---|---|---|---|"]
    for name, register in REGISTERS.items():
        bits = ", ".join(
            f"{part} {place.offset + place.width - 1}:{place.offset}"
            for part, place in register.fields.items()
        )
        lines.append(
            f"| 0x{register.address:02x} | `{name}` | {register.access} | {bits or '31:0'} | "
            f"{register.meaning} |"
        )
    lines += ["", "| fault | name |", "|---|---|"]
    lines += [f"| {int(code)} | {code.name} |" for code in Fault]
    lines += ["", "| fault_unit | name |", "|---|---|"]
    lines += [f"| {int(unit)} | {unit.name} |" for unit in Unit]
    return "\n".join(lines) + "\n"
