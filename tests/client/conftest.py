"""Both clients, behind one: a test that is written once holds for both."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol, cast

import pytest

from captionary.client import AsyncClient, Client


class Connect(Protocol):
    """Makes a client of the service at an address."""

    def __call__(self, url: str, **options: Any) -> Client: ...


class Awaited:
    """An AsyncClient whose calls are awaited by a runner, so that they block."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Connects either client, and closes it after the test."""
    with ExitStack() as stack:
        if request.param == "blocking":
            yield lambda url, **options: stack.enter_context(Client(url, **options))
        else:
            runner = stack.enter_context(asyncio.Runner())

            def connect_awaited(url: str, **options: Any) -> Client:
                client = AsyncClient(url, **options)
                stack.callback(lambda: runner.run(client.close()))
                return cast("Client", Awaited(client, runner))

            yield connect_awaited
