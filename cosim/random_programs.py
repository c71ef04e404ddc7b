"""Random programs: every word that a core has, on operands anywhere in its memories.

They are what compiled steps are not: fields full of bits that nothing depends on, addresses from
the first to the last byte, both signs of every stride, all semaphores. What they do is known from
`cosim.machine`, word by word.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cosim.core_run import ProgramRun
from cosim.random_draft import DATA, Draft
from cosim.random_passes import loss, random_pass
from cosim.random_products import multiply
from cosim.random_scalars import large_scalar, many_scalars, scalar, transfer_scalars
from rtl.config import CoreConfig
from rtl.control_instructions import End, Nop
from rtl.dma_instructions import DmaWord, Load, Store
from rtl.instructions import Fault, Unit, Word

__all__ = ["RandomProgram", "RandomPrograms", "random_programs"]

_SUMS = ("scratchpad", "results", "outside", "scalars")
"""Columns of the trace that are compared, as `Draft.expected` has them."""


@dataclass(frozen=True)
class RandomProgram:
    """A program and what it has to do.

    Members
    -------
    words:
        The program.
    expected:
        Of each word but the last: checksums of what it writes, in the order of `_SUMS`.
    """

    words: list[Word]
    expected: list[tuple[int, ...]]

    def differences(self, run: ProgramRun) -> list[str]:
        """Words that did something else, in words."""
        found = []
        if run.fault is not Fault.NONE:
            found.append(
                f"fault {run.fault.name} of unit {run.fault_unit} at word {run.fault_index}"
            )
        own = {unit: iter(run.trace[run.trace["unit"] == int(unit)]) for unit in Unit}
        for number, (word, sums) in enumerate(zip(self.words[:-1], self.expected, strict=True)):
            if word.unit is Unit.CONTROL:
                continue
            record = next(own[word.unit], None)
            if record is None:
                found.append(f"word {number} was never run: {word}")
            elif tuple(int(record[name]) for name in _SUMS) != sums:
                found.append(f"word {number} wrote something else: {word}")
        return found


@dataclass(frozen=True)
class RandomPrograms:
    """Programs that run one after the other on a core without a reset.

    Members
    -------
    before, after:
        Memory outside.
    programs:
        In their order.
    """

    before: bytes
    programs: list[RandomProgram]
    after: bytes


def random_programs(
    config: CoreConfig, number: int, *, count: int = 8, blocks: int = 16
) -> RandomPrograms:
    """Return so many programs of so many blocks each, behind one that fills the scratchpad."""
    draft = Draft(config, number)
    before = draft.outside.tobytes()
    programs = [_first(draft), *(_program(draft, blocks) for _ in range(count))]
    return RandomPrograms(before, programs, draft.machine.outside.tobytes())


def _first(d: Draft) -> RandomProgram:
    """Fill the scratchpad."""
    d.begin()
    lines = d.page // d.line
    for page in range(d.pages):
        d.run(_transfer(d, Load, page * lines, lines))
    return _finished(d)


def _program(d: Draft, blocks: int) -> RandomProgram:
    """Blocks of any kind, and what nothing depends on between them."""
    d.begin()
    kinds: list[Callable[[Draft], None]] = [
        _load, _store, _transfers, scalar, large_scalar, transfer_scalars, transfer_scalars, loss,
        *[_pass] * 2, *[multiply] * 2, _at_once, lambda d: d.run(Nop()),
    ]  # fmt: skip
    kinds = [*kinds * 3, many_scalars]
    for _ in range(blocks):
        for _ in range(d.number(0, 4)):
            d.noise()
        d.one_of(kinds)(d)
    return _finished(d)


def _finished(d: Draft) -> RandomProgram:
    return RandomProgram([*d.words, End()], d.expected)


def _load(d: Draft) -> None:
    lines = d.pages * d.page // d.line
    count = d.number(1, min(80, lines))
    d.run(_transfer(d, Load, d.number(0, lines - count), count))


def _store(d: Draft) -> None:
    lines = d.pages * d.page // d.line
    count = d.number(1, min(80, lines))
    d.run(_transfer(d, Store, d.number(0, lines - count), count))


def _transfers(d: Draft) -> None:
    """More of them than the DMA's queue holds."""
    for _ in range(12):
        count = d.number(1, 8)
        line = d.number(0, d.pages * d.page // d.line - count)
        d.run(_transfer(d, (Load, Store)[d.number(0, 1)], line, count))


def _transfer(d: Draft, kind: type[DmaWord], line: int, count: int) -> DmaWord:
    outside = d.number(0, DATA // d.line - count)
    return kind(outside=outside * d.line, scratchpad=line * d.line, bytes=count * d.line)


def _pass(d: Draft) -> None:
    d.run(random_pass(d))


def _at_once(d: Draft) -> None:
    """All units at work at the same time, in pages where they meet."""
    for _ in range(2):
        d.fence()
        d.free = True
        work = random_pass(d)
        multiply(d)
        half = d.page // d.line // 2
        # The pass reads what is stored, and writes the other half of the page that is loaded.
        d.run(_transfer(d, Load, 5 * half, half))
        d.run(_transfer(d, Store, d.number(0, 2 * half), 2 * half))
        d.run(work)
        d.free = False
        d.fence()
