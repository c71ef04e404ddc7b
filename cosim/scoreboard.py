"""Every tensor from the hardware against golden's, bit for bit."""

from dataclasses import dataclass

import numpy as np

from golden.formats import Integers
from golden.training import Trace

__all__ = ["Mismatch", "MismatchError", "Scoreboard", "TensorRecord"]


@dataclass(frozen=True)
class Mismatch:
    """The first element of a tensor that differs, and how many do."""

    step: int
    tensor: str
    index: tuple[int, ...]
    expected: int
    got: int
    elements: int

    def __str__(self) -> str:
        place = ", ".join(map(str, self.index))
        return (
            f"step {self.step}, tensor {self.tensor}, index [{place}]: expected {self.expected}, "
            f"got {self.got} ({self.elements} elements differ)"
        )


class MismatchError(AssertionError):
    """A tensor differs; what follows would differ because of it."""

    def __init__(self, mismatch: Mismatch) -> None:
        super().__init__(str(mismatch))
        self.mismatch = mismatch


@dataclass(frozen=True)
class TensorRecord:
    """One tensor compared."""

    step: int
    tensor: str
    elements: int
    mismatches: int


class Scoreboard:
    """Holds one step's expected tensors and takes the hardware's.

    Raises MismatchError on the first tensor that differs, and at `finish` when golden has a tensor
    that the hardware never gave.
    """

    def __init__(self) -> None:
        self.records: list[TensorRecord] = []
        self._step = 0
        self._expected: Trace = {}
        self._open: set[str] = set()

    def expect(self, step: int, trace: Trace) -> None:
        """Begin a step."""
        self._step, self._expected, self._open = step, trace, set(trace)

    def check(self, name: str, got: Integers) -> None:
        """Compare one tensor."""
        expected = self._expected[name]
        if got.shape != expected.shape:
            raise AssertionError(f"{name}: expected shape {expected.shape}, got {got.shape}")
        different = np.argwhere(got != expected)
        self.records.append(TensorRecord(self._step, name, expected.size, len(different)))
        self._open.discard(name)
        if len(different):
            index = tuple(int(i) for i in different[0])
            raise MismatchError(
                Mismatch(
                    self._step, name, index, int(expected[index]), int(got[index]), len(different)
                )
            )

    def finish(self) -> None:
        """End a step."""
        if self._open:
            missing = ", ".join(sorted(self._open))
            raise AssertionError(f"step {self._step}: never compared: {missing}")
