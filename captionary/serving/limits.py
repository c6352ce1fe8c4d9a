"""How much one request may bring, and how many may wait."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import ParamSpec, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from captionary.serving.problems import Problem, busy

P = ParamSpec("P")
T = TypeVar("T")

SMOOTHING = 0.1
"""How fast the expected time of a call follows the last ones."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may bring.

    body:    bytes.
    pixels:  of a picture.
    classes: names asked for, with their synonyms.
    pairs:   captioned pictures.
    """

    body: int = 32 << 20
    pixels: int = 50_000_000
    classes: int = 500
    pairs: int = 1000


class BodyLimit:
    """Middleware that ends a request whose body is too large, told or counted."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        told = headers.get(b"content-length", b"0")
        too_large = told.isdigit() and int(told) > self._most
        received = 0

        async def counted() -> Message:
            nonlocal received
            if too_large:
                raise self._problem()
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most:
                raise self._problem()
            return message

        await self._app(scope, counted, send)

    def _problem(self) -> Problem:
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the request is larger than {self._most:,} bytes; send less at a time",
            # What was not read of the body would be taken for the next request.
            headers={"Connection": "close"},
        )


class Gate:
    """Lets so many calls work at a time, each in a thread, and so many more wait in line.

    Whoever comes when the line is full is turned away at once, with the time to come again: so
    the service answers at its own pace, and never piles work up.
    """

    def __init__(self, *, working: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(working, thread_name_prefix="work")
        self._working = working
        self._most = working + waiting
        self._inside = 0
        self._expected = 1.0

    @property
    def inside(self) -> int:
        """Calls at work or in line."""
        return self._inside

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a call done by one of the threads.

        Raises:
            Problem: the line is full (503, with Retry-After).
        """
        with self.place():
            return await self.work(call, *args, **kwargs)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Stand in line, or at work, until this is left: before a body is read, say.

        Raises:
            Problem: the line is full (503, with Retry-After).
        """
        if self._inside >= self._most:
            seconds = math.ceil(self._expected * self._inside / self._working)
            raise busy(
                f"{self._inside} requests are under way, as many as may be; come again in "
                f"{seconds} s",
                seconds=seconds,
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def work(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a call done by one of the threads, for who holds a `place`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._timed, partial(call, *args, **kwargs))

    def _timed(self, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        try:
            return call()
        finally:
            seconds = time.perf_counter() - start
            self._expected += SMOOTHING * (seconds - self._expected)

    def close(self) -> None:
        """Wait for what is at work; what is in line is dropped."""
        self._pool.shutdown(cancel_futures=True)
