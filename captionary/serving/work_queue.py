"""Admission control: a bounded queue in front of a thread pool, for work that takes long."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from captionary.serving.problems import service_unavailable

P = ParamSpec("P")
T = TypeVar("T")

SMOOTHING = 0.1
"""Weight of the last call in the moving average of their times."""


class WorkQueue:
    """Runs calls in a fixed number of threads, with a fixed number of calls waiting at most.

    When the queue is full a call is refused at once (load shedding), with the seconds after which
    to try again: the service answers at its own pace, and never piles work up.
    """

    def __init__(self, *, workers: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="work")
        self._workers = workers
        self._capacity = workers + waiting
        self._pending = 0
        self._average_seconds = 1.0

    @property
    def pending(self) -> int:
        """Calls at work or waiting."""
        return self._pending

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in one of the threads.

        Raises:
            Problem: the queue is full (503, with Retry-After).
        """
        with self.reserve():
            return await self.run_reserved(call, *args, **kwargs)

    @contextmanager
    def reserve(self) -> Iterator[None]:
        """Hold a place in the queue until this is left: from before a body is read, say.

        Raises:
            Problem: the queue is full (503, with Retry-After).
        """
        # The counter needs no lock: it is only touched by the thread of the event loop.
        if self._pending >= self._capacity:
            seconds = math.ceil(self._average_seconds * self._pending / self._workers)
            raise service_unavailable(
                f"{self._pending} requests are under way, as many as may be; come again in "
                f"{seconds} s",
                retry_after=seconds,
            )
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1

    async def run_reserved(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in one of the threads, for a caller that holds a place (`reserve`)."""
        # An executor of its own: the default one is shared with file and name look-ups.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._timed, partial(call, *args, **kwargs))

    def _timed(self, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return call()
        finally:
            seconds = time.perf_counter() - start
            self._average_seconds += SMOOTHING * (seconds - self._average_seconds)

    def close(self) -> None:
        """Wait for the calls at work; those that wait are cancelled."""
        self._pool.shutdown(cancel_futures=True)
