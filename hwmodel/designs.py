"""Many designs at once: cycles, traffic, energy and area as array arithmetic.

One `Designs` holds what does not depend on the array and the buffer: the ledger, the list of
products, the memory that the step needs. `evaluate` then prices any number of (rows, columns,
buffer) with the formulas of `cost()`, which hold for NumPy arrays as well: cycles once for each
array, DRAM traffic once for each size of the buffer, the rest element by element. Every number
equals that of `cost()` (below 2**53, where a float64 holds every integer).
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import InputError
from golden.network import Network
from golden.schemes import EOQ, Scheme
from hwmodel.conventions import DEFAULT, Conventions
from hwmodel.core_cycles import step_cycles
from hwmodel.estimate import area_parts, operation_parts, sum_parts
from hwmodel.footprint import footprint, peak
from hwmodel.hierarchy import Hierarchy
from hwmodel.ledger import ledger, macs_by_phase
from hwmodel.products import matrix_products
from hwmodel.stages.stage import Stage
from hwmodel.stages.step import stages
from hwmodel.step import Step
from hwmodel.technology import Technology
from hwmodel.toml_reader import Band
from hwmodel.traffic import array_traffic, dram_bytes, traffic

__all__ = ["RESULTS", "Designs"]

Column = NDArray[Any]

_LARGEST = 1 << 52
"""Most multiply-accumulates of a step whose counts are held in 64 bits without a doubt."""

RESULTS = (
    "macs",
    "cycles",
    "utilization",
    "dram_compulsory_bytes",
    "dram_traffic_bytes",
    "buffer_traffic_bytes",
    "memory_peak_bytes",
    "energy_low_j",
    "energy_nominal_j",
    "energy_high_j",
    "area_low_um2",
    "area_nominal_um2",
    "area_high_um2",
)
"""Columns of `Designs.evaluate`; NaN in a column of floats and -1 in cycles mean that there is no
such number."""


class Designs:
    """Designs for one network, scheme, batch and technology.

    Parameters
    ----------
    network, scheme, batch, technology, conventions:
        As for `hwmodel.cost.cost`.

    Raises
    ------
    InputError
        One line: an operator without a cost, or a step too large for 64-bit arithmetic.
    """

    def __init__(
        self,
        network: Network,
        scheme: Scheme,
        batch: int,
        technology: Technology,
        conventions: Conventions = DEFAULT,
    ) -> None:
        self.step = Step(network, scheme, batch, conventions)
        self.technology = technology
        self.rows = ledger(self.step)
        work = sum(p.m * p.k * p.n * p.repeats for p in matrix_products(self.step))
        if max(work, sum(row.count for row in self.rows)) > _LARGEST:
            raise InputError(
                f"network {network.name!r}, batch {batch}: a sweep requires at most 2**52 "
                f"multiply-accumulates a step, got {work}"
            )

    @cached_property
    def _operations(self) -> Band:
        return sum_parts(operation_parts(self.rows, self.technology))

    @cached_property
    def _macs(self) -> int:
        return macs_by_phase(self.rows)["total"]

    @cached_property
    def _stages(self) -> list[Stage]:
        return stages(self.step, self.rows)

    @cached_property
    def _peak(self) -> int:
        return peak(footprint(self.step)).total

    @cached_property
    def _compulsory(self) -> int:
        return sum(transfer.compulsory for transfer in traffic(self.step, Hierarchy()))

    def evaluate(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], buffers: NDArray[np.int64]
    ) -> dict[str, Column]:
        """Price designs: `RESULTS` by name, one element a design.

        Parameters
        ----------
        rows, columns, buffers:
            Of equal length, one design each; buffers in bytes.
        """
        sizes, of_buffer = np.unique(buffers, return_inverse=True)
        widths, of_width = np.unique(columns, return_inverse=True)
        dram = dram_bytes(self.step, sizes)[of_buffer]
        moved = np.zeros(len(widths), dtype=np.int64)
        for transfer in array_traffic(self.step, widths):
            moved += transfer.modelled
        buffer = moved[of_width]
        cycles = self._cycles(rows, columns)
        used = np.full(len(rows), np.nan)
        timed = cycles > 0
        used[timed] = self._macs / (cycles * rows * columns)[timed]
        energy = self._energy(dram, buffer, sizes, of_buffer)
        area = self._area(rows, columns)
        whole = {
            "macs": self._macs,
            "dram_compulsory_bytes": self._compulsory,
            "memory_peak_bytes": self._peak,
        }
        found: dict[str, Column] = {
            "cycles": np.where(timed, cycles, -1),
            "utilization": used,
            "dram_traffic_bytes": dram,
            "buffer_traffic_bytes": buffer,
            **{name: np.full(len(rows), n, dtype=np.int64) for name, n in whole.items()},
            **{f"energy_{end}_j": band for end, band in energy._asdict().items()},
            **{f"area_{end}_um2": band for end, band in area._asdict().items()},
        }
        return {name: found[name] for name in RESULTS}

    def _cycles(self, rows: Column, columns: Column) -> Column:
        if self.step.scheme is not EOQ or self.step.conventions.recompute != "none":
            return np.zeros(len(rows), dtype=np.int64)
        # One number an array: at most 4,096 of each.
        arrays, place = np.unique(rows << 16 | columns, return_inverse=True)
        return step_cycles(self.step, self._stages, arrays >> 16, arrays & 0xFFFF)[place]

    def _energy(self, dram: Column, buffer: Column, sizes: Column, of_buffer: Column) -> Any:
        """Bands of arrays, added in the order of `Cost.energy_parts`."""
        total: Any = self._operations
        prices = np.array([self.technology.sram(int(size)) for size in sizes])[of_buffer]
        total += self.technology.dram.times(dram)
        # The buffer is accessed by the array, and filled and drained.
        accessed: Any = prices.T * (dram + buffer)
        total += Band(*accessed)
        return total

    def _area(self, rows: Column, columns: Column) -> Any:
        parts = area_parts(self.step, self.technology, rows, columns)
        if not parts:
            nothing: Any = np.full((3, len(rows)), np.nan)
            return Band(*nothing)
        return sum_parts(parts)
