"""`ReadArbiter`: two AXI4 readers on one bus."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from rtl.axi import AXI4Read

__all__ = ["ReadArbiter"]


class ReadArbiter(Component):
    """Gives each reader an id, and its data back to it.

    `first` goes first when both offer an address; an address that was offered stands until it is
    taken. The ids are 0 and 1, so the bus may give the two readers' data in any order.

    Parameters
    ----------
    address_bits, data_bits:
        Of the bus.

    Members
    -------
    first, second:
        Readers; their own ids are ignored.
    bus:
        Both.
    """

    def __init__(self, *, address_bits: int, data_bits: int) -> None:
        port = AXI4Read(address_bits=address_bits, data_bits=data_bits)
        super().__init__({"first": In(port), "second": In(port), "bus": Out(port)})

    def elaborate(self, platform: object) -> Module:
        """Choose an address and keep to it; send data where their id says."""
        m = Module()
        readers, bus = (self.first, self.second), self.bus
        held, kept, choice = Signal(), Signal(), Signal()
        m.d.comb += choice.eq(Mux(held, kept, ~self.first.arvalid))
        m.d.sync += [held.eq(bus.arvalid & ~bus.arready), kept.eq(choice)]
        m.d.comb += bus.arid.eq(choice)
        for number, reader in enumerate(readers):
            mine, back = choice == number, bus.rid == number
            with m.If(mine):
                m.d.comb += [
                    bus.arvalid.eq(reader.arvalid),
                    bus.araddr.eq(reader.araddr),
                    bus.arlen.eq(reader.arlen),
                ]
            m.d.comb += [
                reader.arready.eq(bus.arready & mine),
                reader.rvalid.eq(bus.rvalid & back),
                reader.rid.eq(0),
                reader.rdata.eq(bus.rdata),
                reader.rresp.eq(bus.rresp),
                reader.rlast.eq(bus.rlast),
            ]
        m.d.comb += bus.rready.eq(Mux(bus.rid, self.second.rready, self.first.rready))
        return m
