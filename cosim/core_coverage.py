"""`core_coverage`: how much of a core's lines and toggles some runs have met, and what is missing.

What cannot change by construction is not counted, nor is what is waived with a reason. A waiver
that hides what was met, or nothing, is a fault of its own.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosim.constant_bits import Bits, constant_bits, netlist
from cosim.coverage_waivers import Waivers
from cosim.verilator_coverage import LinePoint, TogglePoint, read_points
from golden.errors import CheckError
from rtl.config import CoreConfig

__all__ = ["CoreCoverage", "Tally", "core_coverage"]


@dataclass(frozen=True)
class Tally:
    """Points of one kind.

    Members
    -------
    points, hit:
        That count, and those that were met.
    constant, waived:
        That do not count: by construction, and with a reason.
    """

    points: int
    hit: int
    constant: int
    waived: int

    @property
    def percentage(self) -> float:
        """Of the points that count."""
        return 100 * self.hit / self.points if self.points else 100.0


@dataclass(frozen=True)
class CoreCoverage:
    """Coverage of one core.

    Members
    -------
    core:
        Rows x columns, and the bytes of its scratchpad.
    lines, toggles:
        Blocks and choices of the Verilog; bits of its signals, each in both directions.
    missed:
        What was not met: a line with its text, or a signal with its bits.
    wrong_waivers:
        What is wrong with each waiver that should not be there.
    """

    core: str
    lines: Tally
    toggles: Tally
    missed: list[str]
    wrong_waivers: list[str]


def core_coverage(config: CoreConfig, files: Sequence[Path], waivers: Waivers) -> CoreCoverage:
    """Merge Verilator's files of runs on one core.

    Raises
    ------
    InputError
        If a waived signal does not exist, or Yosys is missing.
    CheckError
        If a file is not as Verilator writes it, or is of another core.
    """
    # Slow to load, and not needed where nobody asks for coverage.
    from cosim.observed_core import ObservedCore
    from rtl.ip_package import TOP
    from rtl.verilog import convert

    verilog = convert(ObservedCore(config=config), TOP, separator="_")
    design = netlist(verilog, TOP)
    constant = constant_bits(design, TOP)
    kept = constant_bits(design, TOP, tuple(waivers.bits))
    points = read_points(files)
    lines, missed_lines, wrong = _lines(points, verilog.splitlines(), waivers)
    toggles, missed_toggles, wrong_toggles = _toggles(points, constant, kept, waivers)
    size = f"{config.rows}x{config.columns}, {1 << config.scratchpad_address_bits} bytes"
    return CoreCoverage(size, lines, toggles, missed_lines + missed_toggles, wrong + wrong_toggles)


def _lines(
    points: Counter[LinePoint | TogglePoint], text: Sequence[str], waivers: Waivers
) -> tuple[Tally, list[str], list[str]]:
    counts = {point: count for point, count in points.items() if isinstance(point, LinePoint)}
    missed = [point for point, count in sorted(counts.items()) if not count]
    hidden = {
        waiver: {
            point
            for point in missed
            if waiver.module == point.module and waiver.code in text[point.line - 1]
        }
        for waiver in waivers.lines
    }
    waived = set().union(*hidden.values())
    left = [
        f"{point.module}, line {point.line} ({point.what}): {text[point.line - 1].strip()}"
        for point in missed
        if point not in waived
    ]
    wrong = [
        f"no line that was missed has the waived {waiver.code!r} of {waiver.module}"
        for waiver, points_of in hidden.items()
        if not points_of
    ]
    counted = len(counts) - len(waived)
    return Tally(counted, counted - len(left), 0, len(waived)), left, wrong


def _toggles(
    points: Counter[LinePoint | TogglePoint], constant: Bits, kept: Bits, waivers: Waivers
) -> tuple[Tally, list[str], list[str]]:
    edges: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for point, count in points.items():
        if isinstance(point, TogglePoint):
            edges[point.module, point.signal, point.bit].append(count)
    hit = total = fixed = waived = 0
    missed: dict[tuple[str, str], list[int]] = defaultdict(list)
    wrong = []
    for (module, signal, bit), counts in sorted(edges.items()):
        place = module, signal
        if bit in constant.get(place, ()):
            fixed += len(counts)
            if all(counts):
                raise CheckError(f"{module} {signal}[{bit}] toggles, but cannot by construction")
        elif bit in kept.get(place, ()):
            waived += len(counts)
            # To its value and no further, as from the 0 that everything begins with, is none.
            if all(counts):
                wrong.append(f"waived, but it toggles: {module} {signal}[{bit}]")
        else:
            total += len(counts)
            hit += sum(map(bool, counts))
            if not all(counts):
                missed[place].append(bit)
    for bits in waivers.bits:
        own = range(bits.low, bits.high + 1)
        known = constant.get((bits.module, bits.signal), frozenset())
        if all(bit in known for bit in own):
            wrong.append(f"waived, but constant anyway: {bits.module} {bits.signal}")
        if not any((bits.module, bits.signal, bit) in edges for bit in own):
            wrong.append(f"waived, but never counted: {bits.module} {bits.signal}")
    left = [f"{module} {signal}[{_ranges(bits)}]" for (module, signal), bits in missed.items()]
    return Tally(total, hit, fixed, waived), left, wrong


def _ranges(bits: Sequence[int]) -> str:
    """0, 3 to 5 as "0,3-5"."""
    parts: list[list[int]] = []
    for bit in sorted(bits):
        if parts and parts[-1][1] == bit - 1:
            parts[-1][1] = bit
        else:
            parts.append([bit, bit])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
