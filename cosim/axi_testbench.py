"""The core behind an AXI4 memory and an AXI4-Lite master that others wrote (cocotbext-axi).

Runs inside a simulator, in cocotb. Slow, and independent of `cosim/hdl`: any of the five AXI4
channels may stall at random.
"""

import logging
import random
from collections.abc import Iterator
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from rtl.register_map import COUNTERS, REGISTERS

__all__ = ["AxiTestbench"]

_PERIOD_NS = 10


class AxiTestbench:
    """Clock, reset, memory, host.

    Parameters
    ----------
    dut:
        The simulator's handle of `eoq_core`.
    size:
        Bytes of memory behind `m_axi`.
    seed:
        Of the stalls.

    Members
    -------
    memory:
        `cocotbext.axi.AxiRam`: `read` and `write` take no time.
    """

    def __init__(self, dut: Any, size: int, seed: int) -> None:
        # cocotbext-axi has a line for every access.
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        self.dut = dut
        self._seed = seed
        self._clock = Clock(dut.clk, _PERIOD_NS, unit="ns")
        self._clock.start()
        self._host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=size)

    def stall(self, chance: float) -> None:
        """Let each channel of `m_axi` pause with this chance a cycle, from now on."""
        read, write = self.memory.read_if, self.memory.write_if
        channels = (
            read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel,
        )  # fmt: skip
        for number, channel in enumerate(channels):
            rng = random.Random(f"{self._seed} {number}")  # noqa: S311 - no secret
            channel.set_pause_generator(_pauses(rng, chance))

    async def reset(self) -> None:
        """Hold `rst` for some cycles; what is under way on the buses is gone."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def write(self, name: str, value: int) -> None:
        """Write a register of `rtl.register_map.REGISTERS`."""
        await self._host.write_dword(REGISTERS[name].address, value)

    async def read(self, name: str) -> int:
        """Read a register."""
        return int(await self._host.read_dword(REGISTERS[name].address))

    async def start(self, address: int, words: int) -> None:
        """Start the program of so many words at a byte address."""
        await self.write("interrupt_enable", 3)
        await self.write("program_low", address & 0xFFFFFFFF)
        await self.write("program_high", address >> 32)
        await self.write("program_words", words)
        await self.write("interrupt_pending", 3)
        await self.write("control", 1)

    async def finish(self, patience: int = 1_000_000) -> dict[str, int]:
        """Wait for the interrupt; return the counters, and `status` by its fields.

        `patience` is in cycles; cocotb's SimTimeoutError if it takes longer.
        """
        if not self.dut.irq.value:
            await with_timeout(RisingEdge(self.dut.irq), patience * _PERIOD_NS, "ns")
        found = {
            name: await self.read(f"{name}_low") | await self.read(f"{name}_high") << 32
            for name in COUNTERS
        }
        status = await self.read("status")
        fields = REGISTERS["status"].fields
        return found | {name: field.extract(status) for name, field in fields.items()}


def _pauses(rng: random.Random, chance: float) -> Iterator[bool]:
    while True:
        yield rng.random() < chance
