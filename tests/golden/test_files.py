"""A file is whole or not there, whatever stops its writer."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from golden.files import whole_file, write_whole

KILLED = """
import os, signal, sys
from pathlib import Path
from golden.files import whole_file
with whole_file(Path(sys.argv[1]), alone=True) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_bytes_and_text_over_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    write_whole(path, "ö\r\n", alone=True)
    assert path.read_bytes() == b"\xc3\xb6\r\n"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_it_has_the_rights_of_any_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException], alone: bool
) -> None:
    path = tmp_path / "a"
    write_whole(path, "old")

    def stopped() -> None:
        with whole_file(path, alone=alone) as file:
            file.write(b"new")
            assert len(list(tmp_path.iterdir())) == 2
            raise error

    with pytest.raises(error):
        stopped()
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "a", []

    def sync(number: int) -> None:
        synced.append((os.fstat(number).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    write_whole(path, "text")
    assert synced == [(4, False)]
    assert path.exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "folder" / "a", "")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write_whole(tmp_path / "file" / "a", "")


def test_what_a_kill_leaves_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, "old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert {found.name for found in tmp_path.iterdir()} == {"a", ".a.tmp"}
    write_whole(path, "new", alone=True)
    assert path.read_text() == "new"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_writers_of_one_file_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    with whole_file(path) as first:
        first.write(b"first")
        monkeypatch.setattr(os, "getpid", lambda: 0)
        write_whole(path, "second")
        assert path.read_text() == "second"
        monkeypatch.undo()
    assert path.read_text() == "first"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]
