"""Services for the tests of what services share: routes given to them, and a note of what ran."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI

from captionary.schemas.errors import CaptionaryError
from captionary.serving.app import build_app
from captionary.serving.cross_origin import GuardMode
from captionary.serving.limits import Limits
from captionary.serving.metrics import Metrics

BODY = 1000
"""Bytes that a request may have, in these tests."""

PAGE = "http://page.example"
"""The web page of another address that may call."""


@dataclass
class Part:
    """A service; `wrong` is why it is not ready."""

    router: APIRouter = field(default_factory=APIRouter)
    name: str = "part"
    wrong: CaptionaryError | None = None
    events: list[str] = field(default_factory=list)

    def check(self) -> None:
        if self.wrong is not None:
            raise self.wrong

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return self._noted()

    @asynccontextmanager
    async def _noted(self) -> AsyncIterator[None]:
        self.events.append(f"{self.name} starts")
        try:
            yield
        finally:
            self.events.append(f"{self.name} ends")


def app_of(
    *parts: Part,
    metrics: Metrics | None = None,
    origins: Sequence[str] = (PAGE,),
    guard: GuardMode = "off",  # clients in this process name a host that there is not
    root_path: str | None = None,
) -> FastAPI:
    return build_app(
        parts,
        title="Tests",
        version="1",
        limits=Limits(body=BODY),
        metrics=metrics or Metrics(),
        origins=origins,
        guard=guard,
        root_path=root_path,
    )
