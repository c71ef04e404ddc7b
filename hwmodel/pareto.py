"""Designs that no other design beats: the Pareto front."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CRITERIA", "GROUP", "front", "fronts"]

CRITERIA = ("energy_nominal_j", "cycles", "area_nominal_um2")
"""What is to be small."""

GROUP = ("network", "scheme", "batch", "technology")
"""Designs are compared that do the same work, in the same way, priced by the same table."""


def front(points: NDArray[Any]) -> NDArray[np.intp]:
    """Indices of the points (n, criteria) that are on the front, in the order of the criteria.

    A point is on it if none is as good in every criterion and better in one. Points that are equal
    are on it together.
    """
    order = np.lexsort(points.T[::-1])
    points = points[order]
    place = 0
    # Sorted so, a point is never beaten by one behind it: each strikes out what it beats.
    while place < len(points):
        one = points[place]
        beaten = (points >= one).all(axis=1) & (points > one).any(axis=1)
        points, order = points[~beaten], order[~beaten]
        place += 1
    return order


def fronts(frame: "pd.DataFrame", criteria: Sequence[str] = CRITERIA) -> "pd.DataFrame":
    """Rows of a table of designs that are on the front of their `GROUP`.

    A criterion that no design of a group has (cycles of a scheme without a core, areas that a
    technology lacks) is left out there; a design that lacks one that others have is not compared.
    """
    import pandas as pd

    kept = []
    for _, group in frame.groupby(list(GROUP), sort=False, observed=True):
        used = [name for name in criteria if group[name].notna().any()]
        whole = group.dropna(subset=used)
        kept.append(whole.iloc[front(whole[used].to_numpy(dtype=np.float64))])
    return pd.concat(kept) if kept else frame.iloc[:0]
