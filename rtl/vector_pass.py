"""`VectorPass`: runs one `rtl.vector_instructions.Pass` over the lanes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from rtl.address_stream import AddressStream
from rtl.config import CoreConfig
from rtl.hierarchy import place
from rtl.instructions import Fault
from rtl.lane_totals import LaneTotals
from rtl.lane_totals import latency as totals_latency
from rtl.layouts import fields_layout
from rtl.pass_issue import Beat, PassIssue
from rtl.ports import (
    RESULTS_LATENCY,
    SCRATCHPAD_LATENCY,
    ResultsRead,
    ResultsWrite,
    ScratchpadRead,
    ScratchpadWrite,
)
from rtl.quantizer import saturate
from rtl.vector_instructions import (
    SCALAR_BITS,
    Addend,
    Loops,
    Operand,
    Output,
    Pass,
    Rectify,
    Stream,
    Stride,
    Total,
)
from rtl.vector_lane import (
    INDEX_BITS,
    LANE_BITS,
    O_STEP,
    T_STEP,
    LaneSettings,
    VectorLane,
)

__all__ = ["PASS_STREAMS", "SHIFT_BITS", "PassScalars", "VectorPass", "drain"]

PASS_STREAMS = tuple(Stream)
"""Streams, in the order of their numbers."""

SHIFT_BITS = 8
"""Of a shift that was read: more than any limit that is set afterwards."""

_STEP_0 = RESULTS_LATENCY + 1
"""Cycles from the one in which a beat's word is taken to its step 0."""


def drain(columns: int) -> int:
    """Cycles from the last beat's issue until everything about the pass is known and stored."""
    return _STEP_0 + O_STEP + totals_latency(columns)


class PassScalars(data.StructLayout):
    """The scalars that a pass has read, the shifts saturated."""

    def __init__(self) -> None:
        super().__init__(
            {
                "u_shift": signed(SHIFT_BITS), "v_shift": signed(SCALAR_BITS),
                "factor": signed(8), "bias": signed(32), "shift": signed(SHIFT_BITS), "key": 32,
            }
        )  # fmt: skip


def _limited(value: Value, low: int, high: int) -> Value:
    return Mux(value < low, low, Mux(value > high, high, value))


def lane_settings(m: Module, what: Value, scalars: Value) -> Signal:
    """What all lanes are told, a cycle after the word and its scalars are there."""
    settings = Signal(LaneSettings(), reset_less=True)
    # Right of 32 bits and more a half-up shift of 32 bits gives 0, as by 32.
    u_shift = Signal(signed(7))
    v_shift = Signal(signed(6))
    keep = Signal(32)
    m.d.comb += [
        u_shift.eq(_limited(scalars.u_shift, -15, 32)),
        v_shift.eq(_limited(scalars.v_shift, -15, 16)),
    ]
    for bit in range(32):
        # Right: the bits that do not come from beyond the sign. Left: those above the zeros.
        is_above = (-u_shift)[:5] <= bit if bit != 31 else 1
        m.d.comb += keep[bit].eq(Mux(u_shift[-1], is_above, u_shift + bit < 32))
    factor = Signal(signed(8))
    with m.Switch(what.operand):
        with m.Case(Operand.X):
            m.d.comb += factor.eq(1)
        with m.Case(Operand.X_FACTOR):
            m.d.comb += factor.eq(scalars.factor)
    m.d.sync += [
        settings.u_results.eq(what.operand == Operand.RESULTS),
        settings.times_y.eq(what.operand == Operand.X_Y),
        settings.factor.eq(factor),
        settings.u_turn.eq(u_shift),
        settings.u_keep.eq(keep),
        settings.u_right.eq(u_shift > 0),
        settings.negate.eq(what.negate),
        settings.v_wide.eq(what.addend == Addend.Y_X),
        settings.v_scalar.eq(what.addend == Addend.SCALAR),
        settings.v_none.eq(what.addend == Addend.NONE),
        settings.v_count.eq(v_shift + 15),
        settings.v_right.eq(~v_shift[-1]),
        settings.scalar.eq(scalars.v_shift),
        settings.bias.eq(Mux(what.accumulate, 0, scalars.bias)),
        settings.rectify_first.eq(what.rectify == Rectify.FIRST),
        settings.rectify_last.eq(what.rectify == Rectify.LAST),
        settings.masked.eq(what.mask_in),
        settings.accumulate.eq(what.accumulate),
        settings.shift.eq(_limited(scalars.shift, 0, 63)),
        settings.stochastic.eq(what.stochastic),
        settings.key.eq(scalars.key),
    ]
    return settings


class VectorPass(Component):
    """C lanes, their addresses, and what is learned about the whole tensor.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    what, scalars, loops, strides:
        The word, its scalars, and the geometry: one `Stride` a stream. They stay until `done`; for
        a cycle in front of `start` they already have.
    start, done:
        One cycle each. When `done`, everything is stored and `largest` and `sum` are final.
    largest:
        As long as the largest magnitude of t.
    sum:
        Of what was asked for.
    fault:
        For one cycle: an address was outside its memory, or a store was refused. The pass is over.
    waiting:
        Held up by another client of a memory.
    x, y, z, w, v:
        Memories: bytes, words, stored words, stored bytes.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "what": In(fields_layout(Pass)),
                "scalars": In(PassScalars()),
                "loops": In(fields_layout(Loops)),
                "strides": In(data.ArrayLayout(fields_layout(Stride), len(PASS_STREAMS))),
                "start": In(1),
                "done": Out(1),
                "largest": Out(32),
                "sum": Out(signed(SCALAR_BITS)),
                "fault": Out(Fault),
                "waiting": Out(1),
                "x": Out(ScratchpadRead(config, config.columns)),
                "y": Out(ScratchpadRead(config, config.columns)),
                "z": Out(ResultsRead(config)),
                "w": Out(ResultsWrite(config)),
                "v": Out(ScratchpadWrite(config, config.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Streams, issue, lanes, stores."""
        m = Module()
        config, what = self._config, self.what
        columns = config.columns
        m.submodules.issue = issue = PassIssue(config=config)
        m.submodules.totals = totals = LaneTotals(columns=columns)
        streams: dict[Stream, AddressStream] = {}
        for stream in PASS_STREAMS:
            addresses = AddressStream()
            m.submodules[stream.name.lower()] = streams[stream] = addresses
            of = self.strides[int(stream)]
            m.d.comb += [
                addresses.base.eq(of.base),
                addresses.start.eq(self.start),
                addresses.position.eq(columns if stream is Stream.MASK else of.position),
                addresses.row.eq(of.row),
                addresses.block.eq(of.block),
            ]

        def step(stream: Stream, when: Value, beat: Value) -> None:
            m.d.comb += [
                streams[stream].step.eq(when),
                streams[stream].row_ends.eq(beat.row_ends),
                streams[stream].block_ends.eq(beat.block_ends),
            ]

        y_x = what.addend == Addend.Y_X
        m.d.comb += [
            issue.start.eq(self.start),
            issue.loops.eq(self.loops),
            issue.wants_x.eq(
                (what.operand == Operand.X) | (what.operand == Operand.X_FACTOR)
                | (what.operand == Operand.X_Y) | y_x
            ),
            issue.wants_y.eq((what.operand == Operand.X_Y) | (what.addend == Addend.Y) | y_x),
            issue.wants_z.eq(what.operand == Operand.RESULTS),
            issue.mask_in.eq(what.mask_in),
            issue.mask_out.eq(what.mask_out),
            self.waiting.eq(issue.waiting),
        ]  # fmt: skip

        # Requests.
        mask = streams[Stream.MASK]
        m.d.comb += [
            self.x.enable.eq(issue.x_enable),
            self.x.address.eq(Mux(issue.x_is_mask, mask.address, streams[Stream.X].address)),
            self.y.enable.eq(issue.y_enable),
            self.y.address.eq(streams[Stream.Y].address),
            self.z.enable.eq(issue.z_enable),
            self.z.address.eq(streams[Stream.RESULTS_IN].address),
            issue.x_ready.eq(self.x.ready),
            issue.y_ready.eq(self.y.ready),
            issue.z_ready.eq(self.z.ready),
        ]
        step(Stream.X, issue.x_step, issue.x_beat)
        step(Stream.Y, issue.x_step, issue.x_beat)
        step(Stream.RESULTS_IN, issue.z_step, issue.beat)

        def later(value: Value, cycles: int, name: str) -> list[Signal]:
            """`value` 0, 1, ... `cycles` cycles ago."""
            history = [value]
            for k in range(cycles):
                past = Signal.like(value, name=f"{name}_{k + 1}")
                m.d.sync += past.eq(history[-1])
                history.append(past)
            return history

        x_took = self.x.enable & self.x.ready
        x_take = later(x_took & ~issue.x_is_mask, SCRATCHPAD_LATENCY, "x_take")[-1]
        mask_take = later(x_took & issue.x_is_mask, SCRATCHPAD_LATENCY, "mask_take")[-1]
        y_take = later(self.y.enable & self.y.ready, SCRATCHPAD_LATENCY, "y_take")[-1]
        z_take = later(self.z.enable & self.z.ready, RESULTS_LATENCY, "z_take")[-1]

        # Beats: present[k] is what is in step k.
        entry = Signal(Beat())
        with m.If(issue.issued):
            m.d.comb += entry.eq(issue.beat)
        beats = later(entry, _STEP_0 + O_STEP, "beat")
        present = beats[_STEP_0:]
        counted = [beat.data & (~what.accumulate | beat.block_ends) for beat in present]

        index = streams[Stream.INDEX].address
        next_index = Signal(INDEX_BITS - LANE_BITS)
        m.d.comb += next_index.eq(index[LANE_BITS:] + 1)

        settings = lane_settings(m, what, self.scalars)
        for lane in range(columns):
            it = place(m, platform, f"lane_{lane}", VectorLane,
                       accumulator_bits=config.accumulator_bits)  # fmt: skip
            m.d.comb += [
                it.set.eq(settings),
                it.lane.eq(lane),
                it.x.eq(self.x.data[lane]),
                it.y.eq(self.y.data[lane]),
                it.z.eq(self.z.data[lane]),
                it.x_take.eq(x_take),
                it.y_take.eq(y_take),
                it.z_take.eq(z_take),
                it.mask_take.eq(mask_take),
                it.s0_place.eq(present[0].place),
                it.s0_y_valid.eq(present[0].addend_lanes > lane),
                it.s3_go.eq(present[3].data),
                it.s3_again.eq(what.accumulate & ~(present[3].data & present[3].block_begins)),
                it.s4_index.eq(index),
                it.s4_next.eq(next_index),
                it.s5_valid.eq(counted[5] & (present[5].lanes > lane)),
                it.s7_place.eq(present[7].place),
                it.s7_mask_take.eq(present[7].data),
                self.w.data[lane].eq(saturate(it.t, config.accumulator_bits)),
                self.v.data[lane].eq(Mux(present[O_STEP].masks, it.mask, it.o)),
                self.v.mask[lane].eq(present[O_STEP].masks | (present[O_STEP].lanes > lane)),
                totals.magnitude[lane].eq(it.magnitude),
                totals.t[lane].eq(it.t),
                totals.o[lane].eq(it.o),
            ]
        step(Stream.INDEX, present[4].data, present[4])

        # Stores.
        m.d.comb += [
            self.w.enable.eq(counted[T_STEP] & (what.output == Output.RESULTS)),
            self.w.address.eq(streams[Stream.RESULTS_OUT].address),
            self.v.enable.eq(
                (counted[O_STEP] & (what.output == Output.BYTES)) | present[O_STEP].masks
            ),
            self.v.address.eq(
                Mux(present[O_STEP].masks, mask.address, streams[Stream.OUTPUT].address)
            ),
        ]
        step(Stream.RESULTS_OUT, present[T_STEP].data, present[T_STEP])
        step(Stream.OUTPUT, present[O_STEP].data, present[O_STEP])
        m.d.comb += mask.step.eq(issue.mask_step | present[O_STEP].masks)

        m.d.comb += [
            totals.clear.eq(self.start),
            totals.sum_o.eq(what.total == Total.O),
            totals.t_valid.eq(counted[T_STEP]),
            totals.o_valid.eq(counted[O_STEP]),
            self.largest.eq(totals.largest),
            self.sum.eq(totals.sum),
        ]

        # The end, and what ends it early.
        def outside(stream: Stream, bits: int) -> Value:
            return streams[stream].outside | (streams[stream].address >> bits).any()

        bytes_, words = config.scratchpad_address_bits, config.results_address_bits
        x_outside = Mux(issue.x_is_mask, outside(Stream.MASK, bytes_), outside(Stream.X, bytes_))
        v_outside = Mux(present[O_STEP].masks, outside(Stream.MASK, bytes_),
                        outside(Stream.OUTPUT, bytes_))  # fmt: skip
        left = Signal(range(drain(columns) + 1))
        with m.If(issue.done):
            m.d.sync += left.eq(drain(columns))
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.comb += self.done.eq(left == 1)
        with m.If(
            Cat(
                self.x.enable & x_outside,
                self.y.enable & outside(Stream.Y, bytes_),
                self.z.enable & outside(Stream.RESULTS_IN, words),
                self.w.enable & outside(Stream.RESULTS_OUT, words),
                self.v.enable & v_outside,
            ).any()
        ):
            m.d.comb += self.fault.eq(Fault.ADDRESS)
        with m.Elif((self.w.enable & ~self.w.ready) | (self.v.enable & ~self.v.ready)):
            m.d.comb += self.fault.eq(Fault.CONFLICT)
        return m
