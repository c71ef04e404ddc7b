"""`MatrixUnit`: runs MATMUL on a `MacArray` with its accumulator memory.

Partial sums of the previous tiles are read back into the top of the array, so the processing
elements do the adding and the accumulators need no adders of their own. Every column has its own
bank, addressed in the wave frame (one cycle later a column), so sums need no deskewing registers.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.config import CoreConfig
from rtl.hierarchy import place
from rtl.layouts import instruction_layout
from rtl.mac_array import MacArray
from rtl.memory import Memory

__all__ = ["MatrixUnit"]


class MatrixUnit(Component):
    """Weights in, operands in, `tiles` times; then the sums out.

    Weights of tile t + 1 load while tile t streams. A tile's swap may be issued with the last beat
    of the tile before it; a beat waits while its row's previous partial sum is still in the array
    (only for fewer than R + 2 rows). The period of a tile is max(rows, R + max(C - 1, 2)) cycles.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    start:
        High for one cycle; `instruction` is a legal MATMUL and stays until `done`.
    i_a, i_b, o:
        Operands (R lanes), weights (C lanes), sums (C lanes of the accumulator's width).
    done:
        High in the cycle in which the last beat of `o` is taken.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "i_a": In(stream.Signature(data.ArrayLayout(signed(8), config.rows))),
                "i_b": In(stream.Signature(data.ArrayLayout(signed(8), config.columns))),
                "o": Out(
                    stream.Signature(
                        data.ArrayLayout(signed(config.accumulator_bits), config.columns)
                    )
                ),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Load, stream and drain."""
        m = Module()
        rows, columns = self._config.rows, self._config.columns
        count = self.instruction.count
        m.submodules.array = array = MacArray(
            rows=rows, columns=columns, accumulator_bits=self._config.accumulator_bits
        )
        row_type = range(max(self._config.accumulator_depth, 2))

        # Weights. `full`: a whole set waits in the shadow registers for its swap.
        swap = Signal()
        full = Signal()
        load_row = Signal(range(rows))
        load_tiles = Signal(16)
        load_wait = Signal(range(max(columns - 1, 1)))
        load_fire = self.i_b.valid & self.i_b.ready
        m.d.comb += [
            self.i_b.ready.eq((load_tiles != 0) & ~full & (load_wait == 0)),
            array.b.eq(self.i_b.payload),
            array.load.eq(load_fire << load_row),
            array.swap.eq(swap),
        ]
        with m.If(load_fire):
            with m.If(load_row == rows - 1):
                m.d.sync += [load_row.eq(0), full.eq(1), load_tiles.eq(load_tiles - 1)]
            with m.Else():
                m.d.sync += load_row.eq(load_row + 1)
        with m.If(swap):
            # The last column of row 0 takes its shadow weight C - 1 cycles after column 0 does.
            m.d.sync += [full.eq(0), load_wait.eq(max(columns - 2, 0))]
        with m.Elif(load_wait != 0):
            m.d.sync += load_wait.eq(load_wait - 1)

        # Operands. `in_flight` counts the beats whose sums are not yet back in the accumulators.
        active = Signal()
        first_tile = Signal()
        tiles = Signal(16)
        row = Signal(row_type)
        in_flight = Signal(range(rows + 3))
        fire = Signal()
        last_row = row == count - 1
        returned = Signal()
        m.d.comb += [
            self.i_a.ready.eq(active & (in_flight < count)),
            fire.eq(self.i_a.valid & self.i_a.ready),
            array.a.eq(self.i_a.payload),
            swap.eq(full & (~active | (fire & last_row))),
        ]
        m.d.sync += in_flight.eq(in_flight + fire - returned)
        with m.If(fire):
            m.d.sync += row.eq(row + 1)
            with m.If(last_row):
                m.d.sync += [row.eq(0), active.eq(0), first_tile.eq(0), tiles.eq(tiles - 1)]
        with m.If(swap):
            m.d.sync += active.eq(1)

        # Results leave the last row R + 1 cycles after their operands entered the first column.
        inside = Signal(rows + 1)
        back_row = Signal(row_type)
        m.d.sync += inside.eq(Cat(fire, inside))
        m.d.comb += returned.eq(inside[-1])
        with m.If(returned):
            m.d.sync += back_row.eq(Mux(back_row == count - 1, 0, back_row + 1))

        # Drain.
        drain_row = Signal(row_type)
        drain_left = Signal(16)
        drain = Signal()
        back_later = Signal(columns - 1)
        m.d.comb += [
            drain.eq(
                (drain_left != 0)
                & (tiles == 0)
                & ~(Cat(inside, back_later).any())
                & (~self.o.valid | self.o.ready)
            ),
            self.done.eq(self.o.valid & self.o.ready & (drain_left == 0)),
        ]
        with m.If(drain):
            m.d.sync += [drain_row.eq(drain_row + 1), drain_left.eq(drain_left - 1)]
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        # One bank a column; addresses and enables hop from column to column.
        read = (fire, row, first_tile)
        back = (returned, back_row)
        for c in range(columns):
            bank = place(
                m,
                platform,
                f"bank_{c}",
                Memory,
                width=self._config.accumulator_bits,
                depth=self._config.accumulator_depth,
                module_name="eoq_accumulator",
            )
            read_late = (
                Signal(name=f"read_{c}"),
                Signal(row_type, name=f"read_row_{c}", reset_less=True),
                Signal(name=f"first_{c}", reset_less=True),
            )
            back_late = (
                Signal(name=f"back_{c}"),
                Signal(row_type, name=f"back_row_{c}", reset_less=True),
            )
            m.d.sync += [late.eq(early) for late, early in zip(read_late, read, strict=True)]
            m.d.sync += [late.eq(early) for late, early in zip(back_late, back, strict=True)]
            if c < columns - 1:
                m.d.comb += back_later[c].eq(back_late[0])
            m.d.comb += [
                bank.r_enable.eq(read[0] | drain),
                bank.r_address.eq(Mux(drain, drain_row, read[1])),
                array.psum_i[c].eq(Mux(read_late[2], 0, bank.r_data.as_signed())),
                bank.w_enable.eq(back[0]),
                bank.w_address.eq(back[1]),
                bank.w_data.eq(array.psum_o[c]),
                self.o.payload[c].eq(bank.r_data.as_signed()),
            ]
            read, back = read_late, back_late

        with m.If(self.start):
            m.d.sync += [
                load_tiles.eq(self.instruction.tiles),
                tiles.eq(self.instruction.tiles),
                first_tile.eq(1),
                row.eq(0),
                back_row.eq(0),
                drain_row.eq(0),
                drain_left.eq(count),
            ]
        return m
