"""The Liberty reader: what it understands, and that no broken file gets past it."""

import gzip
from pathlib import Path

import pytest

from golden.errors import InputError
from rtl import liberty
from rtl.liberty import parse, read_text

MINI = Path(__file__).with_name("mini.lib")


def test_groups_lists_and_attributes() -> None:
    library = parse(
        'library (a) { k : "x y"; l ("1, 2", \\\n "3"); // rest\n /* no { */ e : VDD + 0.1 ;\n'
        " n : 3\n m (1, pf)\n cell (c)\n {\n pin (p, q) { d : in } } }",
        "f",
    )
    assert library.args == ("a",)
    assert library.attributes == {"k": "x y", "e": "VDD + 0.1", "n": "3"}
    assert library.lists == {"l": ("1, 2", "3"), "m": ("1", "pf")}
    (cell,) = library.named("cell")
    assert cell.args == ("c",)
    assert cell.groups[0].args == ("p", "q")
    assert cell.groups[0].attributes == {"d": "in"}


def test_current_source_models_are_passed_over() -> None:
    text = "library (a) { x () { output_current_rise () { v (t) { i (1); } } y : 1; } z : 2; }"
    library = parse(text, "f")
    assert library.groups[0].groups == []
    assert library.groups[0].attributes == {"y": "1"}
    assert library.attributes == {"z": "2"}


def test_a_file_cut_anywhere_is_one_line() -> None:
    text = MINI.read_text().rstrip()
    start = text.index("library") + len("library")
    for end in range(start, len(text), 37):
        with pytest.raises(InputError, match=r"^mini") as refused:
            parse(text[:end], "mini")
        assert "\n" not in str(refused.value)
    parse(text, "mini")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: required one library group, got 0"),
        ("library (a) { } library (b) { }", "f: required one library group, got 2"),
        ("library (a) { } }", "f, line 1: got a '}' that closes nothing"),
        ("\n\nmodule top;", "f, line 3: required ':' or '(' behind 'module', got 'top'"),
        ("library (a) {\n x (b) {", "f: the file is cut short: it ends on line 2 within x (b)"),
        ('library (a) { k : "x', "f, line 1: the file is cut short within a string"),
        ("x (a) {" * 40, "f, line 1: required at most 32 groups deep"),
        ("library (a { }", "f, line 1: the file is cut short behind 'library'"),
    ],
)  # fmt: skip
def test_what_is_no_liberty_is_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(text, "f")
    assert str(refused.value) == message


def test_gzip_is_read_and_a_broken_one_is_one_line(tmp_path: Path) -> None:
    packed = gzip.compress(MINI.read_bytes())
    path = tmp_path / "a.lib.gz"
    path.write_bytes(packed)
    assert read_text(path) == MINI.read_text()
    path.write_bytes(packed[:-40])
    with pytest.raises(InputError, match=r"a\.lib\.gz: required a whole gzip file, got one that"):
        read_text(path)
    path.write_bytes(b"library (a) { }")
    with pytest.raises(InputError, match=r"required a gzip file, got one that breaks: "):
        read_text(path)


def test_a_file_that_unpacks_beyond_all_bounds_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liberty, "SIZE_MAX", 1 << 20)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b" " * (8 << 20)))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"required at most 1 MiB of Liberty, got more$"):
        read_text(path)
    (tmp_path / "large.lib").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(InputError, match=r"required at most 1 MiB of Liberty, got more$"):
        read_text(tmp_path / "large.lib")
