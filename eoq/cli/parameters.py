"""Parameter types that several verbs share."""

import os
import re
from pathlib import Path

import click

from golden.errors import InputError
from rtl.config import SIZE_MAX

__all__ = ["ARRAY", "DATA", "NETWORK", "NEW_FILE", "NEW_FOLDER", "Array"]


class Array(click.ParamType):
    """`RxC`, as in 16x16: rows and columns of a MAC array, a tuple of two integers.

    Raises InputError, one line, for anything else.

    Parameters
    ----------
    limit:
        Most rows and most columns.
    """

    name = "RxC"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what the help prints; click would write it in capitals."""
        return self.name

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse `value`; a tuple that was parsed before stays as it is."""
        if isinstance(value, tuple):
            return value
        where = f"{param.opts[0]} " if param else "array "
        match = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", str(value))
        size = tuple(int(part) for part in match.groups()) if match else ()
        if not size or not all(1 <= part <= self._limit for part in size):
            raise InputError(
                f"{where}must be RxC, rows and columns from 1 to {self._limit} each (like 16x16), "
                f"not {value!r}"
            )
        return size[0], size[1]


class _New(click.Path):
    """A file or folder that can be written, or made with the folders above it.

    Raises InputError, one line, where it cannot be: before the work that would be lost.
    """

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path; nothing is made yet."""
        path = Path(str(value))
        there = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
        folder = self.file_okay is False or there != path
        if folder and not there.is_dir():
            reason = f"{there.name!r} is not a folder"
        elif not folder and there.is_dir():
            reason = "it is a folder"
        elif not os.access(there, os.W_OK):
            reason = f"no permission to write {there.name!r}"
        else:
            return path
        where = param.opts[0] if param else "it"
        kind = "folder" if self.file_okay is False else "file"
        raise InputError(
            f"{where} must be a {kind} that can be written, not {str(path)!r}: {reason}"
        )


NEW_FOLDER = _New(file_okay=False, path_type=Path)
"""A folder for results."""

NEW_FILE = _New(dir_okay=False, path_type=Path)
"""A file for a result."""

ARRAY = Array(SIZE_MAX)
"""An array that the core can have."""

NETWORK = click.option(
    "--network", default="resnet8", show_default=True, help="Built-in name or .onnx file."
)
"""A network that is trained."""

DATA = click.option(
    "--data",
    default="digits",
    show_default=True,
    help="digits, fashion-mnist, fashion-mnist:DIR, or an .npz file with x and y.",
)
"""What it is trained on."""
