"""`Controller`: what runs a program: registers, fetch and dispatcher."""

from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from rtl.axi import AXI4Lite, AXI4Read
from rtl.config import CoreConfig
from rtl.control_registers import ControlRegisters
from rtl.dispatcher import Dispatcher
from rtl.program_fetch import ProgramFetch
from rtl.register_map import ADDRESS_BITS
from rtl.unit_port import UnitPort

__all__ = ["Controller"]


class Controller(Component):
    """Reads a program over AXI4, deals it out to the units, and answers to software.

    Parameters
    ----------
    config:
        Size of the core.
    address_bits:
        Byte address on the AXI4 bus.

    Members
    -------
    registers:
        AXI4-Lite (`rtl.register_map`).
    interrupt:
        See `rtl.control_registers`.
    running:
        A program runs.
    program:
        AXI4, for the program.
    matrix, vector, dma:
        The units.
    mac_busy, matrix_waiting, vector_waiting, dma_waiting:
        For the counters.
    """

    def __init__(self, *, config: CoreConfig, address_bits: int = 40) -> None:
        self._config = config
        self._bus = {"address_bits": address_bits, "data_bits": 8 * config.line_bytes}
        super().__init__(
            {
                "registers": In(AXI4Lite(address_bits=ADDRESS_BITS)),
                "interrupt": Out(1),
                "running": Out(1),
                "program": Out(AXI4Read(**self._bus)),
                "matrix": In(UnitPort()),
                "vector": In(UnitPort()),
                "dma": In(UnitPort()),
                "mac_busy": In(1),
                "matrix_waiting": In(1),
                "vector_waiting": In(1),
                "dma_waiting": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Connect the three."""
        m = Module()
        m.submodules.registers = registers = ControlRegisters(config=self._config)
        m.submodules.fetch = fetch = ProgramFetch(**self._bus)
        m.submodules.dispatcher = dispatcher = Dispatcher()
        connect(m, flipped(self.registers), registers.bus)
        connect(m, fetch.bus, flipped(self.program))
        connect(m, fetch.o, dispatcher.program)
        for name in ("matrix", "vector", "dma"):
            connect(m, getattr(dispatcher, name), flipped(getattr(self, name)))
        m.d.comb += [
            self.interrupt.eq(registers.interrupt),
            self.running.eq(dispatcher.running),
            fetch.start.eq(registers.start),
            fetch.address.eq(registers.program),
            fetch.words.eq(registers.words),
            fetch.flush.eq(dispatcher.flush),
            dispatcher.start.eq(registers.start),
            dispatcher.stop.eq(registers.stop),
            dispatcher.exhausted.eq(fetch.exhausted),
            dispatcher.flushed.eq(fetch.flushed),
            registers.running.eq(dispatcher.running),
            registers.done.eq(dispatcher.done),
            registers.fault.eq(dispatcher.fault),
            registers.fault_unit.eq(dispatcher.fault_unit),
            registers.fault_index.eq(dispatcher.fault_index),
            registers.count.eq(
                Cat(
                    dispatcher.dispatched, self.mac_busy,
                    self.matrix.busy, self.vector.busy, self.dma.busy,
                    self.matrix_waiting, self.vector_waiting, self.dma_waiting,
                )
            ),
        ]  # fmt: skip
        return m
