"""Being told to stop: between two steps, not within one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether the process was asked to stop."""

    asked = False


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Note SIGINT and SIGTERM, each once; a second one is obeyed at once, as before."""
    stop = Stop()
    before = {int(number): signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}

    def note(number: int, _frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
