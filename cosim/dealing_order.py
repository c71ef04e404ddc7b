"""The same program with its words dealt out in another order: what full queues are tried with."""

from collections import Counter, deque
from itertools import groupby

from golden.errors import InputError
from hwmodel.lowering.hazards import UNITS
from hwmodel.lowering.program import StepProgram
from rtl.instructions import SEMAPHORES

__all__ = ["ORDERS", "dealt_ahead"]

ORDERS = ("compiled", *(unit.name.lower() for unit in UNITS))


def dealt_ahead(program: StepProgram, order: str) -> StepProgram:
    """Deal out one unit's words as early as can be: until they wait for a signal of a word behind
    them, from which no program would come back once a queue is full.

    Parameters
    ----------
    program:
        As it is compiled: words stand in the order in which their units take them.
    order:
        One of `ORDERS`, the unit; "compiled" changes nothing.

    Raises
    ------
    InputError
        For another order.
    """
    if order not in ORDERS:
        raise InputError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
    if order == "compiled":
        return program
    preferred = [unit for unit in UNITS if unit.name.lower() == order]
    # An acting word and what sets it up stay together.
    groups = [list(numbers) for _, numbers in groupby(range(len(program.words) - 1),
                                                      program.owners.__getitem__)]  # fmt: skip
    acting = [program.words[group[-1]] for group in groups]
    left = {unit: deque(n for n, word in enumerate(acting) if word.unit == unit) for unit in UNITS}
    signals: Counter[int] = Counter()
    dealt: list[int] = []
    while any(left.values()):
        # Of the other units that word which the compiler has first.
        first = {unit: numbers[0] for unit, numbers in left.items() if numbers}
        able = [
            unit for unit, number in first.items()
            if all(signals[bit] for bit in _bits(acting[number].wait))
        ]  # fmt: skip
        unit = min(able, key=lambda unit: (unit not in preferred, first[unit]))
        number = left[unit].popleft()
        signals.subtract(_bits(acting[number].wait))
        signals.update(_bits(acting[number].signal))
        dealt += groups[number]
    dealt.append(len(program.words) - 1)
    return StepProgram(
        program.lowered,
        [program.words[number] for number in dealt],
        [program.owners[number] for number in dealt],
    )


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(SEMAPHORES) if mask >> bit & 1]
