"""Progress bars for long work: rate and time left on a terminal, nothing elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")


class Bar:
    """One line of progress."""

    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def show(self, done: int, total: int | None = None, *, label: str | None = None) -> None:
        """Say how much is done, and, where it is known by now, of how much; or change the label."""
        self._progress.update(self._task, completed=done, description=label)
        if total is not None:
            self._progress.update(self._task, total=total)


class Bars:
    """The lines of progress of one command."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def add(self, label: str, total: int | None = None) -> Bar:
        """Start another line; without a total it shows count and rate only."""
        return Bar(self._progress, label, total)


@contextmanager
def bars(console: Console) -> Iterator[Bars]:
    """Show lines of progress while the work runs; quiet where the console is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    # What is printed meanwhile goes through the console, unless standard output is a file.
    with Progress(
        *columns,
        console=console,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        yield Bars(progress)
