"""Says what is going on: a line or a bar on a terminal, nothing in a pipe."""

import sys
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """One changing line on stderr while long work goes on.

    Parameters
    ----------
    stages:
        How many calls of `stage` there will be, for a bar; 0 shows only a spinner.
    """

    def __init__(self, stages: int = 0) -> None:
        self._bar: Any = None
        self._task: Any = None
        if not sys.stderr.isatty():
            return
        # Imported here: in a pipe nothing is shown and rich is not needed.
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = [SpinnerColumn(), *([BarColumn(bar_width=24)] if stages else [])]
        self._bar = Bar(
            *columns,
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=stages or None)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, message: str) -> None:
        """Show what happens next, instead of what was shown before."""
        if self._bar:
            self._bar.update(self._task, description=message)

    def stage(self, message: str) -> None:
        """Say that a stage begins; the bar moves by the one before."""
        if self._bar:
            started = self._bar.tasks[0].description != "starting"
            self._bar.update(self._task, advance=int(started), description=message)
