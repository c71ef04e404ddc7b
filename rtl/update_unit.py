"""`UpdateUnit`: runs UPDATE, one step of momentum and parameter: `golden.optimizer.update`."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from golden.formats import QuantSpec, Rounding
from golden.optimizer import MOMENTUM_SHIFT, MOMENTUM_WIDTH
from rtl.config import CoreConfig
from rtl.hierarchy import SharedComponent, place
from rtl.layouts import instruction_layout
from rtl.quantizer import Quantizer, saturate
from rtl.random import RandomDraw

__all__ = ["UpdateLane", "UpdateUnit"]


class UpdateLane(SharedComponent):
    """One lane; no control. Six steps from operands to result.

    Steps 1 and 2 bring the gradient to the momentum's scale, step 3 makes v', steps 4 and 5 make
    the update, step 6 subtracts it.

    Members
    -------
    gradient, parameter, momentum:
        Operands.
    wide:
        The parameter has 16 bits and not 8.
    gradient_shift, update_shift, gradient_key, update_key:
        As in `rtl.isa.Update`.
    gradient_index, update_index, lane, gradient_take, update_take:
        Of the two draws. The update's are needed three steps after the gradient's.
    enable:
        Moves the pipeline on by one step.
    o:
        {p' 8, u 8, v' 16} bits, or when `wide` {p' 16, v' 16}.
    """

    module_name = "eoq_update_lane"

    gradient: In(signed(8))
    parameter: In(signed(16))
    momentum: In(signed(16))
    wide: In(1)
    gradient_shift: In(signed(8))
    update_shift: In(signed(8))
    gradient_key: In(32)
    update_key: In(32)
    gradient_index: In(24)
    update_index: In(24)
    lane: In(5)
    gradient_take: In(1)
    update_take: In(1)
    enable: In(1)
    o: Out(32)

    def elaborate(self, platform: object) -> Module:
        """Chain two quantisers with the momentum between them."""
        m = Module()
        spec = QuantSpec(width_in=16, width_out=MOMENTUM_WIDTH, rounding=Rounding.STOCHASTIC)
        m.submodules.gradient_draw = gradient_draw = RandomDraw()
        m.submodules.update_draw = update_draw = RandomDraw()
        m.submodules.align = align = Quantizer(spec=spec, operand_bits=8)
        m.submodules.scale = scale = Quantizer(spec=spec)
        m.d.comb += [
            gradient_draw.key.eq(self.gradient_key),
            gradient_draw.index.eq(self.gradient_index),
            gradient_draw.take.eq(self.gradient_take),
            gradient_draw.lane.eq(self.lane),
            update_draw.key.eq(self.update_key),
            update_draw.index.eq(self.update_index),
            update_draw.take.eq(self.update_take),
            update_draw.lane.eq(self.lane),
        ]

        # RSH(v, 3): the last dropped bit is the carry of rounding half up.
        decay = (self.momentum >> MOMENTUM_SHIFT) + self.momentum[MOMENTUM_SHIFT - 1]
        s1_v = Signal(signed(16), reset_less=True)
        s2_v = Signal(signed(16), reset_less=True)
        s3_v = Signal(signed(16), reset_less=True)
        m.d.comb += [
            align.x.eq(self.gradient),
            align.shift.eq(self.gradient_shift),
            align.random.eq(gradient_draw.o),
            align.enable.eq(self.enable),
            scale.x.eq(s3_v),
            scale.shift.eq(self.update_shift),
            scale.random.eq(update_draw.o),
            scale.enable.eq(self.enable),
        ]
        with m.If(self.enable):
            m.d.sync += [
                s1_v.eq(self.momentum - decay),
                s2_v.eq(s1_v),
                s3_v.eq(saturate(s2_v + align.o, MOMENTUM_WIDTH)),
            ]

        v, p = s3_v, self.parameter
        for step in range(1, 6):
            late_p = Signal(signed(16), name=f"s{step}_p", reset_less=True)
            with m.If(self.enable):
                m.d.sync += late_p.eq(p)
            p = late_p
        for step in (4, 5):
            late_v = Signal(signed(16), name=f"s{step}_v", reset_less=True)
            with m.If(self.enable):
                m.d.sync += late_v.eq(v)
            v = late_v

        # SAT8(SAT16(x)) is SAT8(x).
        u8 = saturate(scale.o, 8)
        s6_o = Signal(32, reset_less=True)
        with m.If(self.enable):
            with m.If(self.wide):
                m.d.sync += s6_o.eq(Cat(v, saturate(p - scale.o, 16)))
            with m.Else():
                m.d.sync += s6_o.eq(Cat(v, u8, saturate(p - u8, 8)))
        m.d.comb += self.o.eq(s6_o)
        return m


class UpdateUnit(Component):
    """Stream of gradients, parameters and momenta in, new parameters and momenta out.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    start:
        High for one cycle; `instruction` is a legal UPDATE and stays until `done`.
    i_x, i_y, o:
        C lanes of 32, 16 and 32 bits as in `rtl.isa.Update`; a beat of both inputs at once.
    done:
        High in the cycle in which the last beat of `o` is taken.
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
                "o": Out(stream.Signature(data.ArrayLayout(signed(32), lanes))),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Move beats and their indices."""
        m = Module()
        lanes = self._config.columns
        what = self.instruction

        take_left = Signal(16)
        give_left = Signal(16)
        prime = Signal()
        step = Signal()
        fire = Signal()
        update_take = Signal()
        gradient_index = Signal(24)
        update_index = Signal(24)
        valid = Signal(6)
        m.d.comb += [
            step.eq(~self.o.valid | self.o.ready),
            fire.eq(self.i_x.valid & self.i_y.valid & (take_left != 0) & ~prime & step),
            self.i_x.ready.eq(fire),
            self.i_y.ready.eq(fire),
            # The beat in step 3 moves to step 4 and takes its draw with it.
            update_take.eq(prime | (valid[2] & step)),
            self.o.valid.eq(valid[-1]),
            self.done.eq(self.o.valid & self.o.ready & (give_left == 1)),
        ]
        with m.If(fire):
            m.d.sync += take_left.eq(take_left - 1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += give_left.eq(give_left - 1)
        with m.If(step):
            m.d.sync += valid.eq(Cat(fire, valid))
        with m.If(prime | fire):
            m.d.sync += gradient_index.eq(gradient_index + lanes)
        with m.If(update_take):
            m.d.sync += update_index.eq(update_index + lanes)
        m.d.sync += prime.eq(self.start)

        for c in range(lanes):
            lane = place(m, platform, f"lane_{c}", UpdateLane)
            m.d.comb += [
                lane.gradient.eq(self.i_x.payload[c][:8]),
                lane.parameter.eq(self.i_x.payload[c][16:]),
                lane.momentum.eq(self.i_y.payload[c]),
                lane.wide.eq(what.wide),
                lane.gradient_shift.eq(what.shift),
                lane.update_shift.eq(what.update_shift),
                lane.gradient_key.eq(what.key),
                lane.update_key.eq(what.update_key),
                lane.gradient_index.eq(gradient_index),
                lane.update_index.eq(update_index),
                lane.lane.eq(c),
                lane.gradient_take.eq(prime | fire),
                lane.update_take.eq(update_take),
                lane.enable.eq(step),
                self.o.payload[c].eq(lane.o),
            ]

        with m.If(self.start):
            m.d.sync += [
                take_left.eq(what.count),
                give_left.eq(what.count),
                gradient_index.eq(what.index),
                update_index.eq(what.index),
            ]
        return m
