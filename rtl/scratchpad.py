"""`Scratchpad`: pages of byte-wide banks, read and written at any byte address.

A line is one byte of every bank. Any `line_bytes` consecutive bytes lie in different banks, and so
do bytes that are a multiple of a line plus one apart: a matrix whose rows have such a pitch can be
read along its rows and along its columns, a line's width a cycle, and never has to be transposed.

Every page serves one read and one write a cycle. A request goes through three steps: the page is
won and the request kept; every bank's own address is made and the banks are read; the bytes are
rotated into lanes.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import bits_for

from rtl.config import CoreConfig
from rtl.hierarchy import SharedComponent, place
from rtl.memory import Memory
from rtl.ports import ScratchpadRead, ScratchpadWrite

__all__ = ["READERS", "WRITERS", "Scratchpad", "ScratchpadPage"]

READERS = ("a", "b", "x", "y", "d")
"""Read ports, the first to be served first."""

WRITERS = ("v", "w")
"""Write ports, the first to be served first."""


class ScratchpadPage(SharedComponent):
    """One page: a line of byte-wide banks, each with a row of its own.

    Parameters
    ----------
    banks, depth:
        Banks, and bytes of each: powers of two.

    Members
    -------
    r_enable, r_rows, r_data:
        Row of each bank, side by side; the bytes one cycle later.
    w_enable, w_rows, w_data:
        One enable, row and byte a bank.
    """

    module_name = "eoq_scratchpad_page"

    def __init__(self, *, banks: int, depth: int) -> None:
        self._banks, self._depth = banks, depth
        rows = banks * (depth.bit_length() - 1)
        super().__init__(
            {
                "r_enable": In(1),
                "r_rows": In(rows),
                "r_data": Out(8 * banks),
                "w_enable": In(banks),
                "w_rows": In(rows),
                "w_data": In(8 * banks),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Put the banks side by side."""
        m = Module()
        bits = self._depth.bit_length() - 1
        for b in range(self._banks):
            bank = place(m, platform, f"bank_{b}", Memory, width=8, depth=self._depth,
                         module_name="eoq_scratchpad_bank")  # fmt: skip
            m.d.comb += [
                bank.r_enable.eq(self.r_enable),
                bank.r_address.eq(self.r_rows.word_select(b, bits)),
                self.r_data.word_select(b, 8).eq(bank.r_data),
                bank.w_enable.eq(self.w_enable[b]),
                bank.w_address.eq(self.w_rows.word_select(b, bits)),
                bank.w_data.eq(self.w_data.word_select(b, 8)),
            ]
        return m


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
        offset_bits = bits_for(banks - 1)
        inner = config.scratchpad_page_bytes.bit_length() - 1
        memories = [
            place(m, platform, f"page_{p}", ScratchpadPage, banks=banks, depth=depth)
            for p in range(pages)
        ]
        reads, writes = self._arbitrate(m, READERS), self._arbitrate(m, WRITERS)

        # Second step: bank addresses of the requests that were taken.
        read_rows: dict[str, Value] = {}
        offsets: dict[str, Signal] = {}
        for name in READERS:
            port = getattr(self, name)
            s1_address = Signal(inner, name=f"{name}_s1_address", reset_less=True)
            m.d.sync += s1_address.eq(port.address)
            pitch: Value | int = 0
            if name == "b":
                pitch = Signal.like(port.pitch, name="b_s1_pitch", reset_less=True)
                m.d.sync += pitch.eq(port.pitch)
            read_rows[name] = self._rows(m, name, s1_address, pitch)
            offsets[name] = Signal(offset_bits, name=f"{name}_s2_offset", reset_less=True)
            m.d.sync += offsets[name].eq(s1_address[:offset_bits])
        write_rows: dict[str, Value] = {}
        write_bytes: dict[str, Value] = {}
        write_masks: dict[str, Value] = {}
        for name in WRITERS:
            port = getattr(self, name)
            s1_address = Signal(inner, name=f"{name}_s1_address", reset_less=True)
            s1_bytes = Signal(banks * 8, name=f"{name}_s1_bytes", reset_less=True)
            s1_mask = Signal(banks, name=f"{name}_s1_mask", reset_less=True)
            m.d.sync += [
                s1_address.eq(port.address),
                s1_bytes.eq(port.data.as_value()),
                s1_mask.eq(port.mask),
            ]
            write_rows[name] = self._rows(m, name, s1_address, 0)
            offset = s1_address[:offset_bits]
            write_bytes[name] = _rotate(m, f"{name}_bytes", s1_bytes, offset, 8)
            write_masks[name] = _rotate(m, f"{name}_mask", s1_mask, offset, 1)
        for p, page in enumerate(memories):
            m.d.comb += [
                page.r_enable.eq(Cat(reads[p].values()).any()),
                page.r_rows.eq(_chosen(reads[p], read_rows)),
                page.w_enable.eq(_chosen(writes[p], write_masks)),
                page.w_rows.eq(_chosen(writes[p], write_rows)),
                page.w_data.eq(_chosen(writes[p], write_bytes)),
            ]

        # Third step: each client's page, turned so that lane 0 is the addressed byte.
        for name in READERS:
            port = getattr(self, name)
            came: dict[str, Value] = {}
            lates: dict[str, Signal] = {}
            for p, page in enumerate(memories):
                lates[f"{p}"] = Signal(name=f"{name}_s2_won_{p}", reset_less=True)
                m.d.sync += lates[f"{p}"].eq(reads[p][name])
                came[f"{p}"] = page.r_data
            line = Signal(banks * 8, name=f"{name}_s2_line")
            back = Signal(offset_bits, name=f"{name}_s2_back")
            m.d.comb += [line.eq(_chosen(lates, came)), back.eq(-offsets[name])]
            s3_data = Signal(len(port.data.as_value()), name=f"{name}_s3_data", reset_less=True)
            m.d.sync += s3_data.eq(_rotate(m, f"{name}_line", line, back, 8))
            m.d.comb += port.data.eq(s3_data)
        return m

    def _page(self, address: Value) -> Value:
        return address[self._config.scratchpad_page_bytes.bit_length() - 1 :]

    def _arbitrate(self, m: Module, names: tuple[str, ...]) -> list[dict[str, Signal]]:
        """First step: who wins which page. Keeps one bit a page and client for the next step."""
        ports = [getattr(self, name) for name in names]
        taken: list[dict[str, Signal]] = []
        for p in range(self._config.scratchpad_pages):
            before: Value = Const(0)
            of_page: dict[str, Signal] = {}
            for name, port in zip(names, ports, strict=True):
                wants = Signal(name=f"{name}_wants_{p}")
                of_page[name] = Signal(name=f"{name}_won_{p}")
                m.d.comb += wants.eq(port.enable & (self._page(port.address) == p))
                m.d.sync += of_page[name].eq(wants & ~before)
                before = before | wants
            taken.append(of_page)
        for k, port in enumerate(ports):
            earlier = Cat(
                other.enable & (self._page(other.address) == self._page(port.address))
                for other in ports[:k]
            )
            m.d.comb += port.ready.eq(~earlier.any())
        return taken

    def _rows(self, m: Module, name: str, address: Value, pitch: Value | int) -> Value:
        """Every bank's row, side by side; bank b has lane (b - offset) mod banks."""
        banks = self._config.line_bytes
        offset_bits = bits_for(banks - 1)
        row_bits = (self._config.scratchpad_page_bytes // banks).bit_length() - 1
        offset, first = address[:offset_bits], address[offset_bits : offset_bits + row_bits]
        rows = Signal(banks * row_bits, name=f"{name}_rows")
        following = Signal(row_bits, name=f"{name}_following")
        m.d.comb += following.eq(first + 1)
        for bank in range(banks):
            row: Value = Mux(bank < offset, following, first) if bank != banks - 1 else first
            if not isinstance(pitch, int):
                lane = Signal(offset_bits, name=f"{name}_lane_{bank}")
                m.d.comb += lane.eq(bank - offset)
                row = row + lane * pitch
            m.d.comb += rows.word_select(bank, row_bits).eq(row)
        return rows


def _chosen(won: dict[str, Signal], values: dict[str, Value]) -> Value:
    """Return the value of the one client that won, or 0."""
    result: Value = Const(0)
    for name, value in values.items():
        result = result | (value & won[name].replicate(len(value)))
    return result


def _rotate(m: Module, name: str, value: Value, places: Value, unit: int) -> Value:
    """`value` turned to the left by `places` units; its length is a power of two of them."""
    for k in range(bits_for(len(value) // unit - 1)):
        turned = Signal(len(value), name=f"{name}_turned_{k}")
        m.d.comb += turned.eq(Mux(places[k], value.rotate_left(unit << k), value))
        value = turned
    return value
