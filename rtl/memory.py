"""`Memory`: the one wrapper around storage, so that an ASIC macro replaces one module."""

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from rtl.hierarchy import SharedComponent

__all__ = ["Memory"]


class Memory(SharedComponent):
    """One read and one write port on one clock; inferred as RAM.

    A read in the cycle of a write to the same address returns the old word.

    Parameters
    ----------
    width:
        Bits of a word.
    depth:
        Words. One word is stored as two, so that there is always an address bit.
    module_name:
        Name of the Verilog module: one for each use and so for each size.

    Members
    -------
    r_address, r_enable, r_data:
        `r_data` is the addressed word one cycle after `r_enable`, and then holds. (The core looks
        at it in that cycle only, and never at a word that is written in the cycle of `r_enable`.)
    w_address, w_enable, w_data:
        `w_data` is stored when `w_enable`.
    """

    def __init__(self, *, width: int, depth: int, module_name: str) -> None:
        self._width = width
        self._depth = max(depth, 2)
        self.module_name = module_name  # type: ignore[misc]  # a class attribute elsewhere
        address = bits_for(self._depth - 1)
        super().__init__(
            {
                "r_address": In(address),
                "r_enable": In(1),
                "r_data": Out(width),
                "w_address": In(address),
                "w_enable": In(1),
                "w_data": In(width),
            }
        )

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self._width

    @property
    def depth(self) -> int:
        """Words."""
        return self._depth

    def elaborate(self, platform: object) -> Module:
        """Infer a RAM."""
        m = Module()
        m.submodules.storage = storage = memory.Memory(
            shape=unsigned(self._width), depth=self._depth, init=[]
        )
        read = storage.read_port()
        write = storage.write_port()
        m.d.comb += [
            read.addr.eq(self.r_address),
            read.en.eq(self.r_enable),
            self.r_data.eq(read.data),
            write.addr.eq(self.w_address),
            write.en.eq(self.w_enable),
            write.data.eq(self.w_data),
        ]
        return m
