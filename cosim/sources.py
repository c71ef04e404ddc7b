"""What the result of a co-simulation depends on, as one key."""

from importlib import resources
from pathlib import Path

from rtl.cache import content_key

__all__ = ["sources_key"]


def sources_key() -> str:
    """Return 32 hexadecimal digits for the sources of arithmetic, RTL, model and co-simulation."""
    texts = []
    for room in ("golden", "rtl", "hwmodel", "cosim"):
        root = Path(str(resources.files(room)))
        files = (*root.rglob("*.py"), *root.rglob("hdl/*"))
        texts += [path.read_text() for path in sorted(files) if path.is_file()]
    return content_key(texts)
