"""Tables: what they refuse, what they claim, and that their CSV file loses nothing."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports import Table, write_csv
from reports.tables import columns_csv, csv_text


def table(frame: pd.DataFrame, **fields: object) -> Table:
    return Table(**({"key": "t", "title": "T", "frame": frame} | fields))  # type: ignore[arg-type]


def test_csv_round_trip(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "layer": ["conv,1", 'with "quotes"', "größe"],
            "count": [1_814_073_344, 2**62 + 1, -1],
            "energy": [0.1 + 0.2, 1e-300, np.nan],
            "passed": [True, False, True],
        }
    )
    path = tmp_path / "t.csv"
    write_csv(table(frame, units={"count": "MACs", "energy": "J"}, exact=False), path)
    pd.testing.assert_frame_equal(pd.read_csv(path), frame, check_exact=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_csv_and_records_hold_the_same_values() -> None:
    frame = pd.DataFrame({"a": np.array([1, 2], np.int8), "b": np.array([0.1, np.nan], np.float32)})
    made = table(frame, units={"a": "", "b": ""})
    assert made.records() == [{"a": 1, "b": float(np.float32(0.1))}, {"a": 2, "b": None}]
    assert csv_text(made) == "a,b\n1,0.10000000149011612\n2,\n"


def test_csv_keeps_integers_that_no_machine_word_holds() -> None:
    made = table(pd.DataFrame({"n": [2**70, 1]}, dtype=object), units={"n": ""}, exact=True)
    assert made.numeric_columns == ["n"]
    assert csv_text(made) == f"n\n{2**70}\n1\n"


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-cmd", "@sum"])
def test_a_name_is_no_formula_for_a_spreadsheet(name: str) -> None:
    made = table(pd.DataFrame({"layer": [name], "n": [-1]}), units={"n": ""})
    assert list(csv.reader(io.StringIO(csv_text(made))))[1] == [f"'{name}", "-1"]


def test_columns_csv_lists_units_and_claims() -> None:
    frame = pd.DataFrame({"layer": ["a"], "macs": [1], "energy": [1.0], "seed": [3]})
    made = table(
        frame,
        units={"macs": "MACs", "energy": "J", "seed": ""},
        exact={"macs": True, "energy": False},
        labels={"macs": "multiply-accumulates"},
    )
    assert columns_csv([made]).splitlines() == [
        "table,column,label,unit,claim",
        "t,layer,layer,,",
        "t,macs,multiply-accumulates,MACs,exact",
        "t,energy,energy,J,estimated",
        "t,seed,seed,,recorded",
    ]
    assert made.claims() == [True, False, None]
    assert made.claim(["macs"]) is True
    assert made.claim(["macs", "seed"]) is None
    assert made.claim(["macs", "seed", "energy"]) is False


def test_table_does_not_change_with_the_frame_it_came_from() -> None:
    frame = pd.DataFrame({"n": [1]}, index=[7])
    made = table(frame, units={"n": ""})
    frame.loc[7, "n"] = 2
    assert made.records() == [{"n": 1}]


@pytest.mark.parametrize(
    ("frame", "fields", "message"),
    [
        (pd.DataFrame({"n": [1]}), {}, "table 't': numeric column 'n' needs a unit"),
        (pd.DataFrame({"n": [1]}), {"units": {"m": "B"}}, r"units names no column .*\['m'\]"),
        (pd.DataFrame({"a": ["x"]}), {"exact": {"b": True}}, r"exact names no column .*\['b'\]"),
        (pd.DataFrame({"a": ["x"]}), {"labels": {"b": "B"}}, r"labels names no column .*\['b'\]"),
        (pd.DataFrame({"a": ["x"]}), {"key": "../x"}, r"table key must be .*, not '\.\./x'"),
        (pd.DataFrame({"a": ["x"]}), {"first_rows": 0}, "first_rows must be at least 1, not 0"),
        (pd.DataFrame([["x", "y"]], columns=["a", "a"]), {}, "column names must be distinct"),
        (pd.DataFrame([["x"]]), {}, r"column names must be text, not \[0\]"),
        (pd.DataFrame({"a": ["x"]}, index=pd.Index([1], name="i")), {}, r"index \['i'\] would not"),
    ],
)
def test_table_refuses(frame: pd.DataFrame, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(frame, **fields)


def test_table_wants_a_frame() -> None:
    with pytest.raises(TypeError, match=r"frame must be a pandas DataFrame, not \[1\]"):
        table([1])  # type: ignore[arg-type]
