"""Keeps what can be made again in the user's cache folder, under the hash of all that went in."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = ["cache_folder", "content_key", "made"]


def cache_folder() -> Path:
    """Return the folder for what can be made again: $EOQ_CACHE, or the user's cache folder."""
    chosen = os.environ.get("EOQ_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "eoqkit"


def content_key(parts: Iterable[str]) -> str:
    """Return 32 hexadecimal digits for the parts in their order."""
    key = hashlib.sha256()
    for part in parts:
        # Hashed one by one: "a", "bc" must not be "ab", "c".
        key.update(hashlib.sha256(part.encode()).digest())
    return key.hexdigest()[:32]


def made(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return `folder`, filled by `make` if it was not there.

    It is filled under another name and then renamed: what was cut short is never taken for whole.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        make(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            # Somebody else made the same meanwhile; theirs is as good.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder
