"""`ResultsMemory`: the array's partial sums, which are also one sample's tensor of results.

One bank a column and page. The matrix unit reads and writes every column at its own time, in the
array's wave, so sums are never skewed back; the vector unit reads and writes whole words, in pages
that the matrix unit does not work on.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import bits_for

from rtl.config import CoreConfig
from rtl.hierarchy import SharedComponent, place
from rtl.memory import Memory
from rtl.ports import ResultsColumns, ResultsRead, ResultsWrite

__all__ = ["ResultsColumn", "ResultsMemory"]


class ResultsColumn(SharedComponent):
    """One column: a bank a page.

    Parameters
    ----------
    width, depth, pages:
        Of a bank, and how many there are.

    Members
    -------
    busy:
        One bit a page: it belongs to the matrix unit.
    c_r_enable, c_r_address, c_r_data, c_w_enable, c_w_address, c_w_data:
        The matrix unit's. Data one cycle later.
    r_enable, r_address, r_data, w_enable, w_address, w_data:
        The vector unit's: one enable a page, which is not busy, and the address in it. Data two
        cycles later.
    s1_page:
        Page that was read a cycle ago.
    """

    module_name = "eoq_results_column"

    def __init__(self, *, width: int, depth: int, pages: int) -> None:
        self._width, self._depth, self._pages = width, depth, pages
        bits, inner = bits_for(depth * pages - 1), bits_for(depth - 1)
        super().__init__(
            {
                "busy": In(pages),
                "c_r_enable": In(1), "c_r_address": In(bits), "c_r_data": Out(signed(width)),
                "c_w_enable": In(1), "c_w_address": In(bits), "c_w_data": In(signed(width)),
                "r_enable": In(pages), "r_address": In(inner), "r_data": Out(signed(width)),
                "s1_page": In(bits_for(pages - 1)),
                "w_enable": In(pages), "w_address": In(inner), "w_data": In(signed(width)),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Choose between the two clients, page by page."""
        m = Module()
        inner = self._depth.bit_length() - 1
        words: list[Value] = []
        for p in range(self._pages):
            bank = place(m, platform, f"bank_{p}", Memory, width=self._width, depth=self._depth,
                         module_name="eoq_results_bank")  # fmt: skip
            mine = self.busy[p]

            def here(enable: Value, address: Value, p: int = p) -> Value:
                return enable & (address[inner:] == p)

            m.d.comb += [
                bank.r_enable.eq(here(self.c_r_enable, self.c_r_address) | self.r_enable[p]),
                bank.r_address.eq(Mux(mine, self.c_r_address[:inner], self.r_address)),
                bank.w_enable.eq(here(self.c_w_enable, self.c_w_address) | self.w_enable[p]),
                bank.w_address.eq(Mux(mine, self.c_w_address[:inner], self.w_address)),
                bank.w_data.eq(Mux(mine, self.c_w_data, self.w_data)),
            ]
            words.append(bank.r_data)
        s1_c_page = Signal(bits_for(self._pages - 1), reset_less=True)
        s2_word = Signal(signed(self._width), reset_less=True)
        m.d.sync += [
            s1_c_page.eq(self.c_r_address[inner:]),
            s2_word.eq(Array(words)[self.s1_page]),
        ]
        m.d.comb += [self.c_r_data.eq(Array(words)[s1_c_page]), self.r_data.eq(s2_word)]
        return m


class ResultsMemory(Component):
    """Words of C partial sums.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    c:
        The matrix unit's columns.
    r, w:
        The vector unit's.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "c": In(ResultsColumns(config)),
                "r": In(ResultsRead(config)),
                "w": In(ResultsWrite(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Columns side by side; a page that is busy is nobody else's."""
        m = Module()
        config = self._config
        pages, depth = config.results_pages, config.results_page_depth
        inner = depth.bit_length() - 1

        def page_of(address: Value) -> Value:
            return address[inner:]

        busy = Array(self.c.busy[p] for p in range(pages))
        m.d.comb += [
            self.r.ready.eq(~busy[page_of(self.r.address)]),
            self.w.ready.eq(~busy[page_of(self.w.address)]),
        ]
        # Which page it is, is decided once for all columns.
        s1_page = Signal(bits_for(pages - 1), reset_less=True)
        m.d.sync += s1_page.eq(page_of(self.r.address))
        r_enable, w_enable = (
            Cat(
                client.enable & ~busy & (page_of(client.address) == p)
                for p, busy in enumerate(self.c.busy)
            )
            for client in (self.r, self.w)
        )
        for c in range(config.columns):
            column = place(m, platform, f"column_{c}", ResultsColumn,
                           width=config.accumulator_bits, depth=depth, pages=pages)  # fmt: skip
            m.d.comb += [
                column.busy.eq(self.c.busy),
                column.c_r_enable.eq(self.c.r_enable[c]),
                column.c_r_address.eq(self.c.r_address[c]),
                self.c.r_data[c].eq(column.c_r_data),
                column.c_w_enable.eq(self.c.w_enable[c]),
                column.c_w_address.eq(self.c.w_address[c]),
                column.c_w_data.eq(self.c.w_data[c]),
                column.r_enable.eq(r_enable),
                column.r_address.eq(self.r.address[:inner]),
                column.s1_page.eq(s1_page),
                self.r.data[c].eq(column.r_data),
                column.w_enable.eq(w_enable),
                column.w_address.eq(self.w.address[:inner]),
                column.w_data.eq(self.w.data[c]),
            ]
        return m
