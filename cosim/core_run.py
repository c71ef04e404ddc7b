"""Runs programs on the simulated core: no Python between the first cycle and the last.

Everything goes through files in a folder of its own: the memory and a script for the simulated
host in, memory, registers and a trace out.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from cosim.core_build import build_core
from cosim.process_group import run_to_log
from golden.errors import CheckError, InputError
from hwmodel.program_cycles import BUS_LATENCY
from rtl.cache import cache_folder
from rtl.config import CoreConfig
from rtl.instructions import PROGRAM_ALIGNMENT, WORD_BITS, Fault, Unit, Word
from rtl.register_map import COUNTERS, REGISTERS

__all__ = [
    "TRACE",
    "Access",
    "Action",
    "Copy",
    "CoreRun",
    "Execute",
    "ProgramRun",
    "Watch",
    "Waves",
    "append_program",
    "program_bytes",
    "run_program",
    "simulate",
    "splitmix",
]

_WORD_BYTES = WORD_BITS // 8
_SMALLEST_MEMORY = 1 << 20
_SCRIPT_MAX = 1 << 16
_FINISH, _WRITE, _READ, _WAIT, _COPY = range(5)
_NOTED = 1 << 12
"""Of a script's register address: its response is written down."""
_ACCESS = "access"

_FIELDS = ("unit", "taken", "complete", "scratchpad", "results", "scalars", "outside")

TRACE = np.dtype([(name, "u8") for name in _FIELDS])
"""One instruction of the trace.

unit
    `rtl.instructions.Unit`. Its k-th record is the k-th word of that unit in the program.
taken, complete
    Cycles, counted like the register `cycles`: the first one in which the program runs is 0.
    `complete` is the one in which the word signals or would signal. Words that only set something
    up are complete when they are taken. 0 if the word was not completed.
scratchpad, results, scalars, outside
    Sums modulo 2**64 of `splitmix(address, value)` over what the word wrote:
    bytes of the scratchpad (byte address, byte); words of the results memory (32 * word + lane,
    32 bits, sign-extended), for products as they are in the end, otherwise every write; scalars but
    number 0 (2 * number, lower 32 bits) and (2 * number + 1, upper 16 bits); bytes of memory behind
    the bus (lower 32 bits of the address, byte).
"""


def splitmix(address: NDArray[np.uint64], value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea, Flood 2014) of 32 bits of address and 32 bits of value."""
    low = np.uint64(0xFFFFFFFF)
    x = ((np.asarray(address).astype(np.uint64) & low) << np.uint64(32)) | (
        np.asarray(value).astype(np.int64).astype(np.uint64) & low
    )
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@dataclass(frozen=True)
class Copy:
    """The host copies bytes within memory, in no time. All are multiples of a line."""

    source: int
    target: int
    size: int


@dataclass(frozen=True)
class Execute:
    """The host runs a program of so many words at that byte address, a multiple of 128.

    With `stop_after` it stops it after so many cycles, if it has not ended then. Where not all of
    its words are in the memory, because it ends before or must end with a fault, it is `partial`.
    """

    address: int
    words: int
    stop_after: int | None = None
    partial: bool = False


@dataclass(frozen=True)
class Access:
    """The host reads a register, or writes a value to it, in any bytes of it that `strobe` has.

    Addresses and values need not be such as the core accepts.
    """

    address: int
    value: int | None = None
    strobe: int = 0b1111


Action = Copy | Execute | Access
"""What the host does."""


@dataclass(frozen=True)
class Waves:
    """A waveform: where, and between which cycles of the simulation; to its end by default."""

    path: Path
    first: int = 0
    last: int | None = None


@dataclass(frozen=True)
class Watch:
    """The `word`-th word of a unit in the `program`-th program that is run, both from 0."""

    program: int
    unit: Unit
    word: int


@dataclass(frozen=True)
class ProgramRun:
    """What one program did.

    Parameters
    ----------
    trace:
        Records of `TRACE`, by unit and in each unit's order; empty without an observer.
    counters:
        `rtl.register_map.COUNTERS`.
    fault, fault_unit, fault_index:
        Why it ended if not with END: `rtl.instructions.Fault`, who found it, and the place in the
        program.
    """

    trace: NDArray[np.void]
    counters: dict[str, int]
    fault: Fault
    fault_unit: int
    fault_index: int

    @property
    def cycles(self) -> int:
        """From the first cycle in which the program ran to the last."""
        return self.counters["cycles"]


@dataclass(frozen=True)
class CoreRun:
    """What a simulation did.

    Parameters
    ----------
    memory:
        Behind the bus, as long as it was given.
    programs:
        One an `Execute`.
    accesses:
        One an `Access`: the response (`rtl.axi.Response`), and what was read, 0 for a write.
    writes:
        What the watched instruction wrote: ("byte", address) or ("sum", 32 * word + lane) and the
        value, the last one where there were several.
    seconds:
        Wall time of the simulator.
    """

    memory: bytes
    programs: list[ProgramRun] = field(default_factory=list)
    accesses: list[tuple[int, int]] = field(default_factory=list)
    writes: dict[tuple[str, int], int] = field(default_factory=dict)
    seconds: float = 0.0


def _writes(text: str) -> dict[tuple[str, int], int]:
    found = {}
    for line in text.splitlines():
        kind, address, value = line.split()
        found[kind, int(address)] = int(value)
    return found


def program_bytes(words: Sequence[Word | int]) -> bytes:
    """Return a program as it lies in memory: 16 bytes a word, the lowest first."""
    packed = (word if isinstance(word, int) else word.pack() for word in words)
    return b"".join(word.to_bytes(_WORD_BYTES, "little") for word in packed)


def append_program(memory: bytes, words: Sequence[Word | int]) -> tuple[bytes, int]:
    """Put a program behind what is in a memory; return both, and the program's address."""
    address = -(-len(memory) // PROGRAM_ALIGNMENT) * PROGRAM_ALIGNMENT
    return memory.ljust(address, b"\0") + program_bytes(words), address


def run_program(
    config: CoreConfig, words: Sequence[Word | int], memory: bytes = b"", *,
    simulator: str = "verilator", latency: int = BUS_LATENCY, patience: int = 10_000_000,
    observed: bool = True,
) -> tuple[bytes, ProgramRun]:  # fmt: skip
    """Run one program, which is put behind `memory`; return the memory after it, and the run.

    Parameters and errors are those of `simulate`.
    """
    image, start = append_program(memory, words)
    run = simulate(
        config, image, [Execute(start, len(words))], simulator=simulator, latency=latency,
        patience=patience, observed=observed,
    )  # fmt: skip
    return run.memory[: len(memory)], run.programs[0]


def simulate(
    config: CoreConfig, memory: bytes, actions: Sequence[Action], *,
    simulator: str = "verilator", latency: int = BUS_LATENCY, patience: int = 10_000_000,
    observed: bool = True, watch: "Watch | None" = None, waves: "Waves | None" = None,
    coverage: Path | None = None, variant: str = "", optimized: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> CoreRun:  # fmt: skip
    """Run programs that lie in memory, one after the other, in one simulation.

    Parameters
    ----------
    config:
        Size of the core.
    memory:
        What lies behind the bus from address 0 on, programs and data.
    actions:
        What the host does.
    simulator:
        One of `cosim.core_build.SIMULATORS`.
    latency:
        Of the memory (`cosim/hdl/axi_memory.v`), in cycles.
    patience:
        Most cycles of one program.
    observed:
        With a trace; without one the simulated Verilog is the shipped one.
    watch:
        An instruction whose writes are wanted one by one; needs the trace.
    waves, coverage:
        Files to write.
    variant, optimized:
        Of the core's build (`cosim.core_build.build_core`).
    tell:
        Called with a line about what happens next.

    Raises
    ------
    InputError
        If an action is outside the memory or not aligned, or the simulator is not there.
    CheckError
        If a program does not end in time, or the simulator fails.
    """
    line = config.line_bytes
    image = memory.ljust(-(-len(memory) // line) * line, b"\0")
    script = _script(actions, len(image), line, patience)
    # A power of two, so that few programs need a build of their own.
    size = max(_SMALLEST_MEMORY, 1 << (len(image) - 1).bit_length())
    tell(f"building the {simulator} model")
    build = build_core(
        config, simulator, lines=size // line, observed=observed,
        waves=waves is not None, coverage=coverage is not None, variant=variant,
        optimized=optimized,
    )  # fmt: skip
    tell(f"{'found it in the cache' if build.cached else 'built'}; simulating")
    runs = cache_folder() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="core-", dir=runs))
    try:
        (folder / "memory.hex").write_text(_hex_lines(image, line))
        (folder / "script.hex").write_text("".join(f"{step:032x}\n" for step in script))
        lines = len(image) // line
        command = [*build.command, f"+steps={len(script)}", f"+lines={lines}", f"+dump={lines}"]
        command.append(f"+latency={latency}")
        if watch is not None:
            command += [
                f"+watch_program={watch.program}", f"+watch_unit={int(watch.unit)}",
                f"+watch_word={watch.word}",
            ]  # fmt: skip
        if waves is not None:
            command += [f"+waves={waves.path.resolve()}", f"+waves_from={waves.first}"]
            command += [] if waves.last is None else [f"+waves_to={waves.last}"]
            # vvp's own format is VCD.
            command += ["-fst"] if simulator == "icarus" else []
        if coverage is not None:
            command.append(f"+coverage={coverage.resolve()}")
        started = perf_counter()
        log = folder / "log.txt"
        status = run_to_log(command, folder, log)
        seconds = perf_counter() - started
        after = folder / "memory_after.hex"
        if status or not after.exists():
            said = log.read_text(errors="replace")[-2000:]
            raise CheckError(f"the simulation ended with status {status}:\n{said}")
        notes = (folder / "registers.txt").read_text().splitlines()
        registers = [note for note in notes if not note.startswith(_ACCESS)]
        accesses = [tuple(map(int, note.split()[1:])) for note in notes if note.startswith(_ACCESS)]
        trace = (folder / "trace.txt").read_text() if observed else ""
        executed = [action for action in actions if isinstance(action, Execute)]
        programs = _programs(registers, trace, executed, patience)
        written = (folder / "writes.txt").read_text() if watch is not None else ""
        return CoreRun(
            _bytes(after.read_text(), line)[: len(memory)], programs,
            [(response, value) for response, value in accesses], _writes(written), seconds,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_WANTED = (
    "status",
    "fault_index",
    *(f"{name}_{half}" for name in COUNTERS for half in ("low", "high")),
)


def _script(actions: Sequence[Action], size: int, line: int, patience: int) -> list[int]:
    steps: list[int] = []

    def add(operation: int, a: int = 0, b: int = 0, c: int = 0) -> None:
        steps.append(operation | a << 8 | b << 48 | c << 88)

    def write(name: str, value: int) -> None:
        add(_WRITE, REGISTERS[name].address, value)

    write("interrupt_enable", 3)
    for action in actions:
        if isinstance(action, Access):
            # Bytes that are not written, so that 0 is the common case.
            missing = ~action.strobe & 0b1111
            place = _NOTED | missing << 8 | action.address
            if action.value is None:
                add(_READ, place)
            else:
                add(_WRITE, place, action.value)
            continue
        if isinstance(action, Copy):
            places = (action.source, action.target)
            if any(part % line for part in (*places, action.size)):
                raise InputError(f"a copy must be of whole lines of {line} bytes, not {action!r}")
            if min(*places, action.size) < 0 or max(places) + action.size > size:
                raise InputError(f"a copy must be within {size} bytes, not {action!r}")
            source, target, length = (n // line for n in (*places, action.size))
            add(_COPY, source, target, length)
            continue
        if action.address % PROGRAM_ALIGNMENT:
            raise InputError(
                f"a program must lie at a multiple of {PROGRAM_ALIGNMENT}, not {action.address}"
            )
        if not action.partial and action.address + action.words * _WORD_BYTES > size:
            raise InputError(f"a program must be within {size} bytes, not {action!r}")
        write("program_low", action.address & 0xFFFFFFFF)
        write("program_high", action.address >> 32)
        write("program_words", action.words)
        write("interrupt_pending", 3)
        write("control", 1)
        add(_WAIT, b=patience if action.stop_after is None else action.stop_after, c=patience)
        for name in _WANTED:
            add(_READ, REGISTERS[name].address)
    add(_FINISH)
    if len(steps) > _SCRIPT_MAX:
        raise InputError(f"a simulation must have at most {_SCRIPT_MAX} steps, not {len(steps)}")
    return steps


def _overdue(number: int, patience: int, index: int, records: NDArray[np.uint64]) -> str:
    busy = [
        f"the {Unit(int(record[0])).name} unit since cycle {record[1]}"
        for record in records
        if not record[2]
    ]
    return (
        f"program {number} did not end within {patience} cycles; program counter: word {index}; "
        f"at work: {', '.join(busy) or 'nothing'}"
    )


def _programs(
    registers: list[str], trace: str, executed: list[Execute], patience: int
) -> list[ProgramRun]:
    """Return what each program did, from the host's notes and the observer's."""
    if bad := [said for said in registers if not said[0].isdigit()]:
        raise CheckError(f"the core answers the host with: {bad[0]}")
    records = np.array(trace.split(), dtype=np.uint64).reshape(-1, len(_FIELDS))
    ends = np.flatnonzero(records[:, 0] == 0)
    programs = []
    begin = 0
    for k, action in enumerate(executed):
        said = {
            int(address): int(value)
            for address, value in map(
                str.split, registers[k * len(_WANTED) : (k + 1) * len(_WANTED)]
            )
        }
        value = {name: said[REGISTERS[name].address] for name in _WANTED}
        status = REGISTERS["status"].fields
        counters = {name: value[f"{name}_low"] | value[f"{name}_high"] << 32 for name in COUNTERS}
        own = records[:0]
        if trace:
            own = records[begin : ends[k]]
            begin = ends[k] + 1
        fault = Fault(status["fault"].extract(value["status"]))
        if fault is Fault.ABORTED and action.stop_after is None:
            # The host's patience stopped it.
            raise CheckError(_overdue(k, patience, value["fault_index"], own))
        programs.append(
            ProgramRun(
                own[np.lexsort((own[:, 1], own[:, 0]))].view(TRACE).reshape(-1),
                counters,
                fault,
                status["fault_unit"].extract(value["status"]),
                value["fault_index"],
            )
        )
    return programs


def _hex_lines(image: bytes, line: int) -> str:
    """One line of hexadecimal digits a line of memory, the highest byte first."""
    if not image:
        return ""
    return np.frombuffer(image, np.uint8).reshape(-1, line)[:, ::-1].tobytes().hex("\n", line)


def _bytes(text: str, line: int) -> bytes:
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(-1, line)[:, ::-1].tobytes()
