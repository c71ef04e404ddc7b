"""`ObservedCore`: the core with a Verilog module beside its units that writes down what they do.

For simulation only: ports and logic are those of `rtl.training_core.TrainingCore`, whose Verilog
has no such module.
"""

from amaranth.hdl import ClockSignal, Instance, Module

from rtl.instructions import HEADER, Word
from rtl.matrix_instructions import Multiply
from rtl.product_unit import DRAIN
from rtl.training_core import TrainingCore
from rtl.unit_port import UnitPort
from rtl.vector_instructions import VECTOR_WORDS, Bases, Loops, Stride

__all__ = ["ObservedCore"]

_TO_FIRST_BEAT = 2
"""Cycles from the one that takes a `Multiply` to the one that addresses its first vector."""


def _mask(kinds: tuple[type[Word], ...]) -> int:
    return sum(1 << kind.op for kind in kinds)


class ObservedCore(TrainingCore):
    """A core whose every instruction leaves a line in trace.txt. It cannot run in Amaranth."""

    def elaborate(self, platform: object) -> Module:
        """Add the observer of `cosim/hdl/core_observer.v`."""
        m = super().elaborate(platform)
        config, units = self.config, m.submodules
        matrix, vector, dma = units.matrix, units.vector, units.dma
        bus = self.m_axi

        def taken(unit: UnitPort) -> object:
            return unit.i.valid & unit.i.ready

        def op(unit: UnitPort) -> object:
            return unit.i.payload[HEADER["op"].offset :][: HEADER["op"].width]

        m.submodules.observer = Instance(
            "eoq_core_observer",
            p_COLUMNS=config.columns,
            p_LINE_BYTES=config.line_bytes,
            p_SCRATCHPAD_BITS=config.scratchpad_address_bits,
            p_RESULTS_BITS=config.results_address_bits,
            p_SUM_BITS=config.accumulator_bits,
            p_BUS_BITS=len(bus.awaddr),
            p_MATRIX_RUNS=_mask((Multiply,)),
            p_VECTOR_RUNS=_mask(tuple(set(VECTOR_WORDS) - {Loops, Stride, Bases})),
            p_FIRST_WRITE=_TO_FIRST_BEAT + config.rows + DRAIN,
            i_clk=ClockSignal(),
            i_running=units.controller.running,
            i_matrix_taken=taken(matrix.unit),
            i_vector_taken=taken(vector.unit),
            i_dma_taken=taken(dma.unit),
            i_matrix_op=op(matrix.unit),
            i_vector_op=op(vector.unit),
            i_matrix_complete=matrix.complete,
            i_vector_complete=vector.complete,
            i_dma_complete=dma.complete,
            i_v_enable=vector.v.enable & vector.v.ready,
            i_v_address=vector.v.address,
            i_v_mask=vector.v.mask,
            i_v_data=vector.v.data,
            i_d_enable=dma.write.enable & dma.write.ready,
            i_d_address=dma.write.address,
            i_d_data=dma.write.data,
            i_r_enable=vector.w.enable & vector.w.ready,
            i_r_address=vector.w.address,
            i_r_data=vector.w.data,
            i_s_enable=vector.scalar_enable,
            i_s_number=vector.scalar_number,
            i_s_value=vector.scalar_value,
            i_z_enable=matrix.z.w_enable,
            i_z_address=matrix.z.w_address,
            i_z_data=matrix.z.w_data,
            i_o_begins=bus.awvalid & bus.awready,
            i_o_address=bus.awaddr,
            i_o_enable=bus.wvalid & bus.wready,
            i_o_data=bus.wdata,
            i_o_strobe=bus.wstrb,
        )
        return m
