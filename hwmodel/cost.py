"""What one training step costs: operations, normalisation, memory, traffic, cycles, energy, area.

`cost()` is the one call. Counts are exact under the conventions that come with the result; energy,
area and modelled traffic are estimates and carry the name of their table and their assumptions.
"""

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from golden.errors import InputError
from golden.network import LocalResponseNormalization, Network
from golden.schemes import EOQ, Scheme
from golden.schemes import scheme as scheme_by_name
from hwmodel.breakdown import LayerEnergy, layer_energy
from hwmodel.conventions import DEFAULT, Conventions
from hwmodel.core_cycles import LOSS_CLASSES_MAX, CoreCycles, Work
from hwmodel.estimate import Part, area_parts, memory_parts, operation_parts, sum_parts
from hwmodel.fit import Fit, fit
from hwmodel.footprint import KINDS, Moment, footprint, peak, recomputed_layers
from hwmodel.hardware import Hardware, load_hardware
from hwmodel.hierarchy import Hierarchy
from hwmodel.ledger import ledger, macs_by_phase
from hwmodel.normalization import (
    Pass,
    normalization_barriers,
    normalization_passes,
    normalized_elements,
)
from hwmodel.normalization_units import unit_cost
from hwmodel.products import matrix_products
from hwmodel.quantization import quantization_barriers
from hwmodel.roofline import Point, array_cycles, roofline
from hwmodel.sensitivity import Influence, sensitivity
from hwmodel.step import Row, Step
from hwmodel.systolic import forward_cycles
from hwmodel.technology import Technology, load_technology
from hwmodel.toml_reader import Band
from hwmodel.traffic import LayerTiling, Transfer, array_traffic, tilings, traffic
from rtl.config import CoreConfig

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cost", "cost"]


class Cost:
    """The cost of one training step; made by `cost`.

    Everything is computed when it is asked for, but for the ledger, so that a network that cannot
    be priced is refused at once. Tables are tidy DataFrames, one row a fact.
    """

    def __init__(
        self,
        step: Step,
        hardware: Hardware,
        technology: Technology,
    ) -> None:
        self.step = step
        self.hardware = hardware
        self.array = hardware.array
        self.technology = technology
        self.hierarchy = hardware.hierarchy
        self.rows: list[Row] = ledger(step)

    def __repr__(self) -> str:
        rows, columns = self.array
        return (
            f"<Cost {self.step.network.name} {self.step.scheme.name} "
            f"batch={self.step.batch} array={rows}x{columns}>"
        )

    @cached_property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates by phase, and their total."""
        return macs_by_phase(self.rows)

    @property
    def parameters(self) -> int:
        """Learned numbers of the rewritten network."""
        return self.step.network.parameter_count

    @cached_property
    def pass_list(self) -> list[Pass]:
        """Passes over activations that normalisation makes, or Fixup's scalars."""
        return list(normalization_passes(self.step))

    @cached_property
    def normalization(self) -> dict[str, int | float]:
        """The four currencies of normalisation.

        Operations, `element_passes` (elements read and written), bytes, and `barriers` (waits for
        the whole batch). `elements` is what the network as it is named normalises, and `passes`
        the element passes over that. For EOQ all but `elements` is what Fixup's scalars cost.
        """
        counts = dict.fromkeys(("sqrt", "div", "add", "multiply", "compare"), 0)
        for row in self.rows:
            if row.phase == "normalization":
                counts[row.op] += row.count
        moved = sum(p.reads + p.writes for p in self.pass_list)
        elements = normalized_elements(self.step)
        return {
            **counts,
            "element_passes": moved,
            "bytes": sum(p.bytes for p in self.pass_list),
            "elements": elements,
            "passes": moved / elements if elements else 0.0,
            "barriers": normalization_barriers(self.step) if self.step.normalizes else 0,
        }

    @cached_property
    def moments(self) -> list[Moment]:
        """Memory over the course of the step."""
        return footprint(self.step)

    @cached_property
    def memory_peak(self) -> dict[str, int]:
        """Bytes by kind at the moment when most are live, and their total."""
        most = peak(self.moments)
        return {"total": most.total, **{kind: getattr(most, kind) for kind in KINDS}}

    @cached_property
    def fit(self) -> Fit:
        """Whether the whole step fits the last memory on chip, and how many samples would."""
        room = self.hierarchy.on_chip[-1].size or 0
        step = self.step
        return fit(step.original, step.scheme, step.batch, step.conventions, room)

    @cached_property
    def transfers(self) -> list[Transfer]:
        """Bytes across every level, by tensor."""
        innermost = self.hierarchy.levels[0].name
        return [
            *traffic(self.step, self.hierarchy),
            *array_traffic(self.step, self.array[1], innermost),
        ]

    @cached_property
    def traffic_bytes(self) -> dict[str, dict[str, int]]:
        """Bytes by level, the outermost first: compulsory and modelled, and accesses of whole words
        for the modelled."""
        levels = self.hierarchy.levels[::-1]
        result = {level.name: {"compulsory": 0, "modelled": 0, "accesses": 0} for level in levels}
        for transfer in self.transfers:
            sizes = result[transfer.level]
            sizes["compulsory"] += transfer.compulsory
            sizes["modelled"] += transfer.modelled
        for level in levels:
            result[level.name]["accesses"] = level.accesses(result[level.name]["modelled"])
        return result

    @cached_property
    def tiling_list(self) -> list[LayerTiling]:
        """Best tiling of every product for every memory."""
        return list(tilings(self.step, self.hierarchy))

    @cached_property
    def core(self) -> CoreCycles | None:
        """The step on our core; None where there is no core for it."""
        if self.step.scheme is not EOQ or self.step.conventions.recompute != "none":
            return None
        try:
            return CoreCycles(self.step, self.rows, *self.array, self.hardware.lanes)
        except InputError:
            return None

    @cached_property
    def work(self) -> list[Work]:
        """Instructions and the cycles of their units; empty without a core."""
        return [] if self.core is None else self.core.work

    @property
    def cycles(self) -> int | None:
        """Clock cycles of the step on our core, an estimate (`hwmodel.core_cycles`), or None."""
        return None if self.core is None else self.core.cycles

    @property
    def utilization(self) -> float | None:
        """Useful multiply-accumulates over what the array could make in those cycles."""
        if self.cycles is None:
            return None
        return self.macs["total"] / (self.cycles * self.array[0] * self.array[1])

    @cached_property
    def memory_cycles(self) -> dict[str, int | None]:
        """Clock cycles that the modelled bytes of each level take at its bandwidth, or None."""
        return {
            level.name: math.ceil(self.traffic_bytes[level.name]["modelled"] / level.bandwidth)
            if level.bandwidth
            else None
            for level in reversed(self.hierarchy.levels)
        }

    @property
    def time_s(self) -> dict[str, float | None]:
        """Seconds of the arithmetic and of each level, and at least how many all of it takes.

        `step` is the longest of them: what a design reaches that overlaps everything. None without
        a clock, and for `step` without cycles.
        """
        clock = self.hardware.frequency
        found: dict[str, float | None] = {"arithmetic": None}
        if clock and self.cycles is not None:
            found["arithmetic"] = self.cycles / clock
        for level, cycles in self.memory_cycles.items():
            found[level] = cycles / clock if clock and cycles is not None else None
        known = [value for value in found.values() if value is not None]
        return {**found, "step": max(known) if found["arithmetic"] is not None else None}

    @cached_property
    def moved(self) -> dict[str, int]:
        """Modelled bytes by level."""
        return {level: sizes["modelled"] for level, sizes in self.traffic_bytes.items()}

    @cached_property
    def energy_parts(self) -> list[Part]:
        """Joules by part."""
        return [
            *operation_parts(self.rows, self.technology),
            *memory_parts(self.moved, self.technology, self.hierarchy),
        ]

    @cached_property
    def layer_energy_list(self) -> list[LayerEnergy]:
        """Joules by layer, phase and part."""
        return list(layer_energy(self.rows, self.transfers, self.technology, self.hierarchy))

    @cached_property
    def roofline_list(self) -> list[Point]:
        """What limits every product; empty where the off-chip bandwidth is not known.

        Cycles are those of our core where there is one, and else of a textbook weight-stationary
        array.
        """
        outside = self.hierarchy.off_chip
        if outside.bandwidth is None:
            return []
        macs: dict[tuple[str, str], int] = {}
        for row in self.rows:
            if row.op == "mac":
                macs[row.layer, row.phase] = macs.get((row.layer, row.phase), 0) + row.count
        cycles: dict[tuple[str, str], int] = {}
        for work in self.work:
            if work.instruction == "Multiply":
                key = (work.layer, work.phase)
                cycles[key] = cycles.get(key, 0) + work.cycles
        if not cycles:
            cycles = array_cycles(matrix_products(self.step), self.array)
        return list(
            roofline(macs, cycles, self.transfers, outside.name, outside.bandwidth, self.array)
        )

    @cached_property
    def area_parts(self) -> list[Part]:
        """Square micrometres by part; empty where the table has no areas."""
        return area_parts(self.step, self.technology, *self.array)

    @cached_property
    def core_area(self) -> dict[str, Band] | None:
        """Square micrometres of the core's matrix unit, array included, of its vector unit, and of
        scratchpad and results memory of the sizes that `CoreConfig` has by default.

        Without DMA and sequencer. None for other schemes, which have no core, for arrays
        that no core has, and where the table is not calibrated.
        """
        if self.step.scheme is not EOQ or not self.technology.calibrated:
            return None
        try:
            config = CoreConfig(rows=self.array[0], columns=self.array[1])
        except ValueError:
            return None
        return {
            **{
                block: self.technology.block_area(block, config)
                for block in ("product_unit", "vector_unit")
            },
            "memories": self.technology.memory_area(config),
        }

    @cached_property
    def assumptions(self) -> list[str]:
        """What the numbers rest on, beside the conventions."""
        rows, columns = self.array
        texts = [
            f"energy and area: table {self.technology.name} ({self.technology.title}); clock, "
            "control, leakage and wires not included; area is arithmetic only, without memories",
            f"traffic: {self.hierarchy.describe()}; layers run one after another",
            "memory: whole batch layer by layer, no fragmentation"
            + (
                ""
                if self.step.conventions.recompute == "none"
                else f"; {len(recomputed_layers(self.step))} layers run forward twice"
            ),
        ]
        if self.core is None:
            texts.append(self._no_cycles())
        else:
            extra = sum(work.cycles for work in self.work if work.instruction == "elements")
            texts.append(
                f"cycles: int8 core of {rows}x{columns} with memories as long as the step needs; "
                "products exact, how units overlap estimated"
                + (f"; {extra} for element work without an instruction" if extra else "")
            )
            classes = self.core.classes
            if not 2 <= classes <= LOSS_CLASSES_MAX:
                texts.append(
                    f"cycles: the loss of {classes} class(es) by the form of Loss, which the core "
                    f"has for 2 to {LOSS_CLASSES_MAX}"
                )
        if self.step.full_precision:
            names = " and ".join(sorted(self.step.full_precision))
            texts.append(f"{names} in fp32, whose units are not in the area")
        if any(isinstance(x.operator, LocalResponseNormalization) for x in self.step.original):
            how = (
                "counted as normalisation"
                if self.step.normalizes
                else "dropped, as there is no divider"
            )
            texts.append(f"local response normalisation {how}")
        return texts

    def _no_cycles(self) -> str:
        if self.step.scheme is not EOQ:
            return "cycles: null, because there is no core for this scheme here"
        if self.step.conventions.recompute != "none":
            return "cycles: null, because the core has no program that recomputes"
        try:
            CoreCycles(self.step, self.rows, *self.array)
        except InputError as error:
            return f"cycles: null, because of {error}"
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers under the keys of `eoq cost --json`; strict JSON."""
        ops = [dict(zip(Row._fields, row, strict=True)) for row in self.rows]
        return {**self.totals, "ops": ops}

    @cached_property
    def totals(self) -> dict[str, Any]:
        """What `as_dict` says but for the ledger, of which deep networks have 100,000 rows."""
        energy, area = sum_parts(self.energy_parts), sum_parts(self.area_parts)
        table = self.technology.name
        return {
            "network": self.step.network.name,
            "scheme": self.step.scheme.name,
            "batch": self.step.batch,
            "parameters": self.parameters,
            "formats": self.step.scheme.format_names,
            "macs": self.macs,
            "normalization": {**self.normalization, "unit": unit_cost(self.step)._asdict()},
            "quantization_barriers": quantization_barriers(self.step),
            "memory_peak_bytes": self.memory_peak,
            "fit": {"memory": self.hierarchy.on_chip[-1].name, **self.fit._asdict()},
            "traffic_bytes": self.traffic_bytes,
            "hardware": self.hardware.as_dict(),
            "array": list(self.array),
            "cycles": self.cycles,
            "utilization": self.utilization,
            "memory_cycles": self.memory_cycles,
            "time_s": self.time_s,
            "systolic_forward_cycles": forward_cycles(self.step, *self.array),
            "energy_j": {**energy._asdict(), "table": table},
            "area_um2": {
                **(area._asdict() if self.area_parts else dict.fromkeys(area._fields)),
                "table": table,
            },
            "core_area_um2": None
            if self.core_area is None
            else {**{k: area.nominal for k, area in self.core_area.items()}, "table": table},
            "conventions": self.step.conventions.as_dict(),
            "assumptions": self.assumptions,
        }

    def _frame(self, rows: Sequence[NamedTuple], kind: type[NamedTuple]) -> "pd.DataFrame":
        """Table of rows of a kind, with the step's own columns in front; its columns are there
        without any row, too."""
        # pandas takes most of a second to import; numbers alone do not need it.
        import pandas as pd

        frame = pd.DataFrame(rows, columns=list(kind._fields))
        for place, (name, value) in enumerate(self._identity()):
            frame.insert(place, name, value)
        return frame

    def _identity(self) -> Iterable[tuple[str, Any]]:
        step = self.step
        return ("network", step.network.name), ("scheme", step.scheme.name), ("batch", step.batch)

    @property
    def ops(self) -> "pd.DataFrame":
        """The ledger: layer, phase, op, format, count."""
        return self._frame(self.rows, Row)

    @property
    def passes(self) -> "pd.DataFrame":
        """Normalisation's passes: layer, direction, name, reads, writes (elements), bytes."""
        return self._frame(self.pass_list, Pass)

    @property
    def memory(self) -> "pd.DataFrame":
        """Bytes live at every layer of the step, by kind."""
        return self._frame(self.moments, Moment).assign(total=[m.total for m in self.moments])

    @property
    def traffic(self) -> "pd.DataFrame":
        """Bytes by layer, phase, tensor and level."""
        return self._frame(self.transfers, Transfer)

    @property
    def tiling(self) -> "pd.DataFrame":
        """Best tiling of every matrix product for every memory."""
        return self._frame(self.tiling_list, LayerTiling)

    @property
    def energy(self) -> "pd.DataFrame":
        """Joules by part, with the table's name."""
        return self._frame(self.energy_parts, Part).assign(unit="J", table=self.technology.name)

    @property
    def layer_energy(self) -> "pd.DataFrame":
        """Joules by layer, phase and part, with the table's name."""
        return self._frame(self.layer_energy_list, LayerEnergy).assign(
            unit="J", table=self.technology.name
        )

    @property
    def roofline(self) -> "pd.DataFrame":
        """What limits every product: intensity, what is attainable and what is reached."""
        return self._frame(self.roofline_list, Point)

    @property
    def sensitivity(self) -> "pd.DataFrame":
        """What each entry of the technology's table does to the energy, one at a time."""
        found = sensitivity(self.rows, self.moved, self.technology, self.hierarchy)
        return self._frame(found, Influence).assign(table=self.technology.name)

    @property
    def area(self) -> "pd.DataFrame":
        """Square micrometres by part, with the table's name."""
        return self._frame(self.area_parts, Part).assign(unit="um2", table=self.technology.name)

    @property
    def instructions(self) -> "pd.DataFrame":
        """Instructions of our core, the cycles of their units and useful MACs."""
        return self._frame(self.work, Work)


def cost(
    network: Network,
    scheme: Scheme | str = EOQ,
    batch: int = 1,
    array: tuple[int, int] = (16, 16),
    technology: Technology | str = "horowitz-45nm",
    conventions: Conventions = DEFAULT,
    hierarchy: Hierarchy | None = None,
    hardware: Hardware | str | Path | None = None,
) -> Cost:
    """Price one training step.

    Parameters
    ----------
    network:
        As it is named; the scheme rewrites it.
    scheme:
        A scheme or its name.
    batch:
        Samples a step, 1 to 2**20.
    array:
        Rows and columns of multipliers, 1 to 4096 each.
    technology:
        A technology, the name of a built-in one, or a .toml file.
    conventions, hierarchy:
        How is counted, and the memories.
    hardware:
        A whole design or its .toml file, instead of array and hierarchy.

    Raises
    ------
    InputError
        One line: an operator without a cost, a number out of range, a file that cannot be used.
    """
    if isinstance(scheme, str):
        scheme = scheme_by_name(scheme)
    if hardware is None:
        try:
            rows, columns = array
        except (TypeError, ValueError):
            raise InputError(
                f"array must be two whole numbers (rows, columns), not {array!r}"
            ) from None
        hardware = Hardware(rows=rows, columns=columns, hierarchy=hierarchy or Hierarchy())
    elif not isinstance(hardware, Hardware):
        hardware = load_hardware(hardware)
    if not isinstance(technology, Technology):
        technology = load_technology(technology)
    return Cost(Step(network, scheme, batch, conventions), hardware, technology)
