"""`RandomDraw`: 16 random bits by position, the hardware of `golden.randomness.draw`."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from golden.randomness import ROUND_KEY_BITS

__all__ = ["RandomDraw"]


def _round(m: Module, name: str, a: Value, b: Value, key: Value) -> tuple[Value, Value]:
    """One add-rotate-xor round, on bytes."""
    # Named, because Amaranth writes an expression out wherever it is used.
    next_a, next_b = Signal(8, name=f"{name}_a"), Signal(8, name=f"{name}_b")
    m.d.comb += [
        next_a.eq((a.rotate_right(2) + b)[:8] ^ key),
        next_b.eq(b.rotate_left(3) ^ next_a),
    ]
    return next_a, next_b


class RandomDraw(Component):
    """Draw for the index taken last: `golden.randomness.draw(key, index)`.

    A register after the second round halves the path. Whoever uses the draws therefore gives each
    index one step ahead of its use.

    Members
    -------
    key:
        32-bit key of the tensor, constant while indices are in use.
    index:
        24 bits.
    take:
        Takes `index`; the draw belongs to it from the next cycle on, until the next `take`.
    o:
        16 bits.
    """

    key: In(32)
    index: In(24)
    take: In(1)
    o: Out(16)

    def elaborate(self, platform: object) -> Module:
        """Mix."""
        m = Module()
        i = self.index
        mixed = i[:16] ^ self.key[:16]
        keys = [self.key[position : position + 8] for position in ROUND_KEY_BITS]
        a, b = _round(m, "round_0", mixed[:8], mixed[8:], keys[0] ^ i[16:])
        a, b = _round(m, "round_1", a, b, keys[1])
        s0_a = Signal(8, reset_less=True)
        s0_b = Signal(8, reset_less=True)
        with m.If(self.take):
            m.d.sync += [s0_a.eq(a), s0_b.eq(b)]

        a, b = s0_a, s0_b
        for k, key in enumerate(keys[2:], start=2):
            a, b = _round(m, f"round_{k}", a, b, key)
        m.d.comb += self.o.eq(Cat(a, b))
        return m
