"""`SoftmaxStages`: what softmax does to one class at a time: `golden.loss`, behind a memory.

Source: our choice, as in `golden.loss`; the tables and constants are its own.
"""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from golden.loss import EXP_TABLE, LOG2_E, RECIPROCAL_TABLE, T_MAX

__all__ = ["TOTAL_DROPPED", "WORD_BITS", "SoftmaxStages"]

WORD_BITS = 16
"""Of a logit, an exponential and a probability."""


TOTAL_DROPPED = 15 - 6
"""Bits of a sum below its mantissa's six, when its leading one is bit 15."""


class SoftmaxStages(Component):
    """Two pipelines on one word a cycle, without control; one multiplier, two tables.

    Parameters
    ----------
    classes:
        Most exponentials that are summed.

    Members
    -------
    word:
        A logit (for `exponential`) or an exponential (for `probability`).
    top:
        Largest logit.
    total:
        Sum of the exponentials, at least 2**15, without the `TOTAL_DROPPED` lowest bits, which no
        mantissa reaches; stands for two cycles before it is used.
    exponential:
        2**(15 - t/32) for t = (top - word) * log2(e) in 1/32, three cycles after the logit.
    probability:
        word / total by the reciprocal of the mantissa of `total`, four cycles after the
        exponential.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__(
            {
                "word": In(WORD_BITS),
                "top": In(signed(16)),
                "total": In(range(((classes << 15) >> TOTAL_DROPPED) + 1)),
                "exponential": Out(WORD_BITS),
                "probability": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Table, shift; multiply, shift."""
        m = Module()
        s1_d = Signal(16, reset_less=True)
        s2_t = Signal(9, reset_less=True)
        s3_e = Signal(WORD_BITS, reset_less=True)
        scaled = (s1_d * LOG2_E) >> 11
        m.d.sync += [
            s1_d.eq(self.top - self.word.as_signed()),
            s2_t.eq(Mux(scaled > T_MAX, T_MAX, scaled)),
            s3_e.eq(_table(EXP_TABLE.tolist(), WORD_BITS, s2_t[:5]) >> s2_t[5:]),
        ]

        # The largest logit alone contributes 2**15, so the sum's leading one is bit 15 or higher.
        top_bit = Signal(range(TOTAL_DROPPED + len(self.total)))
        mantissa = Signal(6)
        for bit in range(6, len(self.total)):
            with m.If(self.total[bit]):
                m.d.comb += [
                    top_bit.eq(TOTAL_DROPPED + bit),
                    mantissa.eq(self.total[bit - 6 : bit]),
                ]
        norm_shift = Signal.like(top_bit, reset_less=True)
        norm_factor = Signal(15, reset_less=True)
        # Bytes multiply in one step, and are added in two: a whole product is the longest path.
        low, high = self.word[:8], self.word[8:]
        s1_products = Signal(WORD_BITS + 15, reset_less=True)
        s1_cross = [Signal(16, name=f"s1_cross_{k}", reset_less=True) for k in range(2)]
        s2_products = Signal.like(s1_products)
        s2_cross = Signal(17, reset_less=True)
        s3_product = Signal.like(s1_products)
        s4_p = Signal(WORD_BITS, reset_less=True)
        m.d.sync += [
            norm_shift.eq(top_bit),
            norm_factor.eq(_table(RECIPROCAL_TABLE.tolist(), 15, mantissa)),
            s1_products.eq(Cat(low * norm_factor[:8], high * norm_factor[8:])),
            s1_cross[0].eq(low * norm_factor[8:]),
            s1_cross[1].eq(high * norm_factor[:8]),
            s2_products.eq(s1_products),
            s2_cross.eq(s1_cross[0] + s1_cross[1]),
            s3_product.eq(s2_products + (s2_cross << 8)),
            s4_p.eq(s3_product >> norm_shift),
        ]
        m.d.comb += [self.exponential.eq(s3_e), self.probability.eq(s4_p)]
        return m


def _table(words: list[int], bits: int, index: Value) -> Value:
    """Constant table as logic; 32 to 64 short words are cheaper than a memory."""
    return Array([C(word, bits) for word in words])[index]
