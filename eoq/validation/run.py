"""All rows of `eoq validate`."""

from collections.abc import Callable, Iterator
from types import MappingProxyType

from eoq.validation.check import Check

__all__ = ["GROUPS", "validate"]

Say = Callable[[str], None]


def _published(tell: Say) -> Iterator[Check]:
    from eoq.validation.published import published_checks

    return published_checks(tell)


def _golden(tell: Say) -> Iterator[Check]:
    from eoq.validation.golden import golden_checks

    return golden_checks(tell)


def _rtl(tell: Say) -> Iterator[Check]:
    from eoq.validation.rtl import rtl_checks

    return rtl_checks(tell)


def _synthesis(tell: Say) -> Iterator[Check]:
    from eoq.validation.synthesis import synthesis_checks

    return synthesis_checks(tell)


GROUPS = MappingProxyType(
    {"published": _published, "golden": _golden, "rtl": _rtl, "synthesis": _synthesis}
)
"""Name -> what makes its rows, the quick ones first."""


def validate(
    groups: tuple[str, ...], stage: Say = lambda _: None, tell: Say = lambda _: None
) -> list[Check]:
    """Return the rows of these `GROUPS`."""
    found: list[Check] = []
    for group in groups:
        stage(group)
        found += GROUPS[group](tell)
    return found
