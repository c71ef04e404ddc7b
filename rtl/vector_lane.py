"""`VectorLane`: what one channel of a pass goes through; `rtl.vector_instructions.Pass` says what.

    t = SAT32(+-RSH(u, .) + RSH(v, .)), ReLU
    t = SAT32(t + bias), ReLU or mask
    o = SAT8(SRSH(t, .))

A pipeline without stalls: operands are kept in step 0, `t` is there in step 6, `o` in step 8. The
signals that go with a beat are named after the step in which they are looked at.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from golden.randomness import MAX_INDEX
from rtl import quantizer
from rtl.adder import select_add
from rtl.config import SIZE_MAX
from rtl.hierarchy import SharedComponent
from rtl.lane_quantizer import LaneQuantizer
from rtl.quantizer import saturate
from rtl.random import RandomDraw

__all__ = ["INDEX_BITS", "LANE_BITS", "O_STEP", "T_STEP", "LaneSettings", "VectorLane"]

INDEX_BITS = (MAX_INDEX - 1).bit_length()
"""Of a random index."""

LANE_BITS = (SIZE_MAX - 1).bit_length()
"""Of a lane's number."""

T_STEP = 6
"""Step in which a lane's 32-bit value can be used."""

O_STEP = 8
"""Step in which its 8-bit value can be used."""


class LaneSettings(data.StructLayout):
    """What stays the same during a pass. All lanes get the same.

    Members
    -------
    factor, times_y, u_results:
        `u` is x times `factor`, or times y, or with a factor of 0 the results' word.
    u_turn, u_keep, u_right:
        `u` is turned right by so many bits, of which those in the mask stay; the others become the
        sign if it is a right shift, otherwise 0.
    negate:
        Take `u` away.
    v_wide, v_scalar, v_none:
        `v` is {y, x} in 16 bits, `scalar`, nothing, or else y.
    v_count, v_right:
        15 more than the right shift of `v`, 0 to 31; whether it is 0 or more.
    scalar, bias:
        32 bits; a pass that accumulates has no bias.
    rectify_first, rectify_last, masked:
        ReLU in front of the bias or behind it; or zero where the mask says so.
    accumulate:
        Beats that are not there must not be added.
    shift, stochastic, key:
        Of the last rounding.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "u_results": 1, "times_y": 1, "factor": signed(8), "u_turn": 5,
                "u_keep": 32, "u_right": 1, "negate": 1,
                "v_wide": 1, "v_scalar": 1, "v_none": 1, "v_count": 5, "v_right": 1,
                "scalar": signed(32), "bias": signed(32),
                "rectify_first": 1, "rectify_last": 1, "masked": 1, "accumulate": 1,
                "shift": 6, "stochastic": 1, "key": 32,
            }
        )  # fmt: skip


class VectorLane(SharedComponent):
    """One lane; no control.

    Parameters
    ----------
    accumulator_bits:
        Of a results memory's word.

    Members
    -------
    set:
        `LaneSettings`.
    lane:
        Its number.
    x, y, z, x_take, y_take, z_take, mask_take:
        What comes from the memories and when to keep it; `mask_take` keeps x as 8 mask bits.
    s0_place, s0_y_valid:
        Which mask bit is the beat's; whether `v` exists.
    s3_go:
        A beat is in step 3. Only accumulation needs to know.
    s3_again:
        Add to the sum before, a step later. The bias is 0 then.
    s4_index, s4_next:
        Random index of lane 0, and its upper part, from bit `LANE_BITS` on, plus one.
    s5_valid:
        The lane's result counts. Otherwise `t` is 0.
    s7_place, s7_mask_take:
        Which bit of `mask` to keep, and when.
    t:
        In step 6.
    magnitude:
        A number whose bit length is that of the magnitude of `t`: its lower half in step 6, its
        upper half in step 7.
    o:
        In step 8.
    mask:
        8 bits, each the step after its beat's step 7: whether the value in front of the ReLU was
        positive. Those behind it are 0.
    """

    module_name = "eoq_vector_lane"

    def __init__(self, *, accumulator_bits: int = 32) -> None:
        super().__init__(
            {
                "set": In(LaneSettings()),
                "lane": In(LANE_BITS),
                "x": In(signed(8)), "y": In(signed(8)), "z": In(signed(accumulator_bits)),
                "x_take": In(1), "y_take": In(1), "z_take": In(1), "mask_take": In(1),
                "s0_place": In(3), "s0_y_valid": In(1),
                "s3_go": In(1), "s3_again": In(1),
                "s4_index": In(INDEX_BITS), "s4_next": In(INDEX_BITS - LANE_BITS),
                "s5_valid": In(1),
                "s7_place": In(3), "s7_mask_take": In(1),
                "t": Out(signed(32)), "magnitude": Out(unsigned(32)),
                "o": Out(signed(8)), "mask": Out(8),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Multiply, align, add, bias, rectify, quantise."""
        m = Module()
        how = self.set

        s0_x = Signal(signed(8), reset_less=True)
        s0_y = Signal(signed(8), reset_less=True)
        s0_z = Signal(signed(32), reset_less=True)
        s0_mask = Signal(8, reset_less=True)
        for take, register, value in (
            (self.x_take, s0_x, self.x),
            (self.y_take, s0_y, self.y),
            (self.z_take, s0_z, self.z),
            (self.mask_take, s0_mask, self.x),
        ):
            with m.If(take):
                m.d.sync += register.eq(value)

        # Step 0: one product.
        s1_u = Signal(signed(32), reset_less=True)
        s1_v = Signal(signed(16), reset_less=True)
        s0_factor = Signal(signed(8), reset_less=True)
        with m.If(self.y_take | ~how.times_y):
            m.d.sync += s0_factor.eq(Mux(how.times_y, self.y, how.factor))
        v = Mux(how.v_wide, Cat(s0_x, s0_y).as_signed(), s0_y)
        m.d.sync += [
            # Nothing but this gate may follow the multiplier; a factor of 0 makes room for z.
            s1_u.eq((s0_x * s0_factor) | (s0_z & how.u_results.replicate(32))),
            s1_v.eq(Mux(self.s0_y_valid & ~how.v_none, v, 0)),
        ]

        # Step 1: shift both.
        s2_u = Signal(32, reset_less=True)
        s2_carry = Signal(reset_less=True)
        s2_v = Signal(signed(32), reset_less=True)
        shifted, carry = self._shift_u(m, s1_u)
        m.d.sync += [
            s2_u.eq(shifted ^ how.negate.replicate(32)),
            s2_carry.eq(carry ^ how.negate),
            s2_v.eq(Mux(how.v_scalar, how.scalar, self._shift_v(m, s1_v))),
        ]

        # Step 2: add, with the carry of u's rounding or of its negation. Step 3: saturate, rectify.
        s3_sum = Signal(signed(33), reset_less=True)
        s4_t = Signal(signed(32), reset_less=True)
        m.d.sync += s3_sum.eq(select_add(s2_u.as_signed(), s2_v, s2_carry))
        keep = ~(how.rectify_first & s3_sum[-1]) & (self.s3_go | ~how.accumulate)
        m.d.sync += s4_t.eq(Mux(keep, saturate(s3_sum, 32), 0))

        # Step 4: the bias, or what was there.
        s5_sum = Signal(signed(33), reset_less=True)
        s4_again = Signal(reset_less=True)
        m.d.sync += s4_again.eq(self.s3_again)
        before = s5_sum[:32] & s4_again.replicate(32)
        m.d.sync += s5_sum.eq(select_add(s4_t, (before | how.bias.as_unsigned()).as_signed()))
        s5_positive = Signal(reset_less=True)
        m.d.sync += s5_positive.eq(~s4_t[-1] & s4_t.any())

        # Step 5: saturate, rectify.
        mask = s0_mask.bit_select(self.s0_place, 1)
        for step in range(1, 6):
            later = Signal(name=f"s{step}_mask", reset_less=True)
            m.d.sync += later.eq(mask)
            mask = later
        s6_t = Signal(signed(32), reset_less=True)
        keep = self.s5_valid & ~(how.rectify_last & s5_sum[-1]) & (mask | ~how.masked)
        m.d.sync += s6_t.eq(Mux(keep, saturate(s5_sum, 32), 0))
        m.d.comb += self.t.eq(s6_t)

        # |t| of a negative t is n + 1 with n = ~t. Its lower half goes first.
        n = s6_t ^ s6_t[-1].replicate(32)
        low, carry = _as_long_as_magnitude(n[:16], s6_t[-1])
        s7_n = Signal(16, reset_less=True)
        s7_carry = Signal(reset_less=True)
        m.d.sync += [s7_n.eq(n[16:]), s7_carry.eq(carry)]
        m.d.comb += self.magnitude.eq(Cat(low, _as_long_as_magnitude(s7_n, s7_carry)[0]))

        s6_positive = Signal(reset_less=True)
        s7_positive = Signal(reset_less=True)
        last = ~s5_sum[-1] & s5_sum.any()
        m.d.sync += [
            s6_positive.eq(Mux(how.rectify_first, s5_positive, last) & self.s5_valid),
            s7_positive.eq(s6_positive),
        ]
        for place in range(8):
            with m.If(self.s7_mask_take & (self.s7_place == place)):
                # The first one of a group takes away what the group before has left.
                kept = self.mask[place] if place else self.mask
                m.d.sync += kept.eq(s7_positive)

        # Steps 6 and 7: quantise.
        # The lanes' numbers differ in few bits; that there is a carry is all that each finds out.
        s5_index = Signal(INDEX_BITS, reset_less=True)
        own = Signal(LANE_BITS + 1)
        m.d.comb += own.eq(self.s4_index[:LANE_BITS] + self.lane)
        upper = Mux(own[-1], self.s4_next, self.s4_index[LANE_BITS:])
        m.d.sync += s5_index.eq(Cat(own[:-1], upper))
        m.submodules.draw = draw = RandomDraw()
        m.submodules.quantizer = last_step = LaneQuantizer()
        s7_random = Signal(16, reset_less=True)
        m.d.sync += s7_random.eq(Mux(how.stochastic, draw.o, quantizer.ROUND_HALF))
        m.d.comb += [
            draw.key.eq(how.key),
            draw.index.eq(s5_index),
            draw.take.eq(1),
            last_step.t.eq(s6_t),
            last_step.shift.eq(how.shift),
            last_step.random.eq(s7_random),
            self.o.eq(last_step.o),
        ]
        return m

    def _shift_u(self, m: Module, u: Value) -> tuple[Value, Value]:
        """Both directions by one rotation; the last bit is what rounding half up adds."""
        turned = u.as_unsigned()
        for k in range(5):
            # Named, because Amaranth writes an expression out wherever it is used.
            level = Signal(32, name=f"u_turned_{k}")
            m.d.comb += level.eq(Mux(self.set.u_turn[k], turned.rotate_right(1 << k), turned))
            turned = level
        fill = (self.set.u_right & u[-1]).replicate(32)
        keep = self.set.u_keep
        return (turned & keep) | (fill & ~keep), turned[-1] & self.set.u_right

    def _shift_v(self, m: Module, v: Value) -> Value:
        """A right shift of what was put 15 places up, and rounding in a right shift's 17 bits."""
        work = Cat(C(0, 16), v).as_signed()
        for k in range(5):
            level = Signal(work.shape(), name=f"v_shifted_{k}")
            m.d.comb += level.eq(Mux(self.set.v_count[k], work >> (1 << k), work))
            work = level
        whole = work[1:].as_signed()
        low = (whole[:17] + work[0])[:17]
        return Cat(low, Mux(self.set.v_right, low[-1].replicate(14), whole[17:])).as_signed()


def _as_long_as_magnitude(n: Value, carry: Value) -> tuple[Value, Value]:
    """Return n | (n + carry), an incrementer without its sums, and the carry out."""
    carries: list[Value] = []
    for bit in n:
        carries.append(carry)
        carry = carry & bit
    return n | Cat(carries), carry
