"""pandas without pyarrow, for commands that read and write no Parquet."""

import importlib
import sys

__all__ = ["import_lean_pandas"]


def import_lean_pandas() -> None:
    """Import pandas; where nobody has imported pyarrow yet, without it.

    pandas loads pyarrow wherever it is installed, which takes 34 MB. Later imports of pyarrow work
    as ever; pandas' own use of it does not, in this process.
    """
    if "pandas" in sys.modules or "pyarrow" in sys.modules:
        return
    # None makes an import fail as if the package were not installed.
    sys.modules["pyarrow"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("pandas")
    finally:
        del sys.modules["pyarrow"]
