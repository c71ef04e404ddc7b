"""Says what is going on: a spinner on a terminal, nothing in a pipe."""

import sys
from types import TracebackType

__all__ = ["Progress"]


class Progress:
    """One changing line on stderr while long work goes on."""

    def __init__(self) -> None:
        self._console = None
        self._status = None
        if sys.stderr.isatty():
            # Imported here: in a pipe nothing is shown and rich is not needed.
            from rich.console import Console

            self._console = Console(stderr=True)
            self._status = self._console.status("starting")

    def __enter__(self) -> "Progress":
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()

    def say(self, message: str) -> None:
        """Show what happens next, instead of what was shown before."""
        if self._status:
            self._status.update(message)
