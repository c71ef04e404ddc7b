"""AXI4 and AXI4-Lite ports, as signatures: the side that starts transfers is `Out`.

Source: AMBA AXI and ACE Protocol Specification (ARM IHI 0022), version AXI4. Signals that never
change here (lock, cache, prot, qos, region) are left out; an interconnect ties them to zero.
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXI4", "BOUNDARY", "AXI4Lite", "AXI4Read", "AXI4Write", "Burst", "Response"]

BOUNDARY = 4096
"""A burst must not cross a multiple of this many bytes (A3.4.1)."""


class Response:
    """Values of `rresp` and `bresp` (A3.4.4)."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


class Burst:
    """Values of `arburst` and `awburst` (A3.4.1)."""

    INCREMENTING = 1


class AXI4Read(wiring.Signature):
    """Read address and read data channels of an AXI4 manager.

    Parameters
    ----------
    address_bits, data_bits, id_bits:
        `data_bits` is 32 to 1,024, a power of two. All bursts are incrementing and full width.

    Members
    -------
    arvalid, arready, arid, araddr, arlen:
        One burst of `arlen` + 1 beats. Stands until taken.
    rvalid, rready, rid, rdata, rresp, rlast:
        Its beats, in order within one id.
    """

    def __init__(self, *, address_bits: int, data_bits: int, id_bits: int = 1) -> None:
        super().__init__(
            {
                "arvalid": Out(1),
                "arready": In(1),
                "arid": Out(id_bits),
                "araddr": Out(address_bits),
                "arlen": Out(8),
                "rvalid": In(1),
                "rready": Out(1),
                "rid": In(id_bits),
                "rdata": In(data_bits),
                "rresp": In(2),
                "rlast": In(1),
            }
        )


class AXI4Write(wiring.Signature):
    """Write address, write data and write response channels of an AXI4 manager.

    Parameters
    ----------
    address_bits, data_bits:
        As `AXI4Read`'s. There is one id: writes stay in order.

    Members
    -------
    awvalid, awready, awaddr, awlen:
        One burst of `awlen` + 1 beats. Stands until taken.
    wvalid, wready, wdata, wstrb, wlast:
        Its beats, never before its address was offered.
    bvalid, bready, bresp:
        One response a burst.
    """

    def __init__(self, *, address_bits: int, data_bits: int) -> None:
        super().__init__(
            {
                "awvalid": Out(1),
                "awready": In(1),
                "awaddr": Out(address_bits),
                "awlen": Out(8),
                "wvalid": Out(1),
                "wready": In(1),
                "wdata": Out(data_bits),
                "wstrb": Out(data_bits // 8),
                "wlast": Out(1),
                "bvalid": In(1),
                "bready": Out(1),
                "bresp": In(2),
            }
        )


class AXI4(wiring.Signature):
    """All five channels of an AXI4 manager, as an interconnect takes them.

    `AXI4Read` and `AXI4Write` together, with what is the same in every burst: `awid`, `arsize`,
    `arburst` and so on. `bid` is not looked at.

    Parameters
    ----------
    address_bits, data_bits, id_bits:
        As `AXI4Read`'s.
    """

    def __init__(self, *, address_bits: int, data_bits: int, id_bits: int = 1) -> None:
        channels = dict(
            AXI4Read(address_bits=address_bits, data_bits=data_bits, id_bits=id_bits).members
        )
        channels |= AXI4Write(address_bits=address_bits, data_bits=data_bits).members
        for channel in ("aw", "ar"):
            channels |= {f"{channel}size": Out(3), f"{channel}burst": Out(2)}
        super().__init__({**channels, "awid": Out(id_bits), "bid": In(id_bits)})


class AXI4Lite(wiring.Signature):
    """All five channels of an AXI4-Lite manager with 32-bit data.

    Parameters
    ----------
    address_bits:
        Byte address.
    """

    def __init__(self, *, address_bits: int) -> None:
        super().__init__(
            {
                "awvalid": Out(1),
                "awready": In(1),
                "awaddr": Out(address_bits),
                "wvalid": Out(1),
                "wready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "bvalid": In(1),
                "bready": Out(1),
                "bresp": In(2),
                "arvalid": Out(1),
                "arready": In(1),
                "araddr": Out(address_bits),
                "rvalid": In(1),
                "rready": Out(1),
                "rdata": In(32),
                "rresp": In(2),
            }
        )
