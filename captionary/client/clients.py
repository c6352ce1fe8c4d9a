"""The two faces of the client: one that blocks, one for asyncio."""

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from captionary.client.endpoints import Calls
from captionary.client.errors import Unreachable
from captionary.client.sans_io import Flow, Pause, Request
from captionary.schemas.errors import WrongInput

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT = 60.0


def _blocks(
    call: Callable[Concatenate[Calls, P], Flow[T]],
) -> Callable[Concatenate["Captionary", P], T]:
    """A call as a method that returns its result."""

    @functools.wraps(call)
    def method(self: "Captionary", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(call(self._calls, *args, **kwargs))

    return method


def _awaits(
    call: Callable[Concatenate[Calls, P], Flow[T]],
) -> Callable[Concatenate["AsyncCaptionary", P], Coroutine[Any, Any, T]]:
    """A call as a method to await."""

    @functools.wraps(call)
    async def method(self: "AsyncCaptionary", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(call(self._calls, *args, **kwargs))

    return method


class Captionary:
    """Asks the services, and blocks until they have answered.

    Its methods are those of `client.endpoints.Calls`, and return what the flows there do.

    Args:
        url:       address of the segmenter, or of both services.
        indexer:   address of the indexer, where it is another.
        key:       API key, where the services want one.
        timeout:   seconds to wait for an answer; and for a busy service to accept a request.
        transport: how httpx is to reach them; None: over the network.

    Raises:
        WrongInput: an address or the key cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        indexer: str | None = None,
        key: str | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._calls = _calls(url, indexer, timeout)
        self._http = httpx.Client(headers=_headers(key), timeout=timeout, transport=transport)

    segment = _blocks(Calls.segment)
    class_map = _blocks(Calls.class_map)
    overlay = _blocks(Calls.overlay)
    retrieve = _blocks(Calls.retrieve)
    vocabulary = _blocks(Calls.vocabulary)
    noun = _blocks(Calls.noun)
    about = _blocks(Calls.about)
    add = _blocks(Calls.add)
    add_many = _blocks(Calls.add_many)
    job = _blocks(Calls.job)
    wait = _blocks(Calls.wait)
    remove_image = _blocks(Calls.remove_image)
    remove_source = _blocks(Calls.remove_source)

    def close(self) -> None:
        """Give its connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        answer = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = self._do(step)

    def _do(self, step: Request | Pause) -> httpx.Response | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        with _told(step):
            return self._http.request(**step.words())


class AsyncCaptionary:
    """As `Captionary`, for asyncio: its methods are to be awaited.

    Pictures are read, and the pairs of `add_many` are taken, in threads.
    """

    def __init__(
        self,
        url: str,
        *,
        indexer: str | None = None,
        key: str | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._calls = _calls(url, indexer, timeout)
        self._http = httpx.AsyncClient(headers=_headers(key), timeout=timeout, transport=transport)

    segment = _awaits(Calls.segment)
    class_map = _awaits(Calls.class_map)
    overlay = _awaits(Calls.overlay)
    retrieve = _awaits(Calls.retrieve)
    vocabulary = _awaits(Calls.vocabulary)
    noun = _awaits(Calls.noun)
    about = _awaits(Calls.about)
    add = _awaits(Calls.add)
    add_many = _awaits(Calls.add_many)
    job = _awaits(Calls.job)
    wait = _awaits(Calls.wait)
    remove_image = _awaits(Calls.remove_image)
    remove_source = _awaits(Calls.remove_source)

    async def close(self) -> None:
        """Give its connections back."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        answer = None
        while True:
            # In a thread: a flow reads files on its way.
            step, result = await asyncio.to_thread(_next, flow, answer)
            if step is None:
                return cast(T, result)
            answer = await self._do(step)

    async def _do(self, step: Request | Pause) -> httpx.Response | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        with _told(step):
            return await self._http.request(**step.words())


def _next(flow: Flow[T], answer: httpx.Response | None) -> tuple[Request | Pause | None, T | None]:
    """The next step of a flow, or none and its result: no future can carry StopIteration."""
    try:
        return flow.send(answer), None
    except StopIteration as end:
        return None, end.value


def _calls(url: str, indexer: str | None, timeout: float) -> Calls:
    segmenter = _address(url)
    return Calls(segmenter, segmenter if indexer is None else _address(indexer), timeout)


def _address(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise WrongInput(f"{url!r} is no address of a service: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise WrongInput(f"{url!r} is no address of a service; give one as in http://HOST:8000")
    return url.rstrip("/")


def _headers(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    if not key.isascii() or not key.isprintable():
        raise WrongInput("the API key has characters that no key has; is it the right one?")
    return {"X-API-Key": key}


@contextmanager
def _told(step: Request) -> Iterator[None]:
    """What goes wrong on the way, in a line."""
    try:
        yield
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(f"no answer from {step.url}: {reason}") from error
