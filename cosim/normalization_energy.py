"""Energy of the units that normalise, and of Fixup's: golden's channels through their gates.

A channel's energy is that of its elements and a part that does not grow with them (reductions,
divisions, roots, waiting): channels of two sizes give both, channels of a third check them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.block_energy import replayed
from cosim.normalization_operands import Piece, pieces, range_factor
from golden.data import Dataset
from golden.network import Network
from rtl.blocks import make
from rtl.cache import content_key, made
from rtl.cell_library import CellLibrary
from rtl.channel_simulation import Channel, ChannelRun, ports_of, run
from rtl.config import CoreConfig
from rtl.synthesis import Synthesis

__all__ = ["DIRECTIONS", "ChannelEnergy", "channel_energy"]

DIRECTIONS = ("forward", "backward")

_SIZES = (64, 256)
"""Elements of the channels that the two parts are found with."""

_CHECKED = 128
"""Elements of the channels that they are checked with."""

_FITTED, _HELD_OUT = 6, 3
"""Channels of either kind."""

_CHUNKS = 16
_ANY = CoreConfig(rows=1, columns=1)
"""No core's configuration changes these units."""


@dataclass(frozen=True)
class ChannelEnergy:
    """One unit and direction; dynamic energy in pJ: `element_pj` * M + `channel_pj` a channel.

    Attributes
    ----------
    element_pj, channel_pj:
        The two parts.
    element_clock_pj, channel_clock_pj:
        The clock's share of either.
    leakage_nw:
        Power of the unit at rest; None if the library does not say.
    held_out_error:
        (said - simulated) / simulated for channels of another size and other data.
    """

    unit: str
    direction: str
    element_pj: float
    channel_pj: float
    element_clock_pj: float
    channel_clock_pj: float
    leakage_nw: float | None
    held_out_error: float


def channel_energy(
    synthesis: Synthesis,
    library: CellLibrary,
    network: Network,
    dataset: Dataset,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> list[ChannelEnergy]:
    """Forward and backward energy of the unit bn_fp32, bn_wageubn, bn_range or fixup.

    Kept beside the netlist under the hash of all code that it came from. The outputs of the gates
    are held against the RTL's in every cycle.

    Raises
    ------
    CheckError
        If the gates differ from the RTL.
    """
    key = content_key([*_sources(), network.name, str(network.input_shape), dataset.fingerprint])
    folder = synthesis.folder / f"channels-{key}"

    def fill(temporary: Path) -> None:
        tell(f"{synthesis.block}: training {network.name} on {dataset.name} for operands")
        found = _measure(synthesis, library, pieces(synthesis.block, network, dataset), tell)
        (temporary / "energy.json").write_text(json.dumps([asdict(each) for each in found]))

    made(folder, fill)
    return [ChannelEnergy(**each) for each in json.loads((folder / "energy.json").read_text())]


def _sources() -> list[str]:
    """Text of what makes the operands and what measures."""
    root = Path(__file__).parents[1]
    rooms = [*sorted((root / "golden").glob("*.py")), root / "rtl" / "channel_simulation.py"]
    names = ("energy", "levelized", "levelized_loop", "normalization_energy")
    rooms += [root / "cosim" / f"{name}.py" for name in (*names, "normalization_operands")]
    return [path.read_text() for path in rooms]


def _measure(
    synthesis: Synthesis, library: CellLibrary, found: Sequence[Piece], tell: Callable[[str], None]
) -> list[ChannelEnergy]:
    rng = np.random.default_rng(0)
    # A layer is drawn as often as it has elements.
    sizes = np.array([float(len(piece.x)) for piece in found])
    picked = rng.choice(len(found), _FITTED + _HELD_OUT + 1, replace=False, p=sizes / sizes.sum())
    warm, *rest = (found[k] for k in picked)
    bench = _Bench(synthesis, library, warm)
    fitted = {size: [_cut(piece, size) for piece in rest[:_FITTED]] for size in _SIZES}
    checked = [_cut(piece, _CHECKED) for piece in rest[_FITTED:]]
    results = []
    for direction in DIRECTIONS:
        spent = {}
        for size, given in {**fitted, _CHECKED: checked}.items():
            tell(f"{synthesis.block}: simulating gates, {direction}, {size} elements a channel")
            spent[size] = bench.energy(given, direction)
        low, high = _SIZES
        element, element_clock = (
            (spent[high][k] - spent[low][k]) / (high - low) for k in ("dynamic", "clock")
        )
        channel = spent[low]["dynamic"] - low * element
        said = channel + _CHECKED * element
        simulated = spent[_CHECKED]["dynamic"]
        results.append(
            ChannelEnergy(
                synthesis.block, direction, element, channel, element_clock,
                spent[low]["clock"] - low * element_clock, bench.leakage,
                (said - simulated) / simulated,
            )
        )  # fmt: skip
    return results


def _cut(piece: Piece, size: int) -> Piece:
    """Its first elements."""
    return Piece(piece.layer, piece.x[:size], piece.error[:size], piece.scalars)


class _Bench:
    """One unit: RTL in Amaranth's simulator, then its gates.

    Registers start with random values, and a channel in each direction goes in front of what is
    counted.
    """

    def __init__(self, synthesis: Synthesis, library: CellLibrary, warm: Piece) -> None:
        self._synthesis, self._library = synthesis, library
        self._give = _GIVERS[synthesis.block]
        self._warm = self._both([_cut(warm, 16)])
        self.leakage: float | None = None

    def _unit(self) -> Any:
        return make(self._synthesis.block, _ANY)

    def _both(self, given: Sequence[Piece]) -> dict[str, list[Channel]]:
        """Channels of either direction; backward takes what forward gave."""
        forward = [self._give(piece, None) for piece in given]
        runs = run(self._unit(), forward, rubbish=False)
        backward = [self._give(piece, before) for piece, before in zip(given, runs, strict=True)]
        return {"forward": forward, "backward": backward}

    def energy(self, given: Sequence[Piece], direction: str) -> dict[str, float]:
        """pJ a channel: "dynamic", and the "clock"'s share of it."""
        warm = [channel for channels in self._warm.values() for channel in channels]
        trace: list[dict[str, int]] = []
        unit = self._unit()
        runs = run(unit, [*warm, *self._both(given)[direction]], rubbish=False, trace=trace)
        settle = sum(each.cycles for each in runs[: len(warm)])
        inputs: dict[str, list[int]] = {}
        outputs: dict[str, list[int]] = {}
        for name, (_, is_input) in ports_of(unit).items():
            (inputs if is_input else outputs)[name] = [cycle[name] for cycle in trace]
        _, energy = replayed(
            self._synthesis, self._library, inputs, outputs, what=direction, settle=settle
        )  # fmt: skip
        self.leakage = energy.leakage_nw
        return {"dynamic": energy.dynamic_pj / len(given), "clock": energy.clock_pj / len(given)}


_Giver = Callable[[Piece, ChannelRun | None], Channel]
"""(piece, what its forward pass gave, or None for that pass) -> what the unit is given."""


def _fp32(piece: Piece, before: ChannelRun | None) -> Channel:
    count = len(piece.x)
    share = int(np.float32(1 / np.float32(count)).view(np.uint32))
    begin = {"count": count, "inverse_count": share, **piece.scalars}
    if before is None:
        columns = {"x": piece.x, "normal": np.zeros_like(piece.x)}
        return Channel({**begin, "backward": 0, "inverse": 0}, columns, 3)
    begin |= {"backward": 1, "inverse": before.report["inverse"]}
    columns = {"x": piece.error, "normal": np.array(before.outputs["o_normal"])}
    return Channel(begin, columns, 2)


def _wageubn(piece: Piece, before: ChannelRun | None) -> Channel:
    begin = {"count": len(piece.x), **piece.scalars}
    nothing = np.zeros_like(piece.x)
    if before is None:
        columns = {"x": piece.x, "error": nothing, "normal": nothing}
        return Channel({**begin, "backward": 0, "reciprocal": 0, "places": 0}, columns, 2)
    begin |= {"backward": 1} | {key: before.report[key] for key in ("reciprocal", "places")}
    columns = {"x": nothing, "error": piece.error, "normal": np.array(before.outputs["o_normal"])}
    return Channel(begin, columns, 2)


def _range(piece: Piece, before: ChannelRun | None) -> Channel:
    count = len(piece.x)
    chunk = max(count // _CHUNKS, 1)
    begin = {"count": count, "chunk": chunk, "factor": range_factor(count, chunk), **piece.scalars}
    kept = ("mean", "spread", "scale", "places")
    if before is None:
        columns = {"x": piece.x, "error": np.zeros_like(piece.x)}
        return Channel({**begin, "backward": 0, **dict.fromkeys(kept, 0)}, columns, 2)
    begin |= {"backward": 1} | {key: before.report[key] for key in kept}
    columns = {"x": piece.x, "error": piece.error}
    return Channel(begin, columns, 2, before.outputs["o_extremes"])


def _fixup(piece: Piece, before: ChannelRun | None) -> Channel:
    begin = {"count": len(piece.x), "backward": int(before is not None), **piece.scalars}
    if before is None:
        return Channel(begin, {"x": piece.x, "saved": np.zeros_like(piece.x)}, 1)
    return Channel(begin, {"x": piece.error, "saved": piece.x}, 1)


_GIVERS: Mapping[str, _Giver] = {
    "bn_fp32": _fp32,
    "bn_wageubn": _wageubn,
    "bn_range": _range,
    "fixup": _fixup,
}
