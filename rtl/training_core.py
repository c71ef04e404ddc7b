"""`TrainingCore`: the whole core, Verilog module `eoq_core`."""

from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out, Signature, connect, flipped

from rtl.axi import AXI4, AXI4Lite, Burst
from rtl.config import CoreConfig
from rtl.controller import Controller
from rtl.dma import Dma
from rtl.product_unit import ProductUnit
from rtl.read_arbiter import ReadArbiter
from rtl.register_map import ADDRESS_BITS
from rtl.results_memory import ResultsMemory
from rtl.scratchpad import Scratchpad
from rtl.vector_unit import VectorUnit

__all__ = ["BUS_ADDRESS_BITS", "TrainingCore", "core_signature"]

BUS_ADDRESS_BITS = 40


def core_signature(config: CoreConfig) -> Signature:
    """Return the ports of `TrainingCore`."""
    return Signature(
        {
            "m_axi": Out(AXI4(address_bits=BUS_ADDRESS_BITS, data_bits=8 * config.line_bytes)),
            "s_axil": In(AXI4Lite(address_bits=ADDRESS_BITS)),
            "irq": Out(1),
        }
    )


class TrainingCore(Component):
    """Runs programs of `rtl.instructions`: matrix products, passes over tensors, transfers.

    Software writes where a program is into the registers and starts it; everything else comes from
    memory over one AXI4 bus, as wide as a line of the scratchpad. The program goes first on it.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    m_axi:
        Memory, for the program and the DMA.
    s_axil:
        Registers (`rtl.register_map`).
    irq:
        High while an enabled interrupt is pending.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(core_signature(config))

    @property
    def config(self) -> CoreConfig:
        """Size of the core."""
        return self._config

    def elaborate(self, platform: object) -> Module:
        """Units to memories, controller to units, fetch and DMA to the bus."""
        m = Module()
        config = self._config
        m.submodules.controller = controller = Controller(
            config=config, address_bits=BUS_ADDRESS_BITS
        )
        m.submodules.matrix = matrix = ProductUnit(config=config)
        m.submodules.vector = vector = VectorUnit(config=config)
        m.submodules.dma = dma = Dma(config=config, address_bits=BUS_ADDRESS_BITS)
        m.submodules.scratchpad = scratchpad = Scratchpad(config=config)
        m.submodules.results = results = ResultsMemory(config=config)
        m.submodules.arbiter = arbiter = ReadArbiter(
            address_bits=BUS_ADDRESS_BITS, data_bits=8 * config.line_bytes
        )

        connect(m, matrix.a, scratchpad.a)
        connect(m, matrix.b, scratchpad.b)
        connect(m, matrix.z, results.c)
        connect(m, vector.x, scratchpad.x)
        connect(m, vector.y, scratchpad.y)
        connect(m, vector.v, scratchpad.v)
        connect(m, vector.z, results.r)
        connect(m, vector.w, results.w)
        connect(m, dma.read, scratchpad.d)
        connect(m, dma.write, scratchpad.w)

        connect(m, flipped(self.s_axil), controller.registers)
        for name, unit in (("matrix", matrix), ("vector", vector), ("dma", dma)):
            connect(m, getattr(controller, name), unit.unit)
        m.d.comb += [
            self.irq.eq(controller.interrupt),
            controller.mac_busy.eq(matrix.beat),
            # The matrix unit never waits: its ports come first.
            controller.matrix_waiting.eq(0),
            controller.vector_waiting.eq(vector.waiting),
            controller.dma_waiting.eq(dma.waiting),
        ]

        connect(m, controller.program, arbiter.first)
        connect(m, dma.bus_read, arbiter.second)
        self._bus(m, arbiter, dma)
        return m

    def _bus(self, m: Module, arbiter: ReadArbiter, dma: Dma) -> None:
        """Both directions, and what is the same in every burst."""
        bus = self.m_axi
        for side in (arbiter.bus, dma.bus_write):
            for name, member in side.signature.members.items():
                if member.flow == Out:
                    m.d.comb += getattr(bus, name).eq(getattr(side, name))
                else:
                    m.d.comb += getattr(side, name).eq(getattr(bus, name))
        beat = self._config.line_bytes.bit_length() - 1
        m.d.comb += [
            bus.awid.eq(0),
            *(getattr(bus, name).eq(beat) for name in ("awsize", "arsize")),
            *(getattr(bus, name).eq(Burst.INCREMENTING) for name in ("awburst", "arburst")),
        ]
