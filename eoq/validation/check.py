"""`Check`: one row, a figure of the model beside what it is held against."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Check", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison.

    Attributes
    ----------
    group:
        What is compared with what.
    what:
        The quantity and where it was taken.
    model, reference:
        Ours, and what it is held against; None where nothing could be compared.
    unit:
        Of both.
    bound:
        Largest relative error that passes; 0 where both have to be equal.
    source:
        Where the reference comes from.
    note:
        Of a row that was skipped: why, and what installs what is missing.
    """

    group: str
    what: str
    model: float | None
    reference: float | None
    unit: str
    bound: float
    source: str
    note: str = ""

    @property
    def error(self) -> float | None:
        """Model over reference, less 1; None where nothing was compared."""
        if self.model is None or self.reference is None:
            return None
        if self.reference == 0:
            return 0.0 if self.model == 0 else float("inf")
        return self.model / self.reference - 1

    @property
    def status(self) -> str:
        """`pass`, `FAIL`, or `skipped`, which is neither."""
        if self.error is None:
            return "skipped"
        return "pass" if abs(self.error) <= self.bound else "FAIL"

    def as_dict(self) -> dict[str, Any]:
        """Return a row of `eoq validate --json`; strict JSON."""
        error = self.error
        return {
            "group": self.group,
            "what": self.what,
            "model": self.model,
            "reference": self.reference,
            "unit": self.unit,
            # A reference of 0 that is not met has no relative error.
            "error": None if error == float("inf") else error,
            "bound": self.bound,
            "status": self.status,
            "source": self.source,
            "note": self.note,
        }


def skipped(group: str, what: str, note: str) -> Check:
    """Return a row for which a tool is missing; `note` says which, and what installs it."""
    return Check(
        group=group, what=what, model=None, reference=None, unit="", bound=0, source="", note=note
    )
