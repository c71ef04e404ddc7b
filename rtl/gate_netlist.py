"""`GateNetlist`: a mapped block without hierarchy, as cells on numbered nets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rtl import yosys
from rtl.cache import made
from rtl.synthesis import Synthesis

__all__ = ["Gate", "GateNetlist", "flatten"]


@dataclass(frozen=True)
class Gate:
    """One cell: its kind, the net on each pin (None on a constant), and the constants by pin."""

    kind: str
    pins: Mapping[str, int | None]
    ties: Mapping[str, int]


@dataclass(frozen=True)
class GateNetlist:
    """Gates, ports and names.

    Attributes
    ----------
    top, verilog:
        Module name and text.
    inputs, outputs:
        Port -> nets, least significant first.
    names:
        Every named signal -> nets, least significant first.
    """

    top: str
    verilog: str = field(repr=False)
    gates: tuple[Gate, ...] = field(repr=False)
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]
    names: Mapping[str, tuple[int | None, ...]] = field(repr=False)


def flatten(synthesis: Synthesis) -> GateNetlist:
    """Dissolve the hierarchy of a synthesised block; kept in the cache beside it."""
    folder = synthesis.folder / "flat"

    def fill(temporary: Path) -> None:
        yosys.run(
            [
                "read_liberty -lib ../cells.lib",
                "read_verilog ../netlist.v",
                f"hierarchy -check -top {synthesis.top}",
                "flatten",
                "opt_clean -purge",
                "write_verilog -noattr flat.v",
                "write_json flat.json",
            ],
            temporary,
        )

    made(folder, fill)
    module = json.loads((folder / "flat.json").read_text())["modules"][synthesis.top]
    ports = module["ports"].items()
    return GateNetlist(
        synthesis.top,
        (folder / "flat.v").read_text(),
        tuple(_gate(cell["type"], cell["connections"]) for cell in module["cells"].values()),
        {name: _nets(port["bits"]) for name, port in ports if port["direction"] == "input"},
        {name: _nets(port["bits"]) for name, port in ports if port["direction"] == "output"},
        {name: _nets(net["bits"]) for name, net in module["netnames"].items()},
    )


def _gate(kind: str, connections: Mapping[str, list[int | str]]) -> Gate:
    pins = {pin: _nets(bits)[0] for pin, bits in connections.items()}
    ties = {pin: int(bit) for pin, (bit, *_) in connections.items() if bit in ("0", "1")}
    return Gate(kind, pins, ties)


def _nets(bits: list[int | str]) -> tuple[int | None, ...]:
    return tuple(bit if isinstance(bit, int) else None for bit in bits)
