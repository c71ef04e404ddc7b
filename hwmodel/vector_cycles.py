"""Cycles of every word of the vector unit, exact as long as its memories never let it wait.

A word takes so many cycles from the one in which it is taken to the one in which the next can be;
its `signal` comes in the last of them. Held against simulation.
"""

__all__ = ["LOSS_STEPS", "PASS_STEPS", "loss", "pass_", "scalar", "set_up", "transfer"]

PASS_STEPS = 27
"""Of a pass, beside its beats and the levels of the lanes' tree of sums: 1 to take the word, 7 to
read six scalars, 2 to start, 14 through the lanes and the sums, 3 to store three scalars."""

LOSS_STEPS = 19
"""Of a loss, beside what depends on its size: reading scalars, and filling the walks' pipelines."""


def pass_(
    positions: int, channels: int, columns: int, *, masks: bool = False, same_page: bool = False
) -> int:
    """Cycles of a pass.

    Parameters
    ----------
    positions:
        Of a block: positions times rows.
    channels, columns:
        Of the tensor; lanes.
    masks:
        Masks are loaded or stored.
    same_page:
        Every beat has two operands from one page, which gives one a cycle.
    """
    beats = positions * -(-channels // columns)
    groups = -(-beats // 8) if masks else 0
    levels = (columns - 1).bit_length()
    return beats * (1 + same_page) + groups + levels + PASS_STEPS


def scalar(count: int = 1) -> int:
    """Cycles of a scalar word: one to take it; four to read, one to start, four to compute."""
    return 1 + 9 * count


def set_up() -> int:
    """Cycles of `Loops`, `Stride` and `Bases`."""
    return 1


def transfer(size: int, count: int = 1, *, store: bool = False) -> int:
    """Cycles of loading or storing `count` scalars of `size` bytes."""
    if store:
        return 1 + count * (4 + 2 * size)
    return 2 + count * (2 + 4 * size)


def loss(classes: int, columns: int) -> int:
    """Cycles of the loss of one sample: three walks, and words of errors."""
    words = -(-classes // columns)
    return 4 * classes + 2 * words + LOSS_STEPS
