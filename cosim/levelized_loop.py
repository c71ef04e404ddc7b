"""The compiled loop of `cosim.levelized`, which says what the arrays are. It needs numba."""

import numpy as np
from numba import njit

__all__ = ["cycles"]


@njit(nogil=True, cache=True)
def cycles(
    values, start, fan_in, tables, outputs, state_start, state_fan_in, state_tables, states,
    given, inputs, wanted, watched, settle, rises, falls,
):  # fmt: skip
    """Run all cycles; return how many differ after `settle`, and the first that does (or -1)."""
    before = values.copy()
    following = np.empty(states.shape[0], np.uint8)
    wrong = 0
    first = -1
    for n in range(given.shape[0]):
        for k in range(inputs.shape[0]):
            values[inputs[k]] = given[n, k]
        for g in range(outputs.shape[0]):
            row = np.uint64(0)
            for k in range(start[g], start[g + 1]):
                row = (row << np.uint64(1)) | np.uint64(values[fan_in[k]])
            values[outputs[g]] = np.uint8((tables[g] >> row) & np.uint64(1))
        if n >= settle:
            differs = False
            for k in range(watched.shape[0]):
                differs |= values[watched[k]] != wanted[n, k]
            if differs:
                wrong += 1
                if first < 0:
                    first = n
                    # What was seen, for the message.
                    for k in range(watched.shape[0]):
                        wanted[n, k] = values[watched[k]]
            if n:
                for k in range(values.shape[0]):
                    if values[k] != before[k]:
                        if values[k]:
                            rises[k] += 1
                        else:
                            falls[k] += 1
        before[:] = values
        for g in range(states.shape[0]):
            row = np.uint64(0)
            for k in range(state_start[g], state_start[g + 1]):
                row = (row << np.uint64(1)) | np.uint64(values[state_fan_in[k]])
            following[g] = np.uint8((state_tables[g] >> row) & np.uint64(1))
        for g in range(states.shape[0]):
            values[states[g]] = following[g]
    return wrong, first
