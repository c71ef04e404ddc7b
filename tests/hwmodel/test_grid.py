"""Grids from TOML: what is read, and one line for what is not."""

import pickle
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.errors import InputError
from hwmodel.grid import load_grid


def write(folder, text):
    path = folder / "sweep.toml"
    path.write_text(text)
    return path


def test_a_grid_by_hand(tmp_path):
    grid = load_grid(
        write(
            tmp_path,
            """
            network = ["mlp", "lenet5"]
            scheme = "eoq"
            batch = [1, 16]
            rows = { first = 4, last = 14, step = 4 }
            columns = 8
            buffer = { first = "1 KiB", last = "8 KiB", factor = 2 }
            technology = ["horowitz-45nm", "jouppi-7nm"]
            [conventions]
            padding = false
            """,
        )
    )
    assert [network.name for network in grid.networks] == ["mlp", "lenet5"]
    assert (grid.batches, grid.rows, grid.columns) == ((1, 16), (4, 8, 12), (8,))
    assert grid.buffers == (1024, 2048, 4096, 8192)
    assert not grid.conventions.padding
    assert grid.shape == (2, 1, 2, 2, 3, 1, 4)
    assert len(grid) == 96
    # It travels to workers, which must find the same grid.
    assert pickle.loads(pickle.dumps(grid)).digest == grid.digest  # noqa: S301 - our own


def test_what_is_left_out_is_that_of_eoq_cost(tmp_path):
    grid = load_grid(write(tmp_path, 'network = "mlp"'))
    assert (grid.schemes, grid.batches, grid.buffers) == (("eoq",), (1,), (512 << 10,))
    assert (grid.rows, grid.columns) == ((16,), (16,))


def test_files_are_found_beside_the_grid(tmp_path):
    with pytest.raises(InputError) as caught:
        load_grid(write(tmp_path, 'network = "missing.onnx"'))
    assert str(tmp_path / "missing.onnx") in str(caught.value)


def test_the_digest_knows_every_value(tmp_path):
    texts = ['network = "mlp"', 'network = "lenet5"']
    texts += [f"{texts[0]}\n{line}" for line in ("batch = 2", "rows = 8", 'buffer = "1 MiB"')]
    texts += [f"{texts[0]}\n[conventions]\npadding = false", f'{texts[0]}\nscheme = "fp32-bn"']
    texts += [f'{texts[0]}\ntechnology = "jouppi-7nm"', f"{texts[0]}\ncolumns = [16, 17]"]
    assert len({load_grid(write(tmp_path, text)).digest for text in texts}) == len(texts)


BAD = [
    ("", "file: requires the key network"),
    ("network = ", "must be readable TOML"),
    ('network = "mlp"\nrow = 3', "file: keys must be of network, .* got 'row'"),
    ("network = 3", "network: must be a name"),
    ("network = []", "network: requires at least one value"),
    ('network = ["mlp", "mlp"]', "network: values must differ, got 'mlp'"),
    ('network = "resnet19"', "network: network must be one of"),
    ('network = "mlp"\nscheme = "best"', "scheme: scheme must be one of"),
    ('network = "mlp"\ntechnology = "2nm"', "technology: technology must be one of"),
    ('network = "mlp"\nbatch = 0', "batch: must be a whole number from 1 to 1048576, got '0'"),
    ('network = "mlp"\nbatch = -3', "batch: must be a whole number"),
    ('network = "mlp"\nbatch = true', "batch: must be a whole number"),
    ('network = "mlp"\nbatch = 1.5', "batch: must be a whole number"),
    ('network = "mlp"\nrows = [nan]', "rows: must be a whole number from 1 to 4096, got 'nan'"),
    ('network = "mlp"\nrows = [inf]', "rows: must be a whole number"),
    ('network = "mlp"\nrows = 4097', "rows: must be a whole number from 1 to 4096, got '4097'"),
    ('network = "mlp"\nrows = "8"', "rows: must be a whole number"),
    ('network = "mlp"\nrows = [8, 8]', "rows: values must differ"),
    ('network = "mlp"\nbuffer = 12', "buffer: must be a whole number from 1024"),
    ('network = "mlp"\nbuffer = "12 kB"', "buffer: must be bytes, or text like '512 KiB'"),
    ('network = "mlp"\nrows = { first = 1 }', "rows: requires the keys first, last and one of"),
    (
        'network = "mlp"\nrows = { first = 1, last = 4, step = 1, factor = 2 }',
        "rows: requires the keys",
    ),
    ('network = "mlp"\nrows = { first = 1, last = 4, by = 1 }', "rows: keys must be of first"),
    ('network = "mlp"\nrows = { first = 9, last = 4, step = 1 }', "rows: requires first <= last"),
    ('network = "mlp"\nrows = { first = 1, last = 4, step = 0 }', "rows.step: must be a whole"),
    ('network = "mlp"\nrows = { first = 1, last = 4, factor = 1 }', "rows.factor: must be a whole"),
    ('network = "mlp"\nconventions = 3', "conventions: requires a table"),
    ('network = "mlp"\n[conventions]\nwidth = 3', "conventions: keys must be of padding"),
    ('network = "mlp"\n[conventions]\npadding = 3', "conventions.padding: must be a bool"),
    ('network = "mlp"\n[conventions]\ndivision = "x"', "conventions: convention division must"),
    (
        'network = "mlp"\nrows = { first = 1, last = 4096, step = 1 }\n'
        "columns = { first = 1, last = 4096, step = 1 }\n"
        "batch = { first = 1, last = 1000, step = 1 }",
        "file: requires at most 1000000000 designs",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_grids_are_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        load_grid(write(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=80))
def test_whatever_is_in_the_file_it_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "sweep.toml"
    path.write_bytes(b'network = "mlp"\n' + content)
    with suppress(InputError):
        load_grid(path)
