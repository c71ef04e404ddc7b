"""`QuantizeUnit`: runs QUANTIZE (two passes over one tensor) and SHIFT (one pass)."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from golden.formats import QuantSpec, Rounding
from rtl import quantizer
from rtl.bias_adder import BiasAdder
from rtl.config import CoreConfig
from rtl.hierarchy import SharedComponent, place
from rtl.isa import Opcode, Pre
from rtl.layouts import instruction_layout
from rtl.memory import Memory
from rtl.quantizer import Quantizer
from rtl.random import RandomDraw

__all__ = ["QuantizeLane", "QuantizeUnit"]


class QuantizeLane(SharedComponent):
    """One lane of both passes; no control.

    Members
    -------
    x, y, pre, pre_shift:
        Operands of the first pass and what to do with them (`rtl.isa.Pre`).
    prepared, magnitude:
        x' two cycles after its operands, and its magnitude: 32 bits, -2**31 included.
    z, shift, stochastic:
        Operand and shift of the second pass, and the choice of rounding.
    key, index, lane, take:
        Of the draws: `rtl.random.RandomDraw`.
    enable:
        Moves the second pass on by one step.
    o:
        SAT8 result of the operand two steps before.
    positive:
        Whether that operand was positive: a ReLU's mask, exact where the result is rounded to 0.
    """

    module_name = "eoq_quantize_lane"

    x: In(signed(32))
    y: In(signed(16))
    pre: In(2)
    pre_shift: In(signed(8))
    prepared: Out(signed(32))
    magnitude: Out(32)
    z: In(signed(32))
    shift: In(signed(8))
    stochastic: In(1)
    key: In(32)
    index: In(24)
    lane: In(5)
    take: In(1)
    enable: In(1)
    o: Out(signed(8))
    positive: Out(1)

    def elaborate(self, platform: object) -> Module:
        """Prepare; then shift, round and saturate."""
        m = Module()

        # First pass. Nothing stalls it: its result goes to a memory.
        m.submodules.bias_adder = bias_adder = BiasAdder()
        s1_keep = Signal(reset_less=True)
        s2_x = Signal(signed(32), reset_less=True)
        biased = bias_adder.o
        m.d.comb += [
            bias_adder.x.eq(self.x),
            bias_adder.y.eq(self.y),
            bias_adder.shift.eq(self.pre_shift),
        ]
        m.d.sync += s1_keep.eq(self.y > 0)
        with m.Switch(self.pre):
            with m.Case(Pre.BIAS):
                m.d.sync += s2_x.eq(biased)
            with m.Case(Pre.BIAS_RELU):
                m.d.sync += s2_x.eq(Mux(biased < 0, 0, biased))
            with m.Case(Pre.MASK):
                m.d.sync += s2_x.eq(Mux(s1_keep, bias_adder.x_late, 0))
            with m.Default():
                m.d.sync += s2_x.eq(bias_adder.x_late)
        m.d.comb += [
            self.prepared.eq(s2_x),
            self.magnitude.eq(Mux(s2_x < 0, -s2_x, s2_x)),
        ]

        # Second pass.
        m.submodules.draw = draw = RandomDraw()
        m.submodules.quantizer = narrow = Quantizer(
            spec=QuantSpec(width_in=32, width_out=8, rounding=Rounding.STOCHASTIC)
        )
        m.d.comb += [
            draw.key.eq(self.key),
            draw.index.eq(self.index),
            draw.lane.eq(self.lane),
            draw.take.eq(self.take),
            narrow.x.eq(self.z),
            narrow.shift.eq(self.shift),
            narrow.random.eq(Mux(self.stochastic, draw.o, quantizer.ROUND_HALF)),
            narrow.enable.eq(self.enable),
            self.o.eq(narrow.o),
        ]
        s1_positive = Signal(reset_less=True)
        s2_positive = Signal(reset_less=True)
        with m.If(self.enable):
            m.d.sync += [s1_positive.eq(self.z > 0), s2_positive.eq(s1_positive)]
        m.d.comb += self.positive.eq(s2_positive)
        return m


class QuantizeUnit(Component):
    """Find a tensor's shift while it is stored, then emit it in 8 bits.

    The shift needs only the bit length of the largest magnitude, and that is the bit length of the
    OR of all magnitudes: no comparison anywhere.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    start:
        High for one cycle; `instruction` is a legal QUANTIZE or SHIFT and stays until `done`.
    i_x, i_y, o:
        C lanes of 32, 16 and 10 bits. QUANTIZE with `pre` takes a beat of both at once.
    done:
        High in the cycle in which the last beat of `o` is taken.
    shift, zero:
        Of the last QUANTIZE, from the first beat of `o` on: shift, and whether all was zero.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        lanes = config.columns
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "i_x": In(stream.Signature(data.ArrayLayout(signed(32), lanes))),
                "i_y": In(stream.Signature(data.ArrayLayout(signed(16), lanes))),
                "o": Out(stream.Signature(data.ArrayLayout(signed(10), lanes))),
                "done": Out(1),
                "shift": Out(5),
                "zero": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Sequence the two passes."""
        m = Module()
        lanes = self._config.columns
        what = self.instruction
        single = what.opcode == Opcode.SHIFT
        masked = ~single & (what.pre == Pre.BIAS_RELU)
        address = range(max(self._config.tensor_depth, 2))
        buffer = place(
            m,
            platform,
            "buffer",
            Memory,
            width=32 * lanes,
            depth=self._config.tensor_depth,
            module_name="eoq_tensor_buffer",
        )

        # Beats still to be taken, to be read back, and to be given.
        take_left = Signal(16)
        read_left = Signal(16)
        give_left = Signal(16)
        prime = Signal()

        # First pass: s1 and s2 are the lanes' registers, s2 is also the cycle of the write.
        y_used = what.pre != Pre.NONE
        s1_valid = Signal()
        s2_valid = Signal()
        write_row = Signal(address)
        peak = Signal(32)
        step = Signal()
        collect = Signal()
        pass_through = Signal()
        m.d.comb += [
            step.eq(~self.o.valid | self.o.ready),
            collect.eq(~single & self.i_x.valid & (self.i_y.valid | ~y_used) & (take_left != 0)),
            pass_through.eq(single & self.i_x.valid & (take_left != 0) & ~prime & step),
            self.i_x.ready.eq(collect | pass_through),
            self.i_y.ready.eq(collect & y_used),
            buffer.w_address.eq(write_row),
            buffer.w_enable.eq(s2_valid),
        ]
        m.d.sync += [s1_valid.eq(collect), s2_valid.eq(s1_valid)]
        with m.If(self.i_x.ready):
            m.d.sync += take_left.eq(take_left - 1)

        # Between the passes the pipeline empties; `shift` is ready when the first word is read.
        magnitudes = []
        with m.If(s2_valid):
            m.d.sync += write_row.eq(write_row + 1)
        m.d.sync += self.zero.eq(peak == 0)
        m.d.sync += self.shift.eq(0)
        # Later statements win. (One Switch over patterns would take Yosys minutes to read.)
        for top_bit in range(7, 32):
            with m.If(peak[top_bit]):
                m.d.sync += self.shift.eq(top_bit - 6)

        # Second pass, or the only one.
        read = Signal()
        read_row = Signal(address)
        read_valid = Signal()
        s1_out = Signal()
        s2_out = Signal()
        consume = Signal()
        index = Signal(24)
        m.d.comb += [
            read.eq((read_left != 0) & (take_left == 0) & ~s1_valid & ~s2_valid & step),
            buffer.r_address.eq(read_row),
            buffer.r_enable.eq(read),
            consume.eq(pass_through | (read_valid & step)),
            self.o.valid.eq(s2_out),
            self.done.eq(self.o.valid & self.o.ready & (give_left == 1)),
        ]
        with m.If(read):
            m.d.sync += [read_row.eq(read_row + 1), read_left.eq(read_left - 1)]
        with m.If(step):
            m.d.sync += [read_valid.eq(read), s1_out.eq(consume), s2_out.eq(s1_out)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += give_left.eq(give_left - 1)
        with m.If(prime | consume):
            m.d.sync += [index.eq(index + lanes), prime.eq(0)]

        for c in range(lanes):
            lane = place(m, platform, f"lane_{c}", QuantizeLane)
            word = slice(32 * c, 32 * (c + 1))
            m.d.comb += [
                lane.x.eq(self.i_x.payload[c]),
                lane.y.eq(self.i_y.payload[c]),
                lane.pre.eq(what.pre),
                lane.pre_shift.eq(what.shift),
                buffer.w_data[word].eq(lane.prepared),
                lane.z.eq(Mux(single, self.i_x.payload[c], buffer.r_data[word].as_signed())),
                lane.shift.eq(Mux(single, what.shift, self.shift)),
                lane.stochastic.eq(what.stochastic),
                lane.key.eq(what.key),
                lane.index.eq(index),
                lane.lane.eq(c),
                lane.take.eq(prime | consume),
                lane.enable.eq(step),
                # Behind a ReLU the sign is free: the mask goes where it would be repeated.
                self.o.payload[c].eq(Mux(masked, Cat(lane.o, lane.positive), lane.o)),
            ]
            magnitudes.append(lane.magnitude)
        with m.If(s2_valid):
            m.d.sync += peak.eq(peak | reduce(or_, magnitudes))

        with m.If(self.start):
            m.d.sync += [
                take_left.eq(what.count),
                read_left.eq(Mux(single, 0, what.count)),
                give_left.eq(what.count),
                prime.eq(1),
                index.eq(what.index),
                write_row.eq(0),
                read_row.eq(0),
                peak.eq(0),
            ]
        return m
