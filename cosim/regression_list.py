"""Lists of co-simulations: a TOML file in which every value may be a list of values."""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosim.coverage_waivers import Waivers, read_waivers
from golden.errors import InputError
from hwmodel.program_cycles import BUS_LATENCY
from hwmodel.toml_reader import TomlReader

__all__ = ["Run", "RunList", "read_list"]

_DEFAULTS: dict[str, Any] = {
    "network": "mlp", "array": "4x4", "sim": "verilator", "steps": 1, "batch": 16, "seed": 0,
    "halvings": 0, "parameters": "initial", "latency": BUS_LATENCY, "abort_after": 0,
    "order": "compiled", "accumulator_bits": 32, "coverage": False,
}  # fmt: skip
"""Of `[[run]]`; their types are the types that are asked for. `abort_after` 0: no abort."""

_CASES: dict[str, tuple[type, set[str]]] = {
    "random": (int, {"random", "sim", "coverage"}),
    "programs": (int, {"programs", "sim", "coverage"}),
    "unlawful": (int, {"unlawful", "sim", "coverage"}),
    "fault": (str, {"fault", "sim", "latency"}),
}
"""Runs that are no training step of a named network: type of the key, and all keys."""

_LIMITS = ("line_coverage", "toggle_coverage")
_KEYS = {"run", "every_bin", "waivers", *_LIMITS}
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?:/(\d{1,9}))?)?")

_MOST_RUNS = 100_000
"""Of a list."""


@dataclass(frozen=True)
class Run:
    """One co-simulation.

    Members
    -------
    name:
        Of the file that its result goes to.
    settings:
        Keys of `[[run]]` with one value each.
    """

    name: str
    settings: dict[str, Any]

    @property
    def core(self) -> tuple[Any, ...]:
        """What decides which simulation has to be built; runs with the same should share a worker.

        Random configurations take turns on a fixed number of cores; programs that train nothing
        have one.
        """
        from cosim.random_cases import CORES

        keys = ("network", "array", "batch", "sim", "accumulator_bits", "coverage")
        if "random" in self.settings:
            return (self.settings["random"] % len(CORES), *map(self.settings.get, keys))
        trains = "network" in self.settings
        return (trains, *map(self.settings.get, keys))


@dataclass(frozen=True)
class RunList:
    """A list of co-simulations.

    Members
    -------
    runs:
        In the file's order.
    every_bin:
        Whether each bin of `cosim.functional_bins` has to be hit by one of them.
    line_coverage, toggle_coverage:
        Percentages that the runs which count coverage have to reach on every core that they run on;
        None: it is not looked at.
    waivers:
        What of that is waived.
    """

    runs: list[Run]
    every_bin: bool
    line_coverage: float | None = None
    toggle_coverage: float | None = None
    waivers: Waivers = field(default_factory=lambda: Waivers({}, {}))

    @property
    def covers(self) -> bool:
        """Whether coverage is looked at."""
        return self.line_coverage is not None or self.toggle_coverage is not None


def read_list(path: Path) -> RunList:
    """Read a list. InputError, one line, for anything that is not as it should be."""
    content = TomlReader("list", str(path)).load(path)
    unknown = sorted(content.keys() - _KEYS)
    if unknown:
        raise InputError(f"{path}: keys must be {', '.join(sorted(_KEYS))}, not {unknown[0]!r}")
    tables = content.get("run", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise InputError(f"{path} must have at least one [[run]]")
    every_bin = content.get("every_bin", False)
    if not isinstance(every_bin, bool):
        raise InputError(f"{path}: every_bin must be true or false, not {every_bin!r}")
    runs: dict[str, Run] = {}
    for number, table in enumerate(tables):
        where = f"{path}, run {number}"
        for run in _expand(where, table):
            runs[run.name] = run
            _check_count(where, len(runs))
    lines, toggles = (_percentage(path, key, content.get(key)) for key in _LIMITS)
    waivers = content.get("waivers")
    if waivers is not None and not isinstance(waivers, str):
        raise InputError(f"{path}: waivers must be the name of a file, not {waivers!r}")
    found = RunList(
        list(runs.values()), every_bin, lines, toggles,
        Waivers({}, {}) if waivers is None else read_waivers(path.parent / waivers),
    )  # fmt: skip
    if waivers is not None and not found.covers:
        raise InputError(f"{path}: waivers require line_coverage or toggle_coverage")
    if found.covers and not any(run.settings.get("coverage") for run in found.runs):
        raise InputError(f"{path}: line_coverage and toggle_coverage require a run with coverage")
    return found


def _percentage(path: Path, key: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise InputError(f"{path}: {key} must be 0 to 100, not {value!r}")
    return float(value)


def _expand(where: str, table: dict[str, Any]) -> Iterator[Run]:
    case = next((key for key in _CASES if key in table), None)
    allowed = _CASES[case][1] if case else _DEFAULTS.keys()
    unknown = sorted(table.keys() - allowed)
    if unknown:
        raise InputError(f"{where}: keys must be {', '.join(sorted(allowed))}, not {unknown[0]!r}")
    filled = {key: value for key, value in _DEFAULTS.items() if key in allowed} | table
    choices = []
    for key, value in filled.items():
        values = value if isinstance(value, list) else [value]
        kind = _CASES[key][0] if key in _CASES else type(_DEFAULTS[key])
        if key in _CASES and kind is int:
            ranges = [_numbers(where, key, part) for part in values]
            _check_count(where, sum(map(len, ranges)))
            values = [number for numbers in ranges for number in numbers]
        for one in values:
            if type(one) is not kind:
                raise InputError(f"{where}: {key} must be {kind.__name__}, not {one!r}")
        choices.append(values)
    _check_count(where, math.prod(map(len, choices)))
    for chosen in itertools.product(*choices):
        settings = dict(zip(filled, chosen, strict=True))
        shown = [
            f"{key}-{value}" for key, value in settings.items()
            if key in _CASES or key == "sim" or value != _DEFAULTS[key]
        ]  # fmt: skip
        name = re.sub(r"[^\w.-]+", "_", "_".join(shown))
        yield Run(name, settings)


def _check_count(where: str, runs: int) -> None:
    if runs > _MOST_RUNS:
        raise InputError(f"{where}: a list must have at most {_MOST_RUNS} runs, this one has more")


def _numbers(where: str, key: str, part: object) -> range:
    """5, "5", "0-199" or, every tenth of them, "2-199/10"."""
    found = _RANGE.fullmatch(str(part))
    if not found:
        raise InputError(f"{where}: {key} must be numbers such as 5, 0-199 or 0-199/10, "
                         f"not {part!r}")  # fmt: skip
    first, last, step = (int(group) if group else None for group in found.groups())
    assert first is not None  # noqa: S101 - the expression requires it
    return range(first, (first if last is None else last) + 1, step or 1)
