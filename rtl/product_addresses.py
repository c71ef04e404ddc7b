"""`ProductAddresses`: the loops of a product as counters, one vector of A and one row of B a cycle.

Addresses are made by additions alone, because software gives every stride. Where a vector of A is
has two parts that move on their own: that of tap and channel block, and that of the position.
Levels of a loop keep where they began, so that one adder serves all levels of B.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from rtl.config import CoreConfig
from rtl.layouts import fields_layout
from rtl.matrix_instructions import ALoops, AStrides, BLoops, BStrides, Multiply, Results, Window

__all__ = ["LINE_BITS", "ROUND_TRIP", "ProductAddresses", "address_bits"]

LINE_BITS = 16
"""Signed bits of a byte's place in its line, padding included."""

ROUND_TRIP = 3
"""A partial sum may be read again R + 3 cycles after it was read: the shortest tile."""


def address_bits(config: CoreConfig) -> int:
    """Signed bits of an address before it is known to be inside the scratchpad."""
    return config.scratchpad_address_bits + 2


class ProductAddresses(Component):
    """What is read and written in each cycle of a product.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    multiply, b_loops, b_strides, a_loops, a_strides, window, results:
        The product; constant from `start` until it has run.
    start:
        The product begins in the next cycle.
    stop:
        The product ends in the next cycle, wherever it is.
    running:
        It has not been addressed to its end.
    beat, block, first, last, z:
        A vector of A is addressed; it is the first of a transposed block; its sums begin at zero;
        it is the product's last vector; the word its sums go to.
    stored:
        Whether the vector's sums are results at all.
    row, row_zero:
        A row of B is addressed, and one cycle later whether it is zeros. The first row of a tile
        has `tile` as well.
    a_address, a_x, a_live, b_address:
        Two cycles after their `beat` and `row`: addresses; place of A's lane 0 in its line; and
        whether any of A's bytes exists.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        kinds = {
            "b_loops": BLoops, "b_strides": BStrides, "a_loops": ALoops, "a_strides": AStrides,
            "window": Window, "results": Results, "multiply": Multiply,
        }  # fmt: skip
        super().__init__(
            {
                **{name: In(fields_layout(kind)) for name, kind in kinds.items()},
                "start": In(1),
                "stop": In(1),
                "running": Out(1),
                "beat": Out(1),
                "block": Out(1),
                "first": Out(1),
                "last": Out(1),
                "stored": Out(1),
                "z": Out(config.results_address_bits + 1),
                "tile": Out(1),
                "row": Out(1),
                "row_zero": Out(1),
                "a_address": Out(signed(address_bits(config))),
                "a_x": Out(signed(LINE_BITS)),
                "a_live": Out(1),
                "b_address": Out(signed(address_bits(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count, and add strides."""
        m = Module()
        rows = self._config.rows
        running = Signal()
        tile_end = Signal()
        tiles_end = Signal()
        m.d.comb += self.running.eq(running)

        # Beats of a tile, and its length: no shorter than a partial sum's way round.
        beats_over = Signal()
        beats_end = Signal()
        cycle = Signal(range(rows + ROUND_TRIP))
        long_enough = cycle == rows + ROUND_TRIP - 1
        m.d.comb += [
            self.beat.eq(running & ~beats_over),
            tile_end.eq(running & long_enough & (beats_over | beats_end)),
            self.tile.eq(running & (cycle == 0)),
            self.row.eq(running & (cycle < rows)),
        ]
        with m.If(running):
            m.d.sync += [beats_over.eq(beats_over | beats_end), cycle.eq(cycle + ~long_enough)]
        with m.If(tile_end | self.start):
            m.d.sync += [beats_over.eq(0), cycle.eq(0)]

        product_end, partial = self._b(m, beats_end, tile_end, tiles_end)
        row_end, block_end = self._a(m, tile_end & tiles_end, beats_end, partial)
        self._z(m, row_end, block_end, tile_end, tiles_end)
        with m.If(product_end | self.stop):
            m.d.sync += running.eq(0)
        with m.If(self.start):
            m.d.sync += running.eq(1)
        return m

    def _b(
        self, m: Module, beats_end: Value, tile_end: Value, tiles_end: Value
    ) -> tuple[Value, Value]:
        """Rows of B; `tiles_end`: this is the last tile of a j.

        Returns when the product ends, and whether a tile has `rows_last` rows.
        """
        loops, strides = self.b_loops, self.b_strides
        bits = address_bits(self._config)
        # Counters begin at one, so that their ends are comparisons and nothing is subtracted.
        c0, c1, c2, cj = Signal(16), Signal(6), Signal(6), Signal(8)
        ends = Cat(c0 == loops.n0, c1 == loops.n1, c2 == loops.n2, cj == loops.nj)
        # A tile takes four cycles at least: what only its end needs is made a cycle before.
        late_ends = Signal(4)
        m.d.sync += late_ends.eq(ends)
        end0, end1, end2, endj = late_ends
        product_end = Signal()
        first_tile = Signal()
        m.d.comb += [
            tiles_end.eq(late_ends[:3].all()),
            product_end.eq(tile_end & tiles_end & endj),
            self.first.eq(first_tile),
            self.last.eq(beats_end & ends.all()),
        ]

        # at[k]: where the present round of loop k began; at[0] is the present tile.
        at = [Signal(signed(bits), name=f"b_at_{k}", reset_less=True) for k in range(4)]
        row = Signal(signed(bits), name="b_row", reset_less=True)
        base, stride = at[0], strides.t0
        for k, (passed, further) in enumerate(
            ((end0, strides.t1), (end0 & end1, strides.t2), (tiles_end, strides.j)), start=1
        ):
            base, stride = Mux(passed, at[k], base), Mux(passed, further, stride)
        following = Signal(signed(bits), name="b_following", reset_less=True)
        m.d.sync += following.eq(base + stride)
        with m.If(tile_end):
            m.d.sync += [row.eq(following), at[0].eq(following), first_tile.eq(0)]
            m.d.sync += c0.eq(Mux(end0, 1, c0 + 1))
            with m.If(end0):
                m.d.sync += [at[1].eq(following), c1.eq(Mux(end1, 1, c1 + 1))]
                with m.If(end1):
                    m.d.sync += [at[2].eq(following), c2.eq(Mux(end2, 1, c2 + 1))]
            with m.If(tiles_end):
                m.d.sync += [
                    at[3].eq(following),
                    cj.eq(cj + 1),
                    first_tile.eq(~self.multiply.accumulate),
                ]
        with m.Elif(self.row):
            m.d.sync += row.eq(row + strides.row)
        with m.If(self.start):
            m.d.sync += [level.eq(self.multiply.b_base) for level in (row, *at)]
            m.d.sync += [
                first_tile.eq(~self.multiply.accumulate),
                *(c.eq(1) for c in (c0, c1, c2, cj)),
            ]

        count = Signal(range(self._config.rows + 1))
        with m.If(self.row):
            m.d.sync += count.eq(count + 1)
        with m.If(tile_end | self.start):
            m.d.sync += count.eq(0)
        past = Signal()
        m.d.sync += past.eq(count >= loops.rows_last)
        m.d.comb += self.row_zero.eq(end0 & past)

        s1_address = Signal(signed(bits), name="b_s1_address", reset_less=True)
        s2_address = Signal(signed(bits), name="b_s2_address", reset_less=True)
        m.d.sync += [s1_address.eq(row), s2_address.eq(s1_address)]
        m.d.comb += self.b_address.eq(s2_address)
        return product_end, ends[0]

    def _a(
        self, m: Module, restart: Value, beats_end: Value, partial: Value
    ) -> tuple[Value, Value]:
        """Vectors of A; `beats_end`: this is the tile's last; `partial`: B has `rows_last` rows.

        Returns the ends of a row of positions, and of a block.
        """
        loops, strides, window = self.a_loops, self.a_strides, self.window
        rows = self._config.rows
        bits = address_bits(self._config)
        beat = self.beat

        # Tap and channel block: place in the line, address of the line, and the line.
        c0, c1, c2 = Signal(8), Signal(6), Signal(6)
        end0, end1, end2 = c0 == loops.n0, c1 == loops.n1, c2 == loops.n2
        taps_end = end0 & end1 & end2
        tap_x = Signal(signed(LINE_BITS), reset_less=True)
        tap_x1 = Signal(signed(LINE_BITS), reset_less=True)
        tap_line = Signal(signed(bits), reset_less=True)
        tap_y = Signal(signed(12), reset_less=True)

        # Position: the same three, and where the sample began.
        cx, cy = Signal(10), Signal(10)
        end_x, end_y = cx == window.m0, cy == window.m1
        at = {
            "x": Signal(signed(LINE_BITS), name="at_x", reset_less=True),
            "line": Signal(signed(bits), name="at_line", reset_less=True),
            "y": Signal(signed(13), name="at_y", reset_less=True),
            "sample": Signal(signed(bits), name="at_sample", reset_less=True),
            "cx": cx,
            "cy": cy,
        }
        sample = (at["sample"] + strides.n)[:bits].as_signed()
        turn = loops.transposed & end_x & end_y
        following: dict[str, Value] = {
            "x": Mux(end_x, 0, at["x"] + strides.x),
            "line": Mux(
                end_x,
                Mux(end_y, Mux(turn, sample, 0), at["line"] + strides.y),
                at["line"],
            ),
            "y": Mux(end_x, Mux(end_y, 0, at["y"] + window.y_step), at["y"]),
            "sample": Mux(turn, sample, at["sample"]),
            "cx": Mux(end_x, 1, cx + 1),
            "cy": Mux(end_x, Mux(end_y, 1, cy + 1), cy),
        }

        # A block ends after all positions, or transposed after R; then the next tap has the same
        # positions, or after the last tap the next tile those that follow.
        k = Signal(range(rows))
        block_end = Signal()
        m.d.comb += [
            block_end.eq(beat & Mux(loops.transposed, k == rows - 1, end_x & end_y)),
            beats_end.eq(block_end & (~loops.transposed | taps_end)),
            self.block.eq(beat & loops.transposed & (k == 0)),
            self.stored.eq(beat & ~(loops.transposed & end0 & (k >= loops.lanes_last))),
        ]
        with m.If(beat):
            m.d.sync += k.eq(Mux(block_end, 0, k + 1))
        for name, present in at.items():
            began = Signal.like(present, name=f"began_{name}", reset_less=True)
            with m.If(beat):
                again = loops.transposed & block_end & ~taps_end
                m.d.sync += present.eq(Mux(again, began, following[name]))
                with m.If(block_end & taps_end):
                    m.d.sync += began.eq(following[name])
            with m.If(self.start | restart):
                zero = int(name in ("cx", "cy"))
                m.d.sync += [present.eq(zero), began.eq(zero)]

        with m.If(block_end):
            m.d.sync += c0.eq(Mux(end0, 1, c0 + 1))
            next_x = Mux(end0, Mux(end1, window.x_first, tap_x1 + strides.t1), tap_x + rows)
            m.d.sync += tap_x.eq(next_x)
            with m.If(end0):
                m.d.sync += [tap_x1.eq(next_x), c1.eq(Mux(end1, 1, c1 + 1))]
                with m.If(end1):
                    m.d.sync += [
                        c2.eq(Mux(end2, 1, c2 + 1)),
                        tap_line.eq(Mux(end2, self.multiply.a_base, tap_line + strides.t2)),
                        tap_y.eq(Mux(end2, window.y_first, tap_y + window.y_t2)),
                    ]
        with m.If(self.start):
            m.d.sync += [
                *(c.eq(1) for c in (c0, c1, c2)),
                k.eq(0),
                *(x.eq(window.x_first) for x in (tap_x, tap_x1)),
                tap_line.eq(self.multiply.a_base),
                tap_y.eq(window.y_first),
            ]

        s1_x = Signal(signed(LINE_BITS), reset_less=True)
        # A position that no row of B belongs to need not even be inside the memory.
        s1_past = Signal(reset_less=True)
        s1_line = Signal(signed(bits), reset_less=True)
        s1_y = Signal(signed(14), reset_less=True)
        s2_x = Signal(signed(LINE_BITS), reset_less=True)
        s2_live = Signal(reset_less=True)
        s2_address = Signal(signed(bits), name="a_s2_address", reset_less=True)
        m.d.sync += [
            s1_x.eq(tap_x + at["x"]),
            s1_past.eq(loops.transposed & partial & (k >= self.b_loops.rows_last)),
            s1_line.eq(tap_line + at["line"]),
            s1_y.eq(tap_y + at["y"]),
            s2_x.eq(s1_x),
            s2_live.eq(
                ~s1_past
                & ((s1_y >= 0) & (s1_y < window.height))
                & ((s1_x > -rows) & (s1_x < window.line))
            ),
            s2_address.eq(s1_line + s1_x),
        ]
        m.d.comb += [self.a_address.eq(s2_address), self.a_x.eq(s2_x), self.a_live.eq(s2_live)]
        return end_x, block_end

    def _z(
        self, m: Module, row_end: Value, block_end: Value, tile_end: Value, tiles_end: Value
    ) -> None:
        """Words that sums are added to."""
        results, transposed = self.results, self.a_loops.transposed
        bits = self._config.results_address_bits + 1
        z = Signal(bits, name="z_now", reset_less=True)
        line = Signal(bits, name="z_line", reset_less=True)
        column = Signal(bits, name="z_column", reset_less=True)
        m.d.comb += self.z.eq(z)
        with m.If(self.beat):
            with m.If(transposed):
                m.d.sync += z.eq(z + self.stored)
            with m.Elif(block_end):
                m.d.sync += [z.eq(column), line.eq(column)]
            with m.Elif(row_end):
                m.d.sync += [z.eq(line + results.z_y), line.eq(line + results.z_y)]
            with m.Else():
                m.d.sync += z.eq(z + results.z_x)
        with m.If(tile_end):
            begin = Mux(tiles_end, column + results.z_j, column)
            m.d.sync += [z.eq(begin), line.eq(begin), column.eq(begin)]
        with m.If(self.start):
            m.d.sync += [level.eq(self.multiply.z_base) for level in (z, line, column)]
