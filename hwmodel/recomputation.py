"""Where a network can be cut so that one tensor is all that goes on, and ways to cut it."""

from collections.abc import Iterator
from itertools import pairwise

from hwmodel.step import Step
from hwmodel.storage import Storage, needs

__all__ = ["cut_points", "cuts"]

_PIECES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of segments that are tried."""


def cut_points(step: Step) -> list[int]:
    """Positions of the layers whose output is in memory and alone is read by all that follows."""
    storage = Storage(step)
    place = {layer.name: index for index, layer in enumerate(step.network)}
    place["input"] = -1
    last_read = dict(place)
    for layer in step.network:
        for source in layer.inputs:
            last_read[source] = max(last_read[source], place[layer.name])
    found = []
    reach = last_read["input"]
    names = [layer.name for layer in step.network]
    for index, name in enumerate(names[:-1]):
        # `reach`: the last reader of anything made before this layer.
        alone = reach <= index < last_read[name]
        if alone and storage.stored(name) == name and name in step.used:
            found.append(index)
        reach = max(reach, last_read[name])
    return found


def cuts(step: Step) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Cuts into several numbers of segments, each with about as many bytes to save."""
    points = cut_points(step)
    storage = Storage(step)
    names = [layer.name for layer in step.network]
    wanted = {
        name for layer in step.network if layer.name in step.learned
        for name in needs(storage, layer)
    }  # fmt: skip
    sizes = [storage.bytes(name) if name in wanted else 0 for name in names]
    total = sum(sizes)
    seen = set()
    for pieces in _PIECES:
        if pieces > len(points) + 1:
            return
        chosen: list[int] = []
        filled, goal = 0, total / pieces
        candidates = set(points)
        for index, size in enumerate(sizes):
            filled += size
            full = filled >= goal * (len(chosen) + 1)
            if index in candidates and full and len(chosen) < pieces - 1:
                chosen.append(index)
        if chosen and tuple(chosen) not in seen:
            seen.add(tuple(chosen))
            edges = [0, *(index + 1 for index in chosen), len(names)]
            yield tuple(tuple(names[first:last]) for first, last in pairwise(edges))
