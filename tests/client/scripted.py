"""A transport that gives one scripted response after the other, and remembers the requests."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: JSON, or the bytes of a body."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> httpx.Response:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"content-type": "application/json", **self.headers}
        return httpx.Response(self.status, content=content, headers=headers)


class Script(httpx.MockTransport):
    """Gives the replies in turn, and the last one for ever; for both clients."""

    def __init__(self, *replies: Reply) -> None:
        super().__init__(self._reply)
        self._replies = replies
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.times.append(time.monotonic())
        self.requests.append(request)
        return self._replies[min(len(self.requests), len(self._replies)) - 1].response()
