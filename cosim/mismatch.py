"""Where a co-simulation went wrong first: step, word, address, expected and got."""

from collections.abc import Callable, Sequence

from cosim.core_run import CoreRun, Watch
from cosim.cosim_result import Step
from cosim.machine import Machine
from cosim.prepared_run import PreparedRun
from cosim.step_check import WordDifference

__all__ = ["first_mismatch"]

Run = Callable[[Watch], CoreRun]


def first_mismatch(
    job: PreparedRun,
    steps: Sequence[Step],
    differ: list[str],
    run: Run,
    what: str,
) -> str | None:
    """Say where it went wrong first; a second simulation says which element.

    Parameters
    ----------
    steps, differ:
        What was found, step by step, and the parameters that are not golden's at the end.
    run:
        Simulates once more and watches a word.
    what:
        Names the run.
    """
    for number, step in enumerate(steps):
        if step.reference.differences:
            return f"step {number}, program against golden: {step.reference.differences[0]}"
        if not step.differences:
            continue
        kinds = ("fault", "bits", "cycles")
        first = min(step.differences, key=lambda d: (kinds.index(d.what), d.number))
        text = f"step {number}, {first.text}"
        return text + (_element(job, number, first, run) if first.what == "bits" else "")
    return f"{what}: {differ[0]} is not golden's at the end" if differ else None


def _element(job: PreparedRun, step: int, wrong: WordDifference, run: Run) -> str:
    """Which address, what was expected there and what was got, and a waveform around it."""
    machine = Machine(job.config, job.outside.copy())
    for part in job.batches[: step + 1]:
        machine.outside[: len(part)] = part
        last = part is job.batches[step]
        written = None
        for number, word in enumerate(job.program.words[:-1]):
            written = machine.execute(word)
            if last and number == wrong.number:
                break
    assert written is not None  # noqa: S101 - a program has words
    expected = {("byte", int(a)): int(v) for a, v in zip(written.addresses, written.bytes,
                                                         strict=True)}  # fmt: skip
    for word, sums in zip(written.words, written.sums, strict=True):
        for lane, value in enumerate(sums):
            expected["sum", 32 * int(word) + lane] = int(value)
    got = run(Watch(step, wrong.unit, wrong.place)).writes
    for kind, address in sorted(expected.keys() | got.keys()):
        want, found = expected.get((kind, address)), got.get((kind, address))
        if want != found:
            place = f"byte {address}" if kind == "byte" else (
                f"results word {address // 32}, lane {address % 32}"
            )  # fmt: skip
            return f"; {place}: expected {_said(want)}, got {_said(found)}"
    return ""


def _said(value: int | None) -> str:
    return "no write" if value is None else str(value)
