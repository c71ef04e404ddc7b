"""Rows of `eoq synth`: each block's synthesis, and the energy of its gates at work."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from golden.errors import InputError
from rtl.cell_library import CellLibrary
from rtl.config import CoreConfig
from rtl.synthesis import Synthesis, synthesize

__all__ = ["synthesis_table"]

_MEASURED_AS = {"mac_array": "pe", "update_unit": "vector_lane"}
"""Block -> the part whose energy stands for it: one operation's, without control and skew."""

Say = Callable[[str], None]


def synthesis_table(
    blocks: Sequence[str],
    config: CoreConfig,
    library: CellLibrary | None,
    *,
    recipe: str,
    operands: tuple[str, str] | None,
    delays: bool = False,
    stage: Say = lambda _: None,
    tell: Say = lambda _: None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Synthesise blocks and simulate their gates.

    Parameters
    ----------
    operands:
        Network and data set of the training step that gives the operands; None: no energy.
    delays:
        Cells have delays in the simulation.

    Returns
    -------
    One row a block, and notes on what could not be said and why.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    if library and library.undefined:
        notes.append(f"{library.where}: cells left out: {library.undefined_words}")
    meter = _Meter(config, library, recipe, operands, delays, notes, tell)
    for block in blocks:
        stage(block)
        result = synthesize(block, config, library, recipe=recipe, tell=tell)
        phases = meter.phases(result)
        real = [e["energy_pj"] for phase, e in phases.items() if phase != "noise"]
        method = result.method + (f", energy: {meter.method(block)}" if real else "")
        rows.append(
            {
                "block": block, "area_um2": result.area_um2, "nand2": round(result.nand2, 1),
                "delay_ns": result.delay_ns, "from_registers_ns": result.from_registers_ns,
                "energy_pj": round(sum(real) / len(real), 3) if real else None,
                "energy": phases, "flip_flops": result.flip_flops, "cells": result.cells,
                "memory_bits": result.memory_bits, "method": method,
            }
        )  # fmt: skip
    return rows, list(dict.fromkeys(notes))


class _Meter:
    """Takes the training step when the first block needs it, and remembers why it cannot."""

    def __init__(
        self, config: CoreConfig, library: CellLibrary | None, recipe: str,
        operands: tuple[str, str] | None, delays: bool, notes: list[str], tell: Say,
    ) -> None:  # fmt: skip
        self._config, self._library, self._recipe = config, library, recipe
        self._operands, self._delays = operands, delays
        self._notes, self._tell = notes, tell
        self._steps: dict[bool, Any] = {}

    def method(self, block: str) -> str:
        network, data = self._operands or ("", "")
        part = _MEASURED_AS.get(block)
        return (
            f"gates {'on Icarus with one delay a cell' if self._delays else 'without delays'}, "
            f"toggles x Liberty, no wires, operands of {network} on {data}, mean of the phases"
            + (f", of one {part} alone" if part else "")
        )

    def phases(self, result: Synthesis) -> dict[str, dict[str, Any]]:
        """Energy by phase; empty if there is none to be had."""
        from cosim.float_workloads import FLOAT_WORKLOADS
        from cosim.workloads import WORKLOADS

        block = _MEASURED_AS.get(result.block, result.block)
        in_float = block in FLOAT_WORKLOADS
        if self._operands is None or not (in_float or block in WORKLOADS) or not self._possible():
            return {}
        from cosim.block_energy import block_energy

        library = self._library
        assert library is not None  # noqa: S101 - `_possible` said so
        if block != result.block:
            result = synthesize(block, self._config, library, recipe=self._recipe, tell=self._tell)
        if in_float not in self._steps:
            self._steps[in_float] = self._train(in_float)
        step = self._steps[in_float]
        found = block_energy(
            result, self._config, library, step, delays=self._delays, tell=self._tell
        )
        return {
            each.phase: {
                name: round(value, 6) if isinstance(value, float) else value
                for name, value in asdict(each).items()
                if name != "phase"
            }
            for each in found
        }

    def _possible(self) -> bool:
        from cosim import tools

        if self._library is None:
            self._notes.append("no energy: there is no library")
            return False
        if "internal_power tables" in self._library.lacking:
            self._notes.append(
                f"no energy: {self._library.where} lacks {', '.join(self._library.lacking)}; "
                "area and delay do not need them"
            )
            return False
        if self._delays:
            try:
                tools.find("iverilog")
            except InputError as error:
                self._notes.append(f"no energy: {error}")
                return False
        if self._library.lacking:
            self._notes.append(f"energy without {', '.join(self._library.lacking)}: "
                               f"{self._library.where} lacks them")  # fmt: skip
        return True

    def _train(self, in_float: bool) -> Any:
        from cosim.float_operands import float_operands
        from cosim.operands import operands
        from golden import data
        from golden.networks import load

        network, name = self._operands or ("", "")
        self._tell(f"training {network} on {name} for operands")
        images = data.load(name)
        net = load(network, input_shape=images.shape, classes=images.classes)
        return float_operands(net, images) if in_float else operands(net, images)
