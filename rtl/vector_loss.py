"""`VectorLoss`: softmax cross-entropy error of one sample, `golden.loss`, on results' words."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from golden.formats import QuantSpec
from golden.loss import LOGIT_EXPONENT
from rtl.address_stream import AddressStream
from rtl.config import CoreConfig
from rtl.hierarchy import place
from rtl.layouts import fields_layout
from rtl.memory import Memory
from rtl.ports import RESULTS_LATENCY, ResultsRead, ResultsWrite
from rtl.quantizer import Quantizer, saturate
from rtl.softmax import TOTAL_DROPPED, WORD_BITS, SoftmaxStages
from rtl.vector_instructions import SCALAR_BITS, Stride

__all__ = ["VectorLoss"]

_LOGIT_STEPS = RESULTS_LATENCY + 3
"""From a word's request to its logit in 16 bits: the choice of a lane, and a quantiser."""


class VectorLoss(Component):
    """Serial over classes: a sample's loss is a few dozen numbers, so one of everything will do.

    Four walks over one small memory, each in place: logits to z with their maximum; z to
    exponentials with their sum; exponentials to probabilities with the sum of the wrong classes';
    probabilities to words of errors. The true class gets minus that sum, so that the error is zero
    exactly when nothing is wrong.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    start, done:
        One cycle each; everything else stays in between.
    classes, label, exponent:
        The label's lower bits count; the exponent is a scalar.
    source, target:
        `Stride` of `Stream.RESULTS_IN` and `RESULTS_OUT`.
    outside:
        For one cycle: a word is not in the results memory, and the unit has stopped.
    waiting:
        Held up by another client.
    z, w:
        Results memory.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "done": Out(1),
                "classes": In(16),
                "label": In(SCALAR_BITS),
                "exponent": In(signed(SCALAR_BITS)),
                "source": In(fields_layout(Stride)),
                "target": In(fields_layout(Stride)),
                "outside": Out(1),
                "waiting": Out(1),
                "z": Out(ResultsRead(config)),
                "w": Out(ResultsWrite(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk the classes four times."""
        m = Module()
        lanes, most = self._config.columns, self._config.loss_classes
        words = self._config.results_address_bits
        store = place(m, platform, "store", Memory, width=WORD_BITS, depth=most,
                      module_name="eoq_loss_buffer")  # fmt: skip
        m.submodules.quantizer = to_z = Quantizer(spec=QuantSpec(width_in=32, width_out=16))
        m.submodules.source = source = AddressStream()
        m.submodules.target = target = AddressStream()
        for addresses, of in ((source, self.source), (target, self.target)):
            m.d.comb += [
                addresses.base.eq(of.base),
                addresses.block.eq(of.block),
                addresses.start.eq(self.start),
                addresses.block_ends.eq(1),
            ]
        m.d.comb += [self.z.address.eq(source.address), self.w.address.eq(target.address)]

        # A walk issues elements one a cycle; `valid[k]` says that one was issued k + 1 cycles ago.
        # The element that is written back is number `back`.
        front = Signal(range(most + 1))
        back = Signal(range(most))
        lane = Signal(range(lanes))
        valid = Signal(_LOGIT_STEPS)
        issue, write = Signal(), Signal()
        w_data = Signal(WORD_BITS)
        last_lane = (lane == lanes - 1) | (front == self.classes - 1)
        last_back = back == self.classes - 1
        more = front != self.classes
        m.d.comb += [
            store.r_address.eq(front),
            store.r_enable.eq(issue),
            store.w_address.eq(back),
            store.w_enable.eq(write),
            store.w_data.eq(w_data),
        ]
        m.d.sync += valid.eq(Cat(issue, valid))
        with m.If(issue):
            m.d.sync += [front.eq(front + 1), lane.eq(Mux(last_lane, 0, lane + 1))]
        with m.If(write):
            m.d.sync += back.eq(back + 1)
            with m.If(last_back):
                m.d.sync += [front.eq(0), back.eq(0), lane.eq(0), valid.eq(0)]

        # Walk 1: z = SAT16(RSH(x, s - 8)) and the maximum.
        top = Signal(signed(16))
        late_lane: Value = lane
        for k in range(RESULTS_LATENCY):
            later = Signal(range(lanes), name=f"lane_{k + 1}", reset_less=True)
            m.d.sync += later.eq(late_lane)
            late_lane = later
        logit = Signal(signed(32), reset_less=True)
        # The same for all logits, the first of which comes later.
        shift = self.exponent - LOGIT_EXPONENT
        to_shift = Signal(signed(8), reset_less=True)
        m.d.sync += [
            to_shift.eq(Mux(shift < -128, -128, Mux(shift > 127, 127, shift))),
            logit.eq(Array([self.z.data[c] for c in range(lanes)])[late_lane]),
        ]
        m.d.comb += [to_z.x.eq(logit), to_z.shift.eq(to_shift), to_z.enable.eq(1)]

        # Walks 2 and 3: exponentials and their sum, then probabilities and the wrong classes' sum.
        m.submodules.softmax = softmax = SoftmaxStages(classes=most)
        total = Signal(range((most << 15) + 1))
        wrong = Signal(17)
        m.d.comb += [
            softmax.word.eq(store.r_data),
            softmax.top.eq(top),
            softmax.total.eq(total >> TOTAL_DROPPED),
        ]

        # Walk 4: fill a word's lanes, then wait until it is taken.
        label = self.label[: (most - 1).bit_length()]
        full, fill_last, fill_true = Signal(), Signal(), Signal()
        fill_lane = Signal(range(lanes))
        word = Signal(data.ArrayLayout(signed(18), lanes))
        word_full = Signal()
        for c in range(lanes):
            m.d.comb += self.w.data[c].eq(saturate(word[c], self._config.accumulator_bits))
        taken = self.w.enable & self.w.ready

        def beyond(addresses: AddressStream) -> Value:
            return addresses.outside | (addresses.address >> words).any()

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [front.eq(0), back.eq(0), lane.eq(0), valid.eq(0), word.eq(0)]
                m.d.sync += [top.eq(-(1 << 15)), total.eq(0), wrong.eq(0)]
                m.d.sync += [full.eq(0), word_full.eq(0)]
                with m.If(self.start):
                    m.next = "LOGITS"
            with m.State("LOGITS"):
                m.d.comb += [
                    # A read does no harm, and whether it may be is known late.
                    self.z.enable.eq(more),
                    issue.eq(self.z.enable & self.z.ready),
                    self.waiting.eq(self.z.enable & ~self.z.ready),
                    source.step.eq(issue & last_lane),
                    write.eq(valid[_LOGIT_STEPS - 1]),
                    w_data.eq(to_z.o),
                ]
                with m.If(write & (to_z.o > top)):
                    m.d.sync += top.eq(to_z.o)
                with m.If(write & last_back):
                    m.next = "EXPONENTIALS"
                with m.If(more & beyond(source)):
                    m.d.comb += self.outside.eq(1)
                    m.next = "IDLE"
            with m.State("EXPONENTIALS"):
                m.d.comb += [issue.eq(more), write.eq(valid[3]), w_data.eq(softmax.exponential)]
                with m.If(write):
                    m.d.sync += total.eq(total + softmax.exponential)
                    with m.If(last_back):
                        m.next = "PROBABILITIES"
            with m.State("PROBABILITIES"):
                m.d.comb += [issue.eq(more), write.eq(valid[4]), w_data.eq(softmax.probability)]
                with m.If(write):
                    with m.If(back != label):
                        m.d.sync += wrong.eq(wrong + softmax.probability)
                    with m.If(last_back):
                        m.next = "ERRORS"
            with m.State("ERRORS"):
                m.d.comb += [
                    issue.eq(more & ~full),
                    self.w.enable.eq(word_full & ~beyond(target)),
                    self.waiting.eq(self.w.enable & ~self.w.ready),
                    target.step.eq(taken),
                    self.done.eq(taken & ~more),
                ]
                with m.If(issue):
                    m.d.sync += [
                        full.eq(last_lane),
                        fill_lane.eq(lane),
                        fill_last.eq(last_lane),
                        fill_true.eq(front == label),
                    ]
                with m.If(valid[0]):
                    m.d.sync += [
                        word[fill_lane].eq(Mux(fill_true, -wrong, store.r_data)),
                        word_full.eq(fill_last),
                    ]
                with m.If(taken):
                    m.d.sync += [word_full.eq(0), full.eq(0), word.eq(0)]
                with m.If(self.done):
                    m.next = "IDLE"
                with m.If(word_full & beyond(target)):
                    m.d.comb += self.outside.eq(1)
                    m.next = "IDLE"
        return m
