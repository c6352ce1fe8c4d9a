"""A service, or several, as one app: routes, health, figures, errors, in that order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from captionary.schemas.bodies import HealthBody, ProblemBody
from captionary.schemas.errors import CaptionaryError
from captionary.serving.cross_origin import Guard, Visitors
from captionary.serving.limits import BodyLimit, Limits
from captionary.serving.metrics import Metrics
from captionary.serving.problems import MEDIA_TYPE, Problem, tell_problems
from captionary.serving.request_log import Requests


class Service(Protocol):
    """What an app is made of."""

    @property
    def router(self) -> APIRouter:
        """Its routes."""
        ...

    def check(self) -> None:
        """Raise CaptionaryError while it cannot work: its store or its model are not there."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """What runs beside the requests; left when the app ends, and then nothing is lost."""
        ...


def build_app(
    services: Sequence[Service],
    *,
    title: str,
    version: str,
    limits: Limits,
    metrics: Metrics,
    origins: Sequence[str] = (),
    guard: Guard = "loopback",
) -> FastAPI:
    """The app of some services.

    origins: web pages of other addresses that may use it from a browser.
    guard:   who is kept out besides: `serving.cross_origin.guard_for` says what is needed.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            for service in services:
                await running.enter_async_context(service.running())
            yield

    middleware = []
    if origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["X-API-Key", "X-Request-ID"],
                expose_headers=["Retry-After", "X-Classes", "X-Request-ID", "X-Revision"],
            )
        )
    middleware += [
        Middleware(Requests, metrics=metrics),
        Middleware(Visitors, guard=guard, origins=origins),
        Middleware(BodyLimit, most=limits.body),
    ]
    app = App(
        title=title,
        version=version,
        lifespan=lifespan,
        middleware=middleware,
        responses=PROBLEMS,
        separate_input_output_schemas=False,
        # Those pages load their code from elsewhere; /openapi.json says the same.
        docs_url=None,
        redoc_url=None,
    )
    tell_problems(app)
    for service in services:
        app.include_router(service.router)
    app.include_router(_health(services, metrics))
    return app


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What is wrong, in one line.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    }
}
"""Every route's answer where there is no other."""


class App(FastAPI):
    """An app whose document describes problems, which no route has as its model."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            schemas["ProblemBody"] = ProblemBody.model_json_schema()
        return super().openapi()


def _health(services: Sequence[Service], metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def alive() -> HealthBody:
        """Whether the process answers at all."""
        return HealthBody(status="ok")

    @router.get("/readyz")
    async def ready() -> HealthBody:
        """Whether store and model are there: 503 while one is not."""
        for service in services:
            try:
                await run_in_threadpool(service.check)
            except CaptionaryError as error:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Retry-After": "5"}
                ) from error
        return HealthBody(status="ok")

    @router.get("/metrics", response_class=Response, include_in_schema=False)
    def figures() -> Response:
        """Figures for Prometheus."""
        return metrics.page()

    return router
