"""Whatever stands in a TOML file: an InputError of one line, or a result. Never anything else."""

import copy
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.errors import InputError
from hwmodel import grid, hardware, technology
from hwmodel.toml_reader import TomlReader
from tests.hwmodel.test_hardware import EDGE

FOLDER = Path(technology.__file__).parent / "technologies"

SWEEP = """
network = ["mlp"]
scheme = ["eoq", "fp32-bn"]
batch = [1, 16]
rows = { first = 4, last = 32, step = 4 }
columns = [8, 16, 32]
buffer = { first = "64 KiB", last = "4 MiB", factor = 2 }
technology = ["horowitz-45nm"]

[conventions]
division = "per-element"
"""

FILES = {
    "technology": (
        (FOLDER / "horowitz-45nm.toml").read_text(), technology.load_technology,
        lambda content: technology._Reader("technology", "x").read(content),
    ),
    "hardware": (
        EDGE, hardware.load_hardware,
        lambda content: hardware._Reader("hardware", "x").read(content),
    ),
    "sweep": (
        SWEEP, grid.load_grid, lambda content: grid._Reader("x", Path()).read(content),
    ),
}  # fmt: skip

json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def message(read, argument):
    """What an InputError says; nothing where there was none."""
    try:
        read(argument)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_value_in_any_place(kind, data):
    """Replace one random value of a good file by anything."""
    text, _, read = FILES[kind]
    content = copy.deepcopy(tomllib.loads(text))
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.booleans()):
            place = inner
            continue
        place[key] = data.draw(json_like)
        break
    said = message(read, content)
    assert len(said.splitlines()) <= 1
    assert len(said) < 2000


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_damage_to_the_text(kind, tmp_path_factory, data):
    """Cut, repeat or overwrite random bytes of a good file."""
    text, load, _ = FILES[kind]
    content = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        first = data.draw(st.integers(0, max(0, len(content) - 1)))
        last = min(len(content), first + data.draw(st.integers(0, 40)))
        content[first:last] = data.draw(
            st.binary(max_size=12) | st.just(bytes(content[first:last]) * 2) | st.just(b"")
        )
    path = tmp_path_factory.mktemp("damaged") / "file.toml"
    path.write_bytes(content)
    said = message(load, path)
    assert len(said.splitlines()) <= 1
    assert len(said) < 2000


def test_a_key_that_would_break_the_line_is_escaped() -> None:
    said = str(TomlReader("file", "x").refuse("sources.\r", "must be one of text", None))
    assert said == "file 'x', sources.\\r: must be one of text, got 'None'"
