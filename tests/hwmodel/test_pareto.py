"""The Pareto front against its definition."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.pareto import front, fronts


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=60))
def test_the_front_is_what_nothing_beats(points):
    def beaten(p):
        return any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)

    found = front(np.array(points, dtype=np.float64))
    assert sorted(found) == [i for i, p in enumerate(points) if not beaten(p)]
    chosen = [points[i] for i in found]
    assert chosen == sorted(chosen)


def test_groups_are_not_compared_and_what_nobody_has_is_left_out():
    frame = pd.DataFrame(
        {
            "network": ["a", "a", "a", "a", "b"],
            "scheme": ["eoq", "eoq", "fp32-bn", "fp32-bn", "eoq"],
            "batch": 1,
            "technology": "t",
            "energy_nominal_j": [1.0, 2.0, 9.0, 8.0, 99.0],
            "cycles": [5.0, 5.0, None, None, 5.0],
            "area_nominal_um2": [1.0, 1.0, 1.0, 1.0, 1.0],
        }
    )
    assert fronts(frame).index.tolist() == [0, 3, 4]
    # A design without cycles is not compared with designs that have them.
    frame.loc[1, ["energy_nominal_j", "cycles"]] = [0.5, None]
    assert fronts(frame).index.tolist() == [0, 3, 4]
