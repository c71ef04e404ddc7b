"""`LossUnit`: runs LOSS, the softmax cross-entropy error of one sample: `golden.loss`."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from golden.formats import QuantSpec
from golden.loss import LOGIT_EXPONENT
from rtl.bias_adder import BiasAdder
from rtl.config import CoreConfig
from rtl.hierarchy import place
from rtl.layouts import instruction_layout
from rtl.memory import Memory
from rtl.quantizer import Quantizer
from rtl.softmax import TOTAL_DROPPED, WORD_BITS, SoftmaxStages

__all__ = ["LossUnit"]


class LossUnit(Component):
    """Serial over classes: a sample's loss is a few dozen numbers, so one of everything will do.

    Four walks over one small memory, each in place: logits to z with their maximum; z to
    exponentials with their sum; exponentials to probabilities with the sum of the wrong classes';
    probabilities to beats of `o`. The true class gets minus that sum, so that the error is zero
    exactly when nothing is wrong.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    start:
        High for one cycle; `instruction` is a legal LOSS and stays until `done`.
    i_x, i_y, o:
        Products (32 bits), biases (16) and error (18), class j in lane j mod C of beat j // C.
    done:
        High in the cycle in which the last beat of `o` is taken.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        lanes = data.ArrayLayout(signed(32), config.columns)
        super().__init__(
            {
                "start": In(1),
                "instruction": In(instruction_layout()),
                "i_x": In(stream.Signature(lanes)),
                "i_y": In(stream.Signature(data.ArrayLayout(signed(16), config.columns))),
                "o": Out(stream.Signature(data.ArrayLayout(signed(18), config.columns))),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk the classes four times."""
        m = Module()
        lanes = self._config.columns
        classes = self._config.loss_classes
        what = self.instruction
        store = place(
            m,
            platform,
            "store",
            Memory,
            width=WORD_BITS,
            depth=classes,
            module_name="eoq_loss_buffer",
        )
        m.submodules.quantizer = to_z = Quantizer(spec=QuantSpec(width_in=32, width_out=16))

        # A walk issues elements 0 to N - 1 one a cycle; `valid[k]` says that one was issued k + 1
        # cycles ago. The element that is written back is number `back`.
        front = Signal(range(classes + 1))
        back = Signal(range(classes))
        lane = Signal(range(lanes))
        valid = Signal(4)
        issue = Signal()
        write = Signal()
        w_data = Signal(WORD_BITS)
        last_lane = (lane == lanes - 1) | (front == what.count - 1)
        last_back = back == what.count - 1
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

        # Walk 1: add the bias (two cycles), z = SAT16(RSH(x, s - 8)) (two more) and the maximum.
        top = Signal(signed(16))
        z = to_z.o
        m.submodules.bias_adder = bias_adder = BiasAdder()
        logit = Signal(signed(32), reset_less=True)
        m.d.sync += logit.eq(bias_adder.o)
        m.d.comb += [
            bias_adder.x.eq(Array([self.i_x.payload[c] for c in range(lanes)])[lane]),
            bias_adder.y.eq(Array([self.i_y.payload[c] for c in range(lanes)])[lane]),
            bias_adder.shift.eq(what.bias_shift),
            to_z.x.eq(logit),
            # s - 8 in 8 bits; a left shift is limited long before.
            to_z.shift.eq(
                Mux(what.shift < LOGIT_EXPONENT - 128, -128, what.shift - LOGIT_EXPONENT)
            ),
            to_z.enable.eq(1),
        ]

        # Walks 2 and 3: exponentials and their sum, then probabilities and the wrong classes' sum.
        m.submodules.softmax = softmax = SoftmaxStages(classes=classes)
        total = Signal(range((classes << 15) + 1))
        wrong = Signal(17)
        m.d.comb += [
            softmax.word.eq(store.r_data),
            softmax.top.eq(top),
            softmax.total.eq(total >> TOTAL_DROPPED),
        ]

        # Walk 4: fill the lanes of a beat, then wait until it is taken.
        full = Signal()
        fill_lane = Signal(range(lanes))
        fill_last = Signal()
        fill_true = Signal()
        beat = Signal(data.ArrayLayout(signed(18), lanes))
        for c in range(lanes):
            m.d.comb += self.o.payload[c].eq(beat[c])

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [front.eq(0), back.eq(0), lane.eq(0), valid.eq(0), beat.eq(0)]
                m.d.sync += [top.eq(-(1 << 15)), total.eq(0), wrong.eq(0), full.eq(0)]
                with m.If(self.start):
                    m.next = "LOGITS"
            with m.State("LOGITS"):
                m.d.comb += [
                    issue.eq(self.i_x.valid & self.i_y.valid & (front != what.count)),
                    self.i_x.ready.eq(issue & last_lane),
                    self.i_y.ready.eq(issue & last_lane),
                    write.eq(valid[3]),
                    w_data.eq(z),
                ]
                with m.If(write & (z > top)):
                    m.d.sync += top.eq(z)
                with m.If(write & last_back):
                    m.next = "EXPONENTIALS"
            with m.State("EXPONENTIALS"):
                m.d.comb += [
                    issue.eq(front != what.count),
                    write.eq(valid[3]),
                    w_data.eq(softmax.exponential),
                ]
                with m.If(write):
                    m.d.sync += total.eq(total + softmax.exponential)
                    with m.If(last_back):
                        m.next = "PROBABILITIES"
            with m.State("PROBABILITIES"):
                m.d.comb += [
                    issue.eq(front != what.count),
                    write.eq(valid[2]),
                    w_data.eq(softmax.probability),
                ]
                with m.If(write):
                    with m.If(back != what.label):
                        m.d.sync += wrong.eq(wrong + softmax.probability)
                    with m.If(last_back):
                        m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += [
                    issue.eq((front != what.count) & ~full),
                    self.done.eq(self.o.valid & self.o.ready & (front == what.count)),
                ]
                with m.If(issue):
                    m.d.sync += [
                        full.eq(last_lane),
                        fill_lane.eq(lane),
                        fill_last.eq(last_lane),
                        fill_true.eq(front == what.label),
                    ]
                with m.If(valid[0]):
                    m.d.sync += [
                        beat[fill_lane].eq(Mux(fill_true, -wrong, store.r_data)),
                        self.o.valid.eq(fill_last),
                    ]
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += [self.o.valid.eq(0), full.eq(0), beat.eq(0)]
                with m.If(self.done):
                    m.next = "IDLE"
        return m
