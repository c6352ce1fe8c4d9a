"""Builds the FastAPI app of one or more services: routes, health, metrics, middleware, errors."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from captionary.schemas.bodies import HealthBody, ProblemBody
from captionary.schemas.errors import CaptionaryError
from captionary.serving.cross_origin import CrossOriginGuard, GuardMode
from captionary.serving.limits import BodyLimit, Limits
from captionary.serving.metrics import Metrics
from captionary.serving.problems import (
    MEDIA_TYPE,
    RETRY_AFTER,
    add_error_handlers,
    service_unavailable,
)
from captionary.serving.request_log import RequestLog
from captionary.serving.root_path import RootPath


class Service(Protocol):
    """A part of an app: its routes, and what runs beside them."""

    @property
    def router(self) -> APIRouter:
        """Its routes."""
        ...

    def check(self) -> None:
        """Raise CaptionaryError while it is not ready: its store or its model are not there."""
        ...

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """What runs beside the requests; left when the app ends, and then nothing is lost."""
        ...


PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What is wrong, in one line.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    }
}
"""The response of every route where it describes no other."""


class App(FastAPI):
    """An app whose OpenAPI document has ProblemBody, which no route has as its model."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            schemas["ProblemBody"] = ProblemBody.model_json_schema()
        return super().openapi()


def build_app(
    services: Sequence[Service],
    *,
    title: str,
    version: str,
    limits: Limits,
    metrics: Metrics,
    origins: Sequence[str] = (),
    guard: GuardMode = "host and origin",
    root_path: str | None = None,
) -> FastAPI:
    """Build the app of some services.

    origins: cross-origin web pages that may use it from a browser (CORS).
    guard:   which cross-origin checks it needs (`cross_origin.choose_guard_mode`).
    root_path: where a proxy shows it, as in /captionary.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            # A stack: what has started is ended even if a later service cannot start.
            for service in services:
                await stack.enter_async_context(service.lifespan())
            yield

    app = App(
        title=title,
        version=version,
        lifespan=lifespan,
        middleware=[
            Middleware(RootPath, root=root_path or ""),
            *_cors(origins),
            Middleware(RequestLog, metrics=metrics),
            Middleware(CrossOriginGuard, mode=guard, origins=origins),
            Middleware(BodyLimit, limit=limits.body),
        ],
        responses=PROBLEM_RESPONSE,
        # Else fields with defaults would make two schemas, and new names, of one body.
        separate_input_output_schemas=False,
        # Those pages load their code from elsewhere; /openapi.json says the same.
        docs_url=None,
        redoc_url=None,
        # Redirects would name an address without the path under which a proxy may show it.
        redirect_slashes=False,
    )
    add_error_handlers(app)
    for service in services:
        app.include_router(service.router)
    app.include_router(_health_router(services, metrics))
    return app


def _cors(origins: Sequence[str]) -> list[Middleware]:
    """Outside of all that answers, so that error responses can be read by those pages too."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["X-API-Key", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Classes", "X-Request-ID", "X-Revision"],
        )
    ]


def _health_router(services: Sequence[Service], metrics: Metrics) -> APIRouter:
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
                raise service_unavailable(str(error), retry_after=RETRY_AFTER) from error
        return HealthBody(status="ok")

    @router.get("/metrics", response_class=Response, include_in_schema=False)
    def figures() -> Response:
        """Metrics for Prometheus."""
        return metrics.response()

    return router
