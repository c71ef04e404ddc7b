"""`Emitter`: collects a program's words with what each of them reads and writes."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtl.instructions import Word
from rtl.matrix_instructions import MatrixWord, Multiply
from rtl.vector_instructions import Stride

__all__ = ["Access", "Emitter", "Entry", "Label", "Memory", "Produced"]


class Memory(enum.Enum):
    """What an access goes to."""

    SCRATCHPAD = "scratchpad"
    RESULTS = "results"


@dataclass(frozen=True)
class Access:
    """Addresses [begin, end) of one memory."""

    memory: Memory
    begin: int
    end: int


@dataclass(frozen=True)
class Produced:
    """A tensor that is complete in memory, for golden's to be held against.

    Parameters
    ----------
    name:
        In `golden.training.Trace`.
    sample:
        Which one; None for a tensor of the batch.
    address, shape:
        Bytes in the scratchpad: (height, width, channels) of one sample, or what `kind` says.
    kind:
        "codes", "exponent", "weights" (taps in, out), "scalars" (planes of bytes).
    pitch:
        Bytes from one row of weights to the next; from one plane to the next.
    """

    name: str
    sample: int | None
    address: int
    shape: tuple[int, ...]
    kind: str = "codes"
    pitch: int = 0


@dataclass(frozen=True)
class Label:
    """What a word works for."""

    layer: str
    phase: str
    tensor: str
    sample: int | None = None

    def __str__(self) -> str:
        where = "" if self.sample is None else f", sample {self.sample}"
        return f"{self.layer}, {self.phase}, {self.tensor}{where}"


@dataclass
class Entry:
    """One acting word, and the set-up words that go before it in its unit.

    Members
    -------
    word:
        It waits and signals.
    before:
        Set-up words.
    reads, writes:
        What it touches.
    label:
        What it is for.
    produced:
        Tensors that are complete behind it.
    """

    word: Word
    before: list[Word]
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    label: Label
    produced: list[Produced] = field(default_factory=list)


class Emitter:
    """Words in the order of the computation; set-up that a unit already has is left out."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.label = Label("", "", "")
        self._kept: dict[Any, Word] = {}

    def act(
        self,
        word: Word,
        set_up: Iterable[Word] = (),
        *,
        reads: Sequence[Access] = (),
        writes: Sequence[Access] = (),
    ) -> Entry:
        """Add an acting word."""
        before = []
        for setting in set_up:
            key = (Stride, setting.stream) if isinstance(setting, Stride) else type(setting)
            if self._kept.get(key) != setting:
                self._kept[key] = setting
                before.append(setting)
        entry = Entry(word, before, tuple(reads), tuple(writes), self.label)
        self.entries.append(entry)
        return entry

    def product(
        self, words: Sequence[MatrixWord], *, reads: Sequence[Access], writes: Sequence[Access]
    ) -> None:
        """Add a product, or the several that are made of one geometry each."""
        waiting: list[MatrixWord] = []
        for word in words:
            if isinstance(word, Multiply):
                self.act(word, waiting, reads=reads, writes=writes)
                waiting = []
            else:
                waiting.append(word)

    def about(self, layer: str, phase: str, tensor: str, sample: int | None = None) -> None:
        """Say what the following words work for."""
        self.label = Label(layer, phase, tensor, sample)

    def produce(self, produced: Produced) -> None:
        """Say that a tensor is complete behind the last word."""
        self.entries[-1].produced.append(produced)


def scratchpad(begin: int, size: int) -> Access:
    """Bytes of the scratchpad."""
    return Access(Memory.SCRATCHPAD, begin, begin + size)


def results(begin: int, size: int) -> Access:
    """Words of the results memory."""
    return Access(Memory.RESULTS, begin, begin + size)
