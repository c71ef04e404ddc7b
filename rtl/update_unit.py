"""`UpdateUnit`: runs UPDATE, one step of momentum and parameter: `golden.optimizer.update`."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from golden.formats import RANDOM_BITS, QuantSpec, Rounding
from golden.optimizer import MOMENTUM_SHIFT
from rtl.config import CoreConfig
from rtl.hierarchy import SharedComponent, place
from rtl.layouts import instruction_layout
from rtl.quantizer import Quantizer, round_off, saturate
from rtl.random import RandomDraw

__all__ = ["UpdateLane", "UpdateUnit"]

_STEPS = 4


class UpdateLane(SharedComponent):
    """One lane; no control. Four steps from operands to result.

    Step 1 rounds the weight decay, adds it to the gradient and both to the momentum; steps 2 and 3
    round the update; step 4 takes it out of the momentum and puts it into the parameter.

    Members
    -------
    gradient, parameter, momentum:
        Operands.
    wide:
        Parameter and momentum have 16 bits and not 8.
    applied, decay, key:
        As in `rtl.isa.Update`.
    index, lane, take:
        Of the draw. It is needed with the operands.
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
    applied: In(3)
    decay: In(4)
    key: In(32)
    index: In(24)
    lane: In(5)
    take: In(1)
    enable: In(1)
    o: Out(32)

    def elaborate(self, platform: object) -> Module:
        """One quantiser between saturating sums."""
        m = Module()
        m.submodules.draw = draw = RandomDraw()
        spec = QuantSpec(width_in=16, width_out=16, rounding=Rounding.STOCHASTIC)
        m.submodules.scale = scale = Quantizer(spec=spec)

        # The rounding is that of the update, draw included; without it there is no decay.
        lost = (self.parameter << RANDOM_BITS) >> self.decay
        gradient = self.gradient + Mux(self.decay.any(), round_off(lost, draw.o), 0)
        total = self.momentum + Mux(self.wide, saturate(gradient, 16), saturate(gradient, 8))
        s1_random = Signal(16, reset_less=True)
        s1_v = Signal(signed(16), reset_less=True)
        m.d.comb += [
            draw.key.eq(self.key),
            draw.index.eq(self.index),
            draw.take.eq(self.take),
            draw.lane.eq(self.lane),
            scale.x.eq(s1_v),
            scale.shift.eq(self.applied + MOMENTUM_SHIFT),
            scale.random.eq(s1_random),
            scale.enable.eq(self.enable),
        ]
        with m.If(self.enable):
            m.d.sync += s1_random.eq(draw.o)
            m.d.sync += s1_v.eq(Mux(self.wide, saturate(total, 16), saturate(total, 8)))

        v, p = s1_v, self.parameter
        for step in range(1, _STEPS):
            late_p = Signal(signed(16), name=f"s{step}_p", reset_less=True)
            with m.If(self.enable):
                m.d.sync += late_p.eq(p)
            p = late_p
        for step in range(2, _STEPS):
            late_v = Signal(signed(16), name=f"s{step}_v", reset_less=True)
            with m.If(self.enable):
                m.d.sync += late_v.eq(v)
            v = late_v

        u8 = saturate(scale.o, 8)
        s4_o = Signal(32, reset_less=True)
        with m.If(self.enable):
            with m.If(self.wide):
                left = saturate(v - (scale.o << self.applied), 16)
                m.d.sync += s4_o.eq(Cat(left, saturate(p - scale.o, 16)))
            with m.Else():
                # What 8 bits hold of the momentum moves a weight by less than 8 bits.
                left = saturate(v - (u8 << self.applied), 8)
                low = Signal(signed(16))
                m.d.comb += low.eq(left)
                m.d.sync += s4_o.eq(Cat(low, u8, saturate(p - u8, 8)))
        m.d.comb += self.o.eq(s4_o)
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
        take = Signal()
        index = Signal(24)
        valid = Signal(_STEPS)
        m.d.comb += [
            step.eq(~self.o.valid | self.o.ready),
            fire.eq(self.i_x.valid & self.i_y.valid & (take_left != 0) & ~prime & step),
            self.i_x.ready.eq(fire),
            self.i_y.ready.eq(fire),
            take.eq(prime | fire),
            self.o.valid.eq(valid[-1]),
            self.done.eq(self.o.valid & self.o.ready & (give_left == 1)),
        ]
        with m.If(fire):
            m.d.sync += take_left.eq(take_left - 1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += give_left.eq(give_left - 1)
        with m.If(step):
            m.d.sync += valid.eq(Cat(fire, valid))
        with m.If(take):
            m.d.sync += index.eq(index + lanes)
        m.d.sync += prime.eq(self.start)

        for c in range(lanes):
            lane = place(m, platform, f"lane_{c}", UpdateLane)
            m.d.comb += [
                lane.gradient.eq(self.i_x.payload[c][:8]),
                lane.parameter.eq(self.i_x.payload[c][16:]),
                lane.momentum.eq(self.i_y.payload[c]),
                lane.wide.eq(what.wide),
                lane.applied.eq(what.applied),
                lane.decay.eq(what.decay),
                lane.key.eq(what.key),
                lane.index.eq(index),
                lane.lane.eq(c),
                lane.take.eq(take),
                lane.enable.eq(step),
                self.o.payload[c].eq(lane.o),
            ]

        with m.If(self.start):
            m.d.sync += [
                take_left.eq(what.count),
                give_left.eq(what.count),
                index.eq(what.index),
            ]
        return m
