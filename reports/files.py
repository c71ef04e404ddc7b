"""Files that appear whole or not at all."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_files"]


def write_files(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Write `contents` (relative name to bytes) below `directory`, each file by renaming.

    Everything is first written under temporary names and renamed only when all of it is there, in
    the order given: the page that links to the rest comes last. When anything fails, Ctrl-C
    included, the temporary files and the folders made for them are removed and the error goes up.
    """
    staged: list[tuple[Path, Path]] = []
    made: list[Path] = []
    try:
        for name, content in contents.items():
            target = directory / name
            _make_folder(target.parent, made)
            part = target.with_name(f".{target.name}.{os.getpid()}.part")
            staged.append((part, target))
            with part.open("wb") as file:
                file.write(content)
        for part, target in staged:
            part.replace(target)
    except BaseException:
        for part, _ in staged:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        for folder in reversed(made):
            # A folder that already holds a finished file stays, with that file.
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make `folder` and its parents, and note in `made` the ones that were not there."""
    if not folder.is_dir():
        if folder.parent != folder:
            _make_folder(folder.parent, made)
        folder.mkdir(exist_ok=True)
        made.append(folder)
