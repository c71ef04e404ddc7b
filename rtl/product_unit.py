"""`ProductUnit`: runs the words of `rtl.matrix_instructions` on a `SystolicArray`.

Nothing in it ever waits, so all of it is one pipeline behind `ProductAddresses`. Its steps, counted
from the cycle in which a vector of A is addressed: 2 request to the scratchpad, 5 data, 6 the
array's first column, together with the sum that was read in step 5; R + 7 the new sum is written.
Column c does everything c cycles later. What fails stops the addressing; the pipeline then runs
empty.
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib.wiring import Component, Out

from rtl.config import CoreConfig
from rtl.feeder import Feeder
from rtl.instructions import SEMAPHORES, Fault, Unit, Word
from rtl.layouts import fields_layout, header_layout, payload_of
from rtl.matrix_instructions import (
    ALoops,
    AStrides,
    BLoops,
    BStrides,
    Multiply,
    Results,
    Window,
)
from rtl.ports import COLUMN_LATENCY, SCRATCHPAD_LATENCY, ResultsColumns, ScratchpadRead
from rtl.product_addresses import LINE_BITS, ROUND_TRIP, ProductAddresses
from rtl.systolic_array import SystolicArray
from rtl.unit_port import UnitPort

__all__ = ["DRAIN", "ProductUnit"]

_REQUEST = 2
_DATA = _REQUEST + SCRATCHPAD_LATENCY
_ARRAY = _DATA + 1

DRAIN = _ARRAY + 1
"""A product's last sum is stored, and `signal` given, R + C + this many cycles after its last
vector was addressed."""

_WORDS: dict[str, type[Word]] = {
    "b_loops": BLoops, "b_strides": BStrides, "a_loops": ALoops, "a_strides": AStrides,
    "window": Window, "results": Results, "multiply": Multiply,
}  # fmt: skip


class ProductUnit(Component):
    """Matrix products of convolutions and linear layers, forward and backward.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    unit:
        Words of `rtl.matrix_instructions`, as `rtl.unit_port.UnitPort`. Only products are complete
        later than taken, and only they may signal. Set-up words survive an abort.
    complete:
        For one cycle, an instruction is complete, whether it signals or not; words that only set
        something up are not shown. For those who watch.
    beat:
        A vector goes to the array: R x C multiplications, for the utilisation counter.
    a, b:
        Operands in the scratchpad.
    z:
        Results.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config
        super().__init__(
            {
                "unit": Out(UnitPort()),
                "complete": Out(1),
                "beat": Out(1),
                "a": Out(ScratchpadRead(config, config.rows)),
                "b": Out(ScratchpadRead(config, config.columns, strided=True)),
                "z": Out(ResultsColumns(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Decode, address, multiply, store."""
        m = Module()
        m.submodules.addresses = addresses = ProductAddresses(config=self._config)
        refused = self._decode(m, addresses)
        m.submodules.array = array = SystolicArray(
            rows=self._config.rows,
            columns=self._config.columns,
            accumulator_bits=self._config.accumulator_bits,
            operand_bits=self._config.activation_bits,
        )
        wrong = self._operands(m, addresses, array)
        outside = self._sums(m, addresses, array)

        with m.If(self.unit.fault == Fault.NONE):
            with m.If(wrong != Fault.NONE):
                m.d.sync += self.unit.fault.eq(wrong)
            with m.Elif(outside):
                m.d.sync += self.unit.fault.eq(Fault.ADDRESS)
            with m.Elif(refused != Fault.NONE):
                m.d.sync += self.unit.fault.eq(refused)
        m.d.comb += [
            addresses.stop.eq(self.unit.fault != Fault.NONE),
            self.beat.eq(addresses.beat),
        ]
        return ResetInserter(self.unit.abort)(m)

    def _decode(self, m: Module, addresses: ProductAddresses) -> Value:
        """Keep set-up words and products, and check them: the outcome is known a cycle later.

        Returns why a word is refused.
        """
        config = self._config
        word = self.unit.i.payload
        header = header_layout()(word)
        multiply = payload_of(Multiply, word)

        def zero(kind: type[Word], *names: str) -> Value:
            fields = payload_of(kind, word)
            return Cat(fields[name] == 0 for name in names).any()

        beyond = 1 << config.scratchpad_address_bits
        b_loops, a_loops = payload_of(BLoops, word), payload_of(ALoops, word)
        illegal: dict[type[Word], Value] = {
            Multiply: (multiply.a_base >= beyond)
            | (multiply.a_base < -beyond)
            | (multiply.b_base >= beyond)
            | (multiply.z_base >> config.results_address_bits).any(),
            BLoops: zero(BLoops, "n0", "n1", "n2", "nj")
            | (b_loops.rows_last > config.rows)
            | (b_loops.pitch >> len(self.b.pitch)).any(),
            ALoops: zero(ALoops, "n0", "n1", "n2", "lanes_last")
            | (a_loops.lanes_last > config.rows)
            | (a_loops.unsigned & (config.activation_bits == 8)),
            Window: zero(Window, "m0", "m1"),
        }
        taken = self.unit.i.valid & self.unit.i.ready
        refused = Signal(Fault)
        start = Signal()
        m.d.sync += [refused.eq(Fault.NONE), start.eq(0)]
        m.d.comb += [
            self.unit.i.ready.eq(
                ~self.unit.abort
                & ~start
                & ~addresses.running
                & (refused == Fault.NONE)
                & (self.unit.fault == Fault.NONE)
            ),
            addresses.start.eq(start),
        ]
        code = Cat(header.unit, header.op)
        is_known: Value = Const(0)
        for name, kind in _WORDS.items():
            register = Signal(fields_layout(kind), name=name, reset_less=True)
            m.d.comb += getattr(addresses, name).eq(register)
            # Only products are ever completed.
            no_signal = Const(0) if kind is Multiply else header.signal.any()
            wrong = Signal(name=f"{name}_wrong")
            m.d.comb += wrong.eq(illegal.get(kind, Const(0)) | no_signal)
            is_this = code == (Unit.MATRIX | kind.op << 3)
            is_known = is_known | is_this
            with m.If(taken & is_this):
                m.d.sync += register.eq(payload_of(kind, word))
                m.d.sync += refused.eq(Mux(wrong, Fault.FIELD, Fault.NONE))
                if kind is Multiply:
                    m.d.sync += start.eq(~wrong)
        with m.If(taken & ~is_known):
            m.d.sync += refused.eq(Fault.OP)
        signals = Signal(SEMAPHORES, reset_less=True)
        with m.If(taken):
            m.d.sync += signals.eq(header.signal)
        self._completion(m, addresses, start, signals)
        return refused

    def _operands(self, m: Module, addresses: ProductAddresses, array: SystolicArray) -> Value:
        """Read both operands and bring them into the array. Returns why that is impossible."""
        config = self._config
        rows = config.rows
        bits = config.scratchpad_address_bits

        beat = _late(m, "beat", addresses.beat, _DATA)
        row_asked = _late(m, "row_asked", addresses.row, 1)[-1]
        # Stages 1, 2, ...
        row = _late(m, "row", row_asked & ~addresses.row_zero, _DATA - 1)
        outside = (addresses.a_live & beat[_REQUEST] & addresses.a_address[bits:].any()) | (
            row[_REQUEST - 1] & addresses.b_address[bits:].any()
        )
        m.d.comb += [
            self.a.enable.eq(beat[_REQUEST] & addresses.a_live),
            self.a.address.eq(addresses.a_address),
            self.b.enable.eq(row[_REQUEST - 1]),
            self.b.address.eq(addresses.b_address),
            self.b.pitch.eq(addresses.b_loops.pitch),
        ]

        # Which lanes exist: from `low` to `high`, between request and data.
        low, high = Signal(range(rows + 1)), Signal(range(rows + 1))
        x, left = addresses.a_x, Signal(signed(LINE_BITS + 1))
        # The unit takes the next set-up word while the last vectors are still on their way.
        line = _late(m, "line", addresses.window.line, _REQUEST - 1)[-1]
        m.d.comb += left.eq(line - x)
        m.d.sync += [
            low.eq(Mux(x < 0, Mux(x < -rows, rows, -x), 0)),
            high.eq(Mux(addresses.a_live, Mux(left > rows, rows, left), 0)),
        ]
        lanes = Signal(rows, reset_less=True)
        lanes_late = Signal(rows, reset_less=True)
        m.d.sync += [
            lanes.eq(Cat((low <= lane) & (lane < high) for lane in range(rows))),
            lanes_late.eq(lanes),
        ]

        m.submodules.feeder = feeder = Feeder(rows=rows, operand_bits=config.activation_bits)
        block = _late(m, "block", addresses.block, _DATA)
        m.d.comb += [
            feeder.block.eq(block[-1]),
            array.a.eq(feeder.o),
            array.take.eq(_late(m, "tile", addresses.tile, _DATA)[-1]),
        ]
        unsigned: Value = Const(0)
        if config.activation_bits > 8:
            unsigned = _late(m, "unsigned", addresses.a_loops.unsigned, _DATA)[-1]
        for lane in range(rows):
            byte = self.a.data[lane]
            sign = byte[7] & ~unsigned
            m.d.comb += feeder.i[lane].eq(Mux(lanes_late[lane], Cat(byte, sign), 0))
        for c in range(config.columns):
            m.d.comb += array.b[c].eq(Mux(row[-1], self.b.data[c], 0))

        wrong = Signal(Fault)
        with m.If(outside):
            m.d.comb += wrong.eq(Fault.ADDRESS)
        with m.Elif(self.b.enable & ~self.b.ready):
            m.d.comb += wrong.eq(Fault.CONFLICT)
        return wrong

    def _sums(self, m: Module, addresses: ProductAddresses, array: SystolicArray) -> Value:
        """Partial sums to the top of the array, and back. Returns whether a word is outside."""
        config = self._config
        bits = config.results_address_bits
        stored = addresses.stored & ~addresses.z[bits]
        z = addresses.z[:bits]

        # One chain of words, and one of flags, serve reads and writes of all columns.
        when = _ARRAY - COLUMN_LATENCY
        back = config.rows + ROUND_TRIP - 1
        words = _late(m, "word", z, when + back + config.columns - 1)
        stores = _late(m, "store", stored, when + back + config.columns - 1)
        firsts = _late(m, "first", addresses.first, when + COLUMN_LATENCY + config.columns - 1)
        for c in range(config.columns):
            read = when + c
            m.d.comb += [
                self.z.r_enable[c].eq(stores[read]),
                self.z.r_address[c].eq(words[read]),
                array.psum_i[c].eq(Mux(firsts[read + COLUMN_LATENCY], 0, self.z.r_data[c])),
                self.z.w_enable[c].eq(stores[read + back]),
                self.z.w_address[c].eq(words[read + back]),
                self.z.w_data[c].eq(array.psum_o[c]),
            ]

        # A page is busy until its last sum of the last column is stored. It need not be before its
        # first sum is read, some cycles from now.
        longest = config.rows + config.columns + DRAIN - 1
        for page in range(config.results_pages):
            left = Signal(range(longest + 1), name=f"page_left_{page}")
            busy = Signal(name=f"page_busy_{page}")
            here = stored & (z[config.results_page_depth.bit_length() - 1 :] == page)
            with m.If(here):
                m.d.sync += [left.eq(longest), busy.eq(1)]
            with m.Elif(busy):
                m.d.sync += [left.eq(left - 1), busy.eq(left != 1)]
            m.d.comb += self.z.busy[page].eq(busy)
        return addresses.stored & addresses.z[bits]

    def _completion(
        self, m: Module, addresses: ProductAddresses, start: Value, given: Value
    ) -> None:
        """Give each product's semaphores once its last sum is stored."""
        config = self._config
        after = config.rows + config.columns + DRAIN
        shortest = config.rows + 5
        done = _late(m, "done", addresses.last, after)[-1]
        # Products under way: what each will give.
        most = after // shortest + 2
        signals = Array(Signal(SEMAPHORES, name=f"signal_{k}") for k in range(most))
        newest, oldest = Signal(range(most)), Signal(range(most))
        under_way = Signal(range(most + 1))
        m.d.sync += under_way.eq(under_way + start - done)
        with m.If(start):
            m.d.sync += [
                signals[newest].eq(given),
                newest.eq(Mux(newest == most - 1, 0, newest + 1)),
            ]
        with m.If(done):
            m.d.sync += oldest.eq(Mux(oldest == most - 1, 0, oldest + 1))
        m.d.comb += [
            self.complete.eq(done),
            self.unit.signal.eq(Mux(done, signals[oldest], 0)),
            self.unit.busy.eq(
                (self.unit.fault == Fault.NONE) & (start | addresses.running | (under_way != 0))
            ),
        ]


def _late(m: Module, name: str, value: Value, cycles: int) -> list[Value]:
    """`value` 0, 1, ... `cycles` cycles later; single bits are reset, wider ones are not."""
    stages = [value]
    for k in range(1, cycles + 1):
        stage = Signal(len(value), name=f"{name}_s{k}", reset_less=len(value) > 1)
        m.d.sync += stage.eq(stages[-1])
        stages.append(stage)
    return stages
