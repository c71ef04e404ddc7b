"""Accesses to the registers over AXI4-Lite, allowed and not, and what must come of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cosim.core_run import Access
from rtl.axi import Response
from rtl.config import CoreConfig
from rtl.instructions import PROGRAM_ALIGNMENT
from rtl.register_map import ADDRESS_BITS, REGISTERS, constants

__all__ = ["Expected", "busy_accesses", "idle_accesses"]


@dataclass(frozen=True)
class Expected:
    """An access and what must come of it.

    Members
    -------
    access:
        What the host does.
    response:
        `rtl.axi.Response`.
    value:
        What is read; None if that is not known.
    """

    access: Access
    response: int
    value: int | None = None

    def differs(self, got: tuple[int, int]) -> str | None:
        """What is not as it must be."""
        response, value = got
        if response == self.response and (self.value is None or value == self.value):
            return None
        return f"{self.access} was answered with {response} and {value}, not as {self}"


def idle_accesses(config: CoreConfig, rng: np.random.Generator) -> Iterator[Expected]:
    """Yield accesses while no program runs: all bits of what can be written, and what cannot."""
    readable = {r.address: name for name, r in REGISTERS.items()}
    fixed = constants(config)
    ok, refused = int(Response.OKAY), int(Response.SLVERR)

    def any_bits() -> int:
        return int(rng.integers(0, 1 << 32))

    for address in range(1 << ADDRESS_BITS):
        name = readable.get(address & ~3)
        value = fixed.get(name or "", None if name else 0)
        yield Expected(Access(address), ok if name else refused, value)
    for register in REGISTERS.values():
        mask = sum(((1 << f.width) - 1) << f.offset for f in register.fields.values())
        for value in (0xFFFFFFFF, 0, 0x55555555, 0xAAAAAAAA, *(any_bits() for _ in range(6))):
            if register.access == "rw":
                yield Expected(Access(register.address, value), ok)
                yield Expected(Access(register.address), ok, value & mask)
                strobe = int(rng.integers(0, 15))
                yield Expected(Access(register.address, ~value & 0xFFFFFFFF, strobe), refused)
                yield Expected(Access(register.address), ok, value & mask)
            elif register.access == "ro":
                yield Expected(Access(register.address, value), refused)
        if register.access == "wo":
            for value in (0, 2):
                yield Expected(Access(register.address, value), ok)
            # A program at an address that is none.
            for bit in range(PROGRAM_ALIGNMENT.bit_length() - 1):
                yield Expected(Access(REGISTERS["program_low"].address, 1 << bit), ok)
                yield Expected(Access(register.address, 1), refused)
    for address in range(0, 1 << ADDRESS_BITS, 4):
        if address not in readable:
            yield Expected(Access(address, any_bits()), refused)
    yield Expected(Access(REGISTERS["interrupt_pending"].address, 3), ok)
    yield Expected(Access(REGISTERS["interrupt_enable"].address, 3), ok)


def busy_accesses(place: int, words: int) -> Iterator[Expected]:
    """Yield accesses that start a program which does not end by itself, and stop it."""
    ok, refused = int(Response.OKAY), int(Response.SLVERR)
    address = {name: register.address for name, register in REGISTERS.items()}
    for name, value in (
        ("program_low", place), ("program_high", 0), ("program_words", words), ("control", 1),
    ):  # fmt: skip
        yield Expected(Access(address[name], value), ok)
    for register in REGISTERS.values():
        if register.idle_only:
            yield Expected(Access(register.address, 0), refused)
    yield Expected(Access(address["control"], 1), refused)
    yield Expected(Access(address["control"], 2), ok)
    # Until it has stopped.
    for _ in range(40):
        yield Expected(Access(address["status"]), ok)
