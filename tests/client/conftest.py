"""Both faces of the client, behind one: a test that is written once holds for both."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol, cast

import pytest

from captionary.client import AsyncCaptionary, Captionary


class Connect(Protocol):
    """Makes a client of the service at an address."""

    def __call__(self, url: str, **options: Any) -> Captionary: ...


class Waited:
    """An asynchronous client each of whose calls is waited for."""

    def __init__(self, client: AsyncCaptionary, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Either face; what it connects is closed after the test."""
    with ExitStack() as opened:
        if request.param == "blocking":
            yield lambda url, **options: opened.enter_context(Captionary(url, **options))
        else:
            runner = opened.enter_context(asyncio.Runner())

            def waited(url: str, **options: Any) -> Captionary:
                client = AsyncCaptionary(url, **options)
                opened.callback(lambda: runner.run(client.close()))
                return cast("Captionary", Waited(client, runner))

            yield waited
