"""Where a step's tensors lie: pages of the scratchpad, pages of the results memory.

Two operands of one product must be in different pages (`rtl.product_unit`), and units that read
one page at the same time would hold each other up. So every kind of tensor has pages of its own as
far as there are pages.
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from golden.errors import InputError
from rtl.config import CoreConfig

__all__ = ["Region", "Role", "Scratchpad", "ScratchpadFullError"]


class ScratchpadFullError(InputError):
    """A step needs a larger scratchpad."""


class Role(enum.Enum):
    """What a tensor is for; decides which page it would rather be in."""

    WEIGHT = "weights"
    INPUT = "inputs of products"
    SIDE = "activations that the vector unit reads"
    ERROR = "errors"
    ALIGNED = "aligned errors"
    TABLE = "scalars, exponents, masks, gradients"
    MOMENTUM = "momentum"


_PLANS: dict[int, dict[Role, tuple[int, ...]]] = {
    2: {Role.WEIGHT: (0,), Role.INPUT: (1,), Role.SIDE: (1, 0), Role.ERROR: (1,),
        Role.ALIGNED: (0,), Role.TABLE: (0, 1), Role.MOMENTUM: (0, 1)},
    4: {Role.WEIGHT: (0,), Role.INPUT: (1,), Role.SIDE: (2, 3), Role.ERROR: (3, 2),
        Role.ALIGNED: (2, 0), Role.TABLE: (3,), Role.MOMENTUM: (0, 3)},
    8: {Role.WEIGHT: (0, 1), Role.INPUT: (2,), Role.SIDE: (3, 4), Role.ERROR: (5, 6, 7),
        Role.ALIGNED: (3,), Role.TABLE: (4,), Role.MOMENTUM: (4, 3)},
    16: {Role.WEIGHT: (0, 1), Role.INPUT: (2, 3), Role.SIDE: (4, 5, 6), Role.ERROR: (7, 8, 9),
         Role.ALIGNED: (10, 11), Role.TABLE: (12,), Role.MOMENTUM: (13, 14)},
}  # fmt: skip
"""Pages of each role by the number of pages there are; our choice."""


@dataclass(frozen=True)
class Region:
    """Consecutive bytes of the scratchpad, within one page."""

    address: int
    size: int
    page: int

    @property
    def end(self) -> int:
        """Address behind the last byte."""
        return self.address + self.size


@dataclass
class _Page:
    """Free parts of a page, (begin, end), in order."""

    free: list[tuple[int, int]] = field(default_factory=list)

    def take(self, size: int) -> int | None:
        for k, (begin, end) in enumerate(self.free):
            if end - begin >= size:
                self.free[k] = (begin + size, end)
                return begin
        return None

    def give(self, begin: int, end: int) -> None:
        merged: list[tuple[int, int]] = []
        for part in sorted([*self.free, (begin, end)]):
            if merged and merged[-1][1] == part[0]:
                merged[-1] = (merged[-1][0], part[1])
            elif part[0] < part[1]:
                merged.append(part)
        self.free = merged


class Scratchpad:
    """First fit within a page; pages by role, in turn.

    Parameters
    ----------
    config:
        Size of the core.
    margin:
        Bytes left free at the beginning of every page: a product's window may begin so far in front
        of a tensor.
    """

    def __init__(self, config: CoreConfig, margin: int) -> None:
        size, line = config.scratchpad_page_bytes, config.line_bytes
        self._line, self._size, self._count = line, size, config.scratchpad_pages
        first = -(-margin // line) * line
        self._pages = [
            _Page([(page * size + first, (page + 1) * size)]) for page in range(self._count)
        ]
        self._turns = dict.fromkeys(Role, 0)
        self._plan = _PLANS[self._count]

    def allocate(self, size: int, role: Role, avoid: Collection[int] = ()) -> Region:
        """Return lines for `size` bytes. ScratchpadFullError when there is no room for them.

        Parameters
        ----------
        size:
            Bytes.
        role:
            Of the tensor.
        avoid:
            Pages that it must not be in.
        """
        whole = -(-max(size, 1) // self._line) * self._line
        wanted = self._plan[role]
        turn = self._turns[role]
        self._turns[role] += 1
        order = [wanted[(turn + k) % len(wanted)] for k in range(len(wanted))]
        # Where there is no room the emptiest page serves, which may cost time.
        others = sorted(
            (page for page in range(self._count) if page not in wanted),
            key=lambda page: -sum(end - begin for begin, end in self._pages[page].free),
        )
        for page in (*order, *others):
            if page in avoid:
                continue
            begin = self._pages[page].take(whole)
            if begin is not None:
                return Region(begin, whole, page)
        free = [sum(end - begin for begin, end in page.free) for page in self._pages]
        raise ScratchpadFullError(
            f"the scratchpad must have {whole} consecutive bytes for {role.value}, and its pages "
            f"of {self._size} bytes have {', '.join(map(str, free))} left"
        )

    def release(self, region: Region) -> None:
        """Give a region back."""
        self._pages[region.page].give(region.address, region.end)
