"""Liberty's Boolean expressions, against plain Python over all inputs."""

import itertools

import numpy as np
import pytest

from golden.errors import InputError
from rtl.cell_function import parse_function


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("(!(A B))", lambda a, b, c, d: not (a and b)),
        ("A'", lambda a, b, c, d: not a),
        ("!A'", lambda a, b, c, d: a),
        ("A B + C D", lambda a, b, c, d: (a and b) or (c and d)),
        ("A*B|C&D", lambda a, b, c, d: (a and b) or (c and d)),
        ("A B ^ C", lambda a, b, c, d: a and (b != c)),
        ("A ^ B + C", lambda a, b, c, d: (a != b) or c),
        ("(A+B)' C", lambda a, b, c, d: not (a or b) and c),
        ("!(A ^ B) ^ !C", lambda a, b, c, d: (a == b) != (not c)),
        ("!(S0 A0 + !S0 A1)", None),
        ("(A D)+(B D')", lambda a, b, c, d: a if d else b),
        ("1", lambda a, b, c, d: 1),
        ("A 0 + B", lambda a, b, c, d: b),
        ("(((A)))", lambda a, b, c, d: a),
    ],
)
def test_value_for_all_inputs(text: str, python: object) -> None:
    function = parse_function(text, "pin")
    if python is None:
        assert function.inputs == ("S0", "A0", "A1")
        python = lambda a, b, c, d: not (b if a else c)  # noqa: E731
        order = ("S0", "A0", "A1")
        for row in itertools.product((0, 1), repeat=3):
            assert function.evaluate(dict(zip(order, row, strict=True))) == python(*row, 0)
        return
    for row in itertools.product((0, 1), repeat=4):
        values = dict(zip("ABCD", row, strict=True))
        assert function.evaluate(values) == int(bool(python(*row))), values


def test_arrays_and_tables() -> None:
    function = parse_function("!(B A)", "pin")
    assert function.inputs == ("B", "A")
    assert function.table() == (1, 1, 1, 0)
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert function.evaluate({"A": a, "B": b}).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize(
    "text", ["", "  ", "A +", "(A", "A)", "A ? B", "!", "+A", "A ' B (", "__import__('os')", "2"]
)
def test_what_is_no_function_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^cell c, pin Y: required a Boolean function, got "):
        parse_function(text, "cell c, pin Y")


def test_depth_and_length_are_bounded() -> None:
    with pytest.raises(InputError, match=r"at most 50 brackets deep$"):
        parse_function("(" * 60 + "A" + ")" * 60, "p")
    with pytest.raises(InputError, match=r"at most 4096 characters$"):
        parse_function("A+" * 3000 + "A", "p")
