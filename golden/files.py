"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["whole_file", "write_whole"]


@contextmanager
def whole_file(path: Path, *, alone: bool = False) -> Iterator[BinaryIO]:
    """Open a file that gets its name when all of it is on the disk, and has another until then.

    On an error, Ctrl-C included, nothing of it stays, and a file that had the name stays as it was.

    Parameters
    ----------
    path:
        Name in a folder that is there.
    alone:
        Nobody else writes this file at the same time. The other name is then fixed, `.NAME.tmp`,
        and what a kill leaves behind is overwritten the next time.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    other = path.with_name(f".{path.name}.tmp" if alone else f".{path.name}.{os.getpid()}.tmp")
    try:
        with other.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        other.replace(path)
    finally:
        other.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str, *, alone: bool = False) -> None:
    """Write bytes, or text as UTF-8 with its line ends as they are, as `whole_file` does."""
    with whole_file(path, alone=alone) as file:
        file.write(content.encode() if isinstance(content, str) else content)
