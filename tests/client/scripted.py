"""A server that answers what it was told to, in turn, and remembers what it was asked."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from captionary.serving.server import address_of, listen

PATIENCE = 20
"""Seconds for a server to start, and to end."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer; after so many seconds."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Script:
    """An app that gives one answer after the other, and the last one for ever."""

    def __init__(self, *answers: Said) -> None:
        self._answers: Sequence[Said] = answers
        self.heard: list[Heard] = []
        self.times: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.times.append(time.monotonic())
        path = scope["raw_path"].decode()
        body = await request.body()
        self.heard.append(Heard(request.method, path, dict(request.headers), body))
        said = self._answers[min(len(self.heard), len(self._answers)) - 1]
        if said.seconds:
            await anyio.sleep(said.seconds)
        content = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        headers = {"content-type": "application/json", **said.headers}
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": said.status, "headers": pairs})
        await send({"type": "http.response.body", "body": content})


@contextmanager
def served(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve an app by a thread, on a free port; its address."""
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(app, log_config=None, access_log=False, **options)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            end = time.monotonic() + PATIENCE
            while not server.started:
                assert thread.is_alive(), "the server ended"
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.01)
            yield address_of(listening)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()
