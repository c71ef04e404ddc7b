"""Lists of co-simulations: a TOML file in which every value may be a list of values."""

import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.errors import InputError
from hwmodel.program_cycles import BUS_LATENCY

__all__ = ["Run", "RunList", "read_list"]

_DEFAULTS: dict[str, Any] = {
    "network": "mlp", "array": "4x4", "sim": "verilator", "steps": 1, "batch": 16, "seed": 0,
    "halvings": 0, "parameters": "initial", "latency": BUS_LATENCY, "abort_after": 0,
    "order": "compiled", "accumulator_bits": 32, "coverage": False,
}  # fmt: skip
"""Of `[[run]]`; their types are the types that are asked for. `abort_after` 0: no abort."""

_RANDOM = {"random", "sim", "coverage"}
_FAULT = {"fault", "sim", "latency"}
_RANGE = re.compile(r"(\d+)(?:-(\d+)(?:/(\d+))?)?")


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

        Random configurations take turns on a fixed number of cores.
        """
        from cosim.random_cases import CORES

        keys = ("network", "array", "batch", "sim", "accumulator_bits", "coverage")
        if "random" in self.settings:
            return (self.settings["random"] % len(CORES), *map(self.settings.get, keys))
        return tuple(map(self.settings.get, keys))


@dataclass(frozen=True)
class RunList:
    """A list of co-simulations.

    Members
    -------
    runs:
        In the file's order.
    every_bin:
        Whether each bin of `cosim.functional_bins` has to be hit by one of them.
    """

    runs: list[Run]
    every_bin: bool


def read_list(path: Path) -> RunList:
    """Read a list. InputError, one line, for anything that is not as it should be."""
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} must be TOML: {error}") from error
    unknown = sorted(content.keys() - {"run", "every_bin"})
    if unknown:
        raise InputError(f"{path}: keys must be run and every_bin, not {unknown[0]!r}")
    tables = content.get("run", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise InputError(f"{path} must have at least one [[run]]")
    every_bin = content.get("every_bin", False)
    if not isinstance(every_bin, bool):
        raise InputError(f"{path}: every_bin must be true or false, not {every_bin!r}")
    runs: dict[str, Run] = {}
    for number, table in enumerate(tables):
        for run in _expand(f"{path}, run {number}", table):
            runs[run.name] = run
    return RunList(list(runs.values()), every_bin)


def _expand(where: str, table: dict[str, Any]) -> Iterator[Run]:
    allowed = _RANDOM if "random" in table else _FAULT if "fault" in table else _DEFAULTS.keys()
    unknown = sorted(table.keys() - allowed)
    if unknown:
        raise InputError(f"{where}: keys must be {', '.join(sorted(allowed))}, not {unknown[0]!r}")
    filled = {key: value for key, value in _DEFAULTS.items() if key in allowed} | table
    choices = []
    for key, value in filled.items():
        values = value if isinstance(value, list) else [value]
        if key == "random":
            values = [number for part in values for number in _numbers(where, part)]
        for one in values:
            kind = {"random": int, "fault": str}.get(key) or type(_DEFAULTS[key])
            if type(one) is not kind:
                raise InputError(f"{where}: {key} must be {kind.__name__}, not {one!r}")
        choices.append(values)
    for chosen in itertools.product(*choices):
        settings = dict(zip(filled, chosen, strict=True))
        shown = [
            f"{key}-{value}" for key, value in settings.items()
            if key in ("random", "fault", "sim") or value != _DEFAULTS[key]
        ]  # fmt: skip
        name = re.sub(r"[^\w.-]+", "_", "_".join(shown))
        yield Run(name, settings)


def _numbers(where: str, part: object) -> range:
    """5, "5", "0-199" or, every tenth of them, "2-199/10"."""
    found = _RANGE.fullmatch(str(part))
    if not found:
        raise InputError(f"{where}: random must be numbers such as 5, 0-199 or 0-199/10, "
                         f"not {part!r}")  # fmt: skip
    first, last, step = (int(group) if group else None for group in found.groups())
    assert first is not None  # noqa: S101 - the expression requires it
    return range(first, (first if last is None else last) + 1, step or 1)
