"""`PassIssue`: the loops of a pass, and the requests to the memories of its operands.

A beat asks for its bytes first, and a cycle later for its word of the results memory, which comes a
cycle sooner: so operands that were taken in the same order arrive together, and one register each
in the lanes is enough however long a port lets them wait. Whoever has been taken waits for the
others; the next beat asks only when this one's word is being taken.

A group of masks is a beat of its own: loaded in front of the first beat that needs it, stored
behind the last one that fills it.
"""

import enum

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from rtl.config import CoreConfig
from rtl.layouts import fields_layout
from rtl.vector_instructions import MASK_BEATS, Loops

__all__ = ["Beat", "PassIssue"]

_LANES_BITS = 6


class Beat(data.StructLayout):
    """What goes down the pipeline with a beat.

    Members
    -------
    data:
        It is an element's, for each lane.
    masks:
        It stores the group of masks that is full. Neither: it loaded one.
    row_ends, block_ends:
        Of `data`: the last position of a row, of a block.
    block_begins:
        The first position of a block.
    place:
        Number of its bit in a group of masks.
    lanes, addend_lanes:
        How many lanes have an element; how many have a `v`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "data": 1, "masks": 1, "row_ends": 1, "block_ends": 1, "block_begins": 1,
                "place": 3, "lanes": _LANES_BITS, "addend_lanes": _LANES_BITS,
            }
        )  # fmt: skip


class _Phase(enum.IntEnum):
    LOAD_MASKS = 0
    ELEMENTS = 1
    STORE_MASKS = 2


class PassIssue(Component):
    """Count, request, and say what was taken.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    loops:
        `rtl.vector_instructions.Loops`.
    wants_x, wants_y, wants_z, mask_in, mask_out:
        What a pass needs.
    start:
        Begin, one cycle. The settings stay until `done`.
    done:
        For one cycle, with the last beat.
    x_enable, y_enable, z_enable, x_is_mask, x_ready, y_ready, z_ready:
        Requests; their addresses are the present ones of the streams.
    x_step, z_step, mask_step:
        Streams go on: X and Y with the flags of `x_beat`, the results with those of `beat`.
    x_beat:
        The beat that asks for bytes.
    issued, beat:
        All operands of `beat` were taken.
    waiting:
        A request was not taken.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "loops": In(fields_layout(Loops)),
                "wants_x": In(1), "wants_y": In(1), "wants_z": In(1),
                "mask_in": In(1), "mask_out": In(1),
                "start": In(1), "done": Out(1),
                "x_enable": Out(1), "y_enable": Out(1), "z_enable": Out(1), "x_is_mask": Out(1),
                "x_ready": In(1), "y_ready": In(1), "z_ready": In(1),
                "x_step": Out(1), "z_step": Out(1), "mask_step": Out(1),
                "x_beat": Out(Beat()), "issued": Out(1), "beat": Out(Beat()),
                "waiting": Out(1),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Loops, then bytes, then words."""
        m = Module()
        columns = self._config.columns
        loops = self.loops

        running = Signal()
        phase = Signal(_Phase)
        position, row = Signal(16), Signal(16)
        channels, addend_channels = Signal(16), Signal(16)
        place = Signal(range(MASK_BEATS))
        group_ends = place == MASK_BEATS - 1
        begins = Signal()
        # Known a beat before they are needed: whether the counters are at their ends.
        row_ends, last_row, last_block = Signal(), Signal(), Signal()
        block_ends, pass_ends = Signal(), Signal()
        m.d.comb += [
            block_ends.eq(row_ends & last_row),
            pass_ends.eq(block_ends & last_block),
            self.x_beat.data.eq(phase == _Phase.ELEMENTS),
            self.x_beat.masks.eq(phase == _Phase.STORE_MASKS),
            self.x_beat.row_ends.eq(row_ends),
            self.x_beat.block_ends.eq(block_ends),
            self.x_beat.block_begins.eq(begins),
            self.x_beat.place.eq(place),
            self.x_beat.lanes.eq(Mux(channels < columns, channels, columns)),
            self.x_beat.addend_lanes.eq(Mux(addend_channels < columns, addend_channels, columns)),
        ]

        # Bytes.
        free = Signal()
        x_taken, y_taken = Signal(), Signal()
        x_now = (self.wants_x & self.x_beat.data) | self.x_is_mask
        y_now = self.wants_y & self.x_beat.data
        leaves = Signal()
        m.d.comb += [
            self.x_is_mask.eq(phase == _Phase.LOAD_MASKS),
            self.x_enable.eq(running & free & x_now & ~x_taken),
            self.y_enable.eq(running & free & y_now & ~y_taken),
            leaves.eq(
                running & free
                & (~x_now | x_taken | self.x_ready)
                & (~y_now | y_taken | self.y_ready)
            ),
            self.x_step.eq(leaves & self.x_beat.data),
            self.mask_step.eq(leaves & self.x_is_mask),
        ]  # fmt: skip
        with m.If(leaves):
            m.d.sync += [x_taken.eq(0), y_taken.eq(0)]
        with m.Else():
            m.d.sync += [
                x_taken.eq(x_taken | (self.x_enable & self.x_ready)),
                y_taken.eq(y_taken | (self.y_enable & self.y_ready)),
            ]

        # What comes next.
        next_element = Signal()
        with m.If(leaves), m.Switch(phase):
            with m.Case(_Phase.LOAD_MASKS):
                m.d.sync += phase.eq(_Phase.ELEMENTS)
            with m.Case(_Phase.ELEMENTS):
                with m.If(self.mask_out & (group_ends | pass_ends)):
                    m.d.sync += phase.eq(_Phase.STORE_MASKS)
                with m.Else():
                    m.d.comb += next_element.eq(1)
            with m.Default():
                m.d.comb += next_element.eq(1)
        with m.If(next_element):
            m.d.sync += [
                phase.eq(Mux(self.mask_in & group_ends, _Phase.LOAD_MASKS, _Phase.ELEMENTS)),
                place.eq(place + 1),
                running.eq(~pass_ends),
                begins.eq(block_ends),
                position.eq(Mux(row_ends, loops.positions, position - 1)),
                row_ends.eq(Mux(row_ends, loops.positions == 1, position == 2)),
            ]
            with m.If(row_ends):
                m.d.sync += [
                    row.eq(Mux(last_row, loops.rows, row - 1)),
                    last_row.eq(Mux(last_row, loops.rows == 1, row == 2)),
                ]
            with m.If(block_ends):
                m.d.sync += [
                    channels.eq(channels - columns),
                    last_block.eq(channels <= 2 * columns),
                    addend_channels.eq(
                        Mux(addend_channels < columns, 0, addend_channels - columns)
                    ),
                ]
        with m.If(self.start):
            m.d.sync += [
                running.eq(1),
                phase.eq(Mux(self.mask_in, _Phase.LOAD_MASKS, _Phase.ELEMENTS)),
                position.eq(loops.positions),
                row.eq(loops.rows),
                channels.eq(loops.channels),
                row_ends.eq(loops.positions == 1),
                last_row.eq(loops.rows == 1),
                last_block.eq(loops.channels <= columns),
                addend_channels.eq(loops.addend_channels),
                place.eq(0),
                begins.eq(1),
            ]

        # Words.
        z_beat = Signal(Beat(), reset_less=True)
        z_last = Signal(reset_less=True)
        z_valid = Signal()
        z_now = self.wants_z & z_beat.data
        m.d.comb += [
            self.z_enable.eq(z_valid & z_now),
            self.issued.eq(z_valid & (~z_now | self.z_ready)),
            self.beat.eq(z_beat),
            self.z_step.eq(self.issued & z_beat.data),
            self.done.eq(self.issued & z_last),
            free.eq(~z_valid | self.issued),
            self.waiting.eq(
                (self.x_enable & ~self.x_ready)
                | (self.y_enable & ~self.y_ready)
                | (self.z_enable & ~self.z_ready)
            ),
        ]
        with m.If(free):
            m.d.sync += [
                z_valid.eq(leaves),
                z_beat.eq(self.x_beat),
                z_last.eq(next_element & pass_ends),
            ]
        return m
