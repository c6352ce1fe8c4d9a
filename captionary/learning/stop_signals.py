"""Stopping a run gracefully on SIGINT or SIGTERM: between two steps, not within one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopFlag:
    """Whether the process was asked to stop."""

    requested = False


@contextmanager
def stop_requests() -> Iterator[StopFlag]:
    """Note SIGINT and SIGTERM, each once; a second one is obeyed at once, as before."""
    flag = StopFlag()
    # A handler that C code has set is None here, and cannot be set again from Python.
    before = {int(number): signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}

    # Only a flag is set: a handler may run between any two lines, also while a file is written.
    def note(number: int, _frame: FrameType | None) -> None:
        flag.requested = True
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, note)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
