"""Programs that must stop with a fault: one for each, run on the core in front of a sound one."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from cosim.core_run import Action, Execute, program_bytes, simulate
from cosim.functional_bins import Hits, fault_bin
from cosim.program_outcome import ProgramOutcome
from golden.errors import InputError
from rtl.config import CoreConfig
from rtl.control_instructions import End, Nop
from rtl.dma_instructions import Load, Store
from rtl.instructions import HEADER, SEMAPHORE_MAX, Fault, Unit, Word
from rtl.product_words import Geometry, forward
from rtl.vector_instructions import Loops, Operand, Pass

__all__ = ["FAULTS", "run_fault"]

FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)

_CONFIG = CoreConfig(rows=2, columns=3, scratchpad_page_bytes=1024, results_page_depth=64)
_BYTES = 64
_TARGETS = (1024, 2048)
"""Where the faulty and the sound program store what they loaded."""
_PROGRAMS = (4096, 8192)
_STOP = 300


def _faulty(fault: Fault) -> tuple[list[Word | int], Unit, int]:
    """Words behind two that are sound and signal 2, who finds the fault, and at which of all words;
    0 where the dispatcher has gone on by then."""
    line, size = _CONFIG.line_bytes, 1 << _CONFIG.scratchpad_address_bits
    match fault:
        case Fault.OP:
            header = {"unit": int(Unit.VECTOR), "op": 31, "wait": 2}
            unknown = sum(HEADER[name].insert(name, value) for name, value in header.items())
            return [unknown, End()], Unit.VECTOR, 2
        case Fault.FIELD:
            return [Load(outside=0, scratchpad=0, bytes=0, wait=2), End()], Unit.DMA, 2
        case Fault.ADDRESS:
            word = Load(outside=0, scratchpad=size - line, bytes=2 * line, wait=2)
            return [word, End()], Unit.DMA, 2
        case Fault.CONFLICT:
            geometry = Geometry(channels=4, height=2, width=2, out_channels=3, kernel=(1, 1),
                                padding=(0, 0, 0, 0))  # fmt: skip
            product = forward(geometry, _CONFIG, a=0, b=4 * line, z=0)
            return [Nop(wait=2), *product, End()], Unit.MATRIX, 2 + len(product)
        case Fault.ALIGNMENT:
            return [Load(outside=1, scratchpad=0, bytes=line, wait=2), End()], Unit.DMA, 2
        case Fault.BUS:
            return [Load(outside=1 << 39, scratchpad=0, bytes=line, wait=2), End()], Unit.DMA, 2
        case Fault.SEMAPHORE:
            return [Nop(wait=2), *[Nop(signal=4)] * (SEMAPHORE_MAX + 1), End()], Unit.CONTROL, 0
        case Fault.DEADLOCK:
            word = Load(outside=0, scratchpad=0, bytes=line, wait=8)
            return [Nop(wait=2), word, End()], Unit.CONTROL, 0
        case Fault.NO_END:
            return [Nop(wait=2)], Unit.CONTROL, 0
        case Fault.ABORTED:
            loops = Loops(positions=1 << 12, channels=3, wait=2)
            return [loops, Pass(operand=Operand.NONE), End()], Unit.CONTROL, 0
        case _:
            return [Nop(wait=2), HEADER["unit"].insert("unit", 6)], Unit.CONTROL, 3


def run_fault(name: str, simulator: str, latency: int) -> ProgramOutcome:
    """Run the program for a fault, and a sound one behind it on the same core.

    The first must end with that fault, found by that unit, with what it stored before in memory
    and nothing else changed; the second as if there had been none before.

    Parameters
    ----------
    name:
        Of a `rtl.instructions.Fault` but NONE.
    simulator, latency:
        As in `cosim.core_run.simulate`.

    Raises
    ------
    InputError
        For another name.
    """
    if name not in [fault.name for fault in FAULTS]:
        names = ", ".join(fault.name for fault in FAULTS)
        raise InputError(f"fault must be one of {names}, not {name!r}")
    fault = Fault[name]
    inputs = np.random.default_rng(int(fault)).integers(0, 256, _BYTES, dtype=np.uint8)
    programs = []
    for target in _TARGETS:
        sound: list[Word | int] = [
            Load(outside=0, scratchpad=0, bytes=_BYTES, signal=1),
            Store(outside=target, scratchpad=0, bytes=_BYTES, wait=1, signal=2),
        ]
        programs.append(sound)
    words, unit, index = _faulty(fault)
    programs[0] += words
    programs[1] += [Nop(wait=2), End()]
    image = inputs.tobytes()
    for start, program in zip(_PROGRAMS, programs, strict=True):
        image = image.ljust(start, b"\0") + program_bytes(program)
    stop = _STOP if fault is Fault.ABORTED else None
    actions: list[Action] = [
        Execute(_PROGRAMS[0], len(programs[0]), stop), Execute(_PROGRAMS[1], len(programs[1])),
    ]  # fmt: skip
    run = simulate(_CONFIG, image, actions, simulator=simulator, latency=latency)
    first, second = run.programs
    expected = bytearray(image)
    for target in _TARGETS:
        expected[target : target + _BYTES] = inputs.tobytes()
    found = None
    if (first.fault, first.fault_unit) != (fault, unit):
        found = f"fault {first.fault.name} of unit {first.fault_unit}"
    elif index and first.fault_index != index:
        found = f"word {first.fault_index}"
    elif second.fault is not Fault.NONE:
        found = f"fault {second.fault.name} of the program behind it"
    elif run.memory != bytes(expected):
        found = f"{_differ(run.memory, expected)} other bytes in memory"
    mismatch = None
    if found:
        mismatch = f"fault {name} was required of unit {int(unit)}, word {index}, got {found}"
    bins: Hits = Counter([] if found else [fault_bin(fault), "program after a fault"])
    return ProgramOutcome(
        _CONFIG, mismatch, first.cycles + second.cycles, sum(map(len, programs)), bins
    )


def _differ(got: bytes, expected: bytearray) -> int:
    a: NDArray[np.uint8] = np.frombuffer(got, np.uint8)
    return int((a != np.frombuffer(bytes(expected), np.uint8)).sum())
