"""`Dispatcher`: deals a program out to the units and keeps them in order by semaphores."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.control_instructions import End, Fence, Nop
from rtl.fields import Field
from rtl.instructions import HEADER, SEMAPHORE_MAX, SEMAPHORES, WORD_BITS, Fault, Unit
from rtl.queue import Queue
from rtl.unit_port import UnitPort

__all__ = [
    "INDEX_BITS",
    "PATIENCE",
    "QUEUE_DEPTH",
    "UNITS",
    "Dispatcher",
    "Fetched",
]

UNITS = (Unit.MATRIX, Unit.VECTOR, Unit.DMA)
"""Who has a queue, in the order in which waits are granted."""

QUEUE_DEPTH = 8
"""Instructions a unit's queue holds (our choice)."""

INDEX_BITS = 24
"""Of an instruction's place in the program."""

PATIENCE = 8
"""Cycles without any sign of life after which the program is in deadlock.

One would do: only what is at work can signal. The others cost nothing and forgive a unit that
signals late.
"""


class Fetched(data.StructLayout):
    """A word of the program, and whether the bus gave it with an error."""

    def __init__(self) -> None:
        super().__init__({"word": WORD_BITS, "error": 1})


def _field(word: Value, field: Field) -> Value:
    return word[field.offset : field.offset + field.width]


class Dispatcher(Component):
    """Takes a program's words in order, one a cycle, and puts each into its unit's queue.

    The head of a queue is offered to its unit when every semaphore that it waits for is above zero;
    each of them is then decremented, all at once. Of several heads that could go on in one cycle
    the first in the order of `UNITS` does, then the dispatcher's own instruction; heads that wait
    for nothing do not take part. Semaphores are zero at the start of a program.

    A word that goes to no unit, a unit's fault, a semaphore above `SEMAPHORE_MAX`, a program
    without END, or one in which nothing can ever go on stops the program: everything is aborted
    and forgotten, and `fault` says why. Nothing that a program contains makes it hang.

    Members
    -------
    program, exhausted:
        Words, and whether all were offered that there are.
    start:
        Run; taken when not `running`. Clears `fault`.
    stop:
        Abort.
    running:
        From the cycle after `start` until everything is quiet again.
    done:
        For one cycle, when END is reached: all results are visible.
    flush:
        What the program comes from must forget it, and show `flushed`.
    fault, fault_unit, fault_index:
        `rtl.instructions.Fault`, who found it, and the place in the program of the
        instruction that this unit took last (the dispatcher's own: of the one it looked at).
    dispatched:
        For one cycle, a word was dealt out or run.
    matrix, vector, dma:
        The units.
    """

    program: In(stream.Signature(Fetched()))
    exhausted: In(1)
    start: In(1)
    stop: In(1)
    running: Out(1)
    done: Out(1)
    flush: Out(1)
    flushed: In(1)
    fault: Out(4)
    fault_unit: Out(3)
    fault_index: Out(INDEX_BITS)
    dispatched: Out(1)
    matrix: In(UnitPort())
    vector: In(UnitPort())
    dma: In(UnitPort())

    def elaborate(self, platform: object) -> Module:
        """Queues, semaphores, control instructions, and what ends a program."""
        m = Module()
        units = (self.matrix, self.vector, self.dma)
        word, error = self.program.p.word, self.program.p.error
        number = _field(word, HEADER["unit"])
        operation = _field(word, HEADER["op"])

        clear = Signal()
        queues = []
        for name in ("matrix", "vector", "dma"):
            queue = Queue(width=WORD_BITS + INDEX_BITS, depth=QUEUE_DEPTH,
                          module_name="eoq_word_queue")  # fmt: skip
            m.submodules[f"{name}_queue"] = ResetInserter(clear)(queue)
            queues.append(queue)

        # Semaphores: one grant a cycle for heads that wait, none needed for the others.
        counts = [
            Signal(range(SEMAPHORE_MAX + 1), name=f"semaphore_{k}") for k in range(SEMAPHORES)
        ]
        above_zero = Cat(count != 0 for count in counts)
        masks = [_field(queue.r_data, HEADER["wait"]) for queue in queues]
        masks.append(_field(word, HEADER["wait"]))
        own = Signal()
        present = [queue.r_rdy for queue in queues] + [own]
        granted = [Signal(name=f"granted_{k}") for k in range(4)]
        clear_to_go = [Signal(name=f"clear_to_go_{k}") for k in range(4)]
        taken = Signal(SEMAPHORES)
        free = 1
        for k, mask in enumerate(masks):
            able = Signal(name=f"able_{k}")
            m.d.comb += [
                able.eq(present[k] & ~granted[k] & mask.any() & ((mask & ~above_zero) == 0)),
                clear_to_go[k].eq(present[k] & (granted[k] | ~mask.any() | (able & free))),
            ]
            with m.If(able & free):
                m.d.comb += taken.eq(mask)
                m.d.sync += granted[k].eq(1)
            free = free & ~able

        run = Signal()
        own_signals = Signal(SEMAPHORES)
        overflow = Signal()
        for k, count in enumerate(counts):
            raised = sum((unit.signal[k] for unit in units), start=own_signals[k])
            total = Signal(range(SEMAPHORE_MAX + 5), name=f"total_{k}")
            m.d.comb += total.eq(count + raised - taken[k])
            m.d.sync += count.eq(Mux(total > SEMAPHORE_MAX, SEMAPHORE_MAX, total))
            with m.If(total > SEMAPHORE_MAX):
                m.d.comb += overflow.eq(1)

        # Queues to units.
        offered = 0
        lasts = []
        for k, (unit, queue) in enumerate(zip(units, queues, strict=True)):
            last = Signal(INDEX_BITS, name=f"last_{k}")
            lasts.append(last)
            m.d.comb += [
                unit.i.payload.eq(queue.r_data[:WORD_BITS]),
                unit.i.valid.eq(run & clear_to_go[k]),
                queue.r_en.eq(unit.i.valid & unit.i.ready),
                unit.abort.eq(clear),
            ]
            with m.If(queue.r_en):
                m.d.sync += [granted[k].eq(0), last.eq(queue.r_data[WORD_BITS:])]
            offered = offered | unit.i.valid

        # The program to the queues.
        index = Signal(INDEX_BITS)
        busy = self.matrix.busy | self.vector.busy | self.dma.busy
        idle = Signal()
        m.d.comb += idle.eq(~busy & ~Cat(queue.r_rdy for queue in queues).any())
        found, found_unit, found_index = Signal(Fault), Signal(Unit), Signal(INDEX_BITS)
        m.d.comb += [found_unit.eq(Unit.CONTROL), found_index.eq(index)]
        finish = Signal()
        with m.If(run & self.program.valid):
            with m.If(error):
                m.d.comb += found.eq(Fault.BUS)
            with m.Else(), m.Switch(number):
                for unit_number, queue in zip(UNITS, queues, strict=True):
                    with m.Case(unit_number):
                        m.d.comb += [
                            queue.w_data.eq(Cat(word, index)),
                            queue.w_en.eq(1),
                            self.program.ready.eq(queue.w_rdy),
                        ]
                with m.Case(Unit.CONTROL):
                    m.d.comb += own.eq(1)
                    with m.Switch(operation):
                        with m.Case(End.op, Fence.op):
                            m.d.comb += self.program.ready.eq(clear_to_go[3] & idle)
                        with m.Case(Nop.op):
                            m.d.comb += self.program.ready.eq(clear_to_go[3])
                        with m.Default():
                            m.d.comb += found.eq(Fault.OP)
                    with m.If(self.program.ready):
                        m.d.comb += own_signals.eq(_field(word, HEADER["signal"]))
                        m.d.comb += finish.eq(operation == End.op)
                        m.d.sync += granted[3].eq(0)
                with m.Default():
                    m.d.comb += found.eq(Fault.UNIT)
        with m.If(run & ~self.program.valid & self.exhausted):
            m.d.comb += found.eq(Fault.NO_END)
        moves = self.program.valid & self.program.ready
        m.d.comb += self.dispatched.eq(moves)
        with m.If(moves):
            m.d.sync += index.eq(index + 1)

        # Nothing at work, nothing on offer, nothing to come: no signal can be given any more.
        quiet = Signal(range(PATIENCE))
        waits_for_bus = ~self.program.valid & ~self.exhausted
        stuck = Signal()
        m.d.comb += stuck.eq(run & ~busy & ~offered & ~moves & ~waits_for_bus)
        m.d.sync += quiet.eq(Mux(stuck, quiet + 1, 0))

        with m.If(stuck & (quiet == PATIENCE - 1)):
            m.d.comb += found.eq(Fault.DEADLOCK)
        # A cycle late: what is added up comes late already.
        overflowed = Signal()
        m.d.sync += overflowed.eq(run & overflow)
        with m.If(run & overflowed):
            m.d.comb += found.eq(Fault.SEMAPHORE)
        for unit_number, unit, last in reversed(list(zip(UNITS, units, lasts, strict=True))):
            with m.If(run & unit.fault.any()):
                m.d.comb += [found.eq(unit.fault), found_unit.eq(unit_number), found_index.eq(last)]
        with m.If(run & self.stop):
            m.d.comb += [
                found.eq(Fault.ABORTED),
                found_unit.eq(Unit.CONTROL),
                found_index.eq(index),
            ]

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [self.fault.eq(0), self.fault_unit.eq(0), self.fault_index.eq(0)]
                m.d.sync += [index.eq(0), quiet.eq(0)]
                m.d.sync += [count.eq(0) for count in counts]
                m.d.sync += [flag.eq(0) for flag in granted]
                m.d.sync += [last.eq(0) for last in lasts]
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += [run.eq(1), self.running.eq(1)]
                with m.If(found != Fault.NONE):
                    m.d.sync += [
                        self.fault.eq(found),
                        self.fault_unit.eq(found_unit),
                        self.fault_index.eq(found_index),
                    ]
                    m.next = "STOP"
                with m.Elif(finish):
                    m.d.comb += self.done.eq(1)
                    # The program may have words left behind its END.
                    m.next = "STOP"
            with m.State("STOP"):
                m.d.comb += [self.running.eq(1), clear.eq(1), self.flush.eq(1)]
                with m.If(~busy & self.flushed):
                    m.next = "IDLE"
        return m
