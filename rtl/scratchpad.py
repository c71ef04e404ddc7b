"""`Scratchpad`: pages of byte-wide banks, read and written at any byte address.

A line is one byte of every bank. Any `line_bytes` consecutive bytes lie in different banks, and so
do bytes that are a multiple of a line plus one apart: a matrix whose rows have such a pitch can be
read along its rows and along its columns, a line's width a cycle, and never has to be transposed.

Every page serves one read and one write a cycle. A request goes through three steps: the page is
won and the request kept; every bank's own address is made and the banks are read; the bytes are
rotated into lanes.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In
from amaranth.utils import bits_for

from rtl.config import CoreConfig
from rtl.hierarchy import place
from rtl.memory import Memory
from rtl.ports import ScratchpadRead, ScratchpadWrite

__all__ = ["READERS", "WRITERS", "Scratchpad"]

READERS = ("a", "b", "x", "y", "d")
"""Read ports, the first to be served first."""

WRITERS = ("v", "w")
"""Write ports, the first to be served first."""


class Scratchpad(Component):
    """Memory of bytes with five readers and two writers.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    a, b:
        The matrix unit's operands: R lanes, and C lanes that may be strided. Their `ready` is high
        unless both want the same page at once; then `b` loses.
    x, y, v:
        The vector unit's two operands and its results, C lanes.
    d, w:
        The DMA's reads and writes, whole lines.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        rows, columns, line = config.rows, config.columns, config.line_bytes
        reads = {"a": (rows, False), "b": (columns, True), "x": (columns, False),
                 "y": (columns, False), "d": (line, False)}  # fmt: skip
        super().__init__(
            {
                **{
                    name: In(ScratchpadRead(config, lanes, strided=strided))
                    for name, (lanes, strided) in reads.items()
                },
                "v": In(ScratchpadWrite(config, columns)),
                "w": In(ScratchpadWrite(config, line)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Arbitrate, address, rotate."""
        m = Module()
        config = self._config
        banks, pages = config.line_bytes, config.scratchpad_pages
        depth = config.scratchpad_page_bytes // banks
        offset_bits, row_bits = bits_for(banks - 1), bits_for(depth - 1)

        def page_of(address: Value) -> Value:
            return address[offset_bits + row_bits :]

        def rows_of(address: Value, pitch: Value | int) -> list[Value]:
            """Return each bank's row; bank b holds lane (b - offset) mod banks."""
            offset, row = address[:offset_bits], address[offset_bits : offset_bits + row_bits]
            rows: list[Value] = []
            for bank in range(banks):
                lane = (bank - offset)[:offset_bits]
                rows.append((row + lane * pitch + (bank < offset))[:row_bits])
            return rows

        # First step: who wins which page. `taken[p]` keeps, for the next step, one bit a client.
        def arbitrate(names: tuple[str, ...]) -> list[dict[str, Signal]]:
            taken: list[dict[str, Signal]] = []
            wanted = [getattr(self, name) for name in names]
            for p in range(pages):
                before: Value | int = 0
                of_page: dict[str, Signal] = {}
                for name, port in zip(names, wanted, strict=True):
                    wants = port.enable & (page_of(port.address) == p)
                    won = Signal(name=f"{name}_won_{p}")
                    m.d.sync += won.eq(wants & ~before)
                    of_page[name] = won
                    before = before | wants
                taken.append(of_page)
            for k, port in enumerate(wanted):
                earlier = [
                    other.enable & (page_of(other.address) == page_of(port.address))
                    for other in wanted[:k]
                ]
                m.d.comb += port.ready.eq(~Cat(earlier).any() if earlier else 1)
            return taken

        reads, writes = arbitrate(READERS), arbitrate(WRITERS)

        # Second step: bank addresses of the requests that were taken.
        read_rows: dict[str, list[Value]] = {}
        offsets: dict[str, Signal] = {}
        for name in READERS:
            port = getattr(self, name)
            s1_address = Signal.like(port.address, name=f"{name}_s1_address", reset_less=True)
            m.d.sync += s1_address.eq(port.address)
            pitch: Value | int = 0
            if name == "b":
                pitch = Signal.like(port.pitch, name="b_s1_pitch", reset_less=True)
                m.d.sync += pitch.eq(port.pitch)
            read_rows[name] = rows_of(s1_address, pitch)
            offsets[name] = Signal(offset_bits, name=f"{name}_s2_offset", reset_less=True)
            m.d.sync += offsets[name].eq(s1_address[:offset_bits])
        write_rows: dict[str, list[Value]] = {}
        write_bytes: dict[str, list[tuple[Value, Value]]] = {}
        for name in WRITERS:
            port = getattr(self, name)
            lanes = len(port.mask)
            s1_address = Signal.like(port.address, name=f"{name}_s1_address", reset_less=True)
            s1_bytes = Signal(banks * 8, name=f"{name}_s1_bytes", reset_less=True)
            s1_mask = Signal(banks, name=f"{name}_s1_mask", reset_less=True)
            m.d.sync += [
                s1_address.eq(port.address),
                s1_bytes.eq(port.data.as_value()),
                s1_mask.eq(port.mask[:lanes]),
            ]
            write_rows[name] = rows_of(s1_address, 0)
            offset = s1_address[:offset_bits]
            turned = s1_bytes.as_value() if banks == 1 else _rotate(s1_bytes, offset, 8)
            turned_mask = _rotate(s1_mask, offset, 1)
            write_bytes[name] = [
                (turned.word_select(b, 8), turned_mask.bit_select(b, 1)) for b in range(banks)
            ]

        data = []
        for p in range(pages):
            words = []
            for b in range(banks):
                bank = place(m, platform, f"bank_{p}_{b}", Memory, width=8, depth=depth,
                             module_name="eoq_scratchpad_bank")  # fmt: skip
                m.d.comb += [
                    bank.r_enable.eq(Cat(reads[p].values()).any()),
                    bank.r_address.eq(_chosen(reads[p], {n: r[b] for n, r in read_rows.items()})),
                    bank.w_enable.eq(
                        _chosen(writes[p], {n: byte[b][1] for n, byte in write_bytes.items()})
                    ),
                    bank.w_address.eq(_chosen(writes[p], {n: r[b] for n, r in write_rows.items()})),
                    bank.w_data.eq(
                        _chosen(writes[p], {n: byte[b][0] for n, byte in write_bytes.items()})
                    ),
                ]
                words.append(bank.r_data)
            data.append(Cat(words))

        # Third step: each client's page, turned so that lane 0 is the addressed byte.
        for name in READERS:
            port = getattr(self, name)
            came: Value | int = 0
            for p in range(pages):
                late = Signal(name=f"{name}_s2_won_{p}", reset_less=True)
                m.d.sync += late.eq(reads[p][name])
                came = came | Mux(late, data[p], 0)
            s3_data = Signal(len(port.data.as_value()), name=f"{name}_s3_data", reset_less=True)
            m.d.sync += s3_data.eq(_rotate(Value.cast(came), -offsets[name], 8))
            m.d.comb += port.data.eq(s3_data)
        return m


def _chosen(won: dict[str, Signal], values: dict[str, Value]) -> Value:
    """Return the value of the one client that won, or 0."""
    result: Value = Value.cast(0)
    for name, value in values.items():
        result = result | Mux(won[name], value, 0)
    return result


def _rotate(value: Value, places: Value, unit: int) -> Value:
    """`value` turned to the left by `places` units; its length is a power of two of them."""
    count = len(value) // unit
    for k in range(bits_for(count - 1)):
        value = Mux(places[k], value.rotate_left(unit << k), value)
    return value
