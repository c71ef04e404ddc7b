"""`ResultsMemory`: the array's partial sums, which are also one sample's tensor of results.

One bank a column and page. The matrix unit reads and writes every column at its own time, in the
array's wave, so sums are never skewed back; the vector unit reads and writes whole words, in pages
that the matrix unit does not work on.
"""

from amaranth.hdl import Array, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In

from rtl.config import CoreConfig
from rtl.hierarchy import place
from rtl.memory import Memory
from rtl.ports import ResultsColumns, ResultsRead, ResultsWrite

__all__ = ["ResultsMemory"]


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
        """Choose between the two clients, page by page."""
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
        r_page = Signal(len(page_of(self.r.address)), reset_less=True)
        m.d.sync += r_page.eq(page_of(self.r.address))
        for c in range(config.columns):
            words: list[Value] = []
            column_page = Signal.like(r_page, name=f"page_{c}", reset_less=True)
            m.d.sync += column_page.eq(page_of(self.c.r_address[c]))
            for p in range(pages):
                bank = place(m, platform, f"bank_{p}_{c}", Memory, width=config.accumulator_bits,
                             depth=depth, module_name="eoq_results_bank")  # fmt: skip
                reads = self.c.r_enable[c] & (page_of(self.c.r_address[c]) == p)
                writes = self.c.w_enable[c] & (page_of(self.c.w_address[c]) == p)
                r_taken = self.r.enable & ~self.c.busy[p] & (page_of(self.r.address) == p)
                w_taken = self.w.enable & ~self.c.busy[p] & (page_of(self.w.address) == p)
                m.d.comb += [
                    bank.r_enable.eq(reads | r_taken),
                    bank.r_address.eq(
                        Mux(self.c.busy[p], self.c.r_address[c], self.r.address)[:inner]
                    ),
                    bank.w_enable.eq(writes | w_taken),
                    bank.w_address.eq(
                        Mux(self.c.busy[p], self.c.w_address[c], self.w.address)[:inner]
                    ),
                    bank.w_data.eq(Mux(self.c.busy[p], self.c.w_data[c], self.w.data[c])),
                ]
                words.append(bank.r_data)
            s2_word = Signal(signed(config.accumulator_bits), name=f"word_{c}", reset_less=True)
            m.d.sync += s2_word.eq(Array(words)[r_page])
            m.d.comb += [
                self.c.r_data[c].eq(Array(words)[column_page]),
                self.r.data[c].eq(s2_word),
            ]
        return m
