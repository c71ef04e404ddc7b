"""`VectorUnit`: runs the words of `rtl.vector_instructions`, one after the other.

Geometry is kept as it comes. Everything else reads its scalars first, then works, then stores its
scalars: passes (`VectorPass`), arithmetic (`ScalarAlu`), transfers (`ScalarTransfer`) and the loss
(`VectorLoss`) share one file of scalars and the ports to the memories.
"""

from amaranth.hdl import Array, Cat, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, Out

from rtl.config import CoreConfig
from rtl.hierarchy import place
from rtl.instructions import Fault, Unit
from rtl.layouts import fields_layout, header_layout, payload_of
from rtl.memory import Memory
from rtl.ports import ResultsRead, ResultsWrite, ScratchpadRead, ScratchpadWrite
from rtl.scalar_alu import LATENCY, ScalarAlu, bit_length
from rtl.scalar_transfer import ScalarTransfer
from rtl.unit_port import UnitPort
from rtl.vector_instructions import (
    LOADED_BYTES_MAX,
    SCALAR_BITS,
    SCALARS,
    Addend,
    Bases,
    Function,
    LoadScalars,
    Loops,
    Loss,
    Operand,
    Output,
    Pass,
    Rectify,
    Scalar,
    StoreScalars,
    Stream,
    Stride,
    Total,
    VectorWord,
)
from rtl.vector_loss import VectorLoss
from rtl.vector_pass import PASS_STREAMS, SHIFT_BITS, PassScalars, VectorPass

__all__ = ["VectorUnit"]

_SLOTS: dict[type[VectorWord], tuple[str, ...]] = {
    Pass: ("bias", "v_shift", "key", "u_shift", "shift", "factor"),
    Scalar: ("a", "b", "c"),
    StoreScalars: ("d",),
    Loss: ("label", "exponent"),
}
"""Fields with the numbers of the scalars that are read, in this order. Three are kept whole."""

_WORDS = (Stream.RESULTS_IN, Stream.RESULTS_OUT)
_LEAST_EXCESS = 7
_BASES = {
    "x": Stream.X, "y": Stream.Y, "output": Stream.OUTPUT,
    "results_in": Stream.RESULTS_IN, "results_out": Stream.RESULTS_OUT,
}  # fmt: skip


class VectorUnit(Component):
    """C lanes, scalars, the loss.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    unit:
        `rtl.unit_port.UnitPort`. After a fault nothing more is stored.
    complete:
        For one cycle, an instruction is complete, whether it signals or not; words that only set
        something up are not shown. For those who watch.
    waiting:
        A read waits for another client of its memory.
    x, y, v:
        Bytes: two operands, and results.
    z, w:
        Words: operand and result.
    scalar_enable, scalar_number, scalar_value:
        A scalar is stored in this cycle; for those who watch.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "unit": Out(UnitPort()),
                "complete": Out(1),
                "waiting": Out(1),
                "x": Out(ScratchpadRead(config, config.columns)),
                "y": Out(ScratchpadRead(config, config.columns)),
                "v": Out(ScratchpadWrite(config, config.columns)),
                "z": Out(ResultsRead(config)),
                "w": Out(ResultsWrite(config)),
                "scalar_enable": Out(1),
                "scalar_number": Out(range(SCALARS)),
                "scalar_value": Out(signed(SCALAR_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Decode, fetch, work, store."""
        m = Module()
        unit = self.unit
        stop = Signal()
        m.d.comb += stop.eq(unit.fault != Fault.NONE)
        m.submodules.pass_ = ResetInserter(stop)(a_pass := VectorPass(config=self._config))
        m.submodules.loss = ResetInserter(stop)(loss := VectorLoss(config=self._config))
        m.submodules.transfer = ResetInserter(stop)(transfer := ScalarTransfer(config=self._config))
        m.submodules.alu = alu = ScalarAlu()

        # What the word says.
        word = unit.i.payload
        header = header_layout()(word)
        taken = unit.i.valid & unit.i.ready
        kept = Signal(len(word), reset_less=True)
        signal = Signal(len(unit.signal))
        op = Signal(5)
        passing = Signal()
        with m.If(taken):
            m.d.sync += [
                kept.eq(word),
                signal.eq(header.signal),
                op.eq(header.op),
                passing.eq(header.op == Pass.op),
            ]
        illegal, loops = self._geometry(m, word, header, taken, a_pass, loss)
        refused = Signal(Fault)
        with m.If(taken):
            m.d.comb += refused.eq(Fault.OP)
            with m.If(header.unit == Unit.VECTOR), m.Switch(header.op):
                for kind, wrong in illegal.items():
                    with m.Case(kind.op):
                        m.d.comb += refused.eq(Mux(wrong, Fault.FIELD, Fault.NONE))

        # Scalars: numbers, a file, what was read.
        slots = max(len(names) for names in _SLOTS.values())
        numbers = [Signal(8, name=f"number_{k}", reset_less=True) for k in range(slots)]
        rises = Signal(3, reset_less=True)
        target = Signal(8, reset_less=True)
        count = Signal(8, reset_less=True)
        repetition = Signal(8, reset_less=True)
        fetched = Signal(range(slots + 1), reset_less=True)
        with m.If(taken):
            m.d.sync += repetition.eq(0)
            with m.Switch(header.op):
                for kind, names in _SLOTS.items():
                    fields = payload_of(kind, word)
                    with m.Case(kind.op):
                        m.d.sync += [
                            number.eq(fields[name])
                            for number, name in zip(numbers, names, strict=False)
                        ]
                        m.d.sync += fetched.eq(len(names))
        with m.If(taken):
            scalar, load = payload_of(Scalar, word), payload_of(LoadScalars, word)
            with m.If(header.op == Scalar.op):
                m.d.sync += [
                    target.eq(scalar.d),
                    count.eq(scalar.count),
                    rises.eq(Cat(scalar.next_a, scalar.next_b, scalar.next_c)),
                ]
            with m.Else():
                m.d.sync += [target.eq(load.d), count.eq(load.count), rises.eq(1)]

        file = place(m, platform, "scalars", Memory, width=SCALAR_BITS, depth=SCALARS,
                     module_name="eoq_scalar_file")  # fmt: skip
        slot = Signal(range(slots + 1))
        was_zero = Signal(reset_less=True)
        number = Array(numbers)[slot]
        m.d.comb += [
            file.r_address.eq(number),
            file.r_enable.eq(1),
            self.scalar_enable.eq(file.w_enable),
            self.scalar_number.eq(file.w_address),
            self.scalar_value.eq(file.w_data),
        ]
        m.d.sync += was_zero.eq(number == 0)
        read = Signal(signed(SCALAR_BITS))
        m.d.comb += read.eq(Mux(was_zero, 0, file.r_data))
        wide = [Signal(signed(SCALAR_BITS), name=f"read_{k}", reset_less=True) for k in range(3)]
        short = Signal(signed(SHIFT_BITS))
        least = -1 << (SHIFT_BITS - 1)
        m.d.comb += short.eq(Mux(read < least, least, Mux(read > ~least, ~least, read)))
        scalars = Signal(PassScalars(), reset_less=True)
        narrow = [scalars.u_shift, scalars.shift, scalars.factor]
        with m.If(slot != 0), m.Switch(slot - 1):
            for k, register in enumerate(wide):
                with m.Case(k):
                    m.d.sync += register.eq(read)
            for k, register in enumerate(narrow, start=len(wide)):
                with m.Case(k):
                    m.d.sync += register.eq(read if register is scalars.factor else short)

        # Everybody's operands.
        own = payload_of(Scalar, kept)
        m.d.comb += [
            a_pass.what.eq(payload_of(Pass, kept)),
            a_pass.loops.eq(loops),
            a_pass.scalars.eq(scalars),
            a_pass.scalars.bias.eq(wide[0]),
            a_pass.scalars.v_shift.eq(wide[1]),
            a_pass.scalars.key.eq(wide[2]),
            alu.function.eq(own.function),
            alu.a.eq(wide[0]),
            alu.b.eq(Mux(own.immediate, own.value, wide[1])),
            alu.c.eq(wide[2]),
            alu.index.eq(repetition),
            loss.classes.eq(payload_of(Loss, kept).classes),
            loss.label.eq(wide[0]),
            loss.exponent.eq(wide[1]),
            transfer.what.eq(payload_of(LoadScalars, kept)),
            transfer.store.eq(op == StoreScalars.op),
            transfer.i.eq(wide[0]),
        ]

        # One thing after the other.
        last = count == 1
        wait = Signal(range(LATENCY + 1))
        what = payload_of(Pass, kept)
        top = Signal(range(33))
        m.d.comb += top.eq(bit_length(m, a_pass.largest))
        complete = Signal()
        again = Signal()
        with m.If(again):
            m.d.sync += [
                target.eq(target + 1), count.eq(count - 1), repetition.eq(repetition + 1),
                *(n.eq(n + rise) for n, rise in zip(numbers, rises, strict=False)),
            ]  # fmt: skip
        m.d.comb += [
            unit.busy.eq(1),
            self.complete.eq(complete),
            unit.signal.eq(Mux(complete, signal, 0)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [unit.busy.eq(0), unit.i.ready.eq(~stop)]
                m.d.sync += slot.eq(0)
                with m.If(taken & (refused == Fault.NONE)), m.Switch(header.op):
                    with m.Case(LoadScalars.op):
                        m.next = "BEGIN"
                    with m.Case(*(kind.op for kind in _SLOTS)):
                        m.next = "FETCH"
            with m.State("BEGIN"):
                m.d.comb += transfer.begin.eq(1)
                m.next = "START"
            with m.State("FETCH"):
                m.d.sync += slot.eq(slot + 1)
                m.d.comb += transfer.begin.eq(repetition == 0)
                with m.If(slot == fetched):
                    m.d.sync += slot.eq(0)
                    m.next = "START"
            with m.State("START"):
                m.d.sync += wait.eq(LATENCY - 1)
                with m.Switch(op):
                    with m.Case(Pass.op):
                        m.d.comb += a_pass.start.eq(1)
                        m.next = "PASS"
                    with m.Case(Scalar.op):
                        m.next = "COMPUTE"
                    with m.Case(Loss.op):
                        m.d.comb += loss.start.eq(1)
                        m.next = "LOSS"
                    with m.Default():
                        m.d.comb += transfer.start.eq(1)
                        m.next = "TRANSFER"
            with m.State("PASS"), m.If(a_pass.done):
                m.next = "STORE_TOP"
            with m.State("STORE_TOP"):
                m.d.comb += [
                    file.w_enable.eq(what.measure),
                    file.w_address.eq(what.top),
                    file.w_data.eq(top),
                ]
                m.next = "STORE_EXCESS"
            with m.State("STORE_EXCESS"):
                m.d.comb += [
                    file.w_enable.eq(what.measure),
                    file.w_address.eq(what.top + 1),
                    file.w_data.eq(Mux(top > _LEAST_EXCESS, top - _LEAST_EXCESS, 0)),
                ]
                m.next = "STORE_SUM"
            with m.State("STORE_SUM"):
                m.d.comb += [
                    file.w_enable.eq(what.total != Total.NONE),
                    file.w_address.eq(what.sum),
                    file.w_data.eq(a_pass.sum),
                    complete.eq(1),
                ]
                m.next = "IDLE"
            with m.State("COMPUTE"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.comb += [
                        file.w_enable.eq(1),
                        file.w_address.eq(target),
                        file.w_data.eq(alu.o),
                        again.eq(1),
                        complete.eq(last),
                    ]
                    m.next = "FETCH"
                    with m.If(last):
                        m.next = "IDLE"
            with m.State("TRANSFER"), m.If(transfer.done):
                m.d.comb += [
                    file.w_enable.eq(op == LoadScalars.op),
                    file.w_address.eq(target),
                    file.w_data.eq(transfer.o),
                    again.eq(1),
                    complete.eq(last),
                ]
                m.next = "START"
                with m.If(op == StoreScalars.op):
                    m.next = "FETCH"
                with m.If(last):
                    m.next = "IDLE"
            with m.State("LOSS"), m.If(loss.done):
                m.d.comb += complete.eq(1)
                m.next = "IDLE"

        failed = Signal(Fault)
        m.d.comb += failed.eq(refused)
        with m.If(a_pass.fault != Fault.NONE):
            m.d.comb += failed.eq(a_pass.fault)
        with m.If(loss.outside | transfer.outside):
            m.d.comb += failed.eq(Fault.ADDRESS)
        with m.If(~stop & (failed != Fault.NONE)):
            m.d.sync += unit.fault.eq(failed)
        self._ports(m, passing, a_pass, loss, transfer)
        return ResetInserter(unit.abort)(m)

    def _geometry(
        self, m: Module, word: Value, header: Value, taken: Value, a_pass: VectorPass,
        loss: VectorLoss,
    ) -> tuple[dict[type[VectorWord], Value], Signal]:  # fmt: skip
        """Keep the geometry. Returns what makes each kind of word illegal, and the loops."""
        config = self._config
        loops = Signal(fields_layout(Loops))
        strides = Signal(data.ArrayLayout(fields_layout(Stride), len(PASS_STREAMS)),
                         reset_less=True)  # fmt: skip
        m.d.comb += [
            a_pass.strides.eq(strides),
            loss.source.eq(strides[int(Stream.RESULTS_IN)]),
            loss.target.eq(strides[int(Stream.RESULTS_OUT)]),
        ]
        own = header.unit == Unit.VECTOR
        stride, bases = payload_of(Stride, word), payload_of(Bases, word)
        with m.If(taken & own & (header.op == Loops.op)):
            m.d.sync += loops.eq(payload_of(Loops, word))
        for stream in PASS_STREAMS:
            with m.If(taken & own & (header.op == Stride.op) & (stride.stream == stream)):
                m.d.sync += strides[int(stream)].eq(stride)
        with m.If(taken & own & (header.op == Bases.op)):
            m.d.sync += [strides[int(to)].base.eq(bases[name]) for name, to in _BASES.items()]

        def beyond(stream: Stream, base: Value) -> Value:
            words, bytes_ = config.results_address_bits, config.scratchpad_address_bits
            return (base >> (words if stream in _WORDS else bytes_)).any()

        silent = header.signal != 0
        of_words = Cat(stride.stream == stream for stream in _WORDS).any()
        what, set_loops = payload_of(Pass, word), payload_of(Loops, word)
        scalar, load, a_loss = (payload_of(k, word) for k in (Scalar, LoadScalars, Loss))
        of_x = Cat(what.operand == o for o in (Operand.X, Operand.X_FACTOR, Operand.X_Y)).any()
        transfer = (load.size == 0) | (load.size > LOADED_BYTES_MAX) | (load.count == 0)
        illegal: dict[type[VectorWord], Value] = {
            Pass: (what.operand > max(Operand))
            | (what.rectify > max(Rectify))
            | (what.output > max(Output))
            | (what.total > max(Total))
            | (what.mask_in & what.mask_out)
            | (of_x & (what.addend == Addend.Y_X))
            | (loops.channels == 0),
            Loops: silent
            | Cat(set_loops[name] == 0 for name in ("positions", "rows", "channels")).any(),
            Stride: silent
            | (stride.stream > max(Stream))
            | Mux(
                of_words,
                beyond(Stream.RESULTS_IN, stride.base),
                (stride.stream != Stream.INDEX) & beyond(Stream.X, stride.base),
            ),
            Bases: silent | Cat(beyond(to, bases[name]) for name, to in _BASES.items()).any(),
            Scalar: (scalar.function > max(Function)) | (scalar.count == 0),
            LoadScalars: transfer,
            StoreScalars: transfer,
            Loss: (a_loss.classes < 2) | (a_loss.classes > config.loss_classes),
        }
        return illegal, loops

    def _ports(
        self, m: Module, passing: Value, a_pass: VectorPass, loss: VectorLoss,
        transfer: ScalarTransfer,
    ) -> None:  # fmt: skip
        """Only one of them is at work; passes have ports whether they have begun or not."""
        for port, first, second in (
            (self.x, a_pass.x, transfer.x),
            (self.v, a_pass.v, transfer.v),
            (self.z, a_pass.z, loss.z),
            (self.w, a_pass.w, loss.w),
        ):
            outputs = [name for name in ("address", "data", "mask")
                       if name in port.signature.members
                       and port.signature.members[name].flow == Out]  # fmt: skip
            m.d.comb += port.enable.eq(first.enable | second.enable)
            m.d.comb += [
                getattr(port, name).eq(
                    Mux(passing, Value.cast(getattr(first, name)),
                        Value.cast(getattr(second, name)))
                )
                for name in outputs
            ]  # fmt: skip
            m.d.comb += [first.ready.eq(port.ready), second.ready.eq(port.ready)]
            if "data" not in outputs:
                m.d.comb += [first.data.eq(port.data), second.data.eq(port.data)]
        m.d.comb += [
            self.y.enable.eq(a_pass.y.enable),
            self.y.address.eq(a_pass.y.address),
            a_pass.y.ready.eq(self.y.ready),
            a_pass.y.data.eq(self.y.data),
            self.waiting.eq(a_pass.waiting | loss.waiting | transfer.waiting),
        ]
