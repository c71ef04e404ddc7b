"""`Core`: the training datapath core, Verilog module `eoq_core`.

In order, one instruction at a time: operands are streamed in, results are streamed out, and every
instruction ends with one status record.
"""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from rtl.config import CoreConfig
from rtl.isa import Error, Opcode
from rtl.layouts import instruction_layout, status_layout
from rtl.loss_unit import LossUnit
from rtl.matrix_unit import MatrixUnit
from rtl.quantize_unit import QuantizeUnit
from rtl.update_unit import UpdateUnit

__all__ = ["Core"]


class Core(Component):
    """Matrix, quantise, update and loss units behind one instruction stream.

    An instruction is taken only after the status of the one before it was. A refused instruction
    (`rtl.isa.Error`) takes nothing from the operand streams and gives nothing on `o`; no
    instruction can hang the core for another reason than a stream that does not move.

    Parameters
    ----------
    config:
        Size of the core.

    Members
    -------
    i_instruction:
        128-bit words, `rtl.isa.INSTRUCTION_FIELDS`.
    i_a:
        `config.rows` lanes of int8: rows of the streamed matrix of MATMUL.
    i_b:
        `config.columns` lanes of int8: rows of the stationary tiles of MATMUL.
    i_x, i_y:
        `config.columns` lanes of 32 and 16 bits: operands of the other instructions.
    o:
        `config.columns` lanes of 32 bits: results of all.
    o_status:
        64-bit records, `rtl.isa.STATUS_FIELDS`.
    """

    def __init__(self, *, config: CoreConfig) -> None:
        self._config = config

        def lanes(bits: int, count: int) -> stream.Signature:
            return stream.Signature(data.ArrayLayout(signed(bits), count))

        super().__init__(
            {
                "i_instruction": In(stream.Signature(instruction_layout())),
                "i_a": In(lanes(8, config.rows)),
                "i_b": In(lanes(8, config.columns)),
                "i_x": In(lanes(32, config.columns)),
                "i_y": In(lanes(16, config.columns)),
                "o": Out(lanes(32, config.columns)),
                "o_status": Out(stream.Signature(status_layout())),
            }
        )

    @property
    def config(self) -> CoreConfig:
        """Size of the core."""
        return self._config

    def elaborate(self, platform: object) -> Module:
        """Decode, start a unit, wait for it, report."""
        m = Module()
        config = self._config
        m.submodules.matrix_unit = matrix_unit = MatrixUnit(config=config)
        m.submodules.quantize_unit = quantize_unit = QuantizeUnit(config=config)
        m.submodules.update_unit = update_unit = UpdateUnit(config=config)
        m.submodules.loss_unit = loss_unit = LossUnit(config=config)
        units = (matrix_unit, quantize_unit, update_unit, loss_unit)

        # No reset: units that do nothing give nothing, whatever is selected.
        instruction = Signal(instruction_layout(), reset_less=True)
        m.d.comb += [unit.instruction.eq(instruction) for unit in units]

        count = instruction.count
        legal = Signal()
        known = Signal(init=1)
        selected = {unit: Signal(name=f"selected_{k}") for k, unit in enumerate(units)}
        with m.Switch(instruction.opcode):
            for opcode, unit, fields_are_legal in (
                (
                    Opcode.MATMUL,
                    matrix_unit,
                    (count <= config.accumulator_depth) & (instruction.tiles != 0),
                ),
                (Opcode.QUANTIZE, quantize_unit, count <= config.tensor_depth),
                (Opcode.SHIFT, quantize_unit, 1),
                (Opcode.UPDATE, update_unit, 1),
                (
                    Opcode.LOSS,
                    loss_unit,
                    (count >= 2) & (count <= config.loss_classes) & (instruction.label < count),
                ),
            ):
                with m.Case(opcode):
                    m.d.comb += [legal.eq((count != 0) & fields_are_legal), selected[unit].eq(1)]
            with m.Default():
                m.d.comb += known.eq(0)

        _join(m, self.i_a, [matrix_unit.i_a])
        _join(m, self.i_b, [matrix_unit.i_b])
        _join(m, self.i_x, [quantize_unit.i_x, update_unit.i_x, loss_unit.i_x])
        _join(m, self.i_y, [quantize_unit.i_y, update_unit.i_y, loss_unit.i_y])

        for unit in units:
            m.d.comb += unit.o.ready.eq(self.o.ready & selected[unit])
            with m.If(selected[unit]):
                m.d.comb += self.o.valid.eq(unit.o.valid)
                # Lane by lane, because a unit's results may be narrower: signs are extended here.
                for c in range(config.columns):
                    m.d.comb += self.o.payload[c].eq(unit.o.payload[c])
        done = Signal()
        for unit in units:
            with m.If(unit.done):
                m.d.comb += done.eq(1)

        status = self.o_status
        cycles = Signal(32, reset_less=True)
        error = Signal(Error)
        quantized = instruction.opcode == Opcode.QUANTIZE
        m.d.comb += [
            status.payload.opcode.eq(instruction.opcode),
            status.payload.error.eq(error),
            status.payload.cycles.eq(cycles),
            status.payload.shift.eq(Mux(quantized & (error == 0), quantize_unit.shift, 0)),
            status.payload.zero.eq(quantized & (error == 0) & quantize_unit.zero),
        ]
        with m.FSM():
            with m.State("ACCEPT"):
                m.d.comb += self.i_instruction.ready.eq(1)
                # Counted: the cycle of acceptance and the one after it, the first that shows this.
                m.d.sync += [instruction.eq(self.i_instruction.payload), cycles.eq(2)]
                with m.If(self.i_instruction.valid):
                    m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += cycles.eq(cycles + 1)
                with m.If(known & legal):
                    for unit in units:
                        m.d.comb += unit.start.eq(selected[unit])
                    m.d.sync += error.eq(Error.NONE)
                    m.next = "EXECUTE"
                with m.Else():
                    m.d.sync += error.eq(Mux(known, Error.FIELD, Error.OPCODE))
                    m.next = "REPORT"
            with m.State("EXECUTE"):
                m.d.sync += cycles.eq(cycles + 1)
                with m.If(done):
                    m.next = "REPORT"
            with m.State("REPORT"):
                m.d.comb += status.valid.eq(1)
                with m.If(status.ready):
                    m.next = "ACCEPT"
        return m


def _join(m: Module, source: stream.Interface, sinks: Sequence[stream.Interface]) -> None:
    """Give `source` to all `sinks`; only the unit that is at work is ever ready."""
    ready = 0
    for sink in sinks:
        m.d.comb += [sink.payload.eq(source.payload), sink.valid.eq(source.valid)]
        ready |= sink.ready
    m.d.comb += source.ready.eq(ready)
