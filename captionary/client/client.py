"""The two clients: `Client`, which blocks, and `AsyncClient` for asyncio.

Both get their methods from `Endpoints`, whose exchanges they carry out step by step.
"""

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FunctionType, TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast, get_args

import httpx

from captionary.client.endpoints import Endpoints
from captionary.client.errors import Unreachable
from captionary.client.exchange import Exchange, Pause, Request
from captionary.schemas.errors import WrongInput

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT = 60.0


def _blocking(
    endpoint: Callable[Concatenate[Endpoints, P], Exchange[T]],
) -> Callable[Concatenate["Client", P], T]:
    """Make a method of `Client` from an endpoint."""

    @functools.wraps(endpoint)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(endpoint(self._endpoints, *args, **kwargs))

    _describe(method, "Client")
    return method


def _awaitable(
    endpoint: Callable[Concatenate[Endpoints, P], Exchange[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    """Make a method of `AsyncClient` from an endpoint."""

    @functools.wraps(endpoint)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(endpoint(self._endpoints, *args, **kwargs))

    _describe(method, "AsyncClient")
    return method


def _describe(method: Callable[..., object], owner: str) -> None:
    """Give a wrapped endpoint the signature that it has as a method: it returns the result.

    Without this `help` would show the endpoint's own return type, a generator.
    """
    function = cast(FunctionType, method)
    signature = inspect.signature(function)
    result = get_args(signature.return_annotation)[-1]
    vars(function)["__signature__"] = signature.replace(return_annotation=result)
    function.__qualname__ = f"{owner}.{function.__name__}"
    function.__module__ = __name__


class Client:
    """Calls the services over HTTP; each method blocks until the response has come.

    Args:
        url:       address of the segmenter, or of both services.
        indexer:   address of the indexer, where it is another.
        key:       API key, where the services want one.
        timeout:   seconds to wait for a response; and for retries while a service is busy.
        transport: how httpx is to reach them; None: over the network.

    Raises:
        WrongInput: an address or the key is malformed.

    Every method raises the errors of `captionary.client.errors`.
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
        self._endpoints = _endpoints(url, indexer, timeout)
        self._http = httpx.Client(headers=_headers(key), timeout=timeout, transport=transport)

    segment = _blocking(Endpoints.segment)
    class_map = _blocking(Endpoints.class_map)
    overlay = _blocking(Endpoints.overlay)
    retrieve = _blocking(Endpoints.retrieve)
    vocabulary = _blocking(Endpoints.vocabulary)
    noun = _blocking(Endpoints.noun)
    about = _blocking(Endpoints.about)
    add = _blocking(Endpoints.add)
    add_many = _blocking(Endpoints.add_many)
    job = _blocking(Endpoints.job)
    wait = _blocking(Endpoints.wait)
    remove_image = _blocking(Endpoints.remove_image)
    remove_source = _blocking(Endpoints.remove_source)
    correct = _blocking(Endpoints.correct)
    point = _blocking(Endpoints.point)
    corrections = _blocking(Endpoints.corrections)
    undo = _blocking(Endpoints.undo)

    def close(self) -> None:
        """Close its connections."""
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

    def _run(self, exchange: Exchange[T]) -> T:
        response = None
        while True:
            try:
                step = exchange.send(response)
            except StopIteration as end:
                result: T = end.value
                return result
            response = self._do(step)

    def _do(self, step: Request | Pause) -> httpx.Response | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        with _transport_errors(step):
            return self._http.request(**step.arguments())


class AsyncClient:
    """As `Client`, for asyncio: its methods are coroutines.

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
        self._endpoints = _endpoints(url, indexer, timeout)
        self._http = httpx.AsyncClient(headers=_headers(key), timeout=timeout, transport=transport)

    segment = _awaitable(Endpoints.segment)
    class_map = _awaitable(Endpoints.class_map)
    overlay = _awaitable(Endpoints.overlay)
    retrieve = _awaitable(Endpoints.retrieve)
    vocabulary = _awaitable(Endpoints.vocabulary)
    noun = _awaitable(Endpoints.noun)
    about = _awaitable(Endpoints.about)
    add = _awaitable(Endpoints.add)
    add_many = _awaitable(Endpoints.add_many)
    job = _awaitable(Endpoints.job)
    wait = _awaitable(Endpoints.wait)
    remove_image = _awaitable(Endpoints.remove_image)
    remove_source = _awaitable(Endpoints.remove_source)
    correct = _awaitable(Endpoints.correct)
    point = _awaitable(Endpoints.point)
    corrections = _awaitable(Endpoints.corrections)
    undo = _awaitable(Endpoints.undo)

    async def close(self) -> None:
        """Close its connections."""
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

    async def _run(self, exchange: Exchange[T]) -> T:
        response = None
        while True:
            # In a thread, because an exchange reads picture files between its steps.
            step, result = await asyncio.to_thread(_next_step, exchange, response)
            if step is None:
                return cast(T, result)
            response = await self._do(step)

    async def _do(self, step: Request | Pause) -> httpx.Response | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        with _transport_errors(step):
            return await self._http.request(**step.arguments())


def _next_step(
    exchange: Exchange[T], response: httpx.Response | None
) -> tuple[Request | Pause | None, T | None]:
    """The next step of an exchange, or None and its result."""
    # StopIteration must not leave the thread: a future cannot carry it.
    try:
        return exchange.send(response), None
    except StopIteration as end:
        return None, end.value


def _endpoints(url: str, indexer: str | None, timeout: float) -> Endpoints:
    segmenter = _parse_address(url)
    return Endpoints(
        segmenter=segmenter,
        indexer=segmenter if indexer is None else _parse_address(indexer),
        retry_timeout=timeout,
    )


def _parse_address(url: str) -> str:
    """An address without a slash at the end."""
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
    # A line break would smuggle in another header.
    if not key.isascii() or not key.isprintable():
        raise WrongInput("the API key has characters that no key has; is it the right one?")
    return {"X-API-Key": key}


@contextmanager
def _transport_errors(request: Request) -> Iterator[None]:
    """Raise Unreachable, with the reason in one line, where no response comes."""
    try:
        yield
    except httpx.TransportError as error:
        # Timeouts have no text.
        reason = str(error) or type(error).__name__
        raise Unreachable(f"no answer from {request.url}: {reason}") from error
